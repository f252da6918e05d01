"""Joins: what each of two overlapping blocks says of the pixels that both have.

What holds here: a join is a function of one place along one axis; the weights of all blocks at a
pixel, divided by their sum, are those that `merge` uses, so that they always sum to 1.

A blend also uses the halo, which is not to be trusted: it hides a seam where the halo is too short
for the network, and is less exact than `crop` where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ..sample import AxisBlock
from .directions import Key
from .records import BlockPlan

__all__ = ["Join", "Weights", "crop", "gaussian", "join_weights", "linear"]

Array: TypeAlias = np.ndarray[Any, Any]
Join: TypeAlias = Callable[[AxisBlock, int], Array]
"""From a place, and the size of the whole axis, to a weight for each pixel of the place that lies
within the axis (`outer_start` to `outer_stop`)."""
Weights: TypeAlias = Mapping[Key, Mapping[int, Array]]
"""For each axis of a tensor, the weights of the block that starts at a pixel (`outer_start`)."""


def crop(place: AxisBlock, size: int) -> Array:
    """Each pixel is that of one block: two blocks meet in the middle of their overlap.

    Examples:
        >>> crop(AxisBlock(2, 5, 0, 6, 6), 9).tolist()
        [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    """
    del size
    inside = np.arange(place.outer_start, place.outer_stop)
    return ((inside >= place.start) & (inside < place.stop)).astype(float)


def linear(place: AxisBlock, size: int) -> Array:
    """A block counts the more, the farther a pixel is from its inner ends.

    Examples:
        >>> linear(AxisBlock(0, 4, 0, 5, 5), 9).tolist()
        [4.5, 3.5, 2.5, 1.5, 0.5]
    """
    inside = np.arange(place.outer_start, place.outer_stop) + 0.5
    before = np.full(len(inside), np.inf) if place.outer_start == 0 else inside - place.outer_start
    after = np.full(len(inside), np.inf) if place.outer_stop == size else place.outer_stop - inside
    weights: Array = np.minimum(np.minimum(before, after), 2.0 * size)
    return weights


def gaussian(place: AxisBlock, size: int) -> Array:
    """A block counts by a bell curve around its middle, as wide as an eighth of the block.

    Examples:
        >>> gaussian(AxisBlock(0, 4, 0, 5, 5), 9).round(2).tolist()
        [0.01, 0.28, 1.0, 0.28, 0.01]
    """
    del size
    inside = np.arange(place.outer_start, place.outer_stop) + 0.5
    middle = place.outer_start + place.size / 2
    weights: Array = np.exp(-0.5 * ((inside - middle) / (place.size / 8)) ** 2)
    return weights


def join_weights(plan: BlockPlan, join: Join) -> Weights:
    """The weights of every block of a plan along each axis that is cut; they sum to 1.

    Examples:
        >>> from .grid import AxisGrid, Follower, place
        >>> from .records import PlannedAxis
        >>> places = place(AxisGrid(6, 4, (0, 2)), Follower(halo=1), 6)
        >>> axis = PlannedAxis("x", AxisGrid(6, 4, (0, 2)), {("raw", "x"): places})
        >>> weights = join_weights(BlockPlan((axis,), {}, {}), linear)
        >>> {start: w.tolist() for start, w in weights["raw", "x"].items()}
        {0: [1.0, 1.0, 0.75, 0.25], 2: [0.25, 0.75, 1.0, 1.0]}
    """
    return {
        key: _normalised(places, join)
        for axis in plan.axes
        if len(axis.grid.starts) > 1
        for key, places in axis.places.items()
    }


def _normalised(places: tuple[AxisBlock, ...], join: Join) -> dict[int, Array]:
    size = places[-1].stop
    weights = [(p, join(p, size)) for p in places]
    total = np.zeros(size)
    for p, w in weights:
        total[p.outer_start : p.outer_stop] += w
    return {p.outer_start: w / total[p.outer_start : p.outer_stop] for p, w in weights}
