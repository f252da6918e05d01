"""The grid along one axis: where blocks start, where they meet, and what they write.

What holds here, measured on a real U-Net (anything else shows at the seams):

- starts are multiples of the step, and lie on whole output pixels;
- the halo is there only at inner seams: a block at the border sees the true border;
- padding to a valid size goes to the right only;
- the last block ends where the whole sample, padded to a valid size, would end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, TypeVar

import attrs
import numpy as np

from ..errors import BlockError
from ..sample import AxisBlock

__all__ = [
    "AxisGrid",
    "Follower",
    "align_step",
    "block_count",
    "grid_starts",
    "max_stride",
    "place",
]

Integers = TypeVar("Integers", int, np.ndarray[Any, Any])


@attrs.frozen
class Follower:
    """How an axis follows the grid: its size is `floor(size of the grid * scale + offset)`.

    Args:
        scale: pixels of this axis for each pixel of the grid.
        offset: pixels more (or fewer) in all.
        halo: pixels of this axis at an inner seam that are not to be trusted.
        round_up: whether a pixel that is there in part counts as a whole one.
    """

    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    halo: int = 0
    round_up: bool = False

    def of(self, size: Integers) -> Integers:
        """The size that follows from a size of the grid, or from each of an array of sizes."""
        over = self.scale.denominator * self.offset.denominator
        exact = size * (self.scale.numerator * self.offset.denominator)
        exact += self.offset.numerator * self.scale.denominator
        return -(-exact // over) if self.round_up else exact // over


@attrs.frozen
class AxisGrid:
    """Blocks along one axis of a sample.

    Args:
        size: pixels of the sample.
        block: pixels of each block, halo and padding included.
        starts: first pixel of each block.
    """

    size: int
    block: int
    starts: tuple[int, ...]


def align_step(step: int, followers: Sequence[Follower]) -> int:
    """The smallest multiple of the step at which every follower is on a whole pixel.

    Examples:
        >>> align_step(1, [Follower(Fraction(1, 4)), Follower(Fraction(1, 6))])
        12
    """
    return math.lcm(step, *(f.scale.denominator for f in followers))


def grid_starts(size: int, block: int, step: int, followers: Sequence[Follower]) -> tuple[int, ...]:
    """First pixels of the fewest blocks that cover an axis.

    Args:
        size: pixels of the sample, padded to what a whole run would be padded to.
        block: pixels of a block.
        step: what starts are multiples of.
        followers: the axes that follow this one; neighbouring blocks overlap enough for the halo
            of each.

    Raises:
        BlockError: if a block has no room between its halos.

    Examples:
        >>> grid_starts(704, 256, 16, [Follower(halo=64)])
        (0, 128, 256, 384, 448)
    """
    if size <= block:
        return (0,)
    stride = max_stride(block, step, followers)
    if stride < 1:
        raise BlockError(
            "a block of this size has no room between its halos",
            expected=f"room for a step of {step} pixels beside twice the halo",
            got=f"{block} pixels",
            remedy="take larger blocks or a smaller halo",
        )
    last = size - block
    return (*range(0, last, stride), last)


def max_stride(block: Integers, step: int, followers: Sequence[Follower]) -> Integers:
    """How far apart blocks may start, in multiples of the step; less than 1 if they can not."""
    rooms = [
        (f.of(block) - 2 * f.halo) * f.scale.denominator // f.scale.numerator for f in followers
    ]
    return _smallest(rooms) // step * step


def _smallest(numbers: Sequence[Integers]) -> Integers:
    if isinstance(numbers[0], int):
        return min(numbers)
    return reduce(np.minimum, numbers)


def block_count(
    whole: int, blocks: np.ndarray[Any, Any], step: int, followers: Sequence[Follower]
) -> np.ndarray[Any, Any]:
    """How many blocks of each size cover an axis; 0 where they have no room between their halos.

    Args:
        whole: pixels of the sample, padded to what a whole run would be padded to.
        blocks: sizes below that.

    Examples:
        >>> block_count(704, np.array([96, 128, 256]), 16, [Follower(halo=64)]).tolist()
        [0, 0, 5]
    """
    wide = max((abs(f.scale) + abs(f.offset)).as_integer_ratio()[0] for f in followers)
    halo = max(f.halo for f in followers)
    # ratios of many digits outgrow 64 bits
    exact = blocks.astype(np.int64 if (wide * whole + halo) * 1000 < 2**62 else object)
    stride = max_stride(exact, step, followers)
    possible = stride > 0
    count = -((exact - whole) // np.where(possible, stride, 1)) + 1
    result: np.ndarray[Any, Any] = np.where(possible, count, 0).astype(np.int64)
    return result


def place(grid: AxisGrid, follower: Follower, total: int) -> tuple[AxisBlock, ...]:
    """What each block reads or gives along one axis, and which part of it is its own.

    Two blocks meet in the middle of their overlap, as far from both their ends as can be.

    Args:
        total: pixels of the whole axis (of an output: as if computed in one piece).

    Examples:
        >>> first, last = place(AxisGrid(24, 16, (0, 8)), Follower(halo=4), 24)
        >>> first.stop, last.start, last.outer_start
        (12, 12, 8)
    """
    starts = [int(start * follower.scale) for start in grid.starts]
    size = follower.of(grid.block)
    ends = [start + size for start in starts]
    seams = [(after + end) // 2 for after, end in zip(starts[1:], ends[:-1], strict=True)]
    return tuple(
        AxisBlock(
            start=start,
            stop=min(stop, total),
            outer_start=outer,
            outer_stop=min(outer + size, total),
            size=size,
        )
        for start, stop, outer in zip([0, *seams], [*seams, total], starts, strict=True)
    )
