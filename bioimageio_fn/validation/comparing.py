"""Whether a produced tensor is the expected one, element by element.

What holds here: values are compared as what they are: integers as integers, float64 as float64. A
NaN or an infinity agrees with its like alone, whatever the tolerance.
"""

from __future__ import annotations

import numpy as np

from ..arrays import to_numpy
from ..errors import SizeError
from ..tensor import Tensor
from .deviation import deviations, exceeding
from .records import Agreement, Tolerance

__all__ = ["agreement"]


def agreement(output: str, produced: Tensor, expected: Tensor, tolerance: Tolerance) -> Agreement:
    """How a produced tensor agrees with the expected one.

    Args:
        output: id of the tensor.
        produced: what a model gave.
        expected: of the same axes and sizes, perhaps of another type.
        tolerance: what is allowed.

    Raises:
        SizeError: if axes or sizes differ.

    Examples:
        >>> expected, produced = Tensor([1.0, 2.0, 3.0], "x"), Tensor([1.0, 2.5, 3.0], "x")
        >>> print(agreement("out", produced, expected, Tolerance(0.1, 0, 0)))
        1 of 3 elements differ by more than 0 + 0.1 * |expected| (3.333e+05 of a million; 0 may);
        the largest difference is 0.5 at x=1: expected 2, got 2.5
    """
    if produced.axes != expected.axes or produced.shape != expected.shape:
        raise SizeError(
            "tensors of other axes or sizes can not be compared",
            tensor=output,
            expected=expected,
            got=produced,
        )
    a, e = to_numpy(produced.data), to_numpy(expected.data)
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
