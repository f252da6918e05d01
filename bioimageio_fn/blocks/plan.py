"""`plan_blocks`: how a sample is cut, decided before any data are read.

What holds here: every block is a valid input of the model and of the backend's signature; blocks
that nobody asked for are those that compute the fewest pixels; what can not be right is refused
here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from immutabledict import immutabledict

from ..axes import AxisId, MemberId
from ..contract.records import (
    AxisContract,
    DataDependentSize,
    FixedSize,
    ModelContract,
    TensorContract,
)
from ..errors import ArrayError, BioimageioFnWarning, BlockError, SizeError
from ..sample import AxisBlock
from ..tensor import holds
from .choose import Choices, MemoryModel, choices_along, fewest_pixels
from .directions import Direction, Sizes, directions_of, groups_of
from .grid import AxisGrid, align_step, grid_starts, max_stride, place
from .records import BlockPlan, PlannedAxis
from .requests import (
    checked_shapes,
    pixel_budget,
    requested_sizes,
    stack_size,
    wanted_sizes,
    whole_number,
)
from .sizes import common_valid, fixed_size, meeting_size, start_steps

__all__ = ["plan_blocks"]


def plan_blocks(
    contract: ModelContract,
    shapes: Sizes,
    *,
    block_shape: Mapping[str, Any] | None = None,
    blocksize_parameter: int | Mapping[Any, Any] | None = None,
    halo: int | Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    memory: MemoryModel | None = None,
    signature: Mapping[Any, Sequence[int | None]] | None = None,
) -> BlockPlan:
    """Plan how a sample is cut into blocks that the model takes.

    Without a block shape, blocks are those at which the fewest pixels are computed, halo and
    padding counted, of all that have no more than a fixed number of pixels (`choose.PIXELS`); so
    the plan does not depend on the machine. Among equals it is the fewest blocks, then the
    squarest.

    Args:
        contract: the model's contract.
        shapes: for each input that is given, the size of each axis.
        block_shape: pixels of a block, halo included, by axis (`{"y": 256, "x": 256}`) or by
            input and axis. Axes that are not named are not cut, so that `{}` cuts nothing. Where an
            output has larger pixels than the sizes have steps, a block may come out larger by less
            than one of them.
        blocksize_parameter: instead of a block shape: n of the sizes `min + n * step`, for all
            axes that have such sizes, by axis, or by input and axis.
        halo: input pixels at inner seams that are not to be trusted; by default what the outputs
            describe.
        batch_size: how many samples, or blocks of one, the network gets at a time. By default as
            many samples as fit, and one block.
        memory: what a block takes and may take; blocks are then small enough for its limit.
        signature: for each input, the sizes at which the backend is fixed, in the order of the
            axes; None where it is free.

    Raises:
        BlockError: if what is asked for is not in whole numbers; if a block shape is not allowed by
            the model, has no room between its halos, cuts along an axis that an output does not
            follow, or takes more memory than it may.
        SizeError: if an axis is longer than the model takes and can not be cut.
        ArrayError: if pixels have to be added of a value that the described data type has not.
        AxesError, UnknownMemberError, MissingMemberError: if an axis or a tensor is named that is
            not there, or sizes are missing.

    Warns:
        BioimageioFnWarning: if a block shape cuts time or an index that is not described as
            `concatenable`; if the halo of a model of fixed size leaves room only for starts closer
            together than its step is assumed to be.

    Examples:
        >>> import bioimageio_fn as fn
        >>> contract = fn.model_contract(fn.load_model(fn.demo_model(), perform_io_checks=False))
        >>> shapes = {"raw": {"batch": 1, "channel": 1, "y": 3000, "x": 4170}}
        >>> plan = plan_blocks(contract, shapes)
        >>> print(plan)
        8 blocks of batch=1, channel=1, y=1528, x=1088; halo y=28, x=28; overlap and padding compute
        6 % more than the sample has; memory not measured
    """
    given = checked_shapes(contract, shapes)
    budget = pixel_budget(memory)
    if batch_size is not None:
        batch_size = whole_number(batch_size, "batch_size", axis="batch")
    groups = groups_of(contract, given)
    widths = requested_sizes(halo, groups, "halo")
    directions = directions_of(contract, given, groups, halo=widths, signature=signature or {})
    stack = stack_size(contract, given, directions, batch_size)
    wanted = wanted_sizes(directions, block_shape, blocksize_parameter, batch_size)
    main = _main(directions, given)
    blocks = {name: _block(d, wanted.get(name)) for name, d in directions.items()}
    if block_shape is None and blocksize_parameter is None:
        taken = stack * math.prod(blocks[name] for name in main if name in wanted)
        free = [n for n in main if n not in wanted]
        if math.prod(blocks[n] for n in free) > budget // taken:  # nothing is less than the whole
            choices = [_choices(contract, directions[n]) for n in free]
            blocks |= zip(free, fewest_pixels(choices, budget // taken), strict=True)
    axes = []
    for name, direction in directions.items():
        if blocks[name] < direction.group.size:
            _check_may_cut(direction, asked=name in wanted)
        grid = _grid(direction, blocks[name])
        if len(grid.starts) > 1:
            _check_joinable(contract, direction)
            _warn_of_finer_grid(direction, blocks[name])
        axes.append(_planned(direction, grid, given))
    pixels = stack * math.prod(axis.grid.block for axis in axes if axis.name in main)
    _check_memory(pixels, memory)
    sizes: dict[MemberId, Mapping[AxisId, int | None]] = {**given, **_output_sizes(contract, axes)}
    plan = BlockPlan(
        axes=tuple(axes),
        sizes=immutabledict({m: immutabledict(of) for m, of in sizes.items()}),
        padding=immutabledict({t.id: t.padding for t in contract.inputs if t.id in given}),
        stack=stack,
        pixels=pixels,
        memory=None if memory is None else memory.of(pixels),
    )
    _check_padding(contract, plan)
    return plan


def _main(directions: Mapping[str, Direction], shapes: Sizes) -> list[str]:
    """The directions whose pixels count: those of the input that has the most."""

    def of(member: str) -> list[str]:
        return [
            name
            for name, d in directions.items()
            if d.group.type != "channel" and any(m == member for m, _ in d.group.keys)
        ]

    return max(
        map(of, shapes), key=lambda names: math.prod(directions[n].group.size for n in names)
    )


def _choices(contract: ModelContract, direction: Direction) -> Choices:
    """The block sizes that there are to choose from, if nobody asks for one."""
    group, in_space = direction.group, direction.group.type == "space"
    block = _block(direction, None)
    if block < group.size:  # a model of fixed size leaves no choice
        count = len(_grid(direction, block).starts)
        return Choices(np.array([block]), np.array([count]), in_space)
    if not direction.may_be_cut or not _is_joinable(contract, direction):
        return Choices(np.array([block]), np.array([1]), in_space)
    step = align_step(_grow(direction)[0], direction.following)
    sizes, counts = choices_along(block, direction.rules, direction.following, step)
    return Choices(sizes, counts, in_space)


def _block(direction: Direction, requested: int | None) -> int:
    """Pixels of a block: as asked for, else the whole axis, else what the model is fixed at."""
    rules = direction.rules
    member, axis = direction.group.axes[0]
    if requested is not None and common_valid(rules, requested) != requested:
        raise BlockError(
            "the model does not take blocks of this size",
            tensor=member,
            axis=axis.id,
            expected=" and ".join(map(str, rules)),
            got=requested,
        )
    size = direction.group.size
    whole = common_valid(rules, size)
    if whole is not None:
        block = whole if requested is None else min(requested, whole)
    else:
        block = fixed_size(rules) or 0
    if not block:
        raise _size_error("no size suits both the description and the network", direction)
    if block != size and axis.type == "channel":
        raise _size_error("wrong number of channels", direction)
    return block


def _check_may_cut(direction: Direction, *, asked: bool) -> None:
    """Refuse to cut what can not be, or say that it is not described so."""
    if direction.may_be_cut:
        return
    if common_valid(direction.rules, direction.group.size) is None:
        raise _size_error("this axis is longer than the model takes, and can not be cut", direction)
    if asked:
        member, axis = direction.group.axes[0]
        warnings.warn(
            f"the axis {axis.id!r} of tensor {member!r} is cut into blocks as asked for, though"
            " it is not described as concatenable: results may differ from those of the whole",
            BioimageioFnWarning,
            stacklevel=3,
        )


def _size_error(what: str, direction: Direction) -> SizeError:
    member, axis = direction.group.axes[0]
    expected = " and ".join(dict.fromkeys(map(str, direction.rules)))
    return SizeError(what, tensor=member, axis=axis.id, expected=expected, got=direction.group.size)


def _grow(direction: Direction) -> list[int]:
    """What the starts of blocks may be multiples of, before anything follows them."""
    return [1] if direction.group.type == "batch" else start_steps(direction.rules)


def _steps(direction: Direction, block: int) -> tuple[int, int]:
    """What starts are to be multiples of, and what there is room for between the halos."""
    following = direction.following
    steps = [align_step(step, following) for step in _grow(direction)]
    return steps[0], next((s for s in steps if max_stride(block, s, following) > 0), steps[-1])


def _warn_of_finer_grid(direction: Direction, block: int) -> None:
    assumed, step = _steps(direction, block)
    if step < assumed:
        member, axis = direction.group.axes[0]
        warnings.warn(
            f"along the axis {axis.id!r} of tensor {member!r} the halo leaves room only for blocks"
            f" that start on multiples of {step} pixels, though a model of fixed size is assumed to"
            f" need multiples of {assumed}: results may differ from those of the whole; take a"
            " smaller halo, or describe the sizes that the network takes by min and step",
            BioimageioFnWarning,
            stacklevel=3,
        )


def _grid(direction: Direction, block: int) -> AxisGrid:
    size, rules, following = direction.group.size, direction.rules, direction.following
    _, step = _steps(direction, block)
    whole = common_valid(rules, size)
    if whole is not None and direction.group.type != "batch":
        block = meeting_size(block, whole, _grow(direction)[0], step)
    padded = block + max(0, -(-(size - block) // step)) * step
    return AxisGrid(size, block, grid_starts(padded, block, step, following))


def _check_padding(contract: ModelContract, plan: BlockPlan) -> None:
    """Refuse to add pixels of a value that the described data type does not have."""
    padded = {m for axis in plan.axes for (m, _), places in axis.places.items() if _pads(places)}
    for tensor in contract.inputs:
        padding, dtype = tensor.padding, tensor.dtype or "float32"
        wrong = padding.mode == "constant" and not holds(dtype, padding.value)
        if wrong and tensor.id in padded:
            raise ArrayError(
                "the described data type can not hold the pad value",
                tensor=tensor.id,
                expected=dtype,
                got=padding.value,
                remedy="give a sample of a size that the model takes as it is",
            )


def _pads(places: Sequence[AxisBlock]) -> bool:
    return any(place.padding for place in places)


def _check_memory(pixels: int, memory: MemoryModel | None) -> None:
    if memory is not None and memory.limit is not None and memory.of(pixels) > memory.limit:
        raise BlockError(
            "a block of this size takes more memory than it may",
            expected=f"at most {memory.limit / 1e6:.3g} MB",
            got=f"{memory.of(pixels) / 1e6:.3g} MB for {pixels} pixels",
            remedy="allow more memory, or smaller blocks where the model takes them",
        )


def _planned(direction: Direction, grid: AxisGrid, shapes: Sizes) -> PlannedAxis:
    places = {}
    for (member, axis), follower in direction.followers.items():
        total = follower.of(grid.size)
        if (given := shapes.get(member, {}).get(axis, total)) != total:
            raise SizeError(
                "this size does not follow from that of the other input",
                tensor=member,
                axis=axis,
                expected=f"{total} pixels, as {direction.name} has {grid.size}",
                got=given,
            )
        if total < 1:
            raise SizeError(
                "the sample is too small: nothing would be left of this axis",
                tensor=member,
                axis=axis,
                expected="at least 1 pixel",
                got=total,
            )
        places[member, axis] = place(grid, follower, total)
    halo = max(math.ceil(f.halo / f.scale) for f in direction.following)
    return PlannedAxis(direction.name, grid, places, halo)


def _output_sizes(
    contract: ModelContract, axes: Sequence[PlannedAxis]
) -> dict[MemberId, dict[AxisId, int | None]]:
    placed = {key: places[-1].stop for axis in axes for key, places in axis.places.items()}

    def size(tensor: MemberId, axis: AxisContract) -> int | None:
        fixed = axis.size.size if isinstance(axis.size, FixedSize) else None
        return placed.get((tensor, axis.id), fixed)

    return {t.id: {a.id: size(t.id, a) for a in t.axes} for t in contract.raw_outputs}


def _check_joinable(contract: ModelContract, direction: Direction) -> None:
    """Refuse to cut where an output could not be put together again."""
    members = [member for member, _ in direction.followers]
    doubled = next((m for m in members if members.count(m) > 1), None)
    if doubled is not None:
        raise BlockError(
            "two axes of a tensor go together, so that neither can be cut",
            tensor=doubled,
            axis=direction.name,
            remedy="give a sample that the model takes in one piece",
        )
    for output in contract.raw_outputs:
        _check_follows(output, direction.name, follows=output.id in members)


def _is_joinable(contract: ModelContract, direction: Direction) -> bool:
    try:
        _check_joinable(contract, direction)
    except BlockError:
        return False
    return True


def _check_follows(output: TensorContract, axis: str, *, follows: bool) -> None:
    unknown = [a.id for a in output.axes if isinstance(a.size, DataDependentSize)]
    if not follows or unknown:
        raise BlockError(
            "this output can not be put together from blocks",
            tensor=output.id,
            axis=unknown[0] if unknown else axis,
            expected="an axis whose size follows from the axis that is cut",
            got="a size known only after the run" if unknown else "an output without such an axis",
            remedy="give a sample that the model takes in one piece",
        )
