"""What a caller asks of a plan, checked and brought into one form: whole numbers by direction.

What holds here: a number is never rounded, cut off or read out of a text; an axis that is named is
there; axes that are cut together are asked for the same.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

from ..axes import AxisId, MemberId
from ..contract.records import ModelContract, ParameterizedSize
from ..errors import AxesError, BlockError, MissingMemberError, SizeError
from .choose import PIXELS, MemoryModel
from .directions import Direction, Group, Sizes
from .sizes import common_valid

__all__ = [
    "checked_shapes",
    "pixel_budget",
    "requested_sizes",
    "stack_size",
    "wanted_sizes",
    "whole_number",
]


def whole_number(
    value: Any, what: str, *, tensor: str | None = None, axis: str | None = None
) -> int:
    """An integer of any library as an `int`.

    Raises:
        BlockError: if it is none; a float is none, even without a fraction, nor is a boolean.

    Examples:
        >>> import numpy as np
        >>> whole_number(np.uint16(12), "halo")
        12
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise BlockError(
            f"{what} is not given in whole numbers",
            tensor=tensor,
            axis=axis,
            expected="an integer" if axis else "integers by axis, such as {'y': 256, 'x': 256}",
            got=repr(value),
        )
    return number


def checked_shapes(
    contract: ModelContract, shapes: Mapping[Any, Mapping[Any, Any]]
) -> dict[MemberId, dict[AxisId, int]]:
    """The size of each axis of each input that is given, as integers.

    Raises:
        AxesError: if axes are not those of the input.
        MissingMemberError: if no input is given.
        BlockError, SizeError: if a size is no integer, or less than 1.
    """
    if not isinstance(shapes, Mapping) or not shapes:
        raise MissingMemberError(
            "a plan needs the sizes of the inputs",
            expected=", ".join(tensor.id for tensor in contract.inputs),
            got=repr(shapes),
        )
    return {MemberId(m): _checked_shape(contract, m, sizes) for m, sizes in shapes.items()}


def _checked_shape(contract: ModelContract, member: str, sizes: Any) -> dict[AxisId, int]:
    axes = contract.tensor(member, "input").axis_ids
    if not isinstance(sizes, Mapping) or set(map(str, sizes)) != set(axes):
        raise AxesError(
            "a plan needs the size of each axis of a tensor",
            tensor=member,
            expected=axes,
            got=tuple(sizes) if isinstance(sizes, Mapping) else repr(sizes),
        )
    whole = {
        AxisId(axis): whole_number(size, "the size of an axis", tensor=member, axis=axis)
        for axis, size in sizes.items()
    }
    empty = next((axis for axis, size in whole.items() if size < 1), None)
    if empty is not None:
        raise SizeError(
            "nothing is there to be cut",
            tensor=member,
            axis=empty,
            expected="1 or more",
            got=whole[empty],
        )
    return whole


