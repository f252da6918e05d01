"""Tensors as `xarray.DataArray`, and back.

What holds here: axes are dimensions; pixel sizes are coordinates, from 0, and so are names of
channels; what is not known has no coordinate. xarray is imported when it is used.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from .arrays import as_array, to_numpy
from .axes import AxisId
from .calibration import Calibration, PixelSize
from .errors import MissingDependencyError
from .units import unit_name

if TYPE_CHECKING:
    import xarray

__all__ = ["data_array", "is_data_array", "parts_of"]


def is_data_array(value: Any) -> bool:
    """Whether something is a `xarray.DataArray`; xarray is not imported for that."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(value, xarray.DataArray)


def data_array(data: Any, axes: Sequence[AxisId], calibration: Calibration) -> xarray.DataArray:
    """The data with dimensions and coordinates.

    Args:
        data: a lazy source is read, a Dask array stays one, and what is on a GPU is brought back.
        axes: names of its dimensions.
        calibration: what becomes of it are coordinates.

    Raises:
        MissingDependencyError: if xarray is not installed.
    """
    try:
        import xarray
    except ImportError as error:
        raise MissingDependencyError(
            "a DataArray needs the package xarray", remedy="pip install 'bioimageio_fn[xarray]'"
        ) from error
    sizes = dict(zip(axes, (int(n) for n in data.shape), strict=True))
    array = data if array_api_compat.is_dask_array(data) else to_numpy(as_array(data))
    coordinates = {
        axis: xarray.Variable(axis, np.arange(sizes[axis]) * size.value, _attributes(size))
        for axis, size in calibration.pixel_sizes.items()
        if axis in sizes
    }
    channel, names = AxisId("channel"), calibration.channel_names
    if names and sizes.get(channel) == len(names):
        coordinates[channel] = xarray.Variable(channel, list(names))
    return xarray.DataArray(array, dims=tuple(map(str, axes)), coords=coordinates)


def _attributes(size: PixelSize) -> dict[str, Any]:
    # a single coordinate has no distance to the next one
    unit = {} if size.unit is None else {"units": size.unit}
    return {"pixel_size": size.value, **unit}


def parts_of(array: xarray.DataArray) -> tuple[Any, tuple[AxisId, ...], Calibration]:
    """The data of a DataArray, its axes, and what its coordinates say of the pixels.

    Coordinates at equal distances are a pixel size, in the unit that their attribute `units` names,
    but those that only number the pixels; texts along the channel axis are the names of channels.
    """
    axes = tuple(AxisId(str(name)) for name in array.dims)
    coordinates = {
        axis: array.coords[name]
        for axis, name in zip(axes, array.dims, strict=True)
        if name in array.coords
    }
    names = coordinates.pop(AxisId("channel"), None)
    sizes = {axis: _pixel_size(values) for axis, values in coordinates.items()}
    is_text = names is not None and np.asarray(names).dtype.kind in "UOT"
    return (
        array.data,
        axes,
        Calibration(
            {axis: size for axis, size in sizes.items() if size is not None},
            map(str, np.asarray(names).tolist()) if is_text else (),
        ),
    )


def _pixel_size(coordinate: Any) -> PixelSize | None:
    """The distance of coordinates, if it is the same everywhere."""
    values, attributes = np.asarray(coordinate), coordinate.attrs
    if values.dtype.kind not in "iuf":
        return None
    steps = np.diff(values.astype("float64")) if values.size > 1 else _alone(attributes)
    if not steps.size or not steps[0] > 0 or not np.allclose(steps, steps[0], rtol=1e-3, atol=0):
        return None
    unit = unit_name(attributes.get("units"))
    if unit is None and steps[0] == 1 and "pixel_size" not in attributes:
        return None  # numbers of pixels, as programs make them where nothing is known
    return PixelSize(float(steps[0]), unit)


def _alone(attributes: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    size = attributes.get("pixel_size")
    return np.asarray([size] if isinstance(size, (int, float)) else [], "float64")
