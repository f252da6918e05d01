"""Arrays in HDF5 files.

What holds here: a file is opened for each access, because an open one is locked for those who
write, and is not safe behind a fork; nothing outside of the file is read. A file that we write
holds one array, in packed chunks, with the names of its axes as labels of its dimensions, and its
calibration; a file with another array in it is not written to, as it could not be done whole or not
at all.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import numpy as np

from ..errors import FileReadError, FileWriteError, MissingFileError
from ..files import writing
from ..units import in_micrometers
from .attributes import CALIBRATION, calibration_text
from .chunks import chunk_shape
from .formats import Location, require
from .hdf5_labels import hdf5_labels
from .labels import Image, Labelled
from .pictures import Picture
from .sources import StoredArray, only_one

__all__ = ["check_hdf5_replaceable", "new_hdf5", "open_hdf5"]

_LINKS = 32
_DEFAULT = "data"
_CACHE = 1 << 24
"""Bytes of chunks that are kept unpacked, as neighbouring blocks share chunks."""


def open_hdf5(place: Location) -> Labelled:
    """A dataset of an HDF5 file; the only one if no path is given.

    Raises:
        MissingFileError: if there is nothing at that path in the file.
        FileReadError: if there are several datasets, or none, or it lies in another file.
    """
    with require(place.suffix).File(place.file, "r") as file:
        found = _found(file, place)
        if not hasattr(found, "dtype"):
            found = found[only_one(_names(found), place)]
        dataset = _own(found, place)
        record = _Dataset(
            attrs.evolve(place, inner=dataset.name),
            dataset.shape or (),
            np.dtype(dataset.dtype),
            dataset.chunks,
        )
        if dataset.shape is None:
            raise FileReadError(f"there are no pixels in {place.file / place.inner}")
        axes, calibration = hdf5_labels(dataset)
    return Labelled(StoredArray(place, record, _opened_again), axes, calibration)


def _opened_again(place: Location) -> Image:
    return open_hdf5(place).data


@attrs.frozen
class _Dataset:
    """A dataset of a file that is opened where it is read."""

    place: Location
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None

    def __getitem__(self, key: Any) -> Any:
        with require(self.place.suffix).File(self.place.file, "r") as file:
            return _own(_found(file, self.place), self.place)[key]


def _found(file: Any, place: Location) -> Any:
    """What is at a path of a file, by links that do not leave it."""
    h5py = require(place.suffix)
    todo = [*reversed(PurePosixPath("/", place.inner).parts[1:])]
    node, links = file, 0
    while todo:
        name = todo.pop()
        link = node.get(name, getlink=True) if isinstance(node, h5py.Group) else None
        if isinstance(link, h5py.HardLink):
            node = node[name]
        elif isinstance(link, h5py.SoftLink) and links < _LINKS:
            links += 1
            node = file if link.path.startswith("/") else node
            todo += reversed([p for p in PurePosixPath(link.path).parts if p != "/"])
        elif link is None:
            raise MissingFileError(
                f"there is no dataset {place.inner} in {place.file}",
                remedy=f"it holds {', '.join(_names(file)[:20]) or 'none'}",
            )
        else:
            raise FileReadError(f"{place.inner} is a link that leaves the file {place.file}")
    return node


def _own(dataset: Any, place: Location) -> Any:
    """The dataset, if its values lie in the file itself."""
    if dataset.is_virtual or dataset.external:
        raise FileReadError(f"{dataset.name} of {place.file} has its values in other files")
    return dataset


@contextmanager
def new_hdf5(path: Path, place: Location, picture: Picture) -> Iterator[Any]:
    """A new file with one dataset, which is open within the block.

    Args:
        path: where to make it.
        place: the place that it will take.
        picture: what is written, as it is.

    Raises:
        FileWriteError: if another dataset would be lost, or the file can not be written.
    """
    h5py = require(place.suffix)
    check_hdf5_replaceable(place)
    with writing(place.file):
        disk = _Disk(path, "x+")
    with disk:
        with h5py.File(disk, "w", rdcc_nbytes=_CACHE) as file:
            yield _Written(_new_dataset(file, place.inner or _DEFAULT, picture), disk)
        with writing(place.file):
            disk.check()
    check_hdf5_replaceable(place)


class _Disk(io.FileIO):
    """A file that knows whether a write has failed, and then takes all others and drops them.

    HDF5 crashes if it can not write what it holds, even where it is only to be closed.
    """

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        try:
            while rest and self.failure is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            if self.failure is None:
                return super().truncate(size)
        except OSError as error:
            self.failure = error
        return size or 0

    def check(self) -> None:
        """Raise what went wrong."""
        if self.failure is not None:
            raise self.failure


@attrs.frozen(eq=False)
class _Written:
    """A dataset that is being written, and the file that knows whether it was."""

    dataset: Any
    disk: _Disk

    @property
    def chunks(self) -> tuple[int, ...] | None:
        chunks: tuple[int, ...] | None = self.dataset.chunks
        return chunks

    def __getitem__(self, key: Any) -> Any:
        return self.dataset[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.dataset[key] = value
        self.disk.check()


def _new_dataset(file: Any, name: str, picture: Picture) -> Any:
    # every program reads gzip; its first level is the fastest, and packs nearly as well
    packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    dataset = file.create_dataset(
        name,
        picture.shape,
        picture.dtype,
        chunks=chunk_shape(picture.axes, picture.shape) or None,
        **(packed if picture.shape else {}),
    )
    for dimension, axis in zip(dataset.dims, picture.axes, strict=True):
        dimension.label = axis
    if picture.calibration:
        dataset.attrs[CALIBRATION] = calibration_text(picture.calibration)
        _tell_element_size(dataset, picture)
    return dataset


def _tell_element_size(dataset: Any, picture: Picture) -> None:
    """The size of a voxel under the name that Fiji and others know, if it is known in full."""
    space = [axis for axis in "zyx" if axis in picture.axes]
    sizes = [in_micrometers(picture.pixel_size(axis)) for axis in space]
    if space and None not in sizes:
        dataset.attrs["element_size_um"] = sizes


def check_hdf5_replaceable(place: Location) -> None:
    """Refuse to replace a file that holds other datasets, or can not be read as HDF5."""
    if not place.file.exists():
        return
    try:
        with require(place.suffix).File(place.file, "r") as file:
            others = [n for n in _names(file) if n != (place.inner or _DEFAULT)]
    except OSError as error:
        raise FileWriteError(
            f"{place.file} is in the way and can not be opened",
            got=error,
            remedy="remove it, or write to a new file",
        ) from error
    if others:
        raise FileWriteError(
            f"{place.file} holds other datasets, which would be lost",
            got=", ".join(others[:5]),
            remedy="write to a new file",
        )


def _names(file: Any) -> list[str]:
    """Paths of all datasets of an open file or group, but for links."""
    names: list[str] = []

    def note(name: str, item: Any) -> None:
        if hasattr(item, "shape"):
            names.append(name)

    file.visititems(note)  # follows no links
    return names
