"""Walking through the pixels of a tensor, a part at a time.

What holds here: every pixel is read once; what is read at once is bounded (`READ_ELEMENTS`, or one
chunk of a chunked source), and what is worked on at once stays near the processor
(`PIECE_ELEMENTS`); pieces follow the memory of an array, whatever its strides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import array_api_compat
import numpy as np

from ..arrays import Array, to_numpy

__all__ = [
    "PIECE_ELEMENTS",
    "READ_ELEMENTS",
    "Key",
    "in_memory",
    "is_local",
    "parts",
    "pieces",
    "reads",
    "rows",
    "within",
]

PIECE_ELEMENTS = 1 << 16
"""Elements worked on at once: 512 kB in float64. Sums of squares of 16-bit integers are exact."""

READ_ELEMENTS = 1 << 22
"""Elements read at once from a lazy source or another device."""

Key: TypeAlias = tuple[slice, ...]


def reads(data: Array, whole: Sequence[int] = ()) -> Iterator[tuple[Key, np.ndarray[Any, Any]]]:
    """The parts in which an array is read, as NumPy arrays, each with its place.

    What is in this machine's memory already is one part and is not copied. Of a chunked source
    (Zarr, h5py, Dask) whole chunks are read, so that none is unpacked twice.

    Args:
        data: an array, or a lazy source.
        whole: dimensions along which it must not be cut.
    """
    if in_memory(data):
        yield tuple(slice(0, int(size)) for size in data.shape), to_numpy(data)
        return
    for key in parts(data, whole):
        yield key, to_numpy(data[key])


def parts(data: Array, whole: Sequence[int] = ()) -> Iterator[Key]:
    """The places of the parts in which a source is read, of bounded size: whole chunks if it has.

    Args:
        data: a lazy source, or anything with a shape.
        whole: dimensions along which it must not be cut.
    """
    return _grid(_cuts(data, whole))


def in_memory(data: Array) -> bool:
    """Whether data are in this machine's memory, where NumPy can look at them in place."""
    if array_api_compat.is_torch_array(data):
        return bool(data.device.type == "cpu")
    return isinstance(data, np.ndarray)


def is_local(data: Array) -> bool:
    """Whether data are in this machine's memory, or computed of such data where they are read."""
    return in_memory(data) or in_memory(getattr(data, "origin", None))


def _cuts(data: Array, whole: Sequence[int]) -> list[list[int]]:
    """For each dimension, where its parts begin and end."""
    shape = tuple(int(size) for size in data.shape)
    chunks: Any = getattr(data, "chunks", None) or (1,) * len(shape)
    if any(not isinstance(sizes, int) for sizes in chunks):
        edges = [[0, *itertools.accumulate(sizes)] for sizes in chunks]
        return [[0, size] if i in whole else edges[i] for i, size in enumerate(shape)]
    return _steps(shape, chunks, whole, range(len(shape))[::-1], READ_ELEMENTS)


def _steps(
    shape: Sequence[int],
    smallest: Sequence[int],
    whole: Sequence[int],
    fastest_first: Sequence[int],
    elements: int,
) -> list[list[int]]:
    """Edges of parts that are grown axis by axis, in multiples of the smallest, while small."""
    grown = [
        max(1, size if i in whole else min(step, size))
        for i, (size, step) in enumerate(zip(shape, smallest, strict=True))
    ]
    for axis in fastest_first:
        others = math.prod(grown) // grown[axis]
        times = max(1, elements // (others * grown[axis]))
        grown[axis] = max(1, min(shape[axis], grown[axis] * times))
        if grown[axis] < shape[axis]:
            break
    return [[*range(0, n, step), n] for n, step in zip(shape, grown, strict=True)]


def _grid(cuts: Sequence[Sequence[int]]) -> Iterator[Key]:
    return itertools.product(*(map(slice, edges[:-1], edges[1:]) for edges in cuts))


def pieces(
    array: np.ndarray[Any, Any], elements: int | None = None, whole: Sequence[int] = ()
) -> Iterator[Key]:
    """Tile an array with pieces of at most so many elements, along its memory.

    Args:
        elements: by default `PIECE_ELEMENTS`.
        whole: dimensions along which it must not be cut.

    Examples:
        >>> [key for key in pieces(np.zeros((4, 2)), elements=4)]
        [(slice(0, 2, None), slice(0, 2, None)), (slice(2, 4, None), slice(0, 2, None))]
        >>> [key[1] for key in pieces(np.zeros((4, 2)).T, elements=4)]
        [slice(0, 2, None), slice(2, 4, None)]
    """
    fastest_first = sorted(range(array.ndim), key=lambda i: (abs(array.strides[i]), -i))
    elements = elements or PIECE_ELEMENTS
    smallest = [1] * array.ndim
    if array.ndim and fastest_first[0] != array.ndim - 1:
        # a result that lies the other way is written to in runs, too
        smallest[-1] = math.isqrt(elements)
    return _grid(_steps(array.shape, smallest, whole, fastest_first, elements))


def within(place: Key, piece: Key) -> Key:
    """Where a piece of a part lies in the whole, given the place of the part."""
    return tuple(
        slice(a.start + b.start, a.start + b.stop) for a, b in zip(place, piece, strict=True)
    )


def rows(piece: np.ndarray[Any, Any], kept: Sequence[int]) -> np.ndarray[Any, Any]:
    """A piece as a matrix: one row for each index of the kept axes, all else along it."""
    reduced = [i for i in range(piece.ndim) if i not in kept]
    count = int(np.prod([piece.shape[i] for i in kept], dtype=np.int64))
    return piece.transpose(*kept, *reduced).reshape(count, -1)
