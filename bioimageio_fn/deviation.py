"""How far two arrays are apart, element by element.

What holds here: integers of any type are compared exactly, and floats in float64; no difference is
lost to a cast or an overflow; an element that is not finite is as far from any other as can be.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

__all__ = ["Array", "deviations"]

Array: TypeAlias = np.ndarray[Any, Any]


def deviations(produced: Array, expected: Array) -> Array:
    """Absolute differences, as float64; 0 only where two elements are the same.

    Args:
        produced: an array.
        expected: one of the same shape.

    Returns:
        Infinity where only one of two elements is finite, or both are but of other signs.

    Examples:
        >>> deviations(np.array([1.0, np.nan, np.inf]), np.array([3.0, np.nan, 0.0])).tolist()
        [2.0, 0.0, inf]
        >>> deviations(np.array([2**63 + 1], "uint64"), np.array([2**63 - 1], "int64")).tolist()
        [2.0]
    """
    if produced.dtype.kind in "biu" and expected.dtype.kind in "biu":
        return _of_integers(produced, expected)
    a, b = produced.astype("float64"), expected.astype("float64")
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a - b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    found: Array = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return found


def _of_integers(produced: Array, expected: Array) -> Array:
    """Differences modulo 2**64 are exact, but for those that are larger."""
    a, b = produced.astype("uint64"), expected.astype("uint64")
    exact = np.where(produced > expected, a - b, b - a).astype("float64")
    rough = np.abs(produced.astype("float64") - expected.astype("float64"))
    found: Array = np.where(rough >= 2.0**64, rough, exact)
    return found
