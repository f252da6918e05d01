"""Whether a produced tensor is the expected one, element by element.

What holds here: values are compared as what they are: integers as integers, float64 as float64. A
NaN or an infinity agrees with its like alone, whatever the tolerance.
"""

from __future__ import annotations

import numpy as np

from ..arrays import to_numpy
from ..deviation import deviations
from ..tensor import Tensor
from .records import Agreement, Tolerance
from .tolerating import exceeding

__all__ = ["agreement"]


def agreement(output: str, produced: Tensor, expected: Tensor, tolerance: Tolerance) -> Agreement:
    """How a produced tensor agrees with the expected one.

    Args:
        output: id of the tensor.
        produced: what a model gave.
        expected: what it should have given, perhaps of another data type. Of a tensor of other
            axes or sizes no element agrees.
        tolerance: what is allowed.

    Examples:
        >>> expected, produced = Tensor([1.0, 2.0, 3.0], "x"), Tensor([1.0, 2.5, 3.0], "x")
        >>> print(agreement("out", produced, expected, Tolerance(0.1, 0, 0)))
        1 of 3 elements differ by more than 0 + 0.1 * |expected| (333333 of a million; 0 may);
        the largest difference is 0.5 at x=1: expected 2, got 2.5
    """
    a, e = to_numpy(produced.data), to_numpy(expected.data)
    if produced.axes != expected.axes or a.shape != e.shape:
        return _none(output, e.size, tolerance)
    apart = deviations(a, e)
    largest = np.unravel_index(int(apart.argmax()), apart.shape) if apart.size else ()
    some = bool(apart.size) and bool(apart[largest] > 0)
    return Agreement(
        output=output,
        tolerance=tolerance,
        mismatched=int(np.count_nonzero(exceeding(a, e, tolerance))),
        size=int(apart.size),
        largest_difference=float(apart[largest]) if some else 0.0,
        where=dict(zip(expected.axes, map(int, largest), strict=True)) if some else {},
        expected_there=float(e[largest]) if some else float("nan"),
        produced_there=float(a[largest]) if some else float("nan"),
    )


def _none(output: str, size: int, tolerance: Tolerance) -> Agreement:
    return Agreement(
        output=output,
        tolerance=tolerance,
        mismatched=size,
        size=size,
        largest_difference=float("inf"),
        where={},
        expected_there=float("nan"),
        produced_there=float("nan"),
    )
