"""How far what converted weights give is from what their source gives.

What holds here: the rule of agreement is that of tests of models, and so are the words for what
does not agree; only the tolerance is another, as nothing is described of two networks that ought to
be one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor
from ..validation.comparing import agreement
from ..validation.diagnosis import diagnose, explained
from ..validation.records import Tolerance
from ..validation.tolerances import DISCRETE

__all__ = ["missed", "of_the_source"]


def of_the_source(expected: np.ndarray[Any, Any]) -> Tolerance:
    """What may differ from what the source gives.

    Two frameworks round differently; in a U-Net of four levels by some millionths of the range. So
    values near zero may differ by what larger ones were rounded by.

    Examples:
        >>> print(of_the_source(np.float32([0, 50])))
        0.005 + 0.001 * |expected|, 0 of a million elements may differ by more
    """
    if expected.dtype.kind in "biu":
        return DISCRETE
    values = expected.astype("float64")
    largest = np.max(np.abs(values), where=np.isfinite(values), initial=0)
    return Tolerance(relative=1e-3, absolute=float(1e-4 * largest), mismatched_per_million=0)


def missed(produced: Tensor, expected: Tensor) -> str | None:
    """By how much an output misses that of the source; None if it does not.

    Examples:
        >>> missed(Tensor([1.0, 2.0001], "x"), Tensor([1.0, 2.0], "x")) is None
        True
        >>> missed(Tensor([2.0, 4.0], "x"), Tensor([1.0, 2.0], "x"))
        'it is 2 times what is expected (2 of 2 elements differ by more than ...)'
    """
    found, wanted = np.asarray(produced), np.asarray(expected)
    if found.shape != wanted.shape:
        return f"its shape is {found.shape}, not {wanted.shape}"
    if wanted.dtype.kind in "biu" and found.dtype.kind not in "biu":
        return f"its type is {found.dtype}, not {wanted.dtype}"
    tolerance = of_the_source(wanted)
    agreed = agreement("", produced, expected, tolerance)
    return None if agreed.passed else explained(diagnose(produced, expected, tolerance), agreed)
