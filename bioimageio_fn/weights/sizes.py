"""The sizes at which converted weights are proved.

What holds here: every size is one that the description allows; a batch is met with one sample and
with two, wherever the description lets it; sizes of axes differ from one another, so that an axis
that is taken for another one is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import attrs
from toolz import groupby, unique

from ..axes import AxisId, MemberId
from ..contract.records import (
    AnySize,
    AxisContract,
    FixedSize,
    ModelContract,
    ParameterizedSize,
    ReferencedSize,
    TensorContract,
    nearest_valid,
)
from ..errors import SizeError

__all__ = ["Sizes", "axes_that_vary", "proof_sizes"]

Sizes = dict[MemberId, dict[AxisId, int]]
"""The size of each axis of each input."""


def axes_that_vary(contract: ModelContract) -> dict[MemberId, tuple[AxisId, ...]]:
    """Of each input the axes whose size the description leaves open.

    Examples:
        >>> import bioimageio_fn as fn
        >>> model = fn.load_model(fn.demo_model(), perform_io_checks=False)
        >>> axes_that_vary(fn.model_contract(model))
        {'raw': ('batch', 'y', 'x')}
    """
    return {
        tensor.id: tuple(axis.id for axis in tensor.axes if _varies(contract, axis))
        for tensor in contract.inputs
    }


def _varies(contract: ModelContract, axis: AxisContract) -> bool:
    while isinstance(axis.size, ReferencedSize):
        axis = contract.tensor(axis.size.tensor, "input").axis(axis.size.axis)
    return not isinstance(axis.size, FixedSize)


def proof_sizes(
    contract: ModelContract, start: Mapping[MemberId, Mapping[AxisId, int]]
) -> tuple[Sizes, ...]:
    """Three sizes, each with two batch sizes; fewer where the description fixes them.

    Args:
        contract: the model's contract.
        start: sizes that the model takes, but for padding, such as those of the test tensors; of
            inputs that are left out there are none.

    Raises:
        SizeError: if a size is larger than the one that is described.

    Examples:
        >>> import bioimageio_fn as fn
        >>> model = fn.load_model(fn.demo_model(), perform_io_checks=False)
        >>> contract = fn.model_contract(model)
        >>> start = {"raw": {"batch": 1, "channel": 1, "y": 64, "x": 64}}
        >>> [tuple(sizes["raw"].values()) for sizes in proof_sizes(contract, start)]
        [(1, 1, 64, 64), (2, 1, 64, 64), (1, 1, 68, 72),
         (2, 1, 68, 72), (1, 1, 72, 68), (2, 1, 72, 68)]
    """
    tensors = [tensor for tensor in contract.inputs if tensor.id in start]
    valid = {t.id: {a.id: _valid(t.id, a, start[t.id][a.id]) for a in t.axes} for t in tensors}
    groups = _groups(tensors, valid)
    found = (
        _followed(tensors, _with_batch(tensors, _moved(valid, groups, move), batch))
        for move in (_stay, _up, _down)
        for batch in (1, 2)
    )
    return tuple(unique(found, key=repr))


def _valid(member: MemberId, axis: AxisContract, size: int) -> int:
    valid = nearest_valid(axis.size, size)
    if valid is None:
        raise SizeError(
            "a test tensor is larger than the description allows",
            tensor=member,
            axis=axis.id,
            expected=axis.size,
            got=size,
        )
    return valid


@attrs.frozen
class _Cut:
    """An axis of an input whose size can be chosen, and the step to its next size."""

    member: MemberId
    axis: AxisId
    size: int
    smallest: int
    step: int


def _groups(tensors: Sequence[TensorContract], sizes: Sizes) -> list[list[_Cut]]:
    """The axes whose sizes can be chosen; those of one name grow together."""
    cuts = [
        _Cut(tensor.id, axis.id, sizes[tensor.id][axis.id], axis.size.min, axis.size.step)
        for tensor in tensors
        for axis in tensor.axes
        if isinstance(axis.size, ParameterizedSize)
    ]
    return [_in_step(group) for group in groupby(lambda cut: cut.axis, cuts).values()]


def _in_step(group: list[_Cut]) -> list[_Cut]:
    """Axes that have one size keep having one; others grow by the steps that each has."""
    if len({cut.size for cut in group}) > 1:
        return group
    step = math.lcm(*(cut.step for cut in group))
    return [attrs.evolve(cut, step=step) for cut in group]


_Move = Callable[[int, bool], int]
"""Of the number of steps down to the smallest size, and whether it is for every other axis, the
number of steps to go."""


def _stay(_below: int, _other: bool) -> int:
    return 0


def _up(_below: int, other: bool) -> int:
    return 2 if other else 1


def _down(below: int, other: bool) -> int:
    """Part of the way to the smallest size; up where nothing is below."""
    if other:
        return -(below // 4) or 1
    return -((below + 1) // 2) or 2


def _moved(sizes: Sizes, groups: Sequence[Sequence[_Cut]], move: _Move) -> Sizes:
    moved: Sizes = {member: dict(axes) for member, axes in sizes.items()}
    for number, group in enumerate(groups):
        below = min((cut.size - cut.smallest) // cut.step for cut in group)
        for cut in group:
            moved[cut.member][cut.axis] += move(below, number % 2 == 1) * cut.step
    return moved


def _with_batch(tensors: Sequence[TensorContract], sizes: Sizes, batch: int) -> Sizes:
    free = {(t.id, a.id) for t in tensors for a in t.axes if isinstance(a.size, AnySize)}
    return {
        member: {axis: batch if (member, axis) in free else n for axis, n in axes.items()}
        for member, axes in sizes.items()
    }


def _followed(tensors: Sequence[TensorContract], sizes: Sizes) -> Sizes:
    """The sizes, with those that follow from others."""
    rules = {(t.id, a.id): a.size for t in tensors for a in t.axes}

    def size(member: MemberId, axis: AxisId) -> int:
        rule = rules[member, axis]
        if isinstance(rule, ReferencedSize) and rule.tensor in sizes:
            return rule.of(sizes[rule.tensor][rule.axis])
        return sizes[member][axis]

    return {member: {axis: size(member, axis) for axis in axes} for member, axes in sizes.items()}
