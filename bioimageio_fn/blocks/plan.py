"""`plan_blocks`: how a sample is cut, decided before any data are read.

What holds here: plans are values (hashable, printable); every block is a valid input of the model
and of the backend's signature; what can not be right is refused here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from immutabledict import immutabledict

from ..axes import AxisId, MemberId
from ..contract.records import (
    AxisContract,
    DataDependentSize,
    FixedSize,
    ModelContract,
    Padding,
    ReferencedSize,
    SizeRule,
    TensorContract,
)
from ..errors import BlockError, SizeError
from ..sample import AxisBlock, BlockMeta
from .directions import Group, Key, Sizes, check_shapes, groups_of, requested_sizes
from .grid import AxisGrid, Follower, align_step, grid_starts, max_stride, place
from .sizes import common_valid, fixed_size, meeting_size, start_steps

__all__ = ["BlockPlan", "PlannedAxis", "block_metas", "plan_blocks"]


@attrs.frozen
class PlannedAxis:
    """One direction of a plan, and the axes of tensors that go along with it.

    Args:
        name: id of the axis, for people.
        grid: blocks along it.
        places: for each axis of a tensor, what each block has of it.
    """

    name: str
    grid: AxisGrid
    places: Mapping[Key, tuple[AxisBlock, ...]] = attrs.field(converter=immutabledict)


@attrs.frozen
class BlockPlan:
    """Where the blocks of a sample lie, in every tensor that goes in and comes out.

    Args:
        axes: the directions in which blocks follow one another, the last one fastest.
        sizes: size of each axis of each tensor, as of the whole sample; None where only the
            network knows it.
        padding: how each input is continued beyond its border.
    """

    axes: tuple[PlannedAxis, ...]
    sizes: Mapping[MemberId, Mapping[AxisId, int | None]]
    padding: Mapping[MemberId, Padding]

    @property
    def count(self) -> int:
        """Number of blocks."""
        return math.prod(len(axis.grid.starts) for axis in self.axes)

    @property
    def split(self) -> dict[MemberId, tuple[AxisId, ...]]:
        """For each tensor, the axes along which there is more than one block."""
        keys = [k for axis in self.axes if len(axis.grid.starts) > 1 for k in axis.places]
        return {m: tuple(a for n, a in keys if n == m) for m, _ in keys}

    @property
    def touched(self) -> dict[MemberId, tuple[AxisId, ...]]:
        """For each tensor, the axes along which a block is not just the sample: cut, or padded."""
        keys = [
            key
            for axis in self.axes
            for key, places in axis.places.items()
            if len(axis.grid.starts) > 1 or any(place.padding for place in places)
        ]
        return {m: tuple(a for n, a in keys if n == m) for m, _ in keys}

    def __str__(self) -> str:
        block = ", ".join(f"{a.name}={a.grid.block}" for a in self.axes)
        computed = math.prod(a.grid.block * len(a.grid.starts) for a in self.axes)
        asked = math.prod(a.grid.size for a in self.axes)
        blocks = "1 block" if self.count == 1 else f"{self.count} blocks"
        more = f"{100 * (computed / asked - 1):.0f} %"
        return f"{blocks} of {block}; overlap and padding compute {more} more than the sample has"


def block_metas(plan: BlockPlan) -> Iterator[BlockMeta]:
    """The blocks of a plan, in order."""
    indices = itertools.product(*(range(len(axis.grid.starts)) for axis in plan.axes))
    for number, position in enumerate(indices):
        regions: dict[str, dict[str, AxisBlock]] = {}
        for axis, i in zip(plan.axes, position, strict=True):
            for (member, axis_id), places in axis.places.items():
                regions.setdefault(member, {})[axis_id] = places[i]
        yield BlockMeta(number, plan.count, regions)


def plan_blocks(
    contract: ModelContract,
    shapes: Sizes,
    *,
    block_shape: Mapping[str, Any] | None = None,
    halo: int | Mapping[str, int] | None = None,
    signature: Mapping[Any, Sequence[int | None]] | None = None,
) -> BlockPlan:
    """Plan how a sample is cut into blocks that the model takes.

    Without a block shape a sample goes through in one block wherever the model allows its size
    or a larger one, and in blocks of the model's own size where that is fixed.

    Args:
        contract: the model's contract.
        shapes: for each input that is given, the size of each axis.
        block_shape: pixels of a block, halo included, by axis (`{"y": 256, "x": 256}`) or by
            input and axis. Axes that are not named are not cut. Where an output has larger pixels
            than the sizes have steps, a block may come out larger by less than one of them.
        halo: input pixels at inner seams that are not to be trusted; by default what the outputs
            describe.
        signature: for each input, the sizes at which the backend is fixed, in the order of the
            axes; None where it is free.

    Raises:
        BlockError: if a block shape is not allowed by the model, has no room between its halos,
            or cuts along an axis that an output does not follow.
        SizeError: if an axis is longer than the model takes and can not be cut.
        AxesError: if the block shape or the halo names an axis that is not there.

    Examples:
        >>> import bioimageio_fn as fn
        >>> contract = fn.model_contract(fn.load_model(fn.demo_model(), perform_io_checks=False))
        >>> shapes = {"raw": {"batch": 1, "channel": 1, "y": 300, "x": 417}}
        >>> plan_blocks(contract, shapes).count
        1
    """
    check_shapes(contract, shapes)
    groups = groups_of(contract, shapes)
    wanted = requested_sizes(block_shape, groups, "block_shape")
    widths = requested_sizes(halo, groups, "halo")
    followers = _followers(contract, groups, widths, shapes)
    axes: list[PlannedAxis] = []
    for name, group in groups.items():
        rules = _rules(contract, group, followers[name], signature or {})
        grid = _grid(group, rules, wanted.get(name), list(followers[name].values()))
        axes.append(_planned(name, grid, followers[name], shapes))
    sizes: dict[str, dict[AxisId, int | None]] = {
        m: {AxisId(a): s for a, s in of.items()} for m, of in shapes.items()
    }
    sizes |= _output_sizes(contract, axes)
    plan = BlockPlan(
        axes=tuple(axes),
        sizes=immutabledict({MemberId(m): immutabledict(of) for m, of in sizes.items()}),
        padding=immutabledict({t.id: t.padding for t in contract.inputs if t.id in shapes}),
    )
    _check_outputs(contract, plan)
    return plan


def _rules(
    contract: ModelContract,
    group: Group,
    followers: Mapping[Key, Follower],
    signature: Mapping[Any, Sequence[int | None]],
) -> list[SizeRule]:
    """The rules that the sizes of blocks have to keep in a direction."""
    rules: list[SizeRule] = [axis.size for _, axis in group.axes]
    for (member, axis), follower in followers.items():
        if member not in signature:
            continue
        position = contract.tensor(member, "input").axis_ids.index(axis)
        size = next(iter(signature[member][position : position + 1]), None)
        if size is not None:
            rules.append(FixedSize(math.ceil((size - follower.offset) / follower.scale)))
    if group.axes[0][1].type == "batch":
        outputs = [a.size for t in contract.raw_outputs for a in t.axes if a.type == "batch"]
        rules += [size for size in outputs if isinstance(size, FixedSize)]
    return rules


def _followers(
    contract: ModelContract,
    groups: Mapping[str, Group],
    widths: Mapping[str, int],
    shapes: Sizes,
) -> dict[str, dict[Key, Follower]]:
    """For each direction, the tensor axes that go along with it."""
    by_key = {key: name for name, group in groups.items() for key in group.keys}
    followers: dict[str, dict[Key, Follower]] = {
        name: {key: Follower() for key in group.keys} for name, group in groups.items()
    }
    outputs = {tensor.id for tensor in contract.raw_outputs}
    given = [t for t in contract.inputs if t.id in shapes]
    for tensor in (*given, *contract.raw_outputs):
        for axis in tensor.axes:
            rule = axis.size
            if axis.type == "batch" and tensor.id in outputs and "batch" in followers:
                followers["batch"][tensor.id, axis.id] = Follower()
            if not isinstance(rule, ReferencedSize) or (rule.tensor, rule.axis) not in by_key:
                continue
            name = by_key[rule.tensor, rule.axis]
            halo = math.ceil(widths[name] * rule.scale) if name in widths else axis.halo
            halo = halo if tensor.id in outputs else 0
            follower = Follower(rule.scale, rule.offset, halo, rule.round_up)
            followers[name][tensor.id, axis.id] = follower
    return followers


def _grid(
    group: Group,
    rules: Sequence[SizeRule],
    requested: int | None,
    followers: Sequence[Follower],
) -> AxisGrid:
    axis = group.axes[0][1]
    block = _block(group, rules, requested)
    if block != group.size and axis.type == "channel":
        raise _size_error("wrong number of channels", group, rules)
    if block < group.size:
        _check_may_split(group, rules, followers)
    candidates = [1] if axis.type == "batch" else start_steps(rules)
    steps = [align_step(step, followers) for step in candidates]
    step = next((s for s in steps if max_stride(block, s, followers) > 0), steps[-1])
    whole = common_valid(rules, group.size)
    if whole is not None and axis.type != "batch":
        block = meeting_size(block, whole, candidates[0], step)
    padded = block + max(0, -(-(group.size - block) // step)) * step
    return AxisGrid(group.size, block, grid_starts(padded, block, step, followers))


def _block(group: Group, rules: Sequence[SizeRule], requested: int | None) -> int:
    """Pixels of a block: as asked for, else the whole axis, else what the model is fixed at."""
    member, axis = group.axes[0]
    if requested is not None and common_valid(rules, requested) != requested:
        raise BlockError(
            "the model does not take blocks of this size",
            tensor=member,
            axis=axis.id,
            expected=" and ".join(map(str, rules)),
            got=requested,
        )
    whole = common_valid(rules, group.size)
    if whole is not None:
        return whole if requested is None else min(requested, whole)
    block = fixed_size(rules)
    if block is None:
        raise _size_error("no size suits both the description and the network", group, rules)
    return block


def _check_may_split(
    group: Group, rules: Sequence[SizeRule], followers: Sequence[Follower]
) -> None:
    axis = group.axes[0][1]
    if axis.type in ("batch", "space") or axis.concatenable or any(f.halo for f in followers):
        return
    if common_valid(rules, group.size) is not None:
        raise _size_error("this axis can not be cut into blocks", group, rules)
    raise _size_error("this axis is longer than the model takes, and can not be cut", group, rules)


def _size_error(what: str, group: Group, rules: Sequence[SizeRule]) -> SizeError:
    member, axis = group.axes[0]
    expected = " and ".join(dict.fromkeys(map(str, rules)))
    return SizeError(what, tensor=member, axis=axis.id, expected=expected, got=group.size)


def _planned(
    name: str, grid: AxisGrid, followers: Mapping[Key, Follower], shapes: Sizes
) -> PlannedAxis:
    places: dict[Key, tuple[AxisBlock, ...]] = {}
    for (member, axis), follower in followers.items():
        total = follower.of(grid.size)
        if (given := shapes.get(member, {}).get(axis, total)) != total:
            raise SizeError(
                "this size does not follow from that of the other input",
                tensor=member,
                axis=axis,
                expected=f"{total} pixels, as {name} has {grid.size}",
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
    return PlannedAxis(name, grid, places)


def _output_sizes(
    contract: ModelContract, axes: Sequence[PlannedAxis]
) -> dict[str, dict[AxisId, int | None]]:
    placed = {key: places[-1].stop for axis in axes for key, places in axis.places.items()}

    def size(tensor: MemberId, axis: AxisContract) -> int | None:
        fixed = axis.size.size if isinstance(axis.size, FixedSize) else None
        return placed.get((tensor, axis.id), fixed)

    return {t.id: {a.id: size(t.id, a) for a in t.axes} for t in contract.raw_outputs}


def _check_outputs(contract: ModelContract, plan: BlockPlan) -> None:
    """Refuse to cut where an output could not be put together again."""
    if plan.count == 1:
        return
    for axis in plan.axes:
        if len(axis.grid.starts) == 1:
            continue
        members = [member for member, _ in axis.places]
        doubled = next((m for m in members if members.count(m) > 1), None)
        if doubled is not None:
            raise BlockError(
                "two axes of a tensor go together, so that neither can be cut",
                tensor=doubled,
                axis=axis.name,
                remedy="give a sample that the model takes in one piece",
            )
        following = set(members)
        for tensor in contract.raw_outputs:
            _check_output(tensor, tensor.id in following, axis.name)


def _check_output(output: TensorContract, follows: bool, axis: str) -> None:
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
