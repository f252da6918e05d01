"""Statistics as folds: `init`, `update`, `merge`, `finalize`.

What holds here: an update reads each pixel once, whatever is measured; `merge` is associative and
commutative, so any partition of the data, in any order, gives the same values (quantiles exactly,
means and deviations but for rounding in float64); states never change, and pickle.

Quantiles of integers are exact. Those of floats are within 2**-14 (about 6e-5) of exact, relative
to the value, after one look at the data; data that can be looked at twice make them exact too:

    statistics = reduce(update, samples, init(measures))
    statistics = reduce(update, samples, look_again(statistics))
    values = finalize(statistics)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np
from immutabledict import immutabledict

from ..axes import AxisId, MemberId
from ..errors import AxesError, DataWarning, OperationError, SizeError
from ..sample import Region, Sample, SampleBlock, get_member
from ..tensor import Tensor, crop
from . import histogram as h
from .measure import Measure
from .moments import FloatArray, Moments, merged, moments_of, no_moments, variance
from .parts import (
    Cells,
    Part,
    distributions_of,
    filled,
    mapped,
    merged_parts,
    moments_of_part,
)
from .walk import Key, pieces, reads, rows, within

__all__ = [
    "Statistics",
    "check_reduced",
    "distributions",
    "finalize",
    "init",
    "look_again",
    "merge",
    "update",
    "warn_of_nan",
]

Axes: TypeAlias = tuple[AxisId, ...] | None
Group: TypeAlias = tuple[MemberId, Axes]


@attrs.frozen(eq=False)
class Statistics:
    """What is known so far of some measures.

    Args:
        measures: what is asked for.
        parts: what was gathered, by tensor and reduced axes.
        first: what the first look found, if this is the second.
    """

    measures: tuple[Measure, ...]
    parts: Mapping[Group, Part] = immutabledict()
    first: Statistics | None = None

    def __eq__(self, other: object) -> bool:
        """Whether both ask for the same and tell the same."""
        if not isinstance(other, Statistics):
            return NotImplemented
        asked = (self.measures, self.parts.keys()) == (other.measures, other.parts.keys())
        return asked and (not self.parts or finalize(self) == finalize(other))

    __hash__ = None  # type: ignore[assignment]


# ---------------------------------------------------------------- the fold


def init(measures: Iterable[Measure]) -> Statistics:
    """Nothing known yet: the identity of `merge`.

    Args:
        measures: of one or several tensors; those over the same axes share their work.
    """
    return Statistics(tuple(dict.fromkeys(measures)))


def update(statistics: Statistics, data: Sample | SampleBlock) -> Statistics:
    """Take the pixels of one more sample, or of one more block of a sample, into account.

    Of a block its own pixels count, not its halo and not its padding.

    Raises:
        UnknownMemberError: if a tensor that is measured is not there.
        AxesError: if it lacks an axis that is measured over.
        SizeError: if such an axis is empty, or samples differ in the size of an axis that is kept.

    Examples:
        >>> from functools import reduce
        >>> samples = [Sample({"raw": Tensor(x, "x")}) for x in ([1.0, 2.0], [6.0])]
        >>> known = reduce(update, samples, init([Measure("mean", "raw")]))
        >>> {m.name: float(v.data) for m, v in finalize(known).items()}
        {'mean': 3.0}
    """
    sample, regions = (data, {}) if isinstance(data, Sample) else (data.sample, data.meta.regions)
    groups: dict[MemberId, list[Group]] = {}
    for group in _groups(statistics.measures):
        groups.setdefault(group[0], []).append(group)
    found: dict[Group, Part] = {}
    for member, its in groups.items():
        tensor, start = _own(get_member(sample, member), regions.get(member, {}))
        looks = {
            group: _look_at(look, statistics, group, tensor, start)
            for group in its
            if (look := _look(statistics, group)) is not None
        }
        parts = gather(tensor, list(looks.values()), member)
        for group, part in zip(looks, parts, strict=True):
            if isinstance(data, Sample):
                _check_sizes(statistics.parts.get(group), part, member)
            found[group] = attrs.evolve(part, start=tuple(start.get(a, 0) for a in part.kept))
    return merge(statistics, attrs.evolve(statistics, parts=immutabledict(found)))


def merge(a: Statistics, b: Statistics) -> Statistics:
    """What is known of the data of both.

    Raises:
        OperationError: if they do not measure the same.
    """
    if set(a.measures) != set(b.measures):
        raise OperationError(
            "only statistics of the same measures can be merged",
            expected=a.measures,
            got=b.measures,
        )
    parts = {
        group: merged_parts(a.parts.get(group), b.parts.get(group))
        for group in {**a.parts, **b.parts}
    }
    return attrs.evolve(a, parts=immutabledict(parts))


def look_again(statistics: Statistics) -> Statistics | None:
    """The fold of a second look at the same data, which makes quantiles of floats exact.

    Returns:
        None if there is nothing to look for.
    """
    again = Statistics(statistics.measures, first=statistics)
    if statistics.first is not None or not any(_look(again, g) for g in statistics.parts):
        return None
    return again


def finalize(statistics: Statistics) -> dict[Measure, Tensor]:
    """The values of the measures, as float64 with the axes that are kept.

    Raises:
        OperationError: if no data were taken into account.

    Warns:
        DataWarning: if a tensor held nothing but NaN where it was measured; its value is NaN.
    """
    return {m: _value(statistics, m) for m in statistics.measures}


def distributions(statistics: Statistics, member: MemberId, axes: Axes) -> Cells:
    """The distribution of each cell of a tensor whose quantiles over these axes are measured."""
    part = statistics.parts[member, axes]
    return mapped(part.histograms, h.distribution_of)


def _value(statistics: Statistics, measure: Measure) -> Tensor:
    group = (measure.member, measure.axes)
    part = (statistics.first or statistics).parts.get(group)
    if part is None:
        raise OperationError(
            "nothing was measured",
            tensor=measure.member,
            expected="at least one sample",
            remedy="update the statistics first",
        )
    again = statistics.parts.get(group) if statistics.first is not None else None
    inside = None if again is None else again.inside
    values, count = _values(part, inside, measure)
    if (count == 0).any():
        warn_of_nan(measure)
    return Tensor(values, part.kept)


def warn_of_nan(measure: Measure) -> None:
    """Say that there was nothing to measure somewhere."""
    warnings.warn(
        f"tensor '{measure.member}' holds nothing but NaN where its {measure.name} is taken",
        DataWarning,
        stacklevel=5,
    )


def _values(part: Part, inside: Cells | None, measure: Measure) -> tuple[FloatArray, FloatArray]:
    """The values of a measure, and of how many pixels each of them is."""
    if measure.name != "quantile":
        moments = moments_of_part(part)
        if measure.name == "mean":
            return np.where(moments.count > 0, moments.mean, np.nan), moments.count
        var = variance(moments)
        return (var if measure.name == "var" else np.sqrt(var)), moments.count
    values, counts = np.full(part.shape, np.nan), np.zeros(part.shape)
    for cell, distribution in distributions_of(part, inside):
        counts[cell] = distribution.counts.sum()
        values[cell] = h.quantile(distribution, *measure.quantile)
    return values, counts


# ---------------------------------------------------------------- one walk through one tensor


@attrs.frozen(eq=False)
class _Look:
    """What to look for: moments, histograms, or the insides of bins, over some axes."""

    axes: Axes
    moments: bool = False
    histograms: bool = False
    bins: Cells | None = None


def _groups(measures: Iterable[Measure]) -> tuple[Group, ...]:
    return tuple(dict.fromkeys((m.member, m.axes) for m in measures))


def _look(statistics: Statistics, group: Group) -> _Look | None:
    if statistics.first is not None:
        bins = _bins_wanted(statistics.first, group)
        return _Look(group[1], bins=bins) if bins is not None and any(bins.flat) else None
    names = {m.name for m in statistics.measures if (m.member, m.axes) == group}
    return _Look(group[1], moments=names != {"quantile"}, histograms="quantile" in names)


def _look_at(
    look: _Look, statistics: Statistics, group: Group, tensor: Tensor, start: Mapping[AxisId, int]
) -> _Look:
    """The look at a block: the bins of the cells that lie in it."""
    if look.bins is None or statistics.first is None:
        return look
    part = statistics.first.parts[group]
    firsts = [start.get(axis, 0) - own for axis, own in zip(part.kept, part.start, strict=True)]
    sizes = [tensor.sizes[axis] for axis in part.kept]
    where = (slice(n, n + size) for n, size in zip(firsts, sizes, strict=True))
    return attrs.evolve(look, bins=look.bins[(*where, ...)])


def _bins_wanted(first: Statistics, group: Group) -> Cells | None:
    """For each cell the bins of floats that have to be looked into."""
    part = first.parts[group]
    if part.histograms is None:
        return None
    wanted = [m for m in first.measures if (m.member, m.axes) == group and m.name == "quantile"]
    bins = np.empty(part.shape, object)
    for cell in np.ndindex(part.shape):
        histogram = part.histograms[cell]
        each = (h.bins_of_quantile(histogram, *m.quantile) for m in wanted)
        bins[cell] = frozenset().union(*each)
    return bins


def gather(tensor: Tensor, looks: Sequence[_Look], member: MemberId) -> list[Part]:
    """Walk through a tensor once, and find what each look asks for."""
    if not looks:
        return []
    for look in looks:
        check_reduced(tensor, look.axes, member)
    collectors = [_Collector(tensor, look) for look in looks]
    for key, block in reads(tensor.data, getattr(tensor.data, "whole", ())):
        for piece in pieces(block):
            values = block[piece]
            place = within(key, piece)
            for collector in collectors:
                collector.add(place, values)
    return [collector.part() for collector in collectors]


def check_reduced(tensor: Tensor, axes: Axes, member: MemberId) -> None:
    """Refuse to measure over axes that are not there, or are empty."""
    for axis in tensor.axes if axes is None else axes:
        if axis not in tensor.axes:
            raise AxesError(
                "this axis can not be measured over: the tensor has none of that name",
                tensor=member,
                axis=axis,
                expected=f"one of {', '.join(tensor.axes)}",
            )
        if tensor.sizes[axis] == 0:
            raise SizeError("an empty axis has no statistics", tensor=member, axis=axis, got=0)


class _Collector:
    """Gathers a part in place while one tensor is walked through; nobody else sees it."""

    def __init__(self, tensor: Tensor, look: _Look) -> None:
        reduced = tensor.axes if look.axes is None else look.axes
        self.positions = [i for i, axis in enumerate(tensor.axes) if axis not in reduced]
        self.kept = tuple(tensor.axes[i] for i in self.positions)
        shape = tuple(tensor.shape[i] for i in self.positions)
        dtype = np.dtype(tensor.dtype)
        self.counting = self.looking = self.moments = None
        if (bins := look.bins) is not None:
            self.looking = filled(shape, lambda cell: h.Looking(bins[cell]))
        if look.histograms:
            self.counting = filled(shape, lambda _: h.Counting(dtype))
        # counts of integers tell their moments too
        if look.moments and not (look.histograms and h.is_exact(dtype)):
            self.moments = no_moments(shape)

    def add(self, place: Key, values: np.ndarray[Any, Any]) -> None:
        where = tuple(place[i] for i in self.positions)
        matrix = rows(values, self.positions)
        if self.moments is not None:
            total = self.moments
            have = Moments(total.count[where], total.mean[where], total.m2[where])
            new = moments_of(matrix)
            shape = have.count.shape
            new = Moments(*(a.reshape(shape) for a in (new.count, new.mean, new.m2)))
            new = merged(have, new)
            total.count[where], total.mean[where], total.m2[where] = new.count, new.mean, new.m2
        for cells in (self.counting, self.looking):
            if cells is not None:
                for cell, row in zip(cells[(*where, ...)].flat, matrix, strict=True):
                    cell.add(row)

    def part(self) -> Part:
        start = (0,) * len(self.kept)
        counted = None if self.counting is None else mapped(self.counting, h.Counting.histogram)
        inside = None if self.looking is None else mapped(self.looking, h.Looking.found)
        return Part(self.kept, start, self.moments, counted, inside)


def _own(tensor: Tensor, region: Region) -> tuple[Tensor, dict[AxisId, int]]:
    """The pixels that are a block's own, and where they start."""
    widths = {
        axis: (b.start - b.outer_start, b.outer_stop - b.stop + b.padding)
        for axis, b in region.items()
    }
    return crop(tensor, widths), {axis: b.start for axis, b in region.items()}


def _check_sizes(known: Part | None, new: Part, member: MemberId) -> None:
    if known is None:
        return
    if (known.kept, known.shape) != (new.kept, new.shape):
        raise SizeError(
            "samples differ in an axis that the statistics keep",
            tensor=member,
            expected=dict(zip(known.kept, known.shape, strict=True)),
            got=dict(zip(new.kept, new.shape, strict=True)),
            remedy="measure over that axis too, or bring the samples to one size",
        )
