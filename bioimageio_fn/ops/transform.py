"""`Transform`: an operation lifted to samples.

What holds here: a transform is a value and a function at once (readable, equal, picklable,
callable); a bound one needs nothing but the sample; `plan` says what `__call__` will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import attrs
from immutabledict import immutabledict

from ..axes import AxisId, MemberId
from ..errors import NotFittedError, OperationError, UnknownMemberError
from ..sample import AxisBlock, Region, Sample, get_member, part_of, with_member
from ..spec import SampleSpec, tensor_spec
from ..stats.compute import compute_sample_measures
from ..stats.measure import Measure
from ..tensor import PadMode, Tensor
from .records import Operation

__all__ = ["Step", "Transform", "bind", "cut"]

Step: TypeAlias = Callable[[Sample], Sample]
"""A step of a chain: a `Transform`, or any function from sample to sample.

A function that is not a `Transform` is taken to need the whole sample and to keep its spec.
"""


def _values(values: Iterable[Tensor] | None) -> tuple[Tensor, ...] | None:
    return None if values is None else tuple(values)


@attrs.frozen
class Transform:
    """An operation on one member of a sample.

    Args:
        op: the operation.
        member: the tensor that it works on.
        values: the statistics that it needs, in the order of `measures`; None until they are
            bound by `fit`. An operation without measures is bound from the start.

    Examples:
        >>> from bioimageio_fn.ops.records import Sigmoid
        >>> Transform(Sigmoid(), "probability")
        Transform(op=Sigmoid(), member='probability', values=())
    """

    op: Operation = attrs.field()
    member: MemberId = attrs.field(converter=MemberId)
    values: tuple[Tensor, ...] | None = attrs.field(converter=_values)

    @op.validator
    def _is_operation(self, _: object, op: object) -> None:
        if not isinstance(op, Operation):
            raise OperationError(
                "a transform is made of an operation",
                tensor=self.member,
                expected="a record such as Sigmoid()",
                got=repr(op),
            )

    @values.validator
    def _one_for_each_measure(self, _: object, values: tuple[Tensor, ...] | None) -> None:
        kinds = values is None or all(isinstance(v, Tensor) for v in values)
        if not kinds or (values is not None and len(values) != len(self.measures)):
            raise OperationError(
                "a transform is bound by one tensor for each of its measures",
                tensor=self.member,
                step=self.op.name,
                expected=", ".join(m.name for m in self.measures) or "none",
                got=values,
            )

    @values.default
    def _nothing_to_measure(self) -> tuple[Tensor, ...] | None:
        return None if self.measures else ()

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The statistics that the operation needs: of its tensor, then of a reference tensor."""
        return (*self.op.measures(self.member), *self.op.references)

    @property
    def whole_axes(self) -> tuple[AxisId, ...]:
        """Axes along which it can not run on a part of the tensor."""
        return self.op.whole_axes

    def plan(self, spec: SampleSpec) -> SampleSpec:
        """The spec of the result, without data.

        Raises:
            UnknownMemberError: if the tensor is not there.
            AxesError, OperationError: if the operation does not fit the tensor.
        """
        if self.member not in spec.members:
            raise UnknownMemberError(
                "no such tensor in this sample",
                tensor=self.member,
                step=self.op.name,
                expected=f"one of {', '.join(spec.members)}",
            )
        return SampleSpec({**spec.members, self.member: self.op.plan(spec.members[self.member])})

    def __call__(self, sample: Sample) -> Sample:
        """The sample with the operation's result in place of the tensor.

        Raises:
            NotFittedError: if its statistics are not bound.
        """
        if self.values is None:
            raise NotFittedError(
                "this transform needs statistics",
                tensor=self.member,
                step=self.op.name,
                expected=", ".join(str(m.name) for m in self.measures),
                remedy="bind them with fit(chain, sample)",
            )
        tensor = get_member(sample, self.member)
        self.op.plan(tensor_spec(tensor))  # raises where the operation does not fit the tensor
        return with_member(sample, self.member, self.op.apply(tensor, *self.values))


def bind(transform: Transform, sample: Sample, unprocessed: Sample) -> Transform:
    """Give a transform its statistics: those known to the sample, else measured ones.

    Args:
        sample: the sample as it reaches this transform.
        unprocessed: the sample that went into the pipeline, which reference tensors mean.
    """
    if transform.values is not None:
        return transform
    own, references = transform.op.measures(transform.member), transform.op.references
    found = compute_sample_measures([m for m in own if m not in sample.stat], sample)
    found_there = compute_sample_measures(
        [m for m in references if m not in sample.stat], unprocessed
    )
    values = [
        sample.stat[m] if m in sample.stat else source[m]
        for source, measures in ((found, own), (found_there, references))
        for m in measures
    ]
    return attrs.evolve(transform, values=values)


def cut(
    transform: Transform,
    regions: Mapping[MemberId, Region],
    modes: Mapping[MemberId, PadMode] = immutabledict(),
) -> Transform:
    """The same transform for one block: statistics that keep an axis are cut with it.

    Where a block is padded, its statistics are continued as its pixels are; beside constant
    pixels, as the last ones.

    Args:
        regions: where the block lies in each tensor.
        modes: how each tensor is padded; by default `symmetric`.
    """
    if not transform.values or not any(value.axes for value in transform.values):
        return transform  # numbers are the same for every block
    values = [
        _cut_value(value, regions.get(m.member, {}), modes.get(m.member, "symmetric"))
        for value, m in zip(transform.values, transform.measures, strict=True)
    ]
    return attrs.evolve(transform, values=values)


def _cut_value(value: Tensor, region: Mapping[AxisId, AxisBlock], mode: PadMode) -> Tensor:
    mine = {axis: block for axis, block in region.items() if axis in value.axes}
    return part_of(value, mine, mode="edge" if mode == "constant" else mode)
