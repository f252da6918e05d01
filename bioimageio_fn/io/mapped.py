"""Arrays that lie in a file as they would in memory.

What holds here: a file is mapped for each access and let go behind it, because the pages of an open
mapping count as memory of the process; so no file is held open or locked, and records pickle. Space
on disk is taken when a file is made: a full disk is an error then, and no crash later.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np

from ..errors import FileReadError
from ..files import check_place, existing_path, writing

__all__ = ["MappedFile", "mapped_npy", "new_npy", "unmapped"]

Array = np.ndarray[Any, Any]


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(path).absolute()  # other processes may work in other folders


def _sizes(shape: Iterable[int]) -> tuple[int, ...]:
    return tuple(map(int, shape))


@attrs.frozen
class MappedFile:
    """An array in a file, read and written region by region.

    Regions are given as to NumPy, by basic slicing. What is read is a copy. What is written is
    cast as by NumPy.

    Args:
        path: the file.
        dtype: type of the values, with their byte order.
        shape: sizes.
        offset: where in the file the values begin, in bytes.
        order: whether the last (`C`) or the first (`F`) index runs fastest.

    Raises:
        MissingFileError: by an access, if the file is gone.
        FileReadError: by an access, if the file is too short.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = new_npy(Path(folder, "a.npy"), (2, 3), "uint8")
        ...     file[0, 1:] = [7, 8]
        ...     file[:, 1:].tolist()
        [[7, 8], [0, 0]]
    """

    path: Path = attrs.field(converter=_absolute)
    dtype: np.dtype[Any] = attrs.field(converter=np.dtype)
    shape: tuple[int, ...] = attrs.field(converter=_sizes)
    offset: int = 0
    order: Literal["C", "F"] = "C"

    def __getitem__(self, key: Any) -> Array:
        with _mapped(self, "r") as values:
            return np.array(values[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        with _mapped(self, "r+") as values:
            values[key] = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        del copy  # what is read is new
        return np.asarray(self[...], dtype)


@contextmanager
def _mapped(file: MappedFile, mode: Literal["r", "r+"]) -> Iterator[Array]:
    existing_path(file.path)
    try:
        values = np.memmap(file.path, file.dtype, mode, file.offset, file.shape, file.order)
    except (OSError, ValueError) as error:
        raise FileReadError(f"can not map {file.path}", got=error) from error
    yield values


def mapped_npy(path: Path) -> MappedFile:
    """The array in an NPY file.

    Raises:
        ValueError: if it is none, or one of Python objects.
        OSError: if it can not be read.
    """
    return _as_file(path, np.lib.format.open_memmap(path, mode="r"))


def _as_file(path: str | os.PathLike[str], values: np.memmap[Any, Any]) -> MappedFile:
    """The file that a memory map is of."""
    order: Literal["C", "F"] = "C" if values.flags.c_contiguous else "F"
    return MappedFile(path, values.dtype, values.shape, values.offset, order)


def new_npy(
    path: Path, shape: Sequence[int], dtype: str, *, place: Path | None = None
) -> MappedFile:
    """A new NPY file of zeros, which takes its space at once.

    Args:
        place: the file that errors name, if it is not this one for good.

    Raises:
        FileWriteError: if there is no space for it.
    """
    place = place or path
    check_place(place, math.prod(shape) * np.dtype(dtype).itemsize)
    with writing(place):
        made = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), tuple(shape))
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return _as_file(path, made)


def unmapped(data: Any) -> Any:
    """A NumPy memory map as a file that is mapped for each access; anything else as it is.

    A part of a memory map stays one, as it does not know where in the file it lies.

    Examples:
        >>> unmapped("no memory map")
        'no memory map'
    """
    is_whole = isinstance(data, np.memmap) and isinstance(data.base, mmap)
    if not is_whole or data.filename is None or data.mode == "c":
        return data
    return _as_file(data.filename, data)
