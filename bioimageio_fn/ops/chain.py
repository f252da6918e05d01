"""Chains: tuples of steps, and the functions on them.

What holds here: composition is associative and its identity is the empty chain; a bound chain needs
nothing but the sample and runs on blocks; neighbouring pointwise steps run as one pass over their
tensor. How a chain is bound is told in `fitting`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, TypeAlias

import attrs
import toolz
from immutabledict import immutabledict
from toolz import concat

from ..arrays import as_array, is_lazy
from ..axes import AxisId, MemberId
from ..sample import Region, Sample, Stat, get_member, with_member
from ..spec import SampleSpec, TensorSpec, tensor_spec
from ..tensor import PadMode, Tensor
from .kernels import Kernel, result_dtype, run
from .records import is_pointwise
from .transform import Step, Transform, bind, cut

__all__ = [
    "Chain",
    "apply",
    "bind_known",
    "block_safe_from",
    "compose",
    "cut_chain",
    "in_memory",
    "is_bound",
    "is_joinable",
    "kernels_of",
    "place",
    "plan",
]

Chain: TypeAlias = tuple[Step, ...]


def compose(*steps: Step | Iterable[Step]) -> Chain:
    """One chain of steps and chains, in the order in which they run.

    Examples:
        >>> from bioimageio_fn.ops.records import ScaleLinear, Sigmoid
        >>> a, b = Transform(ScaleLinear(2.0), "raw"), Transform(Sigmoid(), "raw")
        >>> compose(a, compose(b)) == compose(compose(a), b) == (a, b)
        True
        >>> compose()
        ()
    """
    return tuple(concat((step,) if callable(step) else step for step in steps))


def apply(chain: Iterable[Step], sample: Sample, *, lost: set[str] | None = None) -> Sample:
    """Run the steps of a chain on a sample, one after the other.

    Neighbouring pointwise steps on one tensor are joined: what lies between them is not stored, and
    affine maps become one.

    Args:
        lost: takes the names of types to which casts changed values, for a caller who says it once
            for many samples; if it is not given, a `CastWarning` says it.

    Raises:
        NotFittedError: if a step needs statistics that are not bound.

    Examples:
        >>> from bioimageio_fn.ops.records import ScaleLinear
        >>> from bioimageio_fn.tensor import Tensor
        >>> sample = Sample({"raw": Tensor([1.0, 2.0], "x")})
        >>> apply([Transform(ScaleLinear(2.0), "raw")] * 2, sample)["raw"].data.tolist()
        [4.0, 8.0]
    """
    for joinable, group in groupby(enumerate(chain), is_joinable):
        steps = list(group)
        if joinable:
            # steps on different tensors may change places
            for member, mine in toolz.groupby(_member, steps).items():
                sample = _run_together(member, mine, sample, lost)
            continue
        for number, step in steps:
            with place(number, step):
                sample = step(sample if isinstance(step, Transform) else in_memory(sample))
    return sample


def in_memory(sample: Sample) -> Sample:
    """A sample for a function that is no `Transform`, which may know of nothing but arrays."""
    lazy = {name: t for name, t in sample.members.items() if is_lazy(t.data)}
    read = {name: Tensor(as_array(t.data), t.axes, t.calibration) for name, t in lazy.items()}
    return attrs.evolve(sample, members={**sample.members, **read}) if read else sample


def is_joinable(numbered: tuple[int, Step]) -> bool:
    """Whether a step is a bound pointwise one, whose neighbours may join it."""
    _, step = numbered
    return isinstance(step, Transform) and is_pointwise(step.op) and step.values is not None


def _member(numbered: tuple[int, Any]) -> MemberId:
    member: MemberId = numbered[1].member
    return member


def _run_together(
    member: MemberId, steps: Sequence[tuple[int, Any]], sample: Sample, lost: set[str] | None
) -> Sample:
    """Bound pointwise steps of one tensor as one pass over it."""
    with place(*steps[0]):
        tensor = get_member(sample, member)
    result = run(kernels_of(steps, tensor_spec(tensor)), tensor.data, lost=lost)
    return with_member(sample, member, Tensor(result, tensor.axes, tensor.calibration))


def kernels_of(steps: Iterable[tuple[int, Any]], spec: TensorSpec) -> list[Kernel]:
    """The kernels of numbered bound pointwise steps, for a tensor that reaches the first of them.

    Raises:
        AxesError, OperationError: if a step does not fit what reaches it.
    """
    kernels: list[Kernel] = []
    for number, step in steps:
        with place(number, step):
            seen = attrs.evolve(spec, dtype=result_dtype(kernels, spec.dtype))
            step.op.plan(seen)  # raises where the operation does not fit the tensor
            kernels.append(step.op.kernel(seen, *step.values))
    return kernels


@contextmanager
def place(number: int, step: Step) -> Iterator[None]:
    """Let errors say in which step of a chain they occurred."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in step {number} of the chain: {step!r}")
        raise


def plan(chain: Iterable[Step], spec: SampleSpec) -> SampleSpec:
    """What a sample looks like behind a chain, without running it.

    Raises:
        UnknownMemberError, AxesError, OperationError: if a step does not fit what reaches it.
    """
    for number, step in enumerate(chain):
        if isinstance(step, Transform):
            with place(number, step):
                spec = step.plan(spec)
    return spec


def is_bound(step: Step) -> bool:
    """Whether a step needs no statistics any more."""
    return not isinstance(step, Transform) or step.values is not None


def bind_known(
    chain: Iterable[Step],
    *,
    unprocessed: Sample,
    stat: Stat,
    scopes: Collection[str] = ("sample", "dataset"),
) -> Chain:
    """Bind the steps whose statistics are given, or are those of the unprocessed inputs.

    Args:
        scopes: of the statistics that may be taken of the unprocessed inputs.
    """
    given = attrs.evolve(unprocessed, stat={**unprocessed.stat, **stat})

    def is_known(step: Step) -> bool:
        return isinstance(step, Transform) and (
            all(m in given.stat for m in step.op.measures(step.member))
            and all(m in given.stat or m.scope in scopes for m in step.op.references)
        )

    def known(step: Step) -> Step:
        if not isinstance(step, Transform) or not is_known(step):
            return step
        return bind(step, given, given)

    return tuple(map(known, chain))


def block_safe_from(chain: Iterable[Step], split: Mapping[MemberId, Collection[AxisId]]) -> int:
    """The place in a chain from which on every step may run on blocks.

    Args:
        split: for each tensor, the axes along which it is cut into blocks.

    Returns:
        Number of leading steps that have to run on the whole sample.
    """
    steps = tuple(chain)
    unsafe = [i for i, step in enumerate(steps) if not _is_safe(step, split)]
    return max(unsafe, default=-1) + 1


def _is_safe(step: Step, split: Mapping[MemberId, Collection[AxisId]]) -> bool:
    if not isinstance(step, Transform):
        return not any(split.values())
    return is_bound(step) and not set(step.whole_axes) & set(split.get(step.member, ()))


def cut_chain(
    chain: Iterable[Step],
    regions: Mapping[MemberId, Region],
    modes: Mapping[MemberId, PadMode] = immutabledict(),
) -> Chain:
    """A bound chain for one block; see `cut`."""
    return tuple(cut(s, regions, modes) if isinstance(s, Transform) else s for s in chain)
