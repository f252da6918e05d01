"""The directions in which a sample can be cut: input axes whose sizes follow from no other.

What holds here: axes of one id and size go together in all inputs that have them; what is asked
for a direction is asked for all of its axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from ..axes import AxisId, MemberId
from ..contract.records import AxisContract, ModelContract, ReferencedSize
from ..errors import AxesError, BlockError, SizeError

__all__ = ["Group", "Key", "Sizes", "check_shapes", "groups_of", "requested_sizes"]

Key: TypeAlias = tuple[MemberId, AxisId]
"""An axis of a tensor."""
Sizes: TypeAlias = Mapping[Any, Mapping[Any, int]]
"""For each tensor, the size of each axis."""


def check_shapes(contract: ModelContract, shapes: Sizes) -> None:
    """Refuse sizes that are not those of the axes of inputs."""
    for member, sizes in shapes.items():
        axes = contract.tensor(member, "input").axis_ids
        if set(map(str, sizes)) != set(axes):
            raise AxesError(
                "a plan needs the size of each axis of a tensor",
                tensor=member,
                expected=axes,
                got=tuple(sizes),
            )


@attrs.frozen
class Group:
    """Input axes that are cut together: of one id and size, in all inputs that have it."""

    size: int
    axes: tuple[tuple[MemberId, AxisContract], ...]

    @property
    def keys(self) -> list[Key]:
        """Its axes."""
        return [(member, axis.id) for member, axis in self.axes]


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
    given: int | Mapping[str, Any] | None, groups: Mapping[str, Group], what: str
) -> dict[str, int]:
    """What a caller asks for each direction; given for all, by axis, or by tensor and axis."""
    if given is None:
        return {}
    if isinstance(given, int):
        given = {g.axes[0][1].id: given for g in groups.values() if g.axes[0][1].type == "space"}
    flat: dict[tuple[str | None, AxisId], int] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            flat |= {(name, AxisId(a)): int(v) for a, v in value.items()}
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
