"""Smaller copies of an image, level by level, for viewers that show a part of it or all of it.

What holds here: each level is made of the one before it, a chunk at a time, and no level is ever in
memory; a pixel is the mean of those that it covers, but where values are names: then it is one of
them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..axes import AxisId
from .chunks import SINGLE

__all__ = ["SMALL", "chunks_of", "fill", "halvings", "level_shapes", "reduced"]

SMALL = 256
"""Pixels of an axis that fit a screen, and need not be halved any more."""
_PLANE = ("y", "x")


def halvings(axes: Sequence[AxisId], shape: Sequence[int]) -> tuple[int, ...]:
    """By how much the next level is smaller along each axis: 2 for large ones of space, else 1.

    A plane is halved both ways, so that its pixels keep their form.

    Examples:
        >>> from ..axes import as_axes
        >>> halvings(as_axes("czyx"), (999, 40, 2000, 200))
        (1, 1, 2, 2)
    """
    sizes = dict(zip(axes, shape, strict=True))
    plane = max((sizes[axis] for axis in axes if axis in _PLANE), default=1)
    spans = [plane if axis in _PLANE else size for axis, size in sizes.items()]
    return tuple(
        2 if span > SMALL and size > 1 and axis not in SINGLE else 1
        for (axis, size), span in zip(sizes.items(), spans, strict=True)
    )


def level_shapes(
    axes: Sequence[AxisId], shape: Sequence[int], levels: int | None = None
) -> list[tuple[int, ...]]:
    """The sizes of each level, the largest one first.

    Args:
        levels: how many there are; by default as many as make every axis of space small.

    Examples:
        >>> from ..axes import as_axes
        >>> level_shapes(as_axes("zyx"), (40, 1001, 300))
        [(40, 1001, 300), (40, 501, 150), (40, 251, 75)]
    """
    shapes = [tuple(shape)]
    while len(shapes) < (levels or len(shapes) + 1):
        factors = halvings(axes, shapes[-1])
        if levels is None and 2 not in factors:
            break
        shapes.append(tuple(-(-size // f) for size, f in zip(shapes[-1], factors, strict=True)))
    return shapes


def reduced(
    values: np.ndarray[Any, Any], factors: Sequence[int], *, labels: bool
) -> np.ndarray[Any, Any]:
    """A smaller copy of an image, whose pixels each cover `factors` pixels of it.

    Args:
        labels: whether values are names. Else a pixel is the mean of those that it covers, of
            which there are fewer at the far border of an image with an odd number of them.

    Examples:
        >>> reduced(np.array([[1, 3, 9]], "uint8"), (1, 2), labels=False).tolist()
        [[2, 9]]
        >>> reduced(np.array([[1, 3, 9]], "uint8"), (1, 2), labels=True).tolist()
        [[1, 9]]
    """
    if labels:
        return values[tuple(slice(None, None, factor) for factor in factors)]
    means = values
    for axis, factor in enumerate(factors):
        means = _halved(means, axis) if factor == 2 else means
    exact = np.rint(means) if values.dtype.kind in "iu" else means
    return exact.astype(values.dtype, copy=False)


def _halved(values: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, Any]:
    """The means of neighbours along an axis, in float64; the last one alone if it has no other."""
    moved = np.moveaxis(values, axis, -1)
    means = moved[..., ::2].astype("float64")
    second = moved[..., 1::2]
    paired = means[..., : second.shape[-1]]
    paired += second
    paired /= 2
    return np.moveaxis(means, -1, axis)


def chunks_of(shape: Sequence[int], chunk: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """The regions of the chunks of an array."""
    return itertools.product(
        *(
            [slice(start, min(start + step, size)) for start in range(0, size, step)]
            for size, step in zip(shape, chunk, strict=True)
        )
    )


def fill(finer: Any, coarser: Any, factors: Sequence[int], *, labels: bool) -> None:
    """Make a level of the one before it.

    Args:
        finer: what is read by regions.
        coarser: what is written to; it has chunks.
        factors, labels: as of `reduced`.
    """
    for region in chunks_of(coarser.shape, coarser.chunks):
        covered = tuple(
            slice(span.start * factor, span.stop * factor)
            for span, factor in zip(region, factors, strict=True)
        )
        coarser[region] = reduced(np.asarray(finer[covered]), factors, labels=labels)
