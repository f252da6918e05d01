"""What a path says of the format of a file.

What holds here: a format is told by a suffix alone.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from ..errors import MissingDependencyError
from ..files import expanded

__all__ = ["Location", "is_ome_tiff", "is_ome_zarr", "location", "require", "stem"]

TIFF = (".tif", ".tiff")
HDF5 = (".h5", ".hdf5")
OME_TIFF = (".ome.tif", ".ome.tiff")
OME_ZARR = ".ome.zarr"
WRITTEN = (*TIFF, ".png", ".npy", ".zarr", *HDF5)
READ = (*WRITTEN, ".npz", ".jpg", ".jpeg", ".zip")
PACKAGES = {".zarr": "zarr", ".zip": "zarr", ".h5": "h5py", ".hdf5": "h5py"}
_HOLDING = (*PACKAGES, ".npz")
"""What has paths in it."""
_EXTRAS = {"zarr": "zarr", "ome_zarr_models": "zarr", "h5py": "hdf5"}


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
    whole = expanded(path)
    named = str(whole).lower()
    if not any(suffix in named for suffix in _HOLDING):  # nearly always; no disk is asked
        return Location(whole, whole.suffix.lower())
    # unlike methods of `Path`, these give no error if a name is longer than a system has any
    isfile, isdir = os.path.isfile, os.path.isdir
    if not (isfile(whole) and whole.suffix.lower() not in _HOLDING):
        for file in (*reversed(whole.parents), whole):
            suffix = file.suffix.lower()
            # a folder may have any name, but only Zarr has arrays in one
            if suffix in _HOLDING and (suffix == ".zarr" or not isdir(file)):
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


def is_ome_tiff(place: Location) -> bool:
    """Whether a file is named as one of OME-TIFF."""
    return place.file.name.lower().endswith(OME_TIFF)


def is_ome_zarr(place: Location) -> bool:
    """Whether an image that is written there is one of OME-Zarr: named so, or within another.

    Examples:
        >>> [is_ome_zarr(location(path)) for path in ("a.ome.zarr", "a.zarr", "a.zarr/labels/b")]
        [True, False, True]
    """
    return place.file.name.lower().endswith(OME_ZARR) or bool(
        place.suffix == ".zarr" and place.inner
    )


def require(suffix: str) -> Any:
    """The package that reads and writes files of a suffix.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    package = "ome_zarr_models" if suffix == OME_ZARR else PACKAGES[suffix]
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingDependencyError(
            f"{suffix} files need the package {package}",
            got=str(error),
            remedy=f"pip install 'bioimageio_fn[{_EXTRAS[package]}]'",
        ) from error
