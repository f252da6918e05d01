"""Histograms whose bins do not depend on the data, and the distributions that they tell of.

What holds here: counting is exact and knows no order, so any partition of the data in any order
gives the same histogram. Integers (but uint64) have a bin each. Floats have bins of equal relative
width, 2**-13, made of the leading bits of their float32 form; a second look at the data (`Looking`)
tells the values in the bins that matter apart. NaN is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs
import numpy as np
from immutabledict import immutabledict

from .measure import QuantileMethod
from .moments import FloatArray

__all__ = [
    "Counting",
    "Distribution",
    "Histogram",
    "Looking",
    "bins_of_quantile",
    "distribution_from",
    "distribution_of",
    "is_exact",
    "merged",
    "merged_insides",
    "quantile",
    "ranks",
    "summed",
]

IntArray: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Kind: TypeAlias = Literal["integers", "floats"]

_DROPPED_BITS = 10
"""Of the 32 bits of a float32, so that 1 sign, 8 exponent and 13 fraction bits are left."""

_DENSE_BINS = 1 << 22
"""Bins counted in an array: 32 MB, all bins of floats. Where integers reach wider, distinct ones
are listed."""

_SPARSE_PARTS = 64
_SMALL = 1 << 10
_MANY_BINS = 64
_FEW_BINS = 2
"""For each key; where there are more, going through all of them would take longer than counting."""


def is_exact(dtype: np.dtype[Any]) -> bool:
    """Whether a histogram of this type has a bin for each value."""
    return _kind_of(dtype) == "integers"


def _kind_of(dtype: np.dtype[Any]) -> Kind:
    """Whether values of a type have a bin each; the keys of uint64 would not fit into int64."""
    return "floats" if dtype.kind == "f" or dtype == np.uint64 else "integers"


def _ordered(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Floats as integers in the same order: their bits, those of negative numbers turned."""
    signed = np.int32 if values.dtype.itemsize == 4 else np.int64
    return _turned(np.ascontiguousarray(values).view(signed))


