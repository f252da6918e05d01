"""The sizes that blocks may have along one axis, and where they may start.

What holds here: a size is valid if every rule allows it: those of all inputs that are cut together,
and what the network itself is fixed at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..contract.records import FixedSize, ParameterizedSize, SizeRule, nearest_valid

__all__ = ["common_valid", "fixed_size", "start_step"]

ASSUMED_STEP = 32
"""Starts in a model of fixed size lie on multiples of the largest power of two that divides its
size, up to this: networks halve their input a few times, and say so nowhere."""


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
    bound = max([size, *smallest]) + math.lcm(*steps)
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
    sizes = {rule.size for rule in rules if isinstance(rule, FixedSize)}
    return next((size for size in sizes if common_valid(rules, size) == size), None)


def start_step(rules: Sequence[SizeRule]) -> int:
    """What the starts of blocks are multiples of.

    Examples:
        >>> start_step([ParameterizedSize(80, 16)]), start_step([FixedSize(512)])
        (16, 32)
    """
    steps = [rule.step for rule in rules if isinstance(rule, ParameterizedSize)]
    fixed = [rule.size for rule in rules if isinstance(rule, FixedSize)]
    if steps:
        return math.lcm(*steps)
    return math.gcd(ASSUMED_STEP, *fixed) if fixed else 1
