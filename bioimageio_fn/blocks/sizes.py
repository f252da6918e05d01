"""The sizes that blocks may have along one axis, and where they may start.

What holds here: a size is valid if every rule allows it: those of all inputs that are cut together,
and what the network itself is fixed at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..contract.records import FixedSize, ParameterizedSize, SizeRule, nearest_valid

__all__ = ["common_valid", "fixed_size", "meeting_size", "start_steps"]

ASSUMED_STEP = 32
"""Starts in a model of fixed size lie on multiples of the largest power of two that divides its
size and leaves room between its halos, up to this: networks halve their input a few times, and say
so nowhere."""


def common_valid(rules: Sequence[SizeRule], size: int) -> int | None:
    """The smallest size not below `size` that every rule allows; None if there is none.

    Examples:
        >>> common_valid([ParameterizedSize(16, 16), ParameterizedSize(8, 24)], 20)
        32
        >>> common_valid([ParameterizedSize(16, 16), FixedSize(20)], 10) is None
        True
    """
    # beyond this every combination of remainders has been met
    steps = [rule.step for rule in rules if isinstance(rule, ParameterizedSize)]
    smallest = [rule.min for rule in rules if isinstance(rule, ParameterizedSize)]
    bound = max([size, *smallest, *_fixed(rules)]) + math.lcm(*steps)
    while size <= bound:
        nearest = [valid for rule in rules if (valid := nearest_valid(rule, size)) is not None]
        if len(nearest) < len(rules):
            return None
        if max(nearest) == min(nearest) == size:
            return size
        size = max(*nearest, size)
    return None


def fixed_size(rules: Sequence[SizeRule]) -> int | None:
    """The one size that the rules leave, if it is fixed; None if it is free or they contradict.

    Examples:
        >>> fixed_size([ParameterizedSize(16, 16), FixedSize(32)])
        32
    """
    return next((size for size in _fixed(rules) if common_valid(rules, size) == size), None)


def _fixed(rules: Sequence[SizeRule]) -> list[int]:
    return [rule.size for rule in rules if isinstance(rule, FixedSize)]


def meeting_size(block: int, whole: int, grow: int, step: int) -> int:
    """The smallest size from that of a block on, at which a last block ends where the whole does.

    Where pixels of an output are larger than the step of the sizes, starts lie less close than
    sizes do: a block then has to be larger by less than one of these pixels.

    Args:
        block: the size asked for.
        whole: the size to which the whole sample is padded.
        grow: step of the sizes that are valid.
        step: what starts are multiples of.

    Examples:
        >>> meeting_size(16, 22, 2, 4), meeting_size(16, 24, 2, 4)
        (18, 16)
    """
    return next((b for b in range(block, whole, grow) if (whole - b) % step == 0), whole)


def start_steps(rules: Sequence[SizeRule]) -> list[int]:
    """What the starts of blocks may be multiples of, the one to prefer first.

    Examples:
        >>> start_steps([ParameterizedSize(80, 16)]), start_steps([FixedSize(40)])
        ([16], [8, 4, 2, 1])
    """
    steps = [rule.step for rule in rules if isinstance(rule, ParameterizedSize)]
    if steps or not _fixed(rules):
        return [math.lcm(*steps)]
    step = math.gcd(ASSUMED_STEP, *_fixed(rules))
    return [step >> n for n in range(step.bit_length())]
