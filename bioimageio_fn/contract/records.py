"""`ModelContract`: what a model takes and gives, with every rule of its sizes.

What holds here: nothing tells which format version a contract came from; sizes and scales are exact
(`Fraction`); a reference always leads to an axis of an input, so that an output follows it when
that is cut.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal, TypeAlias

import attrs

from ..axes import AxisId, AxisType, MemberId
from ..errors import AxesError, UnknownMemberError
from ..ops.custom import Custom
from ..ops.records import Operation
from ..tensor import PadMode

__all__ = [
    "AnySize",
    "AxisContract",
    "DataDependentSize",
    "FixedSize",
    "ModelContract",
    "Padding",
    "ParameterizedSize",
    "ReferencedSize",
    "SizeRule",
    "Step",
    "TensorContract",
    "admits",
    "nearest_valid",
]


@attrs.frozen
class FixedSize:
    """Always this size."""

    size: int

    def __str__(self) -> str:
        return str(self.size)


@attrs.frozen
class AnySize:
    """Any size from 1: a batch axis."""

    def __str__(self) -> str:
        return "any"


@attrs.frozen
class ParameterizedSize:
    """`min + n * step` for n = 0, 1, 2, ..."""

    min: int
    step: int

    def __str__(self) -> str:
        return f"{self.min} + n*{self.step}"


@attrs.frozen
class ReferencedSize:
    """`floor(size of another axis * scale + offset)`.

    Args:
        tensor: an input tensor.
        axis: one of its axes.
        scale: own pixels for each pixel of that axis.
        offset: pixels more (or fewer) in all, half of them at each end.
        round_up: whether a pixel that is there in part counts as a whole one: so it is of what a
            network gives on a coarse grid, of which larger labels are made and cropped.
    """

    tensor: MemberId = attrs.field(converter=MemberId)
    axis: AxisId = attrs.field(converter=AxisId)
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    round_up: bool = False

    def of(self, size: int) -> int:
        """The size that follows from the size of the axis referred to.

        Examples:
            >>> ReferencedSize("raw", "x", Fraction(1, 2), Fraction(-1)).of(11)
            4
        """
        exact = size * self.scale + self.offset
        return math.ceil(exact) if self.round_up else math.floor(exact)

    def __str__(self) -> str:
        offset = f" {'+' if self.offset > 0 else '-'} {abs(self.offset)}" if self.offset else ""
        scale = f" * {self.scale}" if self.scale != 1 else ""
        return f"{self.tensor}.{self.axis}{scale}{offset}"


@attrs.frozen
class DataDependentSize:
    """Known only after the network has run; at least `min`, at most `max` where that is given."""

    min: int = 1
    max: int | None = None

    def __str__(self) -> str:
        return f"{self.min} to {'any' if self.max is None else self.max}"


SizeRule: TypeAlias = FixedSize | AnySize | ParameterizedSize | ReferencedSize | DataDependentSize


def admits(rule: SizeRule, size: int) -> bool:
    """Whether a rule alone allows a size; a reference is not followed.

    Examples:
        >>> admits(ParameterizedSize(32, 16), 48), admits(FixedSize(1), 2)
        (True, False)
    """
    return size >= 1 and nearest_valid(rule, size) == size


def nearest_valid(rule: SizeRule, size: int) -> int | None:
    """The smallest size a rule allows that is not below `size`; None if there is none.

    Examples:
        >>> nearest_valid(ParameterizedSize(32, 16), 33)
        48
        >>> nearest_valid(FixedSize(64), 65) is None
        True
    """
    if isinstance(rule, FixedSize):
        return rule.size if size <= rule.size else None
    if isinstance(rule, ParameterizedSize):
        n = max(0, -(-(size - rule.min) // rule.step))
        return rule.min + n * rule.step
    return max(size, 1)


@attrs.frozen
class Padding:
    """How an input is continued beyond its border."""

    mode: PadMode = "symmetric"
    value: float = 0


@attrs.frozen
class AxisContract:
    """An axis of a tensor that a model takes or gives.

    Args:
        id: its id.
        type: batch, channel, time, index or space.
        size: the sizes that are allowed.
        halo: of an output: pixels at each end that depend on what lies beyond them.
        concatenable: of an input: whether a longer axis may be processed in parts.
        scale: extent of a pixel, in units.
        unit: unit of the scale, such as micrometer.
        channel_names: of a channel axis.
    """

    id: AxisId = attrs.field(converter=AxisId)
    type: AxisType
    size: SizeRule
    halo: int = 0
    concatenable: bool = False
    scale: Fraction = Fraction(1)
    unit: str | None = None
    channel_names: tuple[str, ...] = ()


Step: TypeAlias = Operation | Custom
"""A processing step as a record."""


@attrs.frozen
class TensorContract:
    """A tensor that a model takes or gives.

    Args:
        id: its id.
        axes: its axes, in order.
        dtype: data type; None where only the network knows it.
        operations: what is done to it: preprocessing of an input, postprocessing of an output.
        data_range: smallest and largest value that is described; None where it is open.
        padding: of an input: how it is continued.
        optional: of an input: whether it may be absent.
        nominal: whether its values are described one by one, as names of classes or objects.
    """

    id: MemberId = attrs.field(converter=MemberId)
    axes: tuple[AxisContract, ...]
    dtype: str | None
    operations: tuple[Step, ...] = ()
    data_range: tuple[float | None, float | None] = (None, None)
    padding: Padding = Padding()
    optional: bool = False
    nominal: bool = False

    @property
    def axis_ids(self) -> tuple[AxisId, ...]:
        """Ids of the axes, in order."""
        return tuple(axis.id for axis in self.axes)

    def axis(self, axis: str) -> AxisContract:
        """The axis of that id.

        Raises:
            AxesError: if there is none.
        """
        for candidate in self.axes:
            if candidate.id == axis:
                return candidate
        raise AxesError(
            "no such axis", tensor=self.id, axis=axis, expected=f"one of {', '.join(self.axis_ids)}"
        )

    def __str__(self) -> str:
        axes = ", ".join(f"{axis.id}: {axis.size}" for axis in self.axes)
        return f"{self.id} ({axes}; {self.dtype or 'any type'})"


@attrs.frozen
class ModelContract:
    """What a model takes and gives.

    Args:
        name: the model's name, for messages.
        inputs: the tensors that users give, each with its preprocessing.
        outputs: the tensors that users get, as described, each with its postprocessing.
        raw_outputs: the same tensors as they leave the network, before postprocessing.
        id: what the model is called in names of files: its nickname, id, or else its name.
    """

    name: str
    inputs: tuple[TensorContract, ...]
    outputs: tuple[TensorContract, ...]
    raw_outputs: tuple[TensorContract, ...]
    id: str = attrs.field(default=attrs.Factory(lambda self: self.name, takes_self=True))

    def tensor(self, member: str, kind: Literal["input", "output"] | None = None) -> TensorContract:
        """The input or (described) output of that id.

        Raises:
            UnknownMemberError: if there is none.
        """
        known = {"input": self.inputs, "output": self.outputs, None: (*self.inputs, *self.outputs)}
        for tensor in known[kind]:
            if tensor.id == member:
                return tensor
        raise UnknownMemberError(
            f"this model has no {kind or 'tensor'} of that name",
            tensor=member,
            expected=f"one of {', '.join(t.id for t in known[kind])}",
        )

    def __str__(self) -> str:
        lines = [self.name]
        lines += [f"  input  {tensor}" for tensor in self.inputs]
        lines += [f"  output {tensor}" for tensor in self.outputs]
        return "\n".join(lines)
