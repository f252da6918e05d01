"""The operations of the format as pure functions of arrays.

What holds here, on NumPy, PyTorch, Dask and every library of the array API standard:

- the argument is never changed; the result stays in the library and on the device of the argument;
- float32 stays float32 and float64 float64; integers of 8 and 16 bits, truth values and float16
  are computed in float32, larger integers in float64, so that nothing overflows or wraps;
- parameters are numbers or arrays that broadcast against the argument; NaN goes through;
- large NumPy arrays are worked through in pieces, so that only the result takes memory.

Formulas and defaults are those of the format: `bioimageio.spec` 0.5.14, `model/v0_5.py`.
"""

from __future__ import annotations

from typing import Any

from ..arrays import Array
from . import pointwise
from .kernels import run

__all__ = [
    "binarize",
    "clip",
    "ensure_dtype",
    "fixed_zero_mean_unit_variance",
    "scale_linear",
    "scale_mean_variance",
    "scale_range",
    "sigmoid",
    "softmax",
    "zero_mean_unit_variance",
]


def ensure_dtype(x: Array, *, dtype: str) -> Array:
    """Cast; values that do not fit saturate, NaN becomes 0, the fraction is dropped.

    The first and last step of a described model: what a network takes and gives has a type.

    Args:
        x: any real array.
        dtype: name of the type wanted, such as `uint8`.

    Raises:
        ArrayError: if there is no such type.

    Warns:
        CastWarning: once, if values did not fit.

    Examples:
        >>> import numpy as np
        >>> ensure_dtype(np.array([0.9, 7.0], "float32"), dtype="uint8")
        array([0, 7], dtype=uint8)
    """
    return run([pointwise.ensure_dtype(dtype)], x)


def scale_linear(x: Array, *, gain: Any = 1.0, offset: Any = 0.0) -> Array:
    """`x * gain + offset`.

    Args:
        x: any real array.
        gain, offset: numbers, or arrays that broadcast against x.

    Returns:
        float32 or float64.

    Examples:
        >>> import numpy as np
        >>> scale_linear(np.array([200, 255], "uint8"), gain=2, offset=1)
        array([401., 511.], dtype=float32)
    """
    return run([pointwise.scale_linear(gain, offset)], x)


def zero_mean_unit_variance(x: Array, *, mean: Any, std: Any, eps: float = 1e-6) -> Array:
    """`(x - mean) / (std + eps)`, with statistics that were measured.

    Where x equals the mean the result is exactly 0, so that a constant image becomes 0.

    Args:
        x: any real array.
        mean, std: numbers, or arrays that broadcast against x.
        eps: keeps the divisor from 0.

    Returns:
        float32 or float64.

    Examples:
        >>> import numpy as np
        >>> zero_mean_unit_variance(np.array([10, 12], "uint16"), mean=11.0, std=1.0, eps=1.0)
        array([-0.5,  0.5], dtype=float32)
    """
    return run([pointwise.zero_mean_unit_variance(mean, std, eps)], x)


def fixed_zero_mean_unit_variance(x: Array, *, mean: Any, std: Any, eps: float = 0.0) -> Array:
    """`(x - mean) / (std + eps)`, with given numbers.

    Args:
        x: any real array.
        mean, std: numbers, or arrays that broadcast against x.
        eps: format 0.4 has one; format 0.5 has none.

    Returns:
        float32 or float64.

    Examples:
        >>> import numpy as np
        >>> fixed_zero_mean_unit_variance(np.array([1.0, 5.0], "float32"), mean=1, std=2)
        array([0., 2.], dtype=float32)
    """
    return run([pointwise.zero_mean_unit_variance(mean, std, eps)], x)


def scale_range(x: Array, *, low: Any, high: Any, eps: float = 1e-6) -> Array:
    """`(x - low) / (high - low + eps)`, with the values at two percentiles as `low` and `high`.

    What lies between them comes to lie between 0 and 1; all else outside of it. Of a constant
    image everything becomes 0.

    Args:
        x: any real array.
        low, high: numbers, or arrays that broadcast against x.
        eps: keeps the divisor from 0.

    Returns:
        float32 or float64.

    Examples:
        >>> import numpy as np
        >>> scale_range(np.array([5, 15, 25], "uint8"), low=5, high=15)
        array([0. , 0.9999999, 1.9999998], dtype=float32)
    """
    return run([pointwise.scale_range(low, high, eps)], x)


def scale_mean_variance(
    x: Array, *, mean: Any, std: Any, reference_mean: Any, reference_std: Any, eps: float = 1e-6
) -> Array:
    """`(x - mean) / (std + eps) * (reference_std + eps) + reference_mean`.

    It gives an output the mean and the spread that an input had.

    Args:
        x: any real array.
        mean, std: of x; numbers, or arrays that broadcast against x.
        reference_mean, reference_std: of what x shall be like.
        eps: keeps the divisor from 0.

    Returns:
        float32 or float64.

    Examples:
        >>> import numpy as np
        >>> x = np.array([1.0, 3.0])
        >>> scale_mean_variance(x, mean=2, std=1, reference_mean=100, reference_std=10).round(3)
        array([ 90., 110.])
    """
    matched = pointwise.scale_mean_variance(mean, std, reference_mean, reference_std, eps)
    return run([matched], x)


def sigmoid(x: Array) -> Array:
    """The logistic function `1 / (1 + exp(-x))`, without overflow for any x.

    Returns:
        float32 or float64.

    Examples:
        >>> import numpy as np
        >>> sigmoid(np.array([-1000.0, 0.0, 1000.0], "float32"))
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return run([pointwise.sigmoid()], x)


def softmax(x: Array, *, axis: int) -> Array:
    """`exp(x) / sum(exp(x))` along an axis, without overflow for any finite x.

    Args:
        x: any real array.
        axis: number of the dimension along which the result sums up to 1.

    Returns:
        float32 or float64. Where the largest value along the axis is NaN or infinite: NaN.

    Examples:
        >>> import numpy as np
        >>> softmax(np.array([[200, 200, 0]], "uint8"), axis=1)
        array([[0.5, 0.5, 0. ]], dtype=float32)
    """
    return run([pointwise.softmax(axis % max(1, len(x.shape)))], x)


def binarize(x: Array, *, threshold: Any) -> Array:
    """True where x is above the threshold; at it, below it and at NaN False.

    Args:
        x: any real array.
        threshold: a number, or an array that broadcasts against x.

    Returns:
        Truth values.

    Examples:
        >>> import numpy as np
        >>> binarize(np.array([0.4, 0.5, 0.6]), threshold=0.5)
        array([False, False,  True])
    """
    return run([pointwise.binarize(threshold)], x)


def clip(x: Array, *, low: Any = None, high: Any = None) -> Array:
    """Set values below `low` to `low` and values above `high` to `high`; NaN stays.

    Args:
        x: any real array.
        low, high: numbers, arrays that broadcast against x, or None.

    Returns:
        The type of x. Of integers that can not hold a bound which is reached: float32 or float64.

    Examples:
        >>> import numpy as np
        >>> clip(np.array([3, 200], "uint8"), low=5, high=300)
        array([  5, 200], dtype=uint8)
    """
    return run([pointwise.clip(low, high)], x)
