"""Moments: count, mean and sum of squared deviations, as values that can be merged.

What holds here: sums never overflow; of equal values the deviation is exactly 0 and the mean
exactly that value; NaN does not count; merging in another order changes no more than rounding in
float64 does.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs
import numpy as np

__all__ = [
    "FloatArray",
    "Moments",
    "merged",
    "moments_of",
    "moments_of_distribution",
    "no_moments",
    "variance",
]

_RUN = 1 << 13

FloatArray: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


@attrs.frozen(eq=False)
class Moments:
    """Count, mean and sum of squared deviations: arrays of one shape, one entry for each cell."""

    count: FloatArray
    mean: FloatArray
    m2: FloatArray


def no_moments(shape: tuple[int, ...]) -> Moments:
    """The moments of nothing: the identity of `merged`."""
    return Moments(*(np.zeros(shape) for _ in range(3)))


def moments_of(rows: np.ndarray[Any, Any]) -> Moments:
    """The moments of each row of a matrix.

    Args:
        rows: of any real type. Rows of 8- and 16-bit integers may have 65536 columns at most: so
            far their sums are exact.
    """
    if rows.dtype.kind in "ui" and rows.dtype.itemsize <= 2:
        return _exact(rows)
    # inf - inf is NaN, which is what the variance of infinite values is
    with np.errstate(invalid="ignore", over="ignore"):
        values = rows.astype(np.float64)
        pivot = values[:, :1].copy()
        values -= pivot
        total = values.sum(axis=1, keepdims=True)
        if not np.isfinite(total).all():
            return _with_gaps(rows.astype(np.float64))
        count = float(rows.shape[1])
        values -= total / count
    return Moments(
        np.full(len(rows), count), (pivot + total / count)[:, 0], _sum_of_squares(values)
    )


def _exact(rows: np.ndarray[Any, Any]) -> Moments:
    """N * sum(x^2) - sum(x)^2 in 64 bits: no rounding, so no pivot is needed."""
    values = rows.astype(np.float64)
    n = rows.shape[1]
    total = values.sum(axis=1)
    squares = _sum_of_squares(values).astype(np.uint64)
    spread = np.uint64(n) * squares - np.abs(total).astype(np.uint64) ** 2
    return Moments(np.full(len(rows), float(n)), total / n, spread / n)


def _with_gaps(values: FloatArray) -> Moments:
    """Where NaN or infinite values are among them."""
    present = ~np.isnan(values)
    count = present.sum(axis=1, keepdims=True, dtype=np.float64)
    pivot = np.fmin.reduce(values, axis=1, keepdims=True)
    pivot = np.where(np.isfinite(pivot), pivot, 0)
    total = np.where(present, values - pivot, 0).sum(axis=1, keepdims=True)
    mean = pivot + total / np.maximum(count, 1)
    deviation = np.where(present, values - mean, 0)
    return Moments(count[:, 0], mean[:, 0], _sum_of_squares(deviation))


def _sum_of_squares(rows: FloatArray) -> FloatArray:
    """Of each row, in runs: BLAS would start threads for a long one, and wait long for them."""
    count, size = rows.shape
    whole = size - size % _RUN
    runs = rows[:, :whole].reshape(count, whole // _RUN, _RUN)
    rest = rows[:, whole:]
    with np.errstate(over="ignore", invalid="ignore"):
        squares: FloatArray = np.vecdot(runs, runs).sum(axis=1) + np.vecdot(rest, rest)
    return squares


def moments_of_distribution(
    values: FloatArray, counts: np.ndarray[Any, np.dtype[np.int64]]
) -> Moments:
    """The moments of values of which each occurs so many times."""
    count = counts.sum(dtype=np.float64)
    if count == 0:
        return no_moments(())
    with np.errstate(invalid="ignore", over="ignore"):
        pivot = values[0] if np.isfinite(values[0]) else 0.0
        mean = pivot + ((values - pivot) * counts).sum() / count
        deviation = values - mean
        return Moments(count, mean, (deviation * deviation * counts).sum())


def merged(a: Moments, b: Moments) -> Moments:
    """Moments of both parts together: Chan, Golub and LeVeque (1979), eq. 2.1."""
    count = a.count + b.count
    with np.errstate(invalid="ignore", over="ignore"):
        share = b.count / np.maximum(count, 1)
        # an empty part has no mean, and infinity less infinity none either
        delta = np.where((a.count == 0) | (b.count == 0) | (a.mean == b.mean), 0, b.mean - a.mean)
        mean = np.where(a.count == 0, b.mean, a.mean + np.where(share > 0, delta * share, 0))
        mean = np.where(np.isinf(a.mean) & np.isfinite(b.mean), a.mean, mean)
        return Moments(count, mean, a.m2 + b.m2 + delta * delta * a.count * share)


def variance(moments: Moments) -> FloatArray:
    """The variance of the population; NaN of nothing."""
    with np.errstate(invalid="ignore"):
        return np.where(moments.count > 0, moments.m2 / np.maximum(moments.count, 1), np.nan)
