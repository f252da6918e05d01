"""Measures of tensors, samples and data sets, computed.

What holds here: results are exact (data are looked at twice where that is needed, see `fold`) and
float64; NaN marks a missing pixel and does not count; of nothing but NaN the result is NaN, with a
`DataWarning`; no copy of an image is made. Statistics are small and are held as NumPy, wherever
the data are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

import numpy as np

from ..errors import OperationError
from ..sample import Sample, get_member
from ..tensor import Tensor
from .fold import check_reduced, finalize, init, look_again, update, warn_of_nan
from .measure import Measure
from .quantiles import are_better_sorted, quantiles_by_sorting

__all__ = [
    "compute_dataset_measures",
    "compute_measures",
    "compute_sample_measures",
    "measure",
]


def measure(tensor: Tensor, wanted: Measure) -> Tensor:
    """The value of a measure of one tensor, with the axes that it keeps, as float64.

    Raises:
        AxesError: if an axis to reduce is not there.
        SizeError: if an axis to reduce has size 0.

    Examples:
        >>> t = Tensor([[1, 2], [3, 5]], "yx")
        >>> measure(t, Measure("mean", "raw", "x")).data.tolist()
        [1.5, 4.0]
        >>> float(measure(t, Measure("quantile", "raw", q=0.5, method="linear")).data)
        2.5
    """
    return compute_sample_measures([wanted], Sample({wanted.member: tensor}))[wanted]


def compute_sample_measures(measures: Iterable[Measure], sample: Sample) -> dict[Measure, Tensor]:
    """The values of measures of one sample.

    Args:
        measures: of either scope; a measure of scope `dataset` is taken of this sample alone.

    Raises:
        UnknownMemberError, AxesError, SizeError: if the sample does not have what is measured.

    Examples:
        >>> sample = Sample({"raw": Tensor([1.0, 2.0, 6.0], "x")})
        >>> measures = [Measure("mean", "raw"), Measure("quantile", "raw", q=1, method="linear")]
        >>> [float(v.data) for v in compute_sample_measures(measures, sample).values()]
        [3.0, 6.0]
    """
    wanted = tuple(dict.fromkeys(measures))
    sortable = [m for m in wanted if m.name == "quantile" and _is_better_sorted(m, sample)]
    folded = _of_samples([m for m in wanted if m not in sortable], [sample])
    found = {**folded, **_by_sorting(sortable, sample)}
    return {m: found[m] for m in wanted}


def compute_dataset_measures(
    measures: Iterable[Measure], dataset: Iterable[Sample]
) -> dict[Measure, Tensor]:
    """The values of measures of many samples taken together.

    Args:
        measures: of scope `dataset`.
        dataset: the samples. One that can be read twice (a list) gives exact quantiles of floats;
            a generator gives them within 2**-14 of the value.

    Returns:
        An empty dict for an empty data set.

    Raises:
        OperationError: if a measure is one of a single sample.

    Examples:
        >>> samples = [Sample({"raw": Tensor([x, x + 2.0], "x")}) for x in (0, 10)]
        >>> mean = Measure("mean", "raw", scope="dataset")
        >>> float(compute_dataset_measures([mean], samples)[mean].data)
        6.0
    """
    wanted = tuple(dict.fromkeys(measures))
    for m in wanted:
        if m.scope != "dataset":
            raise OperationError(
                "this measure belongs to each sample, not to a data set",
                tensor=m.member,
                expected="scope='dataset'",
                got=m,
                remedy="take compute_sample_measures or compute_measures",
            )
    return _of_samples(wanted, dataset)


def compute_measures(
    measures: Iterable[Measure], dataset: Iterable[Sample]
) -> dict[Measure, Tensor]:
    """The values of measures of both scopes: of all samples, and of the last of them.

    Raises:
        OperationError: if there is no sample.
    """
    samples = dataset if isinstance(dataset, Sequence) else tuple(dataset)
    if not samples:
        raise OperationError("an empty data set has no statistics", expected="at least one sample")
    wanted = tuple(dict.fromkeys(measures))
    of_all = compute_dataset_measures((m for m in wanted if m.scope == "dataset"), samples)
    of_last = compute_sample_measures((m for m in wanted if m.scope == "sample"), samples[-1])
    return {m: {**of_all, **of_last}[m] for m in wanted}


def _of_samples(measures: Sequence[Measure], samples: Iterable[Sample]) -> dict[Measure, Tensor]:
    known = reduce(update, samples, init(measures))
    again = look_again(known)
    # an iterator is used up after the first look
    if again is not None and not isinstance(samples, Iterator):
        known = reduce(update, samples, again)
    return finalize(known) if known.parts else {}


def _is_better_sorted(measure: Measure, sample: Sample) -> bool:
    tensor = get_member(sample, measure.member)
    check_reduced(tensor, measure.axes, measure.member)
    return are_better_sorted(tensor, _kept(measure, tensor))


def _kept(measure: Measure, tensor: Tensor) -> list[str]:
    return [a for a in tensor.axes if measure.axes is not None and a not in measure.axes]


def _warn_of_nan(measure: Measure, tensor: Tensor) -> None:
    """A quantile is NaN of nothing but NaN, and between two infinite values."""
    reduced = tuple(i for i, a in enumerate(tensor.axes) if a not in _kept(measure, tensor))
    if np.isnan(np.asarray(tensor)).all(axis=reduced).any():
        warn_of_nan(measure)


def _by_sorting(measures: Sequence[Measure], sample: Sample) -> dict[Measure, Tensor]:
    """Those over the same axes together, so that values are sorted once."""
    found: dict[Measure, Tensor] = {}
    for key in dict.fromkeys((m.member, m.axes) for m in measures):
        group = [m for m in measures if (m.member, m.axes) == key]
        tensor = get_member(sample, key[0])
        kept = _kept(group[0], tensor)
        arrays = quantiles_by_sorting(tensor, kept, group)
        found |= {m: Tensor(array, kept) for m, array in zip(group, arrays, strict=True)}
        if tensor.dtype.startswith("float") and any(np.isnan(array).any() for array in arrays):
            _warn_of_nan(group[0], tensor)
    return found
