"""`Part`: what is known of some cells of a tensor, and how two of them are brought together.

What holds here: parts of other cells are laid side by side, parts of the same cells are merged; the
order does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs
import numpy as np

from ..axes import AxisId
from . import histogram as h
from .moments import Moments, merged, moments_of_distribution, no_moments

__all__ = [
    "Cells",
    "Part",
    "distributions_of",
    "filled",
    "mapped",
    "merged_parts",
    "moments_of_part",
]

Cells: TypeAlias = Any
"""A NumPy array of objects, one for each cell (its type would know no more of them)."""


@attrs.frozen(eq=False)
class Part:
    """What is known of some cells: one for each index of the axes that are kept.

    Args:
        kept: the axes that are kept.
        start: place of the first cell along them.
        moments: of each cell; None if they were not asked for.
        histograms: of each cell, or None where nothing was counted.
        inside: what a second look found in some bins of each cell.
    """

    kept: tuple[AxisId, ...]
    start: tuple[int, ...]
    moments: Moments | None = None
    histograms: Cells | None = None
    inside: Cells | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of cells along each kept axis."""
        held = self.moments.count if self.moments is not None else self.histograms
        held = self.inside if held is None else held
        return () if held is None else held.shape


def distributions_of(
    part: Part, inside: Cells | None = None
) -> Iterator[tuple[tuple[int, ...], h.Distribution]]:
    """The distribution of each cell."""
    assert part.histograms is not None  # noqa: S101 - they were asked for
    for cell in np.ndindex(part.shape):
        found = None if inside is None else inside[cell]
        yield cell, h.distribution_of(part.histograms[cell], found or {})


def moments_of_part(part: Part) -> Moments:
    """The moments of a part; of integers that were counted from their counts."""
    if part.moments is not None:
        return part.moments
    result = no_moments(part.shape)
    for cell, distribution in distributions_of(part):
        one = moments_of_distribution(distribution.values, distribution.counts)
        result.count[cell], result.mean[cell], result.m2[cell] = one.count, one.mean, one.m2
    return result


def filled(shape: tuple[int, ...], make: Callable[[tuple[int, ...]], Any]) -> Cells:
    """An array of objects, each made of its place."""
    cells = np.empty(shape, object)
    for cell in np.ndindex(shape):
        cells[cell] = make(cell)
    return cells


def mapped(cells: Cells, function: Callable[[Any], Any]) -> Cells:
    """What a function makes of each cell."""
    return filled(cells.shape, lambda cell: function(cells[cell]))


def merged_parts(a: Part | None, b: Part | None) -> Part:
    """What is known of the cells of either, None being nothing."""
    if a is None or b is None:
        part = b if a is None else a
        assert part is not None  # noqa: S101 - one of them has the group
        return part
    if (a.moments is None) != (b.moments is None):
        a, b = (attrs.evolve(p, moments=moments_of_part(p)) for p in (a, b))
    a, b = _on_common_cells(a, b)
    return Part(
        a.kept,
        a.start,
        None if a.moments is None or b.moments is None else merged(a.moments, b.moments),
        _merged_cells(a.histograms, b.histograms, h.merged),
        _merged_cells(a.inside, b.inside, h.merged_insides),
    )


def _merged_cells(
    a: Cells | None, b: Cells | None, join: Callable[[Any, Any], Any]
) -> Cells | None:
    if a is None or b is None:
        return None
    return filled(
        a.shape,
        lambda i: (
            join(a[i], b[i])
            if a[i] is not None and b[i] is not None
            else (b[i] if a[i] is None else a[i])
        ),
    )


def _on_common_cells(a: Part, b: Part) -> tuple[Part, Part]:
    """Both parts on the smallest box of cells that holds those of either."""
    if (a.start, a.shape) == (b.start, b.shape):
        return a, b
    stops = [
        max(i + n, j + m) for i, n, j, m in zip(a.start, a.shape, b.start, b.shape, strict=True)
    ]
    start = tuple(map(min, a.start, b.start))
    shape = tuple(stop - first for stop, first in zip(stops, start, strict=True))
    return _placed(a, start, shape), _placed(b, start, shape)


def _placed(part: Part, start: tuple[int, ...], shape: tuple[int, ...]) -> Part:
    where = tuple(
        slice(mine - first, mine - first + size)
        for mine, first, size in zip(part.start, start, part.shape, strict=True)
    )

    def cells(held: Cells | None) -> Cells | None:
        if held is None:
            return None
        result = np.empty(shape, object)
        result[where] = held
        return result

    moments = None
    if part.moments is not None:
        moments = no_moments(shape)
        moments.count[where], moments.mean[where], moments.m2[where] = (
            part.moments.count,
            part.moments.mean,
            part.moments.m2,
        )
    return Part(part.kept, start, moments, cells(part.histograms), cells(part.inside))
