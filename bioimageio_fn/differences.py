"""How far the elements of two arrays are apart, whatever their types.

What holds here: a difference is 0 only where two elements are the same; no difference is lost to a
cast or an overflow.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

__all__ = ["differences"]

Array: TypeAlias = np.ndarray[Any, Any]


def differences(a: Array, b: Array) -> Array:
    """The absolute differences of two NumPy arrays of one shape, as float64.

    NaN equals NaN, and an infinity its like; a number and no number are infinitely far apart.

    Examples:
        >>> differences(np.array([2**53, 2]), np.array([2**53 + 1, 2])).tolist()
        [1.0, 0.0]
        >>> differences(np.array([np.nan, np.nan, np.inf]), np.array([np.nan, 1, np.inf])).tolist()
        [0.0, inf, 0.0]
    """
    if a.dtype.kind in "biu" and b.dtype.kind in "biu":
        return _of_integers(a, b)
    a, b = a.astype("float64"), b.astype("float64")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a - b)
    return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))


def _of_integers(a: Array, b: Array) -> Array:
    common = np.result_type(a, b)
    if common.kind == "f":  # no integer type holds all of uint64 and a signed one
        signed, unsigned = (a, b) if a.dtype.kind == "i" else (b, a)
        above = np.maximum(signed, 0).astype("uint64")
        below: Array = np.minimum(signed, 0).astype("float64")
        return _of_integers(above, unsigned) - below
    a, b = a.astype(common), b.astype(common)
    # no integer type holds the difference of its extremes, but the unsigned one of its size
    unsigned_type = f"u{common.itemsize}"
    more: Array = np.maximum(a, b).astype(unsigned_type) - np.minimum(a, b).astype(unsigned_type)
    return more.astype("float64")
