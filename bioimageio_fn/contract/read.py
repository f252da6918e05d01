"""`model_contract`: from a model description of format 0.4 or 0.5 to its contract.

What holds here: this is the only room that knows format versions; format 0.4 is read from its own
text. An implicit output shape of 0.4 is matched to its reference by position, as its text says:
`shape(output_tensor) = shape(input_tensor) * scale + 2 * offset`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from ..axes import AxisId, MemberId, as_axes, axis_type
from ..errors import DescriptionError
from ..ops.custom import Custom
from ..ops.instance_records import ToLabels
from ..ops.records import EnsureDtype
from .operations import operation_0_4, operation_0_5
from .records import (
    AnySize,
    AxisContract,
    DataDependentSize,
    FixedSize,
    ModelContract,
    Padding,
    ParameterizedSize,
    ReferencedSize,
    SizeRule,
    Step,
    TensorContract,
)

if TYPE_CHECKING:
    from bioimageio.spec import InvalidDescr, ResourceDescr

__all__ = ["model_contract"]


def model_contract(description: ResourceDescr | InvalidDescr) -> ModelContract:
    """The contract of a model.

    Args:
        description: as `load_description` gives it, of format 0.4 or 0.5.

    Raises:
        DescriptionError: if it is invalid, is not that of a model, or contradicts itself.
        UnsupportedError: if it asks for a processing step that this package does not know.
        OperationError: if a step has a keyword that makes no sense.

    Examples:
        >>> import bioimageio_fn as fn
        >>> contract = fn.model_contract(fn.load_model(fn.demo_model(), perform_io_checks=False))
        >>> [axis.id for axis in contract.inputs[0].axes]
        ['batch', 'channel', 'y', 'x']
    """
    from bioimageio.spec import InvalidDescr
    from bioimageio.spec.model import v0_4, v0_5

    if isinstance(description, InvalidDescr):
        raise DescriptionError(
            "the description is invalid",
            got=description.validation_summary.status,
            remedy="see `description.validation_summary.display()`",
        )
    if isinstance(description, v0_4.ModelDescr):
        return _resolved(_read_0_4(description))
    if isinstance(description, v0_5.ModelDescr):
        return _resolved(_read_0_5(description))
    raise DescriptionError(
        "not the description of a model", expected="a model", got=getattr(description, "type", None)
    )


def _exact(number: float) -> Fraction:
    """The fraction that a decimal number stands for: 0.1 is 1/10."""
    return Fraction(str(number))


def _ratio(scale: Fraction) -> Fraction:
    """A ratio of sizes with the digits that were cut off restored: 0.333333333 is 1/3."""
    return scale.limit_denominator(1_000_000)


def _contract(
    descr: Any, inputs: Iterable[TensorContract], outputs: Iterable[TensorContract]
) -> ModelContract:
    described = tuple(outputs)
    raw = tuple(attrs.evolve(_raw(t), dtype=None, operations=()) for t in described)
    return ModelContract(descr.name, tuple(inputs), described, raw, _id(descr))


def _id(descr: Any) -> str:
    config = descr.config if isinstance(descr.config, Mapping) else descr.config.model_dump()
    nickname = (config.get("bioimageio") or {}).get("nickname")
    return str(nickname or descr.id or descr.name)


def _raw(tensor: TensorContract) -> TensorContract:
    """The tensor as the network must give it, so that its operations make the described one."""
    for step in reversed(tensor.operations):
        axes = tuple(_before(axis, step, tensor) for axis in tensor.axes)
        tensor = attrs.evolve(tensor, axes=axes)
    return tensor


def _before(axis: AxisContract, step: Step, tensor: TensorContract) -> AxisContract:
    """An axis as it must reach a step."""
    if isinstance(step, Custom) and axis.type == "channel":
        # its code may make one channel of many
        return attrs.evolve(axis, size=AnySize(), channel_names=())
    if not isinstance(step, ToLabels):
        return axis
    if axis.type == "channel":
        return attrs.evolve(axis, size=FixedSize(step.channels), channel_names=())
    scale, size = step.scale(axis.id), axis.size
    if isinstance(size, ReferencedSize):
        coarse, offset = size.scale / scale, size.offset / scale
        size = attrs.evolve(size, scale=coarse, offset=offset, round_up=scale > 1)
    elif isinstance(size, FixedSize):
        if size.size % scale:
            raise DescriptionError(
                "labels can not have this size",
                tensor=tensor.id,
                axis=axis.id,
                step=step.name,
                expected=f"a multiple of the grid, {scale}",
                got=size.size,
            )
        size = FixedSize(size.size // scale)
    return attrs.evolve(axis, size=size, halo=-(-axis.halo // scale))


def _ending_in(operations: Sequence[Step], dtype: str) -> tuple[Step, ...]:
    last = EnsureDtype(dtype)
    return tuple(operations) if operations and operations[-1] == last else (*operations, last)


# ---------------------------------------------------------------- format 0.5


def _read_0_5(descr: Any) -> ModelContract:
    axes = {
        (str(tensor.id), str(axis.id)): axis
        for tensor in (*descr.inputs, *descr.outputs)
        for axis in tensor.axes
    }
    return _contract(
        descr,
        [_input_0_5(tensor, axes) for tensor in descr.inputs],
        [_tensor_0_5(tensor, axes, tensor.postprocessing) for tensor in descr.outputs],
    )


def _input_0_5(tensor: Any, axes: dict[tuple[str, str], Any]) -> TensorContract:
    pad = tensor.pad
    padding = Padding() if pad is None else Padding(pad.mode, getattr(pad, "value", 0))
    contract = _tensor_0_5(tensor, axes, tensor.preprocessing)
    return attrs.evolve(contract, padding=padding, optional=tensor.optional)


def _tensor_0_5(
    tensor: Any, axes: dict[tuple[str, str], Any], steps: Sequence[Any]
) -> TensorContract:
    operations = [operation_0_5(step) for step in steps]
    # the format ends both chains in a cast, but for a last `binarize`: the described type holds
    # behind that too
    last = operations[-1] if operations else None
    dtype = last.dtype if isinstance(last, EnsureDtype) else str(tensor.dtype)
    return TensorContract(
        id=MemberId(tensor.id),
        axes=tuple(_axis_0_5(axis, axes) for axis in tensor.axes),
        dtype=str(tensor.dtype),
        operations=_ending_in(operations, dtype),
        data_range=_range_0_5(tensor.data),
        nominal=all(hasattr(data, "values") for data in _each(tensor.data)),
    )


def _axis_0_5(axis: Any, axes: dict[tuple[str, str], Any]) -> AxisContract:
    return AxisContract(
        id=AxisId(str(axis.id)),
        type=axis.type,
        size=_size_0_5(axis, axes),
        halo=getattr(axis, "halo", 0),
        concatenable=bool(getattr(axis, "concatenable", False)),
        scale=_exact(axis.scale),
        unit=None if axis.unit is None else str(axis.unit),
        channel_names=tuple(getattr(axis, "channel_names", ())),
    )


def _size_0_5(axis: Any, axes: dict[tuple[str, str], Any]) -> SizeRule:
    from bioimageio.spec.model import v0_5

    size = axis.size
    if size is None:
        return AnySize()
    if isinstance(size, v0_5.ParameterizedSize):
        return ParameterizedSize(size.min, size.step)
    if isinstance(size, v0_5.DataDependentSize):
        return DataDependentSize(size.min, size.max)
    if isinstance(size, v0_5.SizeReference):
        reference = axes[str(size.tensor_id), str(size.axis_id)]
        return ReferencedSize(
            MemberId(size.tensor_id),
            AxisId(str(size.axis_id)),
            _ratio(_exact(reference.scale) / _exact(axis.scale)),
            Fraction(size.offset),
        )
    return FixedSize(int(size))


def _range_0_5(data: Any) -> tuple[float | None, float | None]:
    ranges = [d.range for d in _each(data)]
    return _outermost(min, [r[0] for r in ranges]), _outermost(max, [r[1] for r in ranges])


def _each(data: Any) -> Sequence[Any]:
    """What is described of the values of all channels, or of each."""
    return data if isinstance(data, Sequence) else (data,)


def _outermost(
    choose: Callable[[list[float]], float], bounds: Sequence[float | None]
) -> float | None:
    known = [float(b) for b in bounds if b is not None and math.isfinite(b)]
    return choose(known) if len(known) == len(bounds) else None


# ---------------------------------------------------------------- format 0.4


def _read_0_4(descr: Any) -> ModelContract:
    axes = {str(t.name): as_axes(str(t.axes)) for t in (*descr.inputs, *descr.outputs)}
    return _contract(
        descr,
        [_input_0_4(tensor) for tensor in descr.inputs],
        [_output_0_4(tensor, axes) for tensor in descr.outputs],
    )


def _input_0_4(tensor: Any) -> TensorContract:
    axes = as_axes(str(tensor.axes))
    shape = tensor.shape
    if isinstance(shape, Sequence):
        sizes: list[SizeRule] = [FixedSize(size) for size in shape]
    else:
        sizes = [
            ParameterizedSize(low, step) if step else FixedSize(low)
            for low, step in zip(shape.min, shape.step, strict=True)
        ]
    steps = [operation_0_4(step, axes) for step in tensor.preprocessing]
    # the format's text: networks get float32, whatever the type of the image
    return _tensor_0_4(
        tensor, sizes, [0] * len(axes), "float32", [EnsureDtype(tensor.data_type), *steps]
    )


def _output_0_4(tensor: Any, axes_by_name: dict[str, tuple[AxisId, ...]]) -> TensorContract:
    axes = as_axes(str(tensor.axes))
    if isinstance(tensor.shape, Sequence):
        sizes: list[SizeRule] = [FixedSize(size) for size in tensor.shape]
    else:
        reference = str(tensor.shape.reference_tensor)
        sizes = _implicit_sizes(tensor.shape, reference, axes_by_name[reference])
    steps = [operation_0_4(step, axes) for step in tensor.postprocessing]
    return _tensor_0_4(tensor, sizes, tensor.halo or [0] * len(axes), tensor.data_type, steps)


def _implicit_sizes(shape: Any, reference: str, axes: tuple[AxisId, ...]) -> list[SizeRule]:
    """Sizes by position: each scale belongs to the next axis of the reference, null to none."""
    position = iter(axes)

    def size(scale: float | None, offset: float) -> SizeRule:
        more = 2 * _exact(offset)
        if scale is None:
            return FixedSize(math.floor(more))
        axis = next(position)
        if scale == 0:
            return FixedSize(math.floor(more))
        return ReferencedSize(MemberId(reference), axis, _ratio(_exact(scale)), more)

    return [size(s, o) for s, o in zip(shape.scale, shape.offset, strict=True)]


def _tensor_0_4(
    tensor: Any, sizes: list[SizeRule], halo: Sequence[int], last: str, steps: Sequence[Step]
) -> TensorContract:
    axes = as_axes(str(tensor.axes))
    low, high = tensor.data_range or (None, None)
    return TensorContract(
        id=MemberId(tensor.name),
        axes=tuple(
            AxisContract(
                id=axis,
                type=axis_type(axis),
                # 0.4 writes 1 for the batch, which "can always be increased"
                size=AnySize() if axis == "batch" else size,
                halo=width,
                concatenable=axis == "batch",
            )
            for axis, size, width in zip(axes, sizes, halo, strict=True)
        ),
        dtype=str(tensor.data_type),
        operations=_ending_in(steps, last),
        data_range=(_outermost(min, [low]), _outermost(max, [high])),
    )


# ---------------------------------------------------------------- both


Rules: TypeAlias = dict[tuple[str, str], SizeRule]


def _resolved(contract: ModelContract) -> ModelContract:
    """Let every reference lead to an input axis, and every other known size be a number."""
    inputs = {tensor.id for tensor in contract.inputs}
    rules: Rules = {
        (tensor.id, axis.id): axis.size
        for tensor in (*contract.inputs, *contract.outputs)
        for axis in tensor.axes
    }

    def axis(a: AxisContract) -> AxisContract:
        size = _follow(a.size, rules, inputs, ())
        if a.type == "channel" and isinstance(size, ReferencedSize):
            target = rules[size.tensor, size.axis]
            size = FixedSize(size.of(target.size)) if isinstance(target, FixedSize) else size
        return attrs.evolve(a, size=size)

    def tensor(t: TensorContract) -> TensorContract:
        return attrs.evolve(t, axes=tuple(map(axis, t.axes)))

    def output(t: TensorContract) -> TensorContract:
        resolved = tensor(t)
        return attrs.evolve(
            resolved, axes=tuple(_linked(a, contract.inputs) for a in resolved.axes)
        )

    return attrs.evolve(
        contract,
        inputs=tuple(map(tensor, contract.inputs)),
        outputs=tuple(map(output, contract.outputs)),
        raw_outputs=tuple(map(output, contract.raw_outputs)),
    )


def _follow(
    rule: SizeRule, rules: Rules, inputs: Collection[str], seen: tuple[Any, ...]
) -> SizeRule:
    """The rule with its references followed to their end."""
    if not isinstance(rule, ReferencedSize):
        return rule
    key = (rule.tensor, rule.axis)
    if key not in rules or key in seen:
        raise DescriptionError(
            "this size refers to an axis that is not there, or to itself",
            tensor=rule.tensor,
            axis=rule.axis,
        )
    target = _follow(rules[key], rules, inputs, (*seen, key))
    if isinstance(target, ReferencedSize):
        scale, offset = target.scale * rule.scale, target.offset * rule.scale + rule.offset
        return ReferencedSize(target.tensor, target.axis, scale, offset, rule.round_up)
    if isinstance(target, FixedSize) and rule.tensor not in inputs:
        return FixedSize(rule.of(target.size))
    return rule


def _linked(axis: AxisContract, inputs: Sequence[TensorContract]) -> AxisContract:
    """Let a fixed output axis follow the input axis of the same id, space and fixed size.

    Many models of format 0.4 write the same numbers twice instead of a reference; without it such
    a model could not be run on an image of another size.
    """
    if axis.type != "space" or not isinstance(axis.size, FixedSize):
        return axis
    for tensor in inputs:
        for candidate in tensor.axes:
            if candidate.id == axis.id and candidate.size == axis.size:
                return attrs.evolve(axis, size=ReferencedSize(tensor.id, candidate.id))
    return axis
