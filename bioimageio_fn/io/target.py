"""An array on disk that is written region by region.

What holds here: what is behind a target meets regions of slices only, and values of its own type;
whatever goes wrong is an error that names the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ..files import writing
from ..lazy import spelled_out

__all__ = ["Target"]


@attrs.frozen(eq=False)
class Target:
    """An array on disk that is written region by region.

    Regions are given by indices and slices without steps. Values are cast as by NumPy. Threads
    must not write at the same time, as two regions may share a chunk.

    Args:
        path: the place it will have.
        array: what is written to.
        shape: sizes.
        dtype: type of the values.
    """

    path: Path
    array: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Sizes of the parts that are packed one by one, if there are such."""
        return getattr(self.array, "chunks", None)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        region = _region(key, self.shape)
        with writing(self.path):
            values = np.asarray(self.array[region]).astype(self.dtype, copy=False)
        whole = spelled_out(key, len(region))
        return values[tuple(slice(None) if isinstance(k, slice) else 0 for k in whole)]

    def __setitem__(self, key: Any, value: Any) -> None:
        region = _region(key, self.shape)
        kept = [i for i, k in enumerate(spelled_out(key, len(region))) if isinstance(k, slice)]
        sizes = [span.stop - span.start for span in region]
        if 0 in sizes:
            return
        values = np.broadcast_to(
            np.asarray(value).astype(self.dtype, copy=False), [sizes[i] for i in kept]
        )
        with writing(self.path):
            self.array[region] = values.reshape(sizes)


def _region(key: Any, shape: Sequence[int]) -> tuple[slice, ...]:
    """The start and stop of a key along each dimension.

    Raises:
        IndexError: if an index is out of range, or a slice has steps.
    """
    spans = [
        range(size)[k if isinstance(k, slice) else slice(range(size)[k], range(size)[k] + 1)]
        for k, size in zip(spelled_out(key, len(shape)), shape, strict=True)
    ]
    if any(span.step != 1 for span in spans):
        raise IndexError(f"a region has no steps, but this has: {key}")
    return tuple(slice(span.start, max(span.start, span.stop)) for span in spans)
