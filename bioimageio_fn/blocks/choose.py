"""Which block sizes compute the fewest pixels, of all that the model takes.

What holds here: no combination of sizes that fits the budget computes fewer pixels than the one
chosen; among equals it has the fewest blocks, and among those the squarest. Nothing depends on the
machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import attrs
import numpy as np

from ..contract.records import SizeRule
from ..errors import BlockError
from .grid import Follower, block_count
from .sizes import common_valid, start_steps

__all__ = ["PIXELS", "Choices", "MemoryModel", "choices_along", "fewest_pixels"]

PIXELS = 2**21
"""Input pixels of a block if nobody says otherwise: 1448 x 1448, or 128 x 128 x 128. A U-Net of 64
channels takes one to three kilobytes for each."""


def _is_amount(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise BlockError(
            f"{attribute.name} of a MemoryModel is no number of bytes",
            expected="0 or more" + (", or None for no limit" if attribute.name == "limit" else ""),
            got=repr(value),
        )


@attrs.frozen
class MemoryModel:
    """What running a block takes, and what it may take.

    Args:
        fixed: bytes that are taken whatever the size of the block.
        per_pixel: bytes for each input pixel of a block.
        limit: bytes that may be taken in all; None for no limit.

    Raises:
        BlockError: if one of them is no number, negative, infinite, or NaN.

    Examples:
        >>> MemoryModel(fixed=1e9, per_pixel=1000, limit=2e9).pixels
        1000000
        >>> MemoryModel(fixed=1e9, per_pixel=1000).of(1_000_000)
        2000000000
    """

    fixed: float = attrs.field(validator=_is_amount)
    per_pixel: float = attrs.field(validator=_is_amount)
    limit: float | None = attrs.field(default=None, validator=attrs.validators.optional(_is_amount))

    @property
    def pixels(self) -> int:
        """The largest block that fits; 0 or less if there is none."""
        if self.limit is None:
            return PIXELS
        return math.floor((self.limit - self.fixed) / max(self.per_pixel, 1e-9))

    def of(self, pixels: int) -> int:
        """Bytes that a block of so many pixels takes."""
        return math.ceil(self.fixed + self.per_pixel * pixels)


@attrs.frozen(eq=False)
class Choices:
    """The sizes that blocks may have in one direction.

    Args:
        sizes: in ascending order.
        counts: how many blocks of each size it takes.
        in_space: whether blocks had better be as long in this direction as in others.
    """

    sizes: np.ndarray[Any, Any]
    counts: np.ndarray[Any, Any]
    in_space: bool = False


def choices_along(
    whole: int, rules: Sequence[SizeRule], followers: Sequence[Follower], step: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Every size that blocks may have along an axis, and how many of them it takes.

    Args:
        whole: the size to which the whole sample is padded.
        step: what starts are multiples of.

    Examples:
        >>> from ..contract.records import ParameterizedSize
        >>> sizes, counts = choices_along(40, [ParameterizedSize(8, 8)], [Follower(halo=4)], 8)
        >>> dict(zip(sizes.tolist(), counts.tolist()))
        {16: 4, 24: 2, 32: 2, 40: 1}
    """
    if step >= whole:
        return np.array([whole]), np.array([1])
    smallest = common_valid(rules, 1) or whole
    sizes = np.arange(smallest, whole, start_steps(rules)[0])
    sizes = sizes[(whole - sizes) % step == 0]  # the last block ends where the whole does
    counts = block_count(whole, sizes, step, followers)
    possible = counts > 0
    return np.append(sizes[possible], whole), np.append(counts[possible], 1)


def fewest_pixels(directions: Sequence[Choices], budget: int) -> tuple[int, ...]:
    """The size of blocks in each direction at which the fewest pixels are computed.

    Args:
        budget: pixels that a block may have at most. If not even the smallest block fits, that is
            what comes back.

    Examples:
        >>> sizes, counts = np.array([16, 24, 32, 40]), np.array([4, 2, 2, 1])
        >>> fewest_pixels([Choices(sizes, counts)] * 2, 1000)
        (24, 40)
    """
    fronts = [_front(c) for c in directions]
    smallest = [int(front.sizes[0]) for front in fronts]
    if math.prod(smallest) > budget:
        return tuple(smallest)
    *leading, last = fronts
    block, computed = np.ones(1), np.ones(1)
    picked = np.zeros((1, 0), int)
    for i, front in enumerate(leading):
        block = np.outer(block, front.sizes).ravel()
        computed = np.outer(computed, front.sizes * front.counts.astype(float)).ravel()
        fits = np.flatnonzero(block <= budget / math.prod(smallest[i + 1 :]))
        keep = fits[_records(block[fits], computed[fits])]
        before, mine = np.divmod(keep, len(front.sizes))
        block, computed = block[keep], computed[keep]
        picked = np.column_stack([picked[before], mine])
    best = _least(block, computed, last, budget)
    picked = np.column_stack([picked[best[:, 0]], best[:, 1]])
    sizes = np.column_stack([f.sizes[picked[:, i]] for i, f in enumerate(fronts)])
    counts = np.column_stack([f.counts[picked[:, i]] for i, f in enumerate(fronts)])
    # what is long in the last direction lies closest together in memory
    keys = (-sizes[:, -1], _oblong(sizes, directions), counts.astype(float).prod(axis=1))
    order = np.lexsort(keys)
    return tuple(int(s) for s in sizes[order[0]])


def _least(
    block: np.ndarray[Any, Any], computed: np.ndarray[Any, Any], last: Choices, budget: int
) -> np.ndarray[Any, Any]:
    """The pairs of a leading choice and one in the last direction that compute the least.

    Args:
        block: pixels of the leading choices, in ascending order.
        computed: what they compute, in descending order.
    """
    # of the leading choices that fit beside a size, the largest computes the least
    beside = np.searchsorted(block, budget // last.sizes, side="right") - 1
    total = computed[beside] * last.sizes * last.counts
    total[beside < 0] = np.inf
    pairs = [
        (leading, mine)
        for mine in np.flatnonzero(total == total.min())
        for leading in np.flatnonzero(computed == computed[beside[mine]])
        if leading <= beside[mine]
    ]
    return np.array(pairs)


def _front(choices: Choices) -> Choices:
    """The choices without those that compute more than a smaller one."""
    computed = choices.counts.astype(float) * choices.sizes
    keep = computed <= np.minimum.accumulate(computed)
    return attrs.evolve(choices, sizes=choices.sizes[keep], counts=choices.counts[keep])


def _records(block: np.ndarray[Any, Any], computed: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Which of some choices compute no more than every one of a smaller block."""
    order = np.lexsort((computed, block))
    kept: np.ndarray[Any, Any] = order[
        computed[order] <= np.minimum.accumulate(computed[order], axis=0)
    ]
    return kept


def _oblong(sizes: np.ndarray[Any, Any], directions: Sequence[Choices]) -> np.ndarray[Any, Any]:
    """How much longer blocks are in one direction than in another."""
    space = [i for i, c in enumerate(directions) if c.in_space]
    if not space:
        return np.ones(len(sizes))
    ratio: np.ndarray[Any, Any] = sizes[:, space].max(axis=1) / sizes[:, space].min(axis=1)
    return ratio
