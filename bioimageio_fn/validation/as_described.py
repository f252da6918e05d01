"""Whether outputs have the sizes, the values and the type that their description says.

What holds here: only what a run has shown is judged; what nobody can know before is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from immutabledict import immutabledict

from ..arrays import to_numpy
from ..axes import MemberId
from ..contract.records import (
    AxisContract,
    DataDependentSize,
    FixedSize,
    ModelContract,
    ParameterizedSize,
    ReferencedSize,
    TensorContract,
)
from ..errors import BioimageioFnError, OperationError, SizeError
from ..ops.records import EnsureDtype
from ..tensor import Tensor
from .records import Tolerance
from .running import Trial
from .sizes import Sizes

__all__ = ["cast_outputs", "not_as_described", "wrong_sizes"]


def not_as_described(
    trial: Trial,
    contract: ModelContract,
    tolerances: Mapping[MemberId, Tolerance] = immutabledict(),
) -> Iterator[BioimageioFnError]:
    """What of the outputs of a run is not as its model's description says.

    Args:
        trial: the run, with valid sizes.
        contract: of the model.
        tolerances: what values may leave their described range by, by output.
    """
    yield from wrong_sizes(trial, contract)
    for tensor in contract.outputs:
        tolerance = tolerances.get(tensor.id, Tolerance(0, 0, 0))
        yield from _out_of_range(trial.outputs[tensor.id], tensor, tolerance)


def wrong_sizes(trial: Trial, contract: ModelContract) -> Iterator[SizeError]:
    """The sizes of outputs that do not follow from those of the inputs as described."""
    inputs = {member: tensor.sizes for member, tensor in trial.inputs.members.items()}
    for tensor in contract.outputs:
        sizes = trial.outputs[tensor.id].sizes
        for axis in tensor.axes:
            low, high = _expected(axis, inputs)
            got = sizes[axis.id]
            if got < low or (high is not None and got > high):
                yield SizeError(
                    "an output has another size than described",
                    tensor=tensor.id,
                    axis=axis.id,
                    expected=low if high == low else f"{low} to {high or 'any'}",
                    got=got,
                    remedy=f"the description says {axis.size}",
                )


def _expected(axis: AxisContract, inputs: Sizes) -> tuple[int, int | None]:
    """The smallest and the largest size that an output axis may have; None for no largest."""
    rule = axis.size
    if isinstance(rule, FixedSize):
        return rule.size, rule.size
    if isinstance(rule, DataDependentSize):
        return rule.min, rule.max
    if isinstance(rule, ReferencedSize) and rule.tensor in inputs:
        size = rule.of(inputs[rule.tensor][rule.axis])
        return size, size
    if isinstance(rule, ParameterizedSize):
        return rule.min, None
    batch = max((sizes.get(axis.id, 1) for sizes in inputs.values()), default=1)
    return (batch, batch) if axis.type == "batch" else (1, None)


def _out_of_range(
    produced: Tensor, tensor: TensorContract, tolerance: Tolerance
) -> Iterator[OperationError]:
    """A value that is not in the described range, if there is one."""
    values = to_numpy(produced.data)
    numbers = values[np.isfinite(values)]
    if not numbers.size:
        return
    low, high = tensor.data_range
    smallest, largest = float(numbers.min()), float(numbers.max())
    too_low = low is not None and smallest < low - _slack(low, tolerance)
    too_high = high is not None and largest > high + _slack(high, tolerance)
    if too_low or too_high:
        yield OperationError(
            "an output has values out of its described range",
            tensor=tensor.id,
            expected=f"{'any' if low is None else low} to {'any' if high is None else high}",
            got=f"{smallest:.6g} to {largest:.6g}",
            remedy="correct `data.range` in the description, or add the step that is missing",
        )


def _slack(bound: float, tolerance: Tolerance) -> float:
    return tolerance.absolute + tolerance.relative * abs(bound)


def cast_outputs(trial: Trial, contract: ModelContract) -> Iterator[str]:
    """What the network gives in another kind of numbers than is described, without a step between.

    Such an output is cast here; other programs may hand it on as it is.
    """
    for tensor in contract.outputs:
        got = trial.network_outputs[tensor.id].dtype
        plain = all(isinstance(step, EnsureDtype) for step in tensor.operations)
        if plain and tensor.dtype is not None and _kind(got) != _kind(tensor.dtype):
            yield f"output '{tensor.id}' is described as {tensor.dtype}, the network gives {got}"


def _kind(dtype: str) -> str:
    return np.dtype(dtype).kind
