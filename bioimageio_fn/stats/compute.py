"""Taking measures of a tensor.

What holds here: sums run in float64 over slabs of the array, so that no copy of an image is made;
results are float64; NaN marks a missing pixel and does not count; of nothing but NaN the result is
NaN, with a `DataWarning`. Statistics are small and are held as NumPy, wherever the data are.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from ..arrays import as_array, namespace, to_numpy
from ..axes import AxisId
from ..errors import AxesError, DataWarning, SizeError
from ..tensor import Tensor, transpose
from .measure import Measure

__all__ = ["measure"]

SLAB_ELEMENTS = 1 << 20
"""Elements worked on at once: 8 MB in float64, so that a slab stays near the processor."""

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def measure(tensor: Tensor, wanted: Measure) -> Tensor:
    """The value of a measure of one tensor, with the axes that it keeps, as float64.

    Raises:
        AxesError: if an axis to reduce is not there.
        SizeError: if an axis to reduce has size 0.

    Examples:
        >>> t = Tensor(np.array([[1, 2], [3, 5]], "uint8"), "yx")
        >>> measure(t, Measure("mean", "raw", "x")).data.tolist()
        [1.5, 4.0]
        >>> float(measure(t, Measure("quantile", "raw", q=0.5, method="linear")).data)
        2.5
    """
    reduced = tensor.axes if wanted.axes is None else wanted.axes
    for axis in reduced:
        if axis not in tensor.axes:
            raise AxesError(
                "this axis can not be measured over: the tensor has none of that name",
                tensor=wanted.member,
                axis=axis,
                expected=f"one of {', '.join(tensor.axes)}",
            )
        if tensor.sizes[axis] == 0:
            raise SizeError(
                "an empty axis has no statistics", tensor=wanted.member, axis=axis, got=0
            )
    kept = [a for a in tensor.axes if a not in reduced]
    value = _COMPUTE[wanted.name](tensor, kept, wanted)
    if np.isnan(value).any() and _any_all_missing(tensor, kept):
        warnings.warn(
            f"tensor '{wanted.member}' holds nothing but NaN where its {wanted.name} is taken",
            DataWarning,
            stacklevel=2,
        )
    return Tensor(value, kept)


def _any_all_missing(tensor: Tensor, kept: Sequence[AxisId]) -> bool:
    """Whether somewhere nothing but NaN is measured: of infinite values the result is NaN too."""
    return bool((_moments(tensor, kept).count == 0).any())


@attrs.frozen
class _Moments:
    """Count, mean and sum of squared deviations, one for each index of the kept axes."""

    count: FloatArray
    mean: FloatArray
    m2: FloatArray


def _moments_of(part: FloatArray, reduced: tuple[int, ...]) -> _Moments:
    present = ~np.isnan(part)
    count = present.sum(axis=reduced, keepdims=True, dtype=np.float64)
    # sums of differences to one of the values: exact where all are equal
    pivot = part[tuple(slice(0, 1) if i in reduced else slice(None) for i in range(part.ndim))]
    if not np.isfinite(pivot).all():
        pivot = np.fmin.reduce(part, axis=reduced, keepdims=True)
        pivot = np.where(np.isfinite(pivot), pivot, 0)
    total = np.where(present, part - pivot, 0).sum(axis=reduced, keepdims=True)
    mean = pivot + total / np.maximum(count, 1)
    deviation = np.where(present, part - mean, 0)
    m2 = (deviation * deviation).sum(axis=reduced, keepdims=True)
    return _Moments(*(np.squeeze(a, axis=reduced) for a in (count, mean, m2)))


def _merged(a: _Moments, b: _Moments) -> _Moments:
    """Moments of both parts together: Chan, Golub and LeVeque (1979), eq. 2.1."""
    count = a.count + b.count
    share = b.count / np.maximum(count, 1)
    # an empty part has no mean, and infinity less infinity none either
    delta = np.where((a.count == 0) | (b.count == 0) | (a.mean == b.mean), 0, b.mean - a.mean)
    mean = np.where(a.count == 0, b.mean, a.mean + np.where(share > 0, delta * share, 0))
    mean = np.where(np.isinf(a.mean) & np.isfinite(b.mean), a.mean, mean)
    return _Moments(count, mean, a.m2 + b.m2 + delta * delta * a.count * share)


def _moments(tensor: Tensor, kept: Sequence[AxisId]) -> _Moments:
    array = as_array(tensor.data)
    xp = namespace(array)
    reduced = tuple(i for i, axis in enumerate(tensor.axes) if axis not in kept)
    total = _Moments(*(np.zeros([tensor.sizes[axis] for axis in kept]) for _ in range(3)))
    # inf - inf is NaN, which is what the variance of infinite values is
    with np.errstate(invalid="ignore", over="ignore"):
        for piece in _pieces(tensor.shape):
            part = to_numpy(xp.astype(array[piece], xp.float64))
            where = tuple(s for i, s in enumerate(piece) if i not in reduced)
            have = _Moments(total.count[where], total.mean[where], total.m2[where])
            new = _merged(have, _moments_of(part, reduced))
            total.count[where], total.mean[where], total.m2[where] = new.count, new.mean, new.m2
    return total


def _pieces(shape: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Tile an array with slabs of at most `SLAB_ELEMENTS`, cutting the leading axes first."""
    steps = list(shape)
    for i, size in enumerate(shape):
        behind = math.prod(shape[i + 1 :])
        steps[i] = max(1, min(size, SLAB_ELEMENTS // max(1, behind)))
        if steps[i] > 1:
            break
    starts = [range(0, size, step) for size, step in zip(shape, steps, strict=True)]
    for corner in itertools.product(*starts):
        yield tuple(slice(c, c + step) for c, step in zip(corner, steps, strict=True))


def _mean(tensor: Tensor, kept: Sequence[AxisId], _: Measure) -> FloatArray:
    moments = _moments(tensor, kept)
    return np.where(moments.count > 0, moments.mean, np.nan)


def _var(tensor: Tensor, kept: Sequence[AxisId], _: Measure) -> FloatArray:
    moments = _moments(tensor, kept)
    return np.where(moments.count > 0, moments.m2 / np.maximum(moments.count, 1), np.nan)


def _std(tensor: Tensor, kept: Sequence[AxisId], wanted: Measure) -> FloatArray:
    return np.sqrt(_var(tensor, kept, wanted))


def _quantile(tensor: Tensor, kept: Sequence[AxisId], wanted: Measure) -> FloatArray:
    last = [a for a in tensor.axes if a not in kept]
    array = to_numpy(as_array(transpose(tensor, [*kept, *last]).data))
    shape = array.shape[: len(kept)]
    values = [
        _quantile_of(array[index].reshape(-1), wanted.q or 0.0, wanted.method == "linear")
        for index in np.ndindex(shape)
    ]
    return np.array(values, np.float64).reshape(shape)


def _quantile_of(values: np.ndarray[Any, Any], q: float, linear: bool) -> float:
    if values.dtype.kind == "f":
        values = values[~np.isnan(values)]
    n = values.size
    if n == 0:
        return math.nan
    position = q * (n - 1) if linear else max(0, math.ceil(q * n - 1))
    low = math.floor(position)
    high = min(low + 1, n - 1) if linear else low
    ordered = np.partition(values, (low, high))
    a, b = float(ordered[low]), float(ordered[high])
    return a if position == low or a == b else a + (b - a) * (position - low)


_COMPUTE: dict[str, Callable[[Tensor, Sequence[AxisId], Measure], FloatArray]] = {
    "mean": _mean,
    "std": _std,
    "var": _var,
    "quantile": _quantile,
}
