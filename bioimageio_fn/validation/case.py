"""`Case`: what a hypothesis about a wrong output is tried on.

What holds here: a hypothesis explains a case only if what it makes of the one tensor is the other
one, within the tolerance of the output and the rounding of its type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from immutabledict import immutabledict

from ..axes import AxisId, MemberId
from ..contract.records import TensorContract
from ..deviation import Array
from ..tensor import Tensor
from .records import Tolerance
from .tolerating import within

__all__ = ["Case", "figure", "rounding", "said", "thinned"]

ENOUGH = 2**18
"""Elements that tell whether a hypothesis on values is worth trying on all of them."""


@attrs.frozen(eq=False)
class Case:
    """A produced and an expected tensor, and what is known of them.

    Args:
        produced: what came.
        expected: what was expected.
        axes: ids of its axes.
        tolerance: what may differ.
        described: the output's contract; None if it is not known.
        others: what was expected of the other outputs.
        from_raw_statistics: what comes with statistics of the raw input; None if nobody has tried.
    """

    produced: Array
    expected: Array
    axes: tuple[AxisId, ...]
    tolerance: Tolerance
    described: TensorContract | None = None
    others: Mapping[MemberId, Tensor] = attrs.field(converter=immutabledict, factory=immutabledict)
    from_raw_statistics: Array | None = None

    def reproduces(self, candidate: Array, *, slack: float = 0.0) -> bool:
        """Whether an array is the expected one."""
        return candidate.shape == self.expected.shape and within(
            candidate, self.expected, self.tolerance, slack
        )

    def gives(self, candidate: Array) -> bool:
        """Whether an array made of the expected one is what came."""
        return candidate.shape == self.produced.shape and within(
            self.produced, candidate, self.tolerance, rounding(self.produced, candidate)
        )


def thinned(case: Case) -> Case:
    """A case of some of the elements, spread evenly; all channels of a pixel are kept.

    A hypothesis on values that explains the whole also explains this, which may miss more elements
    per million by chance.
    """
    step = _thinning(case.produced.shape, case.axes)
    if step == 1:
        return case
    key = tuple(slice(None, None, 1 if axis == "channel" else step) for axis in case.axes)
    tolerance = attrs.evolve(
        case.tolerance, mismatched_per_million=1000 + 10 * case.tolerance.mismatched_per_million
    )
    return attrs.evolve(
        case, produced=case.produced[key], expected=case.expected[key], tolerance=tolerance
    )


def _thinning(shape: tuple[int, ...], axes: tuple[AxisId, ...]) -> int:
    """The smallest step along all axes but channels that leaves few enough elements."""
    sizes = [(size, axis == "channel") for size, axis in zip(shape, axes, strict=True)]
    step = 1
    while math.prod(n if whole else -(-n // step) for n, whole in sizes) > ENOUGH:
        step += 1
        if step >= max(shape):
            break
    return step


def rounding(*arrays: Array) -> float:
    """What the largest value may differ by because it was rounded to the types of these arrays."""
    largest = max(float(np.abs(_finite(array)).max(initial=0)) for array in arrays)
    kinds = [array.dtype for array in arrays if array.dtype.kind == "f"]
    return 4 * largest * max((float(np.finfo(kind).eps) for kind in kinds), default=0.0)


def _finite(array: Array) -> Array:
    numbers = array.astype("float64")
    finite: Array = numbers[np.isfinite(numbers)]
    return finite


def figure(number: float) -> str:
    """A number as people read it: five digits that count.

    Examples:
        >>> figure(0.123456), figure(2.0), figure(1234567)
        ('0.12346', '2', '1234567')
    """
    whole = float(number).is_integer() and abs(number) < 1e15
    return str(int(number)) if whole else f"{number:.5g}"


def said(place: Mapping[Any, int]) -> str:
    """A place as people read it: `y=3, x=5`."""
    return ", ".join(f"{axis}={i}" for axis, i in place.items())
