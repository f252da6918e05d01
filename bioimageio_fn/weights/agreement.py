"""How far an output is from the one it should be.

What holds here: numbers are compared as float64, whole numbers and labels exactly; NaN agrees with
NaN alone, and infinity with infinity of the same sign.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

__all__ = ["OF_THE_SOURCE", "OF_THE_TEST_TENSORS", "Tolerance", "missed"]

_Array = np.ndarray[Any, Any]


@attrs.frozen
class Tolerance:
    """What may differ: `absolute + relative * |expected|`, and a few elements by more.

    Args:
        relative: of the value that is expected.
        absolute: a number of its own.
        of_range: of the largest value that is expected, so that values near zero may differ by
            what larger ones were rounded by.
        per_million: how many elements of a million may differ by more.
        discrete_per_million: how many whole numbers or labels may differ at all.
    """

    relative: float
    absolute: float = 0
    of_range: float = 0
    per_million: float = 0
    discrete_per_million: float = 1000


OF_THE_SOURCE = Tolerance(relative=1e-3, of_range=1e-4)
"""Two frameworks round differently; in a U-Net of four levels by some millionths of the range."""
OF_THE_TEST_TENSORS = Tolerance(relative=1e-3, absolute=1e-3, per_million=100)
"""What the format allows where a description says nothing."""


def missed(found: _Array, expected: _Array, tolerance: Tolerance) -> str | None:
    """By how much an output misses the one it should be; None if it does not.

    Examples:
        >>> missed(np.float32([1, 2]), np.float32([1, 2.0001]), OF_THE_SOURCE) is None
        True
        >>> missed(np.float32([1, 3]), np.float32([1, 2]), OF_THE_SOURCE)
        'up to 1 away (expected 2, got 3), with 50% of the values too far'
        >>> missed(np.zeros((1, 2)), np.zeros((2, 1)), OF_THE_SOURCE)
        'its shape is (1, 2), not (2, 1)'
    """
    if found.shape != expected.shape:
        return f"its shape is {found.shape}, not {expected.shape}"
    discrete = expected.dtype.kind in "biu"
    if discrete and found.dtype.kind not in "biu":
        return f"its type is {found.dtype}, not {expected.dtype}"
    # whole numbers of 64 bits have no place in a float
    a, b = (x if discrete else x.astype("float64") for x in (found, expected))
    wrong = a != b if discrete else ~_close(a, b, tolerance)
    allowed = tolerance.discrete_per_million if discrete else tolerance.per_million
    if wrong.sum() <= allowed * 1e-6 * wrong.size:
        return None
    return _figures(a, b, wrong)


def _close(a: _Array, b: _Array, tolerance: Tolerance) -> _Array:
    finite = np.isfinite(b)
    largest = np.max(np.abs(b), where=finite, initial=0)
    allowed = tolerance.absolute + tolerance.of_range * largest + tolerance.relative * np.abs(b)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        near = np.abs(a - b) <= allowed
    same: _Array = (near & finite) | (a == b) | (np.isnan(a) & np.isnan(b))
    return same


def _figures(a: _Array, b: _Array, wrong: _Array) -> str:
    with np.errstate(invalid="ignore"):
        away = np.abs(a.astype("float64") - b.astype("float64"))
    worst = np.argmax(np.where(wrong, np.nan_to_num(away, nan=np.inf), -1))
    found, expected = a.flat[worst].item(), b.flat[worst].item()
    return (
        f"up to {_text(abs(found - expected))} away (expected {_text(expected)},"
        f" got {_text(found)}), with {100 * wrong.mean():.3g}% of the values too far"
    )


def _text(value: float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
