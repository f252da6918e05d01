"""Images on disk with their labels: the array, its axes, its pixel sizes, its channels.

What holds here: the format is told by the suffix; a file that is damaged, or holds no numbers, is
an error now, as far as that can be told without reading all of it. What a file does not say of its
axes is not guessed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping

import attrs
from immutabledict import immutabledict

from ..arrays import DTYPES, dtype_name
from ..axes import as_axes
from ..errors import AxesError, FileReadError
from ..files import existing_path
from ..tensor import Tensor
from .formats import Location, location
from .hdf5 import open_hdf5
from .labels import Image, Labelled
from .mapped import mapped_npy
from .npz import read_npz
from .others import open_other
from .png import read_png_or_jpeg
from .sources import reading
from .tiff import open_tiff
from .zarrs import open_zarr

__all__ = ["open_labelled", "open_tensor"]

_OPENERS: Mapping[str, Callable[[Location], Labelled]] = immutabledict(
    {
        ".npy": lambda place: Labelled(mapped_npy(place.file)),
        ".npz": lambda place: Labelled(read_npz(place)),
        ".png": read_png_or_jpeg,
        ".jpg": read_png_or_jpeg,
        ".jpeg": read_png_or_jpeg,
        ".tif": open_tiff,
        ".tiff": open_tiff,
        ".h5": open_hdf5,
        ".hdf5": open_hdf5,
        ".zarr": open_zarr,
        ".zip": open_zarr,
    }
)


def open_labelled(
    path: str | os.PathLike[str], *, axes: str | Iterable[str] | None = None
) -> Labelled:
    """The array in an image file, which is read where it is sliced, and what the file says of it.

    Args:
        path: as of `open_image`.
        axes: one for each dimension, in the place of those that the file names.

    Raises:
        AxesError: if these are not as many as there are dimensions.
        MissingFileError, FileReadError, MissingDependencyError: as of `open_image`.

    Examples:
        >>> import bioimageio_fn as fn
        >>> open_labelled(fn.demo_image()).axes
        ('y', 'x')
    """
    given = None if axes is None else as_axes(axes)
    place = location(path)
    existing_path(place.file)
    with reading(place):
        image = _OPENERS.get(place.suffix, open_other)(place)
        _check_numbers(image.data, place)
        image.data[(slice(0, 1),) * len(image.data.shape)]  # a missing codec is told now
    if given is None:
        return image
    if len(given) != len(image.data.shape):
        raise AxesError(
            f"these are not the axes of {path}",
            expected=f"{len(image.data.shape)} axes for shape {image.data.shape}",
            got=f"{len(given)} {given}",
        )
    return attrs.evolve(image, axes=given)


def open_tensor(path: str | os.PathLike[str], axes: str | Iterable[str] | None = None) -> Tensor:
    """The image in a file with axes, pixel sizes and names of channels, read where it is sliced.

    They are those that the file says:

    - OME-TIFF and OME-Zarr: all of them;
    - TIFF of ImageJ: all; names of channels where labels of planes are that;
    - other TIFF files: axes that have letters other than I and Q, and the resolution where it is
      given per centimeter, millimeter or micrometer;
    - HDF5: axes by labels or scales of the dimensions, or by the attributes `axes` or `axistags`;
      pixel sizes by `element_size_um`, or without a unit by `axistags`;
    - Zarr: axes by `dimension_names` or `_ARRAY_DIMENSIONS`;
    - PNG and JPEG: y, x, and channel if there are colours; NPY and NPZ: nothing;
    - formats of bioio: what its plugin for the format says.

    Args:
        path: as of `open_image`.
        axes: one for each dimension; by default those that the file names.

    Raises:
        AxesError: if the file does not name all axes and none are given, or not as many as there
            are dimensions.
        MissingFileError, FileReadError, MissingDependencyError: as of `open_image`.

    Examples:
        >>> import bioimageio_fn as fn
        >>> open_tensor(fn.demo_image()).sizes
        {'y': 300, 'x': 417}
    """
    image = open_labelled(path, axes=axes)
    if image.axes is None:
        raise AxesError(
            f"{path} does not name its axes",
            expected="a name for each dimension",
            got=f"shape {image.data.shape}",
            remedy="give them, such as axes='zyx'",
        )
    return Tensor(image.data, image.axes, image.calibration)


def _check_numbers(image: Image, place: Location) -> None:
    whole = place.file / place.inner
    if dtype_name(image.dtype) not in DTYPES:
        raise FileReadError(
            f"can not read {whole}", expected="real numbers or truth values", got=image.dtype
        )
    if math.prod(image.shape) == 0:
        raise FileReadError(f"there are no pixels in {whole}", got=f"shape {image.shape}")
