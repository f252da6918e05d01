"""The format's pointwise operations as kernels: their numbers filled in, ready to be run.

What holds here: float32 stays float32 and float64 float64; integers of 8 and 16 bits, truth values
and float16 are computed in float32, larger integers in float64, so that nothing overflows or wraps;
NaN goes through. What each operation does is said in `functions`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..arrays import Array, cast, comparable, dtype_name, namespace
from .affine import Affine
from .kernels import Cast, Function, Kernel, float_dtype, floating, parameter

__all__ = [
    "binarize",
    "clip",
    "clip_dtype",
    "ensure_dtype",
    "scale_linear",
    "scale_mean_variance",
    "scale_range",
    "sigmoid",
    "softmax",
    "zero_mean_unit_variance",
]


def ensure_dtype(dtype: str) -> Kernel:
    """See `functions.ensure_dtype`."""
    return Cast(dtype)


def scale_linear(gain: Any, offset: Any) -> Kernel:
    """See `functions.scale_linear`."""
    return Affine(0.0, gain, offset)


def zero_mean_unit_variance(mean: Any, std: Any, eps: float) -> Kernel:
    """See `functions.zero_mean_unit_variance`."""
    with np.errstate(divide="ignore", over="ignore"):
        return Affine(mean, 1 / (np.asarray(std, np.float64) + eps), 0.0)


def scale_range(low: Any, high: Any, eps: float) -> Kernel:
    """See `functions.scale_range`."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    # both may be infinite; the result is NaN then, as it would be by hand
    with np.errstate(invalid="ignore"):
        return Affine(low, 1 / (high - low + eps), 0.0)


def scale_mean_variance(
    mean: Any, std: Any, reference_mean: Any, reference_std: Any, eps: float
) -> Kernel:
    """See `functions.scale_mean_variance`."""
    std, reference_std = np.asarray(std, np.float64), np.asarray(reference_std, np.float64)
    return Affine(mean, (reference_std + eps) / (std + eps), reference_mean)


def sigmoid() -> Kernel:
    """See `functions.sigmoid`."""
    return Function(_sigmoid)


def _sigmoid(x: Array) -> Array:
    x = floating(x)
    xp = namespace(x)
    # of the absolute value: no overflow on either side
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1 / (1 + small), small / (1 + small))


def softmax(axis: int) -> Kernel:
    """See `functions.softmax`."""
    return Function(partial(_softmax, axis=axis), whole=(axis,))


def _softmax(x: Array, axis: int) -> Array:
    x = floating(x)
    xp = namespace(x)
    powers = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return powers / xp.sum(powers, axis=axis, keepdims=True)


def binarize(threshold: Any) -> Kernel:
    """See `functions.binarize`."""
    return Function(_binarize, {"threshold": np.asarray(threshold)}, result=lambda _: "bool")


def _binarize(x: Array, threshold: Any) -> Array:
    x = floating(x)
    return x > parameter(threshold, x)


def clip(low: Any, high: Any) -> Kernel:
    """See `functions.clip`."""
    # of the whole bounds: a part of them may be such that integers could stay
    result = partial(clip_dtype, low=low, high=high)
    bounds = {k: np.asarray(v) for k, v in (("low", low), ("high", high)) if v is not None}
    return Function(partial(_clip, result=result), bounds, result=result)


def _clip(x: Array, result: Any, low: Any = None, high: Any = None) -> Array:
    dtype = result(dtype_name(x.dtype))
    xp = namespace(x)
    x = comparable(cast(x, "uint8" if dtype == "bool" else dtype))
    if low is not None:
        bound = parameter(_reachable(low, dtype), x)
        x = xp.where(x < bound, bound, x)
    if high is not None:
        bound = parameter(_reachable(high, dtype), x)
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
