"""Hypotheses about wrong outputs whose values are right: in another place, or of another tensor.

What holds here: each is a function from a `Case` to a `Diagnosis`, or to None if it does not
explain the case; none has a number to be fitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations, permutations

import numpy as np

from ..axes import AxisId
from ..deviation import Array
from .case import Case
from .records import Diagnosis
from .tolerating import exceeding

__all__ = ["of_raw_statistics", "of_shape", "rearranged", "swapped"]

PROBES = 256
"""Elements that are looked at before the whole of a rearranged tensor is."""


def swapped(case: Case) -> Diagnosis | None:
    """It is what was expected of another output."""
    for name, tensor in case.others.items():
        other = np.asarray(tensor)
        if case.gives(other) and not case.reproduces(other):
            return Diagnosis("swapped outputs", f"this is what is expected of output '{name}'")
    return None


def of_raw_statistics(case: Case) -> Diagnosis | None:
    """It agrees if preprocessing takes its statistics of the unprocessed input."""
    raw = case.from_raw_statistics
    if raw is None or not case.reproduces(raw):
        return None
    return Diagnosis(
        "raw statistics",
        "it agrees if preprocessing takes its statistics of the raw input, not of what reaches each"
        " step, as some software did that made test tensors",
    )


def rearranged(case: Case) -> Diagnosis | None:
    """Axes are in another order, or run backwards."""
    if case.produced.ndim != case.expected.ndim or not case.expected.size:
        return None
    probes = _probes(case.expected)
    for order in _orders(case.produced.shape, case.expected.shape):
        turned = case.produced.transpose(order)
        for flips in _flips(turned.shape):
            moved = bool(flips) or order != tuple(range(len(order)))
            if moved and _explains(case, np.flip(turned, flips), probes):
                return _said(case.axes, order, flips)
    return None


def _probes(expected: Array) -> tuple[Array, ...]:
    """Places of elements, spread over the array."""
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, size, PROBES) for size in expected.shape)


def _explains(case: Case, view: Array, probes: tuple[Array, ...]) -> bool:
    over = exceeding(view[probes], case.expected[probes], case.tolerance)
    share = max(0.05, case.tolerance.mismatched_per_million / 1e6)
    return bool(over.mean() <= share) and case.reproduces(view)


def _orders(have: tuple[int, ...], want: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The orders of axes that give a shape, those first that move fewest."""
    fitting = [o for o in permutations(range(len(have))) if tuple(have[i] for i in o) == want]
    moved = {order: sum(i != n for i, n in enumerate(order)) for order in fitting}
    # an axis of one element may be anywhere: one order of several that are the same is enough
    seen = set()
    for order in sorted(fitting, key=moved.__getitem__):
        long = tuple(i for i in order if have[i] > 1)
        if long not in seen:
            seen.add(long)
            yield order


def _flips(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    long = [i for i, size in enumerate(shape) if size > 1]
    return chain.from_iterable(combinations(long, n) for n in range(len(long) + 1))


def _said(axes: tuple[AxisId, ...], order: tuple[int, ...], flips: tuple[int, ...]) -> Diagnosis:
    moved = [axes[i] for n, i in enumerate(order) if i != n]
    backwards = f"runs backwards along {' and '.join(axes[i] for i in flips)}"
    if not moved:
        return Diagnosis("flipped", f"it {backwards}")
    order_said = f"axes {' and '.join(moved)} have changed places"
    if len(moved) > 2:
        order_said = (
            f"what is described as {', '.join(axes)} is {', '.join(axes[i] for i in order)}"
        )
    return Diagnosis("transposed", f"{order_said}; and it {backwards}" if flips else order_said)


def of_shape(case: Case) -> Diagnosis | None:
    """It has another shape."""
    have, want = case.produced.shape, case.expected.shape
    if have == want:
        return None
    if len(have) != len(want):
        text = f"it has {len(have)} axes instead of {len(want)}"
        return Diagnosis("shape", text)
    others = [
        f"{axis} is {h} instead of {w}"
        for axis, h, w in zip(case.axes, have, want, strict=True)
        if h != w
    ]
    return Diagnosis("shape", ", ".join(others) + _middle_said(case))


def _middle_said(case: Case) -> str:
    """What is to be said if one of the two is the middle of the other."""
    beyond = [h - w for h, w in zip(case.produced.shape, case.expected.shape, strict=True)]
    if any(n % 2 for n in beyond) or min(beyond) * max(beyond) < 0:
        return ""
    wide, narrow = (
        (case.produced, case.expected) if max(beyond) > 0 else (case.expected, case.produced)
    )
    middle = tuple(
        slice(abs(n) // 2, s - abs(n) // 2) for n, s in zip(beyond, wide.shape, strict=True)
    )
    a, b = (wide[middle], narrow) if max(beyond) > 0 else (narrow, wide[middle])
    over = int(np.count_nonzero(exceeding(a, b, case.tolerance)))
    if over * 1e6 > case.tolerance.mismatched_per_million * narrow.size:
        return ""
    return "; the middle agrees, as if a halo had been cut off"
