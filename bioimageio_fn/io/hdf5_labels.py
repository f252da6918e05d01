"""What datasets in HDF5 files say of their pixels.

What holds here: the ways are those of programs in use: labels and scales of dimensions (h5py,
netCDF), `axes`, `axistags` (ilastik, vigra), `element_size_um` (Fiji, ilastik, PlantSeg). What this
package has written goes first, as it says most.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..axes import AxisId
from ..calibration import PixelSize
from .attributes import CALIBRATION, calibration_of
from .labels import Labels, calibration, named_axes, pixel_size

__all__ = ["hdf5_labels"]

_SPACE = tuple(AxisId(axis) for axis in "zyx")


def hdf5_labels(dataset: Any) -> Labels:
    """The axes and the calibration of an open dataset."""
    tags = _axistags(dataset.attrs.get("axistags"))
    found = (named_axes(names, dataset.ndim) for names in _named(dataset, tags))
    axes = next((names for names in found if names is not None), None)
    if own := calibration_of(dataset.attrs.get(CALIBRATION)):
        return axes, own
    sizes = _tagged_sizes(tags) | _element_sizes(dataset.attrs.get("element_size_um"), axes)
    return axes, calibration(sizes)


def _named(dataset: Any, tags: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Any]]:
    """All the ways in which the dimensions may have names."""
    yield [dimension.label for dimension in dataset.dims]
    yield [d[0].name.rpartition("/")[2] if len(d) else None for d in dataset.dims]
    yield _texts(dataset.attrs.get("axes"))
    yield [tag.get("key") for tag in tags]


def _texts(value: Any) -> list[Any]:
    """A text by letters, or an array of texts."""
    if isinstance(value, (str, bytes)):
        return [*_text(value)]
    return [_text(v) for v in value] if hasattr(value, "__len__") else []


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _axistags(value: Any) -> list[Mapping[str, Any]]:
    try:
        tags = json.loads(_text(value))["axes"]
    except (ValueError, TypeError, KeyError):
        return []
    return [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []


def _tagged_sizes(tags: Sequence[Mapping[str, Any]]) -> dict[AxisId, PixelSize | None]:
    """Resolutions of `axistags`, whose unit is not said; 0 where they are not known."""
    axes = named_axes([tag.get("key") for tag in tags], len(tags)) or ()
    return {
        axis: pixel_size(tag.get("resolution"))
        for axis, tag in zip(axes, tags, strict=False)
        if axis != "channel"
    }


def _element_sizes(sizes: Any, axes: tuple[AxisId, ...] | None) -> dict[AxisId, PixelSize | None]:
    """Micrometers along all axes, or those of space, or the last of z, y, x."""
    given = [*sizes] if hasattr(sizes, "__len__") else []
    of_space = tuple(axis for axis in axes or () if axis in _SPACE)
    known = (axes or (), of_space, _SPACE[-len(given) :])
    named = next((names for names in known if len(names) == len(given)), ())
    return {
        axis: pixel_size(size, "micrometer")
        for axis, size in zip(named, given, strict=False)
        if axis in _SPACE
    }
