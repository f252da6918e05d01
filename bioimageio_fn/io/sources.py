"""Arrays in files that are read where they are asked for.

What holds here: what a region does not touch is not read; whatever goes wrong in a file is an error
that names it; a source pickles as the place where it is opened again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import numpy as np

from ..errors import BioimageioFnError, FileReadError
from .formats import Location

__all__ = ["StoredArray", "only_one", "reading"]


@attrs.frozen(eq=False)
class StoredArray:
    """An array in a file, read region by region.

    Regions are given by basic slicing, with steps of 1 and more. What is read is a NumPy array.

    Args:
        place: the file, and the path in it.
        array: what is sliced: it has shape, dtype and chunks.
        opened: how another process opens it.

    Raises:
        FileReadError: by an access, if the file is damaged.
    """

    place: Location
    array: Any
    opened: Callable[[Location], Any]
    _process: int = attrs.field(factory=os.getpid, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, with their byte order."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Sizes of the parts that are unpacked one by one, if there are such."""
        chunks: tuple[int, ...] | None = self.array.chunks
        return chunks

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        if self._process != os.getpid():  # a fork, which shares the position in an open file
            return np.asarray(self.opened(self.place)[key])
        with reading(self.place, IndexError):
            return np.asarray(self.array[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        del copy  # what is read is new
        return np.asarray(self[...], dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.opened, (self.place,)


@contextmanager
def reading(place: Location, passed: type[Exception] = BioimageioFnError) -> Iterator[None]:
    """Whatever goes wrong within the block, as an error that names the file.

    Args:
        passed: a kind of error that is not one of the file.

    Raises:
        FileReadError: in the place of any other error that is none of this package.
    """
    try:
        yield
    except (BioimageioFnError, passed):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        kind = f" as {place.suffix[1:].upper()}" if place.suffix else ""
        raise FileReadError(
            f"can not read {place.file / place.inner}{kind}",
            got=reason,
            remedy="is it damaged, or of another format than its name says?",
        ) from error


def only_one(names: Iterable[str], place: Location) -> str:
    """The name of the only array at a place that holds others.

    Raises:
        FileReadError: if there are several, or none.

    Examples:
        >>> from pathlib import Path
        >>> only_one(["raw", "mask"], Location(Path("a.h5"), ".h5"))
        Traceback (most recent call last):
        ...
        bioimageio_fn.errors.FileReadError: a.h5 holds several arrays: expected the path of one of
        them, such as a.h5/raw, got raw, mask
    """
    known = list(names)
    whole = place.file / place.inner
    if len(known) == 1:
        return known[0]
    if not known:
        raise FileReadError(f"there is no array in {whole}")
    more = f", and {len(known) - 20} more" if len(known) > 20 else ""
    raise FileReadError(
        f"{whole} holds several arrays",
        expected=f"the path of one of them, such as {(whole / known[0]).as_posix()}",
        got=", ".join(known[:20]) + more,
    )
