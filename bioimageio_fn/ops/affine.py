"""Affine maps `x -> (x - center) * factor + shift`, joined without losing digits.

What holds here: coefficients are float64 and broadcast against the array; joining two maps and then
evaluating is no less exact than evaluating one after the other. That is not so for `x * a + b`: if
x and its mean have digits in common, the product loses them, and a constant image is no longer
normalised to 0. So joined maps are evaluated around their root, in the type of the data, and what
rounding the root leaves over is added at the end.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from ..stats.moments import FloatArray

__all__ = ["Affine", "rounded", "then"]

_EPSILON = 4 * float(np.finfo(np.float64).eps)


def _array(value: Any) -> FloatArray:
    return np.asarray(value, np.float64)


@attrs.frozen(eq=False)
class Affine:
    """`(x - center) * factor + shift`.

    Args:
        center, factor, shift: numbers, or arrays that broadcast against x.
        noise: how far rounding may have moved the shift.
    """

    center: FloatArray = attrs.field(converter=_array)
    factor: FloatArray = attrs.field(converter=_array)
    shift: FloatArray = attrs.field(converter=_array)
    noise: FloatArray = attrs.field(converter=_array, default=0.0)


def then(first: Affine, second: Affine) -> Affine:
    """One map for both, the second on the result of the first.

    Examples:
        >>> both = then(Affine(0, 2, 1), Affine(5, 1 / 4, 0))
        >>> (7 - both.center) * both.factor + both.shift
        np.float64(2.5)
    """
    factor = first.factor * second.factor
    shift = (first.shift - second.center) * second.factor + second.shift
    moved = (np.abs(first.shift) + np.abs(second.center)) * np.abs(second.factor)
    noise = first.noise * np.abs(second.factor) + second.noise
    return Affine(first.center, factor, shift, noise + _EPSILON * (moved + np.abs(second.shift)))


def rounded(map_: Affine, dtype: str) -> tuple[Any, Any, Any]:
    """Center, factor and shift in a floating point type.

    A joined map is laid around its root. Near the root the result is small, and there digits would
    be lost; everywhere else the result has no more digits than the type.
    """
    with np.errstate(all="ignore"):
        center, factor, shift, noise = np.broadcast_arrays(
            map_.center, map_.factor, map_.shift, map_.noise
        )
        root = center - shift / factor
        joined = (noise > 0) & (factor != 0) & np.isfinite(root) & np.isfinite(root.astype(dtype))
        # a root that is 0 but for rounding is 0: no other number has so fine neighbours
        root = np.where(np.abs(root * factor) <= noise, 0.0, root)
        near = np.where(joined, root, center).astype(dtype)
        moved = np.where(near == center, 0.0, (near - center) * factor)
        rest = moved + shift
        # what is no more than rounding in float64 would, of a constant image, make noise
        lost = noise + _EPSILON * (np.abs(moved) + np.abs(shift))
        rest = np.where(joined & (np.abs(rest) <= lost), 0.0, rest)
        # an infinite factor would make NaN of 0
        largest = np.finfo(dtype).max
        factor = np.clip(factor, -largest, largest)
        return near, factor.astype(dtype), rest.astype(dtype)
