"""Which elements are over a tolerance: the one rule of agreement.

What holds here: an element that is not finite agrees only with the same one, and no count of others
makes up for it.
"""

from __future__ import annotations

import numpy as np

from ..deviation import Array, deviations
from .records import Tolerance

__all__ = ["exceeding", "within"]


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
