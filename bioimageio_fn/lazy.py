"""`Rearranged`: a lazy source with its dimensions in another order, and nothing read.

What holds here: what is asked for is read, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Rearranged", "spelled_out"]


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
