"""`fit`: from a chain to one whose steps have their statistics.

What holds here: each step's statistics are those of the tensor that reaches it at its place; values
that are given are used and never overwritten; there are as few walks through the data as that
allows (see `view`); nothing is stored that was only needed to measure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs
import numpy as np
from immutabledict import immutabledict
from toolz import peek

from ..axes import AxisId, MemberId
from ..errors import NotFittedError, OperationError
from ..sample import Sample, SampleBlock, Stat, get_member, with_member
from ..stats.compute import compute_sample_measures
from ..stats.fold import Statistics, finalize, init, look_again, update
from ..stats.measure import Measure
from ..tensor import Tensor
from .chain import Chain, bind_known, cut_chain, in_memory, is_bound, place
from .records import EnsureDtype, ScaleLinear, is_pointwise
from .transform import Step, Transform
from .view import View, computed, lazy_tensor, measured, pushed, spec_of

__all__ = ["Running", "carried", "fit", "gathered", "processed"]

Item: TypeAlias = Sample | SampleBlock
Running: TypeAlias = Mapping[int, Statistics]
"""What is known of the data so far, by the number of the step that asks for it."""


def fit(
    chain: Iterable[Step],
    data: Sample | Iterable[Item],
    *,
    unprocessed: Sample | Iterable[Item] | None = None,
) -> Chain:
    """Bind the statistics of each step, taken of the tensor that reaches it.

    Steps behind the last one that has to be bound are not run.

    Args:
        data: a sample; or the blocks of one, which bind the same; or many samples, which bind the
            steps that measure a data set, each by all samples together. Values that a sample knows
            (`sample.stat`) are taken instead of measured ones. Blocks and samples are read again
            where a chain needs that: a list can be, a generator can not.
        unprocessed: the sample (or samples) whose tensors `reference_tensor` names; by default
            those of `data`.

    Raises:
        NotFittedError: if a generator would have to be read again.

    Examples:
        >>> from bioimageio_fn.ops.chain import apply
        >>> from bioimageio_fn.ops.records import ScaleLinear, ZeroMeanUnitVariance
        >>> from bioimageio_fn.tensor import Tensor
        >>> chain = [Transform(ScaleLinear(100.0, 5.0), "raw"),
        ...          Transform(ZeroMeanUnitVariance(), "raw")]
        >>> sample = Sample({"raw": Tensor([1.0, 3.0], "x")})
        >>> apply(fit(chain, sample), sample)["raw"].data.round(3).tolist()
        [-1.0, 1.0]
    """
    if isinstance(data, Sample):
        source = unprocessed if isinstance(unprocessed, Sample) else data
        steps = bind_known(chain, unprocessed=source, stat=data.stat)
        return _walked(steps, data, source, data.stat, upto=_last_open(steps), lost=set()).steps
    if isinstance(unprocessed, Sample):
        raise OperationError("many samples have many unprocessed samples", got=unprocessed)
    return gathered(chain, data, unprocessed=unprocessed)[0]


@attrs.frozen
class _Walked:
    """A chain, and how far a sample went through it."""

    steps: Chain
    sample: Sample
    views: Mapping[MemberId, View]

    def view(self, member: MemberId) -> View:
        return self.views.get(member) or View(get_member(self.sample, member))


def _walked(
    steps: Chain,
    sample: Sample,
    unprocessed: Sample,
    known: Stat,
    *,
    upto: int,
    running: dict[int, Statistics] | None = None,
    lost: set[str] | None,
) -> _Walked:
    """Bind steps on the way.

    Args:
        upto: how many steps are walked through.
        running: what is known of the samples before; this one joins them. None if data set
            statistics are those of this sample.
        lost: as of `kernels.run`; a new set where the steps will be run again.
    """
    at = _Walked(steps, sample, {})
    for number in range(upto):
        step = at.steps[number]
        with place(number, step):
            if not isinstance(step, Transform):
                at = _Walked(at.steps, step(in_memory(_seen(at, lost=lost))), {})
                continue
            view = at.view(step.member)
            step.op.plan(spec_of(view))  # raises where the operation does not fit the tensor
            if step.values is None and running is not None and _measures_data_set(step):
                before = running.get(number, init(step.measures))
                running[number] = update(before, _measured_of(step, view, sample, unprocessed))
                step = _with_values(step, running[number], known)
            elif step.values is None:
                step, view = _bound(step, view, at.steps[number + 1 :], known, unprocessed)
            view = pushed(view, step.op, step.values or (), lost=lost)
            steps = _replaced(at.steps, number, step)
            at = _Walked(steps, at.sample, {**at.views, step.member: view})
    return at


def _last_open(steps: Chain) -> int:
    """How many steps have to be walked through to bind all."""
    return max((i + 1 for i, step in enumerate(steps) if not is_bound(step)), default=0)


def _measures_data_set(step: Transform) -> bool:
    return any(m.scope == "dataset" for m in step.measures)


def _measured_of(step: Transform, view: View, sample: Sample, unprocessed: Sample) -> Sample:
    """What a step measures: its tensor as it reaches it, and references."""
    members = {m.member: get_member(unprocessed, m.member) for m in step.op.references}
    if step.op.measures(step.member):
        members[step.member] = lazy_tensor(view)
    return attrs.evolve(sample, members=members)


def _replaced(steps: Chain, number: int, step: Step) -> Chain:
    return (*steps[:number], step, *steps[number + 1 :])


def _seen(at: _Walked, *, lost: set[str] | None) -> Sample:
    """The sample as it is seen, with its tensors computed."""
    sample = at.sample
    for member, view in at.views.items():
        sample = with_member(sample, member, computed(view, lost=lost).base)
    return sample


def _bound(
    step: Transform, view: View, behind: Sequence[Step], known: Stat, unprocessed: Sample
) -> tuple[Transform, View]:
    """The step with its statistics, and the view that knows what was measured."""
    own, references = step.op.measures(step.member), step.op.references
    wanted = [m for m in own if m not in known]
    ahead, beyond = _coming(view, step, behind)
    values, view = measured(view, wanted, ahead, beyond)
    there = compute_sample_measures([m for m in references if m not in known], unprocessed)
    of_own = dict(known) | dict(zip(wanted, values, strict=True))
    of_references = dict(known) | dict(there)
    bound = [*(of_own[m] for m in own), *(of_references[m] for m in references)]
    return attrs.evolve(step, values=bound), view


def _coming(
    view: View, first: Transform, behind: Iterable[Step]
) -> tuple[list[Measure], list[Measure]]:
    """What coming steps will ask for behind affine steps alone, and behind other pointwise ones.

    This only saves walks: whatever does not come true is measured when it is asked for.
    """
    ahead: list[Measure] = []
    beyond: list[Measure] = []
    affine = True
    varying: set[AxisId] = set()
    for step in (first, *behind):
        if not isinstance(step, Transform):
            break
        if step.member != first.member:
            continue
        if not is_pointwise(step.op):
            break
        unbound = step.op.measures(step.member) if step.values is None else ()
        if step is not first:
            for m in unbound:
                if not set(m.axes or ()) <= set(view.base.axes):
                    return ahead, beyond  # its own turn will say so
                through = affine and not varying & set(view.base.axes if m.axes is None else m.axes)
                (ahead if through else beyond).append(m)
        kept = [a for m in unbound if m.axes is not None for a in view.base.axes if a not in m.axes]
        varying |= {*kept, *step.whole_axes}
        varying |= {a for value in step.values or () for a in value.axes}
        affine = affine and _keeps_order(step)
    return ahead, beyond


def _keeps_order(step: Transform) -> bool:
    """Whether a step is affine with a factor above 0, or a cast that may change no value."""
    if isinstance(step.op, EnsureDtype):
        return "float" in step.op.dtype
    if isinstance(step.op, ScaleLinear):
        gain = step.op.gain
        return min(gain if isinstance(gain, tuple) else (gain,)) >= 0
    return is_pointwise(step.op) and step.op.affine


# ---------------------------------------------------------------- many samples, or many blocks


def gathered(
    chain: Iterable[Step],
    data: Iterable[Item],
    *,
    unprocessed: Iterable[Item] | None = None,
    stat: Stat | None = None,
) -> tuple[Chain, Running]:
    """The chain as of `fit`, and the statistics from which `carried` can go on.

    Steps are bound one after the other: each costs a look at the data, or two if it asks for
    quantiles of floats and the data can be read again.

    Args:
        stat: values that are given; they are taken instead of measured ones.

    Raises:
        NotFittedError: if data that can be read only once would have to be read again.
        OperationError: if there are no data.
    """
    once = iter(data) is data or (unprocessed is not None and iter(unprocessed) is unprocessed)
    try:
        first, data = peek(data) if once else (next(iter(data)), data)
    except StopIteration:
        raise OperationError("an empty data set has no statistics", expected="a sample") from None
    scopes = ("sample", "dataset") if isinstance(first, SampleBlock) else ("dataset",)
    given = {} if stat is None else stat
    steps, running = _given(chain, given), dict[int, Statistics]()
    absent: set[int] = set()
    while (found := _first_open(steps, scopes, absent)) is not None:
        number, step = found
        if (running or absent) and once:
            raise _read_again(step)
        known = first_look = _looked(steps[:number], step, init(step.measures), data, unprocessed)
        if not known.parts:  # of an optional tensor that no sample has
            absent.add(number)
            continue
        if not once and (again := look_again(known)) is not None:
            known = _looked(steps[:number], step, again, data, unprocessed)
        running[number] = first_look
        steps = _replaced(steps, number, _with_values(step, known, given))
    return steps, immutabledict(running)


def carried(
    chain: Iterable[Step],
    sample: Sample,
    running: Running,
    *,
    unprocessed: Sample | None = None,
) -> tuple[Chain, Running]:
    """Bind a chain to a sample, its data set statistics to all samples so far and this one.

    The fold behind running statistics: `chain, running = carried(chain, sample, running)` for one
    sample after the other. Their order matters: each is processed by what was known then. Quantiles
    of floats are within 2**-14 of exact.

    Args:
        running: what the call for the sample before gave; `{}` for the first.
        unprocessed: as of `fit`.
    """
    source = sample if unprocessed is None else unprocessed
    steps, known = _given(chain, sample.stat), dict(running)
    steps = bind_known(steps, unprocessed=source, stat=sample.stat, scopes=("sample",))
    at = _walked(
        steps, sample, source, sample.stat, upto=_last_open(steps), running=known, lost=set()
    )
    return at.steps, immutabledict(known)


def processed(
    chain: Iterable[Step],
    sample: Sample,
    running: Running | None = None,
    *,
    unprocessed: Sample | None = None,
    lost: set[str] | None = None,
) -> tuple[dict[MemberId, View], Running]:
    """Bind a chain and run it in one walk: each step runs once, also in front of measured ones.

    Args:
        running: as of `carried`; None if data set statistics are those of this sample.
        unprocessed: as of `fit`.
        lost: as of `apply`.

    Returns:
        What `apply` gives behind `fit` (or `carried`), of which what nobody had to measure is still
        to be computed; and what is known of the samples so far.
    """
    source = sample if unprocessed is None else unprocessed
    scopes = ("sample", "dataset") if running is None else ("sample",)
    steps = bind_known(chain, unprocessed=source, stat=sample.stat, scopes=scopes)
    known = None if running is None else dict(running)
    at = _walked(steps, sample, source, sample.stat, upto=len(steps), running=known, lost=lost)
    return {name: at.view(name) for name in at.sample.members}, immutabledict(known or {})


def _first_open(
    steps: Chain, scopes: Collection[str], absent: Collection[int]
) -> tuple[int, Transform] | None:
    """The first step whose statistics, of these scopes, are not bound and can be."""
    for number, step in enumerate(steps):
        if isinstance(step, Transform) and step.values is None and number not in absent:  # noqa: SIM102
            if any(m.scope in scopes for m in step.measures):
                return number, step
    return None


def _looked(
    before: Chain,
    step: Transform,
    known: Statistics,
    data: Iterable[Item],
    unprocessed: Iterable[Item] | None,
) -> Statistics:
    """What is known after all that reaches a step was seen."""
    pairs = ((d, d) for d in data) if unprocessed is None else zip(data, unprocessed, strict=True)
    with place(len(before), step):
        for item, source in pairs:
            if _has(item, step.member):
                known = update(known, _reaching(before, step, item, source))
    return known


def _has(item: Item, member: MemberId) -> bool:
    """Whether a sample has a tensor, which may be optional."""
    return member in (item if isinstance(item, Sample) else item.sample).members


def _reaching(steps: Chain, step: Transform, item: Item, source: Item) -> Item:
    """What a step measures of a sample or block: its tensor behind these steps, and references."""
    sample, unprocessed = (d if isinstance(d, Sample) else d.sample for d in (item, source))
    before = steps if isinstance(item, Sample) else cut_chain(steps, item.meta.regions)
    before = bind_known(before, unprocessed=unprocessed, stat=sample.stat)
    before = tuple(s for s in before if not isinstance(s, Transform) or _has(item, s.member))
    if step.op.measures(step.member):
        at = _walked(before, sample, unprocessed, sample.stat, upto=len(before), lost=set())
        view = at.view(step.member)
    else:
        view = View(Tensor(np.zeros(()), ()))  # only references are measured
    reaching = _measured_of(step, view, sample, unprocessed)
    return reaching if isinstance(item, Sample) else attrs.evolve(item, sample=reaching)


def _given(chain: Iterable[Step], stat: Stat) -> Chain:
    """The chain with the steps bound all of whose statistics are given."""
    return bind_known(chain, unprocessed=Sample({}), stat=stat, scopes=())


def _with_values(step: Transform, known: Statistics, given: Stat) -> Transform:
    values = dict(finalize(known)) | dict(given)
    return attrs.evolve(step, values=[values[m] for m in step.measures])


def _read_again(step: Transform) -> NotFittedError:
    return NotFittedError(
        "these statistics need another look at the data",
        tensor=step.member,
        step=step.op.name,
        expected="data that can be read again",
        got="a generator",
        remedy="give a list, or anything else that can be iterated over twice",
    )
