"""Views of what is read and written by slicing, with nothing read: `Rearranged`, `At`, `Taken`.

What holds here: what is asked for is read, and no more; views of views pickle if their source does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["At", "Rearranged", "Taken", "spelled_out"]


class Rearranged:
    """A source on disk (Zarr, HDF5) as if its dimensions were others.

    Args:
        source: anything with shape, dtype and basic slicing.
        dimensions: for each dimension, that of the source; None for a new one of size 1. Those of
            the source that are not named have size 1.

    Examples:
        >>> turned = Rearranged(np.arange(6).reshape(2, 1, 3), (None, 2, 0))
        >>> turned.shape, turned[0:1, 1:, 0].tolist()
        ((1, 3, 2), [[1, 2]])
    """

    def __init__(self, source: Any, dimensions: Sequence[int | None]) -> None:
        self.source: Any = source
        self.dimensions: tuple[int | None, ...] = tuple(dimensions)
        if isinstance(source, Rearranged):  # read by one call, however often it was turned
            self.source = source.source
            self.dimensions = tuple(None if d is None else source.dimensions[d] for d in dimensions)
        self.dtype: Any = source.dtype
        self.shape = tuple(1 if d is None else int(self.source.shape[d]) for d in self.dimensions)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Sizes of the parts in which the source is stored, if it says so."""
        chunks = getattr(self.source, "chunks", None)
        if chunks is None:
            return None
        return tuple(1 if d is None else chunks[d] for d in self.dimensions)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        keys = spelled_out(key, len(self.shape))
        asked: list[Any] = [slice(None)] * len(self.source.shape)
        for own, dimension in zip(keys, self.dimensions, strict=True):
            if dimension is not None:
                # sources differ in what they do with an index; with a slice they agree
                size = self.source.shape[dimension]
                asked[dimension] = _as_slice(own, size)
        part = np.asarray(self.source[tuple(asked)])
        kept = [d for d in self.dimensions if d is not None]
        dropped = [d for d in range(part.ndim) if d not in kept]
        ordered = np.transpose(part, [*kept, *dropped]).reshape([part.shape[d] for d in kept])
        new = tuple(None if d is None else slice(None) for d in self.dimensions)
        result: np.ndarray[Any, Any] = ordered[new][
            tuple(
                own if d is None else 0 if isinstance(own, int | np.integer) else slice(None)
                for own, d in zip(keys, self.dimensions, strict=True)
            )
        ]
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        del copy  # what is read is new
        return np.asarray(self[...], dtype)


class At:
    """A source at one index along some of its dimensions, which are gone; it is written to, too.

    Args:
        source: anything with shape, dtype and basic slicing, and item assignment if need be.
        index: where, by dimension of the source.

    Examples:
        >>> array = np.zeros((2, 3, 2), "uint8")
        >>> plane = At(array, {1: 2})
        >>> plane[0, :] = [5, 6]
        >>> plane.shape, array[:, 2].tolist(), plane[:, 1].tolist()
        ((2, 2), [[5, 6], [0, 0]], [6, 0])
    """

    def __init__(self, source: Any, index: Mapping[int, int]) -> None:
        self.source: Any = source
        self.index = dict(index)
        self.dtype: Any = source.dtype
        self._kept = [d for d in range(len(source.shape)) if d not in self.index]
        self.shape = tuple(int(source.shape[d]) for d in self._kept)

    @property
    def chunks(self) -> tuple[Any, ...] | None:
        """Sizes of the parts in which the source is stored, if it says so."""
        chunks = getattr(self.source, "chunks", None)
        return None if chunks is None else tuple(chunks[d] for d in self._kept)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        region, single = self._region(key)
        part: np.ndarray[Any, Any] = np.asarray(self.source[region])
        return part[tuple(0 if d in single else slice(None) for d in range(len(region)))]

    def __setitem__(self, key: Any, value: Any) -> None:
        region, single = self._region(key)
        sizes = [
            len(range(int(size))[part])
            for size, part in zip(self.source.shape, region, strict=True)
        ]
        own = [size for d, size in enumerate(sizes) if d not in single]
        self.source[region] = np.broadcast_to(np.asarray(value), own).reshape(sizes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        del copy  # what is read is new
        return np.asarray(self[...], dtype)

    def _region(self, key: Any) -> tuple[tuple[slice, ...], set[int]]:
        """What a key is in the source, as slices; and the dimensions that it does not keep."""
        own = dict(zip(self._kept, spelled_out(key, len(self.shape)), strict=True))
        asked = {**self.index, **own}
        single = {d for d, part in asked.items() if not isinstance(part, slice)}
        return tuple(_as_slice(asked[d], int(n)) for d, n in enumerate(self.source.shape)), single


class Taken:
    """A source at some indices of one dimension, in the order in which they are named.

    Args:
        source: anything with shape, dtype and basic slicing.
        dimension: the one along which there are others.
        indices: of the source, none below 0.

    Examples:
        >>> channels = Taken(np.arange(6).reshape(3, 2), 0, (2, 0))
        >>> channels.shape, channels[:, 1].tolist(), channels[1].tolist()
        ((2, 2), [5, 1], [0, 1])
    """

    def __init__(self, source: Any, dimension: int, indices: Sequence[int]) -> None:
        self.source: Any = source
        self.dimension = dimension
        self.indices = tuple(indices)
        self.dtype: Any = source.dtype
        sizes = [int(size) for size in source.shape]
        self.shape = (*sizes[:dimension], len(self.indices), *sizes[dimension + 1 :])

    @property
    def chunks(self) -> tuple[Any, ...] | None:
        """Sizes of the parts in which the source is stored, if it says so."""
        chunks = getattr(self.source, "chunks", None)
        if chunks is None:
            return None
        before, behind = chunks[: self.dimension], chunks[self.dimension + 1 :]
        return (*before, len(self.indices), *behind)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        keys = spelled_out(key, len(self.shape))
        wanted = self.indices[_as_slice(keys[self.dimension], len(self.indices))]
        first, last = (min(wanted), max(wanted)) if wanted else (0, -1)
        region = [_as_slice(k, n) for k, n in zip(keys, self.shape, strict=True)]
        region[self.dimension] = slice(first, last + 1)
        part = np.asarray(self.source[tuple(region)])
        if wanted != tuple(range(first, last + 1)):
            part = np.take(part, [i - first for i in wanted], axis=self.dimension)
        result: np.ndarray[Any, Any] = part[
            tuple(slice(None) if isinstance(k, slice) else 0 for k in keys)
        ]
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        del copy  # what is read is new
        return np.asarray(self[...], dtype)


def spelled_out(key: Any, dimensions: int) -> tuple[Any, ...]:
    """A key with one entry for each dimension.

    Examples:
        >>> spelled_out((0, ..., slice(1, 2)), 4)
        (0, slice(None, None, None), slice(None, None, None), slice(1, 2, None))
    """
    keys = key if isinstance(key, tuple) else (key,)
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        missing = dimensions - len(keys) + 1
        keys = (*keys[:at], *(slice(None),) * missing, *keys[at + 1 :])
    return (*keys, *(slice(None),) * (dimensions - len(keys)))


def _as_slice(key: Any, size: int) -> slice:
    if isinstance(key, slice):
        return key
    index = int(key) % size if -size <= int(key) < size else int(key)
    return slice(index, index + 1)