def requested_sizes(given: Any, groups: Mapping[str, Group], what: str) -> dict[str, int]:
    """What a caller asks for each direction; given for all, by axis, or by tensor and axis.

    Args:
        given: an integer for all axes in space, a mapping, or None.
        groups: the directions.
        what: name of the argument, for messages.

    Raises:
        AxesError: if an axis is named that is not there.
        BlockError: if something is no integer, negative, or differs for axes that are cut together.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        number = whole_number(given, what)
        given = {g.axes[0][1].id: number for g in groups.values() if g.type == "space"}
    result: dict[str, int] = {}
    for member, axis, value in _flat(given, what):
        for group in _named(member, axis, groups, what):
            if value < 0 or result.setdefault(group, value) != value:
                raise BlockError(
                    f"{what} is negative, or differs for axes that are cut together",
                    tensor=member,
                    axis=axis,
                    expected=result.get(group, "0 or more"),
                    got=value,
                )
    return result


def _flat(given: Mapping[Any, Any], what: str) -> Iterator[tuple[str | None, AxisId, int]]:
    """Tensor (if one is named), axis and number of each entry."""
    for name, value in given.items():
        if isinstance(value, Mapping):
            entries = [(name, axis, number) for axis, number in value.items()]
        elif isinstance(name, tuple) and len(name) == 2:
            entries = [(*name, value)]
        else:
            entries = [(None, name, value)]
        for member, axis, number in entries:
            yield member, AxisId(axis), whole_number(number, what, tensor=member, axis=axis)


def _named(member: str | None, axis: AxisId, groups: Mapping[str, Group], what: str) -> list[str]:
    names = [
        n for n, g in groups.items() if any(a == axis and member in (None, m) for m, a in g.keys)
    ]
    if not names:
        raise AxesError(
            f"{what} names an axis that the inputs do not have",
            tensor=member,
            axis=axis,
            expected=f"one of {', '.join(groups)}",
        )
    return names


def _parameter_sizes(given: Any, directions: Mapping[str, Direction]) -> dict[str, int]:
    """The sizes `min + n * step` of a block, for each direction that has such sizes.

    Args:
        given: n; for all directions, by axis, or by tensor and axis.

    Raises:
        BlockError: if an axis has no such sizes, or n is negative.
    """
    free = {name: d for name, d in directions.items() if _parameterized(d)}
    if not isinstance(given, Mapping):
        n = whole_number(given, "blocksize_parameter")
        given = {d.group.axes[0][1].id: n for d in free.values()}
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


def wanted_sizes(
    directions: Mapping[str, Direction],
    block_shape: Any,
    blocksize_parameter: Any,
    batch_size: int | None,
) -> dict[str, int]:
    """The sizes of blocks that a caller asks for; arguments as of `plan_blocks`."""
    if block_shape is not None and blocksize_parameter is not None:
        raise BlockError(
            "block_shape and blocksize_parameter both say how large a block is",
            expected="one of them",
            got=f"{block_shape} and {blocksize_parameter}",
        )
    groups = {name: direction.group for name, direction in directions.items()}
    wanted = requested_sizes(block_shape, groups, "block_shape")
    if blocksize_parameter is not None:
        wanted = _parameter_sizes(blocksize_parameter, directions)
    if batch_size is not None and "batch" in directions:
        wanted.setdefault("batch", min(batch_size, groups["batch"].size))
    return wanted


def stack_size(
    contract: ModelContract,
    shapes: Sizes,
    directions: Mapping[str, Direction],
    batch_size: int | None,
) -> int:
    """How many blocks go through the network at a time.

    Raises:
        BlockError: if the model does not take so many samples.
    """
    if batch_size is None:
        return 1
    if batch_size < 1:
        raise BlockError("a batch has samples", axis="batch", expected="1 or more", got=batch_size)
    batch = directions.get("batch")
    if batch is None or common_valid(batch.rules, batch_size) != batch_size:
        raise BlockError(
            "the model does not take so many samples at a time",
            axis="batch",
            expected="a batch axis" if batch is None else " and ".join(map(str, batch.rules)),
            got=batch_size,
        )
    tensors = (*(t for t in contract.inputs if t.id in shapes), *contract.raw_outputs)
    stackable = all(any(axis.type == "batch" for axis in t.axes) for t in tensors)
    return max(1, batch_size // batch.group.size) if stackable else 1


def pixel_budget(memory: MemoryModel | None) -> int:
    """How many pixels a block may have if nobody asks for a size.

    Raises:
        BlockError: if what is given is not a `MemoryModel`.
    """
    if memory is None:
        return PIXELS
    if not isinstance(memory, MemoryModel):
        raise BlockError(
            "memory is not told by a number alone",
            expected="MemoryModel(fixed=..., per_pixel=..., limit=...), in bytes",
            got=repr(memory),
        )
    return min(PIXELS, memory.pixels)
