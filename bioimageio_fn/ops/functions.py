"""The operations as pure functions of arrays, on NumPy, PyTorch, Dask and the array API standard.

What holds here:

- the argument is never changed; the result stays in the library and on the device of the argument;
- float32 stays float32 and float64 float64; integers of 8 and 16 bits, truth values and float16
  are computed in float32, larger integers in float64, so that nothing overflows or wraps;
- parameters are numbers or arrays that broadcast against the argument; NaN goes through.
"""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from ..arrays import Array, cast, comparable, dtype_name, namespace

__all__ = [
    "binarize",
    "center_and_scale",
    "clip",
    "clip_dtype",
    "ensure_dtype",
    "float_dtype",
    "scale_linear",
    "sigmoid",
]

_SMALL = ("bool", "uint8", "int8", "uint16", "int16", "float16", "float32")


def float_dtype(dtype: str) -> str:
    """The floating point type in which values of a type are computed.

    Examples:
        >>> float_dtype("uint16"), float_dtype("int32")
        ('float32', 'float64')
    """
    return "float32" if dtype in _SMALL else "float64"


def _parameter(value: Any, like: Array) -> Array:
    """A parameter in the type and on the device of the data: libraries promote these alike."""
    xp = namespace(like)
    # a copy: torch warns of read-only arrays
    with np.errstate(over="ignore"):
        return xp.asarray(np.array(value), dtype=like.dtype, device=array_api_compat.device(like))


def _floating(x: Array) -> Array:
    return cast(x, float_dtype(dtype_name(x.dtype)))


def ensure_dtype(x: Array, *, dtype: str) -> Array:
    """Cast; values that do not fit saturate, NaN becomes 0, the fraction is dropped.

    Warns:
        CastWarning: if values did not fit.

    Examples:
        >>> ensure_dtype(np.array([0.9, 7.0], "float32"), dtype="uint8")
        array([0, 7], dtype=uint8)
    """
    return cast(x, dtype)


def scale_linear(x: Array, *, gain: Any = 1.0, offset: Any = 0.0) -> Array:
    """`x * gain + offset`.

    Examples:
        >>> scale_linear(np.array([200, 255], "uint8"), gain=2, offset=1)
        array([401., 511.], dtype=float32)
    """
    x = _floating(x)
    return x * _parameter(gain, x) + _parameter(offset, x)


def center_and_scale(x: Array, *, center: Any, scale: Any) -> Array:
    """`(x - center) / scale`: the form in which normalisations keep their digits.

    `x * (1 / scale) - center / scale` is the same on paper, but loses the digits that x and the
    center have in common. Where x equals the center the result is 0, whatever the scale.

    Examples:
        >>> center_and_scale(np.array([10, 12], "uint16"), center=10, scale=4)
        array([0. , 0.5], dtype=float32)
    """
    x = _floating(x)
    return (x - _parameter(center, x)) / _parameter(scale, x)


def sigmoid(x: Array) -> Array:
    """The logistic function `1 / (1 + exp(-x))`, without overflow for any x.

    Examples:
        >>> sigmoid(np.array([-1000.0, 0.0, 1000.0], "float32"))
        array([0. , 0.5, 1. ], dtype=float32)
    """
    x = _floating(x)
    xp = namespace(x)
    with np.errstate(under="ignore"):
        small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1 / (1 + small), small / (1 + small))


def clip_dtype(dtype: str, low: Any, high: Any) -> str:
    """The type of a clipped array: integers stay integers if they can hold the bounds.

    A bound beyond the range of an integer type on its outer side has no effect; one within it
    must be whole, for a clipped value becomes the bound.

    Examples:
        >>> clip_dtype("uint8", 0, 300), clip_dtype("uint8", 0.5, None)
        ('uint8', 'float32')
    """
    if "float" in dtype:
        return dtype
    limits = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    for bound, is_low in ((low, True), (high, False)):
        if bound is None:
            continue
        values = np.asarray(bound, "float64")
        active = values[values > limits[0] if is_low else values < limits[1]]
        outside = (active < limits[0]) | (active > limits[1])
        if (active != np.floor(active)).any() or outside.any():
            return float_dtype(dtype)
    return dtype


def clip(x: Array, *, low: Any = None, high: Any = None) -> Array:
    """Set values below `low` to `low` and values above `high` to `high`; NaN stays.

    Examples:
        >>> clip(np.array([3, 200], "uint8"), low=5, high=300)
        array([  5, 200], dtype=uint8)
    """
    dtype = clip_dtype(dtype_name(x.dtype), low, high)
    xp = namespace(x)
    x = comparable(cast(x, "uint8" if dtype == "bool" else dtype))
    if low is not None:
        bound = _parameter(_reachable(low, dtype), x)
        x = xp.where(x < bound, bound, x)
    if high is not None:
        bound = _parameter(_reachable(high, dtype), x)
        x = xp.where(x > bound, bound, x)
    return cast(x, dtype)


def _reachable(bound: Any, dtype: str) -> Any:
    """A bound moved to the nearest value that a type has."""
    if "float" in dtype:
        return bound
    info = np.iinfo("uint8" if dtype == "bool" else dtype)
    low, high = (0, 1) if dtype == "bool" else (int(info.min), int(info.max))
    # Python's integers: 2**63 - 1 is no float64
    values = [low if v < low else high if v > high else int(v) for v in np.ravel(bound).tolist()]
    return np.array(values, info.dtype).reshape(np.shape(bound))


def binarize(x: Array, *, threshold: Any) -> Array:
    """True where x is above the threshold; at it, below it and at NaN False.

    Examples:
        >>> binarize(np.array([0.4, 0.5, 0.6]), threshold=0.5)
        array([False, False,  True])
    """
    x = _floating(x)
    return x > _parameter(threshold, x)
