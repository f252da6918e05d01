"""The sizes at which a model is tried, besides that of its test tensors.

What holds here: every size is one that the description allows; nothing is padded by the way, so
that the network meets just that size.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TypeAlias

import attrs
from immutabledict import immutabledict

from ..axes import AxisId, MemberId
from ..contract.records import (
    AnySize,
    AxisContract,
    DataDependentSize,
    FixedSize,
    ModelContract,
    ParameterizedSize,
    ReferencedSize,
    TensorContract,
)
from ..sample import Sample
from ..tensor import PadMode, Tensor, crop, pad

__all__ = ["SizeCase", "Sizes", "resized", "size_cases"]

Sizes: TypeAlias = Mapping[MemberId, Mapping[AxisId, int]]
"""The size of each axis of each input."""


def _frozen(sizes: Sizes) -> Sizes:
    return immutabledict({member: immutabledict(by_axis) for member, by_axis in sizes.items()})


@attrs.frozen
class SizeCase:
    """Sizes of all inputs.

    Args:
        n: of the sizes `min + n * step`.
        batch: samples at once.
        sizes: by input and axis.
    """

    n: int
    batch: int
    sizes: Sizes = attrs.field(converter=_frozen)


def size_cases(contract: ModelContract) -> tuple[SizeCase, ...]:
    """The cases to try: n of 0, 1 and 2 and batches of 1 and 2, where the description has them.

    Cases of equal sizes count once.

    Examples:
        >>> import bioimageio_fn as fn
        >>> model = fn.load_model(fn.demo_model(), perform_io_checks=False)
        >>> cases = size_cases(fn.model_contract(model))
        >>> [(case.n, case.batch, case.sizes["raw"]["x"]) for case in cases]
        [(0, 1, 64), (1, 1, 68), (2, 1, 72), (0, 2, 64), (1, 2, 68), (2, 2, 72)]
    """
    axes = [axis for tensor in contract.inputs for axis in tensor.axes]
    ns = range(3) if any(isinstance(a.size, ParameterizedSize) for a in axes) else (0,)
    free = any(a.type == "batch" and isinstance(a.size, AnySize) for a in axes)
    cases = (
        SizeCase(n, batch, {t.id: _sizes(t, contract, n, batch) for t in contract.inputs})
        for batch, n in product((1, 2) if free else (1,), ns)
    )
    return tuple({case.sizes: case for case in reversed(list(cases))}.values())[::-1]


def _sizes(
    tensor: TensorContract, contract: ModelContract, n: int, batch: int
) -> dict[AxisId, int]:
    return {axis.id: _size(axis, contract, n, batch) for axis in tensor.axes}


def _size(axis: AxisContract, contract: ModelContract, n: int, batch: int) -> int:
    rule = axis.size
    if isinstance(rule, FixedSize):
        return rule.size
    if isinstance(rule, ParameterizedSize):
        return rule.min + n * rule.step
    if isinstance(rule, ReferencedSize):
        target = contract.tensor(rule.tensor, "input").axis(rule.axis)
        return rule.of(_size(target, contract, n, batch))
    if isinstance(rule, DataDependentSize):
        return rule.min
    return batch if axis.type == "batch" else 1


def resized(sample: Sample, case: SizeCase) -> Sample:
    """The sample in the sizes of a case: cut in its middle, or continued by mirroring.

    Samples of a batch, and channels, are repeated.

    Raises:
        SizeError: if the sample has an axis of size 0.
    """
    members = {
        member: _resized(tensor, case.sizes[member]) for member, tensor in sample.members.items()
    }
    return attrs.evolve(sample, members=members)


def _resized(tensor: Tensor, sizes: Mapping[AxisId, int]) -> Tensor:
    less: dict[AxisId, tuple[int, int]] = {}
    more: dict[AxisId, tuple[int, int]] = {}
    for axis, size in tensor.sizes.items():
        missing = sizes[axis] - size
        before = abs(missing) // 2
        widths = (before, abs(missing) - before)
        (more if missing > 0 else less)[axis] = widths
    mode: PadMode = "symmetric"
    return pad(crop(tensor, less), more, mode=mode)
