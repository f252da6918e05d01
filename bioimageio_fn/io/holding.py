"""What each format can hold, told before any work.

What holds here: what can be refused without the pixels is refused before there are any; a size that
is not known yet is refused when it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..axes import AxisId
from ..errors import FileWriteError
from ..files import check_place
from ..spec import TensorSpec
from .formats import OME_ZARR, PACKAGES, TIFF, WRITTEN, Location, is_ome_zarr, location, require
from .ome_groups import check_labelled
from .pictures import VIEWED

__all__ = ["check_holds", "check_writable"]

_FLOATS = ("float32", "float64")
_PNG_TYPES = ("bool", "uint8", "uint16")
_TIFF_TYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", *_FLOATS)
_SPACE = (AxisId("y"), AxisId("x"))


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that nothing can be written to, whatever it is.

    Raises:
        FileWriteError: if the suffix is not supported, or if nothing can be written in that folder.
        MissingDependencyError: if a package is missing that writes the format.
    """
    place = location(path)
    if place.suffix not in WRITTEN:
        raise FileWriteError(
            f"can not write {path}",
            expected=f"a file that ends in {', '.join(WRITTEN)}",
            got=place.suffix or "no suffix",
        )
    if place.suffix in PACKAGES:
        require(place.suffix)
    if is_ome_zarr(place):
        require(OME_ZARR)
    if place.suffix == ".zarr" and place.inner:
        check_labelled(place)
    check_place(place.file / place.inner if place.file.is_dir() else place.file)


def check_holds(
    path: str | os.PathLike[str], spec: TensorSpec, *, unit_range: bool = False
) -> None:
    """Refuse a tensor that the format of a file can not hold.

    Args:
        path: one that `check_writable` does not refuse.
        spec: of the tensor; sizes that are not known yet are left to a later call.
        unit_range: whether floating point values are known to lie within 0 and 1.

    Raises:
        FileWriteError: if it can not.

    Examples:
        >>> check_holds("a.ome.tif", TensorSpec("bcyx", (None, 2, None, None), "uint8"))
        >>> check_holds("a.ome.tif", TensorSpec("bcyx", (3, 2, 64, 64), "uint8"))
        Traceback (most recent call last):
        ...
        bioimageio_fn.errors.FileWriteError: TIFF has no such axis (a.ome.tif) (axis 'batch'):
        expected axes of time, channel, z, y, x, or of size 1, got 3 along it; write a .npy, .h5 or
        plain .zarr file
    """
    place = location(path)
    if place.suffix == ".png":
        _check_png(place, spec, unit_range=unit_range)
    elif place.suffix in TIFF:
        _check_viewed(place, "TIFF", spec)
        _check_type(place, "TIFF", spec.dtype, _TIFF_TYPES, "a .ome.zarr, .npy, .h5 or .zarr file")
    elif is_ome_zarr(place):
        _check_viewed(place, "OME-Zarr", spec)
        if place.inner and "float" in spec.dtype:
            _check_type(place, "the labels of an image", spec.dtype, ("integers",), "a new file")


def _check_viewed(
    place: Location, format_name: str, spec: TensorSpec, axes: Iterable[AxisId] = VIEWED
) -> None:
    known = tuple(axes)
    for axis, size in spec.sizes.items():
        if axis not in known and size not in (1, None):
            raise FileWriteError(
                f"{format_name} has no such axis ({place.file})",
                axis=axis,
                expected=f"axes of {', '.join(known)}, or of size 1",
                got=f"{size} along it",
                remedy="write a .npy, .h5 or plain .zarr file",
            )
    for axis in _SPACE:
        if axis not in spec.axes:
            raise FileWriteError(
                f"{format_name} holds images ({place.file})",
                axis=axis,
                expected="axes y and x",
                got=", ".join(spec.axes),
                remedy="write a .npy, .h5 or plain .zarr file",
            )


def _check_type(
    place: Location, format_name: str, dtype: str, types: Iterable[str], other: str
) -> None:
    if dtype not in types:
        raise FileWriteError(
            f"{format_name} can not hold these values ({place.file})",
            expected=", ".join(types),
            got=dtype,
            remedy=f"write {other}",
        )


def _check_png(place: Location, spec: TensorSpec, *, unit_range: bool) -> None:
    colours = spec.sizes.get(AxisId("channel"), 1)
    flat = all(size in (1, None) for a, size in spec.sizes.items() if a not in (*_SPACE, "channel"))
    if not flat or colours not in (1, 3, 4, None) or not set(_SPACE) <= set(spec.axes):
        raise FileWriteError(
            f"PNG can not hold this tensor ({place.file})",
            expected="a 2D image with 1, 3 or 4 channels",
            got=", ".join(f"{axis}={size or '?'}" for axis, size in spec.sizes.items()),
            remedy="write a .tif or .npy file",
        )
    if spec.dtype not in _PNG_TYPES and not ("float" in spec.dtype and unit_range):
        raise FileWriteError(
            f"PNG can not hold these values ({place.file})",
            expected="bool, uint8, uint16, or floats described to lie within 0 and 1",
            got=spec.dtype,
            remedy="write a .tif or .npy file",
        )
