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
    ReferencedSize,
    SizeRule,
)
from ..errors import SizeError
from .grid import Follower

__all__ = [
    "Direction",
    "Group",
    "Key",
    "Sizes",
    "directions_of",
    "groups_of",
]

Key: TypeAlias = tuple[MemberId, AxisId]
"""An axis of a tensor."""
Sizes: TypeAlias = Mapping[Any, Mapping[Any, int]]
"""For each tensor, the size of each axis."""


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
    groups: Mapping[str, Group],
    *,
    halo: Mapping[str, int],
    signature: Mapping[Any, Sequence[int | None]],
) -> dict[str, Direction]:
    """The directions in which a sample can be cut.

    Args:
        contract, shapes, signature: as of `plan_blocks`.
        groups: as of `groups_of`.
        halo: pixels of the halo, for groups for which it is not the described one.
    """
    followers = _followers(contract, groups, halo, shapes)
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
