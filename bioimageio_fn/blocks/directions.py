"""The directions in which a sample can be cut: input axes whose sizes follow from no other.

What holds here: axes of one id and size go together in all inputs that have them; what is asked
for a direction is asked for all of its axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from immutabledict import immutabledict

from ..axes import AxisId, AxisType, MemberId
from ..contract.records import (
    AxisContract,
    FixedSize,
    ModelContract,
    ParameterizedSize,
    ReferencedSize,
    SizeRule,
)
from ..errors import AxesError, BlockError, SizeError
from .grid import Follower
from .sizes import common_valid

__all__ = [
    "Direction",
    "Group",
    "Key",
    "Sizes",
    "check_shapes",
    "directions_of",
    "groups_of",
    "parameter_sizes",
    "requested_sizes",
]

Key: TypeAlias = tuple[MemberId, AxisId]
"""An axis of a tensor."""
Sizes: TypeAlias = Mapping[Any, Mapping[Any, int]]
"""For each tensor, the size of each axis."""


def check_shapes(contract: ModelContract, shapes: Sizes) -> None:
    """Refuse sizes that are not those of the axes of inputs, or are none."""
    for member, sizes in shapes.items():
        axes = contract.tensor(member, "input").axis_ids
        if set(map(str, sizes)) != set(axes):
            raise AxesError(
                "a plan needs the size of each axis of a tensor",
                tensor=member,
                expected=axes,
                got=tuple(sizes),
            )
        empty = next((axis for axis, size in sizes.items() if size < 1), None)
        if empty is not None:
            raise SizeError(
                "nothing is there to be cut", tensor=member, axis=empty, expected="1 or more", got=0
            )


@attrs.frozen
class Group:
    """Input axes that are cut together: of one id and size, in all inputs that have it."""

    size: int
    axes: tuple[tuple[MemberId, AxisContract], ...]

    @property
    def type(self) -> AxisType:
        """What kind of axis they are."""
        return self.axes[0][1].type

    @property
    def keys(self) -> list[Key]:
        """Its axes."""
        return [(member, axis.id) for member, axis in self.axes]


@attrs.frozen
class Direction:
    """One direction in which a sample can be cut.

    Args:
        name: id of the axis, for people.
        group: the input axes that are cut.
        rules: what sizes of blocks have to keep.
        followers: the axes of all tensors that go along, the input axes themselves included.
    """

    name: str
    group: Group
    rules: tuple[SizeRule, ...]
    followers: Mapping[Key, Follower] = attrs.field(converter=immutabledict)

    @property
    def following(self) -> list[Follower]:
        """How each axis goes along."""
        return list(self.followers.values())

    @property
    def may_be_cut(self) -> bool:
        """Whether a longer axis may be processed in parts, so far as the description says."""
        in_parts = self.group.type in ("batch", "space") or self.group.axes[0][1].concatenable
        return self.group.type != "channel" and (in_parts or any(f.halo for f in self.following))


def directions_of(
    contract: ModelContract,
    shapes: Sizes,
    *,
    halo: int | Mapping[str, Any] | None,
    signature: Mapping[Any, Sequence[int | None]],
) -> dict[str, Direction]:
    """The directions in which a sample can be cut; arguments as of `plan_blocks`."""
    groups = groups_of(contract, shapes)
    followers = _followers(contract, groups, requested_sizes(halo, groups, "halo"), shapes)
    return {
        name: Direction(
            name, group, _rules(contract, group, followers[name], signature), followers[name]
        )
        for name, group in groups.items()
    }


def _rules(
    contract: ModelContract,
    group: Group,
    followers: Mapping[Key, Follower],
    signature: Mapping[Any, Sequence[int | None]],
) -> tuple[SizeRule, ...]:
    """The rules that the sizes of blocks have to keep in a direction."""
    rules: list[SizeRule] = [axis.size for _, axis in group.axes]
    for (member, axis), follower in followers.items():
        if member not in signature:
            continue
        position = contract.tensor(member, "input").axis_ids.index(axis)
        size = next(iter(signature[member][position : position + 1]), None)
        if size is not None:
            rules.append(FixedSize(math.ceil((size - follower.offset) / follower.scale)))
    if group.type == "batch":
        outputs = [a.size for t in contract.raw_outputs for a in t.axes if a.type == "batch"]
        rules += [size for size in outputs if isinstance(size, FixedSize)]
    return tuple(rules)


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


def groups_of(contract: ModelContract, shapes: Sizes) -> dict[str, Group]:
    """The independent directions of a sample: input axes whose sizes follow from no other."""
    found: dict[str, list[tuple[MemberId, AxisContract]]] = {}
    for tensor in contract.inputs:
        for axis in tensor.axes if tensor.id in shapes else ():
            if not isinstance(axis.size, ReferencedSize):
                found.setdefault(axis.id, []).append((tensor.id, axis))
    groups: dict[str, Group] = {}
    for name, axes in found.items():
        sizes = [shapes[member][axis.id] for member, axis in axes]
        if len(set(sizes)) == 1:
            groups[name] = Group(sizes[0], tuple(axes))
        elif name == "batch":
            raise SizeError("inputs differ in their number of samples", axis=name, got=sizes)
        else:
            for (member, axis), size in zip(axes, sizes, strict=True):
                groups[f"{member}.{axis.id}"] = Group(size, ((member, axis),))
    return groups


def requested_sizes(
    given: int | Mapping[Any, Any] | None, groups: Mapping[str, Group], what: str
) -> dict[str, int]:
    """What a caller asks for each direction; given for all, by axis, or by tensor and axis."""
    if given is None:
        return {}
    if isinstance(given, int):
        given = {g.axes[0][1].id: given for g in groups.values() if g.type == "space"}
    flat: dict[tuple[str | None, AxisId], int] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            flat |= {(name, AxisId(a)): int(v) for a, v in value.items()}
        elif isinstance(name, tuple):
            flat[name[0], AxisId(name[1])] = int(value)
        else:
            flat[None, AxisId(name)] = int(value)
    result: dict[str, int] = {}
    for (member, axis), value in flat.items():
        names = [
            n
            for n, g in groups.items()
            if any(a == axis and member in (None, m) for m, a in g.keys)
        ]
        if not names:
            raise AxesError(
                f"{what} names an axis that the inputs do not have",
                tensor=member,
                axis=axis,
                expected=f"one of {', '.join(groups)}",
            )
        for group in names:
            if value < 0 or result.setdefault(group, value) != value:
                raise BlockError(
                    f"{what} is negative, or differs for axes that are cut together",
                    tensor=member,
                    axis=axis,
                    expected=result.get(group, "0 or more"),
                    got=value,
                )
    return result


def parameter_sizes(
    given: int | Mapping[Any, Any], directions: Mapping[str, Direction]
) -> dict[str, int]:
    """The sizes `min + n * step` of a block, for each direction that has such sizes.

    Args:
        given: n; for all directions, by axis, or by tensor and axis.

    Raises:
        BlockError: if an axis has no such sizes, or n is negative.
    """
    free = {name: d for name, d in directions.items() if _parameterized(d)}
    if isinstance(given, int):
        given = {d.group.axes[0][1].id: given for d in free.values()}
    groups = {name: direction.group for name, direction in directions.items()}
    sizes = {}
    for name, n in requested_sizes(given, groups, "blocksize_parameter").items():
        if name not in free:
            raise BlockError(
                "this axis has no sizes to choose from",
                axis=name,
                expected=f"one of {', '.join(free) or 'none'}",
                got=f"blocksize_parameter {n}",
            )
        largest = max(rule.min + n * rule.step for rule in _parameterized(free[name]))
        # where inputs that are cut together have different steps, not every n is a common size
        sizes[name] = common_valid(free[name].rules, largest) or largest
    return sizes


def _parameterized(direction: Direction) -> list[ParameterizedSize]:
    return [rule for rule in direction.rules if isinstance(rule, ParameterizedSize)]
