"""What a path says of the format of a file, and what each format can hold.

What holds here: a format is told by a suffix alone; what can be refused without the pixels is
refused before any work.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from ..errors import FileWriteError, MissingDependencyError
from ..files import check_place

__all__ = ["Location", "check_writable", "location", "require", "stem"]

TIFF = (".tif", ".tiff")
HDF5 = (".h5", ".hdf5")
WRITTEN = (*TIFF, ".png", ".npy", ".zarr", *HDF5)
READ = (*WRITTEN, ".npz", ".jpg", ".jpeg", ".zip")
_PACKAGES = {".zarr": "zarr", ".zip": "zarr", ".h5": "h5py", ".hdf5": "h5py"}
_HOLDING = (*_PACKAGES, ".npz")
"""What has paths in it."""
_EXTRAS = {"zarr": "zarr", "h5py": "hdf5"}
_PNG_TYPES = ("bool", "uint8", "uint16")


@attrs.frozen
class Location:
    """Where an array is: a file (or a Zarr folder), and its path in it.

    Args:
        file: the file or folder.
        suffix: what the name of the file ends in, in lower case.
        inner: the path in the file; empty if none is given.
    """

    file: Path
    suffix: str
    inner: str = ""


def location(path: str | os.PathLike[str]) -> Location:
    """The file that a path leads to or into.

    Examples:
        >>> location("data/cells.h5/raw/0").inner
        'raw/0'
        >>> location("data/cells.TIF").suffix
        '.tif'
    """
    whole = Path(path).expanduser()
    if not (whole.is_file() and whole.suffix.lower() not in _HOLDING):
        for file in (*reversed(whole.parents), whole):
            suffix = file.suffix.lower()
            # a folder may have any name, but only Zarr has arrays in one
            if suffix in _HOLDING and (suffix == ".zarr" or not file.is_dir()):
                inner = "/".join(whole.parts[len(file.parts) :])
                return Location(file, suffix, inner)
    return Location(whole, whole.suffix.lower())


def stem(path: str | os.PathLike[str]) -> str:
    """The name of an image: that of its file without suffixes, and its path in the file.

    Examples:
        >>> stem("data/cell_A1.tif"), stem("data/cells.h5/raw/0"), stem("slide.zarr.zip")
        ('cell_A1', 'cells_raw_0', 'slide')
        >>> stem("cell_A1.ome.tif"), stem("slide.ome.zarr/1")
        ('cell_A1', 'slide_1')
    """
    place = location(path)
    name = place.file.stem
    if place.suffix == ".zip":
        name = name.removesuffix(".zarr")
    if Path(name).suffix.lower() == ".ome":
        name = name[: -len(".ome")]
    return "_".join([name, *filter(None, place.inner.split("/"))])


def require(suffix: str) -> Any:
    """The package that reads and writes files of a suffix.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    package = _PACKAGES[suffix]
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingDependencyError(
            f"{suffix} files need the package {package}",
            got=str(error),
            remedy=f"pip install 'bioimageio_fn[{_EXTRAS[package]}]'",
        ) from error


def check_writable(path: str | os.PathLike[str], dtype: str | None, unit_range: bool) -> None:
    """Refuse, before any work, a file that could not hold the result.

    Args:
        dtype: type of the values; None if it is not known.
        unit_range: whether floating point values are described to lie within 0 and 1.

    Raises:
        FileWriteError: if the suffix is not supported, if its format can not hold the values, or if
            nothing can be written in that folder.
        MissingDependencyError: if a package is missing that writes the format.
    """
    place = location(path)
    if place.suffix not in WRITTEN:
        raise FileWriteError(
            f"can not write {path}",
            expected=f"a file that ends in {', '.join(WRITTEN)}",
            got=place.suffix or "no suffix",
        )
    if place.suffix in _PACKAGES:
        require(place.suffix)
    if place.suffix == ".zarr" and place.inner:
        raise FileWriteError(
            f"can not write {path}",
            expected="a path that ends in .zarr",
            got=f"a path in the Zarr folder {place.file}",
        )
    check_place(place.file)
    if place.suffix == ".png" and dtype is not None:
        _check_png(path, dtype, unit_range=unit_range)


def _check_png(path: str | os.PathLike[str], dtype: str, *, unit_range: bool) -> None:
    if dtype not in _PNG_TYPES and not ("float" in dtype and unit_range):
        raise FileWriteError(
            f"PNG can not hold these values ({path})",
            expected="bool, uint8, uint16, or floats described to lie within 0 and 1",
            got=dtype,
            remedy="write a .tif or .npy file",
        )