def _turned(bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Turn the bits of negative numbers but the sign; its own inverse."""
    sign = bits >> (8 * bits.dtype.itemsize - 1)
    turned: np.ndarray[Any, Any] = bits ^ (sign & np.iinfo(bits.dtype).max)
    return turned


def _bins(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The bin of each float; rounding to float32 keeps the order."""
    with np.errstate(over="ignore", under="ignore"):
        return _ordered(values.astype(np.float32, copy=False)) >> _DROPPED_BITS


def _middle(bins: IntArray) -> FloatArray:
    """A value in the middle of each bin; 0 for the two bins at 0, which hold it and little else."""
    ordered = (bins << _DROPPED_BITS) + (1 << (_DROPPED_BITS - 1))
    # the last bins hold infinity alone; their middle is no number
    with np.errstate(invalid="ignore"):
        middle = _turned(ordered.astype(np.int32)).view(np.float32).astype(np.float64)
    middle = np.where(np.isnan(middle), np.where(bins < 0, -np.inf, np.inf), middle)
    return np.where((bins == 0) | (bins == -1), 0, middle)


def _floats(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As float32 where that is exact, else as float64, without NaN."""
    small = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    values = values.astype(np.float32 if small else np.float64, copy=False)
    missing = np.isnan(values)
    return values[~missing] if missing.any() else values


@attrs.frozen(eq=False)
class Distribution:
    """Distinct values in rising order, and how often each of them occurs."""

    values: FloatArray
    counts: IntArray


@attrs.frozen(eq=False)
class Histogram:
    """How many values fell into each bin.

    Args:
        kind: what the keys are: the integers themselves, or bins of floats.
        keys: bins that are not empty, rising.
        counts: of each of them.
        low: the smallest value; infinite if there is none.
        high: the largest value.
    """

    kind: Kind
    keys: IntArray
    counts: IntArray
    low: float = math.inf
    high: float = -math.inf


class _Counter:
    """Counts keys in place while one tensor is walked through; nobody else sees it."""

    def __init__(self, all_bins: tuple[int, int] | None = None) -> None:
        self.all_bins = all_bins
        self.start = 0
        self.dense = np.zeros(0, np.int64)
        self.sparse: list[tuple[IntArray, IntArray]] = []

    def add(self, keys: np.ndarray[Any, Any]) -> None:
        """Count some more, integers of any type."""
        if keys.size == 0:
            return
        low, high = int(keys.min()), int(keys.max())
        if not self._covers(low, high, keys.size):
            found, counts = np.unique(keys, return_counts=True)
            self.sparse.append((found.astype(np.int64), counts))
            if len(self.sparse) > _SPARSE_PARTS:
                self.sparse = [summed(self.sparse)]
            return
        if high - low > _FEW_BINS * keys.size:
            np.add.at(self.dense, np.subtract(keys, self.start, dtype=np.intp), 1)
            return
        first = low - self.start
        shifted = np.subtract(keys, low, dtype=np.intp) if low else keys
        self.dense[first : first + high - low + 1] += np.bincount(shifted)

    def _covers(self, low: int, high: int, count: int) -> bool:
        """Let the dense part reach from low to high, unless that is too much for so few keys."""
        if not self.dense.size:
            self.start = low
        start = min(self.start, low)
        size = max(self.start + self.dense.size, high + 1) - start
        if size <= self.dense.size:
            return True
        if size > min(_DENSE_BINS, _MANY_BINS * max(count, _SMALL)):
            return False
        if size > _MANY_BINS * _SMALL and self.all_bins is not None:
            # all there are, at once: what is never written to takes no memory
            start, size = self.all_bins
        else:
            # by half more than is needed, so that slow growth is not paid for each time
            size = min(_DENSE_BINS, size + size // 2)
        grown = np.zeros(size, np.int64)
        grown[self.start - start :][: self.dense.size] = self.dense
        self.start, self.dense = start, grown
        return True

    def counted(self) -> tuple[IntArray, IntArray]:
        """Keys that were met, rising, and their counts."""
        (found,) = np.nonzero(self.dense)
        return summed([(found + self.start, self.dense[found]), *self.sparse])


def summed(parts: Sequence[tuple[Any, IntArray]]) -> tuple[Any, IntArray]:
    """Counts of equal keys (or values) brought together; keys rise."""
    if len(parts) == 1:
        return parts[0]
    keys, counts = map(np.concatenate, zip(*parts, strict=True))
    unique, where = np.unique(keys, return_inverse=True)
    total = np.zeros(len(unique), np.int64)
    np.add.at(total, where, counts)
    return unique, total


class Counting:
    """A histogram that grows while one tensor is walked through.

    Examples:
        >>> counting = Counting(np.dtype("uint8"))
        >>> for piece in ([3, 7], [7]):
        ...     counting.add(np.array(piece, "uint8"))
        >>> counting.histogram().keys.tolist(), counting.histogram().counts.tolist()
        ([3, 7], [1, 2])
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.kind = _kind_of(dtype)
        self.bins = _Counter((-_DENSE_BINS // 2, _DENSE_BINS) if self.kind == "floats" else None)
        self.low, self.high = math.inf, -math.inf

    def add(self, values: np.ndarray[Any, Any]) -> None:
        """Count the values of one more piece."""
        if self.kind == "integers":
            self.bins.add(values.view(np.uint8) if values.dtype == bool else values)
        elif (values := _floats(values)).size:
            self.low = min(self.low, float(values.min()))
            self.high = max(self.high, float(values.max()))
            self.bins.add(_bins(values))

    def histogram(self) -> Histogram:
        """What was counted so far."""
        keys, counts = self.bins.counted()
        if self.kind == "integers" and keys.size:
            return Histogram(self.kind, keys, counts, float(keys[0]), float(keys[-1]))
        return Histogram(self.kind, keys, counts, self.low, self.high)


class Looking:
    """A second look: the values in some bins of floats, told apart."""

    def __init__(self, bins: Iterable[int]) -> None:
        self.counters: dict[int, dict[str, _Counter]] = {b: {} for b in bins}

    def add(self, values: np.ndarray[Any, Any]) -> None:
        """Look at one more piece."""
        values = _floats(values)
        bins = _bins(values)
        for bin_, counters in self.counters.items():
            counter = counters.setdefault(values.dtype.name, _Counter())
            counter.add(_ordered(values[bins == bin_]))

    def found(self) -> dict[int, Distribution]:
        """The values in each bin."""
        return {
            bin_: Distribution(*summed([_counted_values(c, name) for name, c in counters.items()]))
            for bin_, counters in self.counters.items()
            if counters
        }


def _counted_values(counter: _Counter, dtype: str) -> tuple[FloatArray, IntArray]:
    keys, counts = counter.counted()
    signed = np.int32 if dtype == "float32" else np.int64
    return _turned(keys.astype(signed)).view(dtype).astype(np.float64), counts


def merged(a: Histogram, b: Histogram) -> Histogram:
    """The histogram of both parts together; integers join floats in the bins of floats."""
    if not a.keys.size or not b.keys.size:
        return b if b.keys.size else a
    if a.kind != b.kind:
        a, b = _in_bins_of_floats(a), _in_bins_of_floats(b)
    keys, counts = summed([(a.keys, a.counts), (b.keys, b.counts)])
    return Histogram(a.kind, keys, counts, min(a.low, b.low), max(a.high, b.high))


def _in_bins_of_floats(histogram: Histogram) -> Histogram:
    if histogram.kind == "floats":
        return histogram
    bins = _bins(histogram.keys.astype(np.float64)).astype(np.int64)
    keys, counts = summed([(bins, histogram.counts), (bins[:0], histogram.counts[:0])])
    return attrs.evolve(histogram, kind="floats", keys=keys, counts=counts)


def merged_insides(
    a: Mapping[int, Distribution], b: Mapping[int, Distribution]
) -> dict[int, Distribution]:
    """What two second looks found together."""
    both = {
        bin_: Distribution(*summed([(d.values, d.counts) for d in (a[bin_], b[bin_])]))
        for bin_ in a.keys() & b.keys()
    }
    return {**a, **b, **both}


def distribution_of(
    histogram: Histogram, inside: Mapping[int, Distribution] = immutabledict()
) -> Distribution:
    """The distribution that a histogram tells of.

    Integers, and bins of floats that were looked into, are exact; other bins of floats stand for
    one value each, at most 2**-14 of it away from what is in them.
    """
    if histogram.kind == "integers":
        return Distribution(histogram.keys.astype(np.float64), histogram.counts)
    middle = np.clip(_middle(histogram.keys), histogram.low, histogram.high)
    counts = histogram.counts.copy()
    parts = [(d.values, d.counts) for d in inside.values()]
    plain = ~np.isin(histogram.keys, list(inside))
    # of the first and of the last value it is known where in their bins they are
    for edge, value in ((0, histogram.low), (-1, histogram.high)):
        if plain[edge:][:1].any() and counts[edge] > 0:
            counts[edge] -= 1
            parts.append((np.array([value]), np.ones(1, np.int64)))
    plain &= counts > 0
    return Distribution(*summed([*parts, (middle[plain], counts[plain]), (middle[:0], counts[:0])]))


def ranks(count: int, q: float, method: QuantileMethod) -> tuple[int, int, float]:
    """The two ranks between which a quantile lies, and how far it is from the first."""
    if method == "inverted_cdf":
        rank = max(0, math.ceil(q * count - 1))
        return rank, rank, 0.0
    position = q * (count - 1)
    low = math.floor(position)
    return low, min(low + 1, count - 1), position - low


def bins_of_quantile(histogram: Histogram, q: float, method: QuantileMethod) -> set[int]:
    """The bins that have to be looked into for an exact quantile."""
    count = int(histogram.counts.sum())
    if histogram.kind == "integers" or not count:
        return set()
    low, high, _ = ranks(count, q, method)
    places = np.searchsorted(np.cumsum(histogram.counts), [low, high], side="right")
    return {int(histogram.keys[i]) for i in places}


def distribution_from(values: FloatArray, counts: IntArray) -> Distribution:
    """The distribution of values, in any order and some of them equal; NaN does not count."""
    present = ~np.isnan(values)
    parts = [(values[present], counts[present]), (values[:0], counts[:0])]
    return Distribution(*summed(parts))


def quantile(distribution: Distribution, q: float, method: QuantileMethod) -> float:
    """A quantile: a value that occurs (`inverted_cdf`) or one between two of them (`linear`).

    Examples:
        >>> d = Distribution(np.array([1.0, 2.0]), np.array([1, 1]))
        >>> quantile(d, 0.25, "linear"), quantile(d, 0.25, "inverted_cdf")
        (1.25, 1.0)
    """
    count = int(distribution.counts.sum())
    if not count:
        return math.nan
    low, high, part = ranks(count, q, method)
    places = np.searchsorted(np.cumsum(distribution.counts), [low, high], side="right")
    a, b = distribution.values[places].tolist()
    return float(a if part == 0 or a == b else a + (b - a) * part)
