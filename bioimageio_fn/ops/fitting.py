"""`fit`: from a chain to one whose steps have their statistics.

What holds here: each step's statistics are those of the tensor that reaches it at its place; values
that are given are used and never overwritten; there are as few walks through the data as that
allows (see `view`); nothing is stored that was only needed to measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from ..axes import AxisId, MemberId
from ..sample import Sample, Stat, get_member, with_member
from ..stats.compute import compute_sample_measures
from ..stats.measure import Measure
from .chain import Chain, bind_known, is_bound, place
from .records import EnsureDtype, Pointwise, ScaleLinear
from .transform import Step, Transform
from .view import View, computed, measured, pushed, spec_of

__all__ = ["fit"]


def fit(chain: Iterable[Step], sample: Sample, *, unprocessed: Sample | None = None) -> Chain:
    """Bind the statistics of each step, taken of the tensor that reaches it.

    Values that the sample knows (`sample.stat`) are taken instead of measured ones. Steps behind
    the last one that has to be bound are not run.

    Args:
        unprocessed: the sample whose tensors `reference_tensor` names; by default this one.

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
    unprocessed = sample if unprocessed is None else unprocessed
    known = sample.stat
    steps = bind_known(chain, unprocessed=unprocessed, stat=known)
    last = max((i for i, step in enumerate(steps) if not is_bound(step)), default=-1)
    views: dict[MemberId, View] = {}
    for number in range(last + 1):
        step = steps[number]
        with place(number, step):
            if not isinstance(step, Transform):
                sample, views = step(_seen(sample, views)), {}
                continue
            view = views.get(step.member) or View(get_member(sample, step.member))
            step.op.plan(spec_of(view))  # raises where the operation does not fit the tensor
            if step.values is None:
                step, view = _bound(step, view, steps[number + 1 :], known, unprocessed)
                steps = (*steps[:number], step, *steps[number + 1 :])
            views[step.member] = pushed(view, step.op, step.values or ())
    return steps


def _seen(sample: Sample, views: Mapping[MemberId, View]) -> Sample:
    """The sample as it is seen; a plain function wants arrays."""
    for member, view in views.items():
        sample = with_member(sample, member, computed(view).base)
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
        if not isinstance(step.op, Pointwise):
            break
        unbound = step.op.measures(step.member) if step.values is None else ()
        if step is not first:
            for m in unbound:
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
    return isinstance(step.op, Pointwise) and step.op.affine
