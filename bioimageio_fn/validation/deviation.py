"""How far two arrays are apart, element by element: the one rule of agreement.

What holds here: integers of any type are compared exactly, and floats in float64; an element that
is not finite agrees only with the same one, and no count of others makes up for it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from .records import Tolerance

__all__ = ["Array", "deviations", "exceeding", "within"]

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


def exceeding(produced: Array, expected: Array, tolerance: Tolerance, slack: float = 0.0) -> Array:
    """Which elements are over a tolerance.

    Args:
        slack: what elements may differ by besides.

    Examples:
        >>> exceeding(np.array([1.0, 1.2, np.nan]), np.ones(3), Tolerance(0.1, 0, 0)).tolist()
        [False, True, True]
    """
    apart = deviations(produced, expected)
    with np.errstate(invalid="ignore"):
        allowed = tolerance.absolute + slack + tolerance.relative * np.abs(expected.astype("f8"))
    # an infinity of the other sign is not near, however large the relative tolerance
    over: Array = (apart > 0) & ~(np.isfinite(apart) & (apart <= allowed))
    return over


def within(produced: Array, expected: Array, tolerance: Tolerance, slack: float = 0.0) -> bool:
    """Whether no more elements are over a tolerance than may be, and all are finite that have to.

    Examples:
        >>> within(np.array([1.0, np.nan]), np.ones(2), Tolerance(0, 0, 1e6))
        False
    """
    over = exceeding(produced, expected, tolerance, slack)
    allowed = tolerance.mismatched_per_million * expected.size
    if np.count_nonzero(over) * 1e6 > allowed:
        return False
    return not over.any() or bool(np.isfinite(deviations(produced, expected)).all())
