"""How what users give is read as the sample that a model takes.

What holds here: a labelled tensor is matched by axis names alone; an array without labels is taken
in the described order, then with axes of size 1 added or dropped, then with the channel moved, and
never otherwise: where several readings remain, or none, the error lists them. Nothing is copied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from .axes import AxisId
from .contract.records import (
    AnySize,
    AxisContract,
    FixedSize,
    ModelContract,
    TensorContract,
    admits,
)
from .errors import ArrayError, AxesError, MissingMemberError, SizeError, UnknownMemberError
from .sample import Sample
from .tensor import Tensor, drop_axes, insert_axes, transpose
from .xarrays import is_data_array

__all__ = [
    "Reading",
    "as_sample",
    "check_axes",
    "labelled",
    "labelled_sample",
    "read_array",
    "read_tensor",
    "readings",
]

Reading: TypeAlias = tuple[AxisId | None, ...]
"""The axis that each dimension of an array is taken for; None for one of size 1 that is dropped."""


def as_sample(inputs: Any, contract: ModelContract, *, sample_id: str | None = None) -> Sample:
    """The sample that a model takes, from whatever holds it.

    Args:
        inputs: a `Sample`; a mapping of tensors or arrays by input id; or, for a model with one
            required input, one tensor or array. A `xarray.DataArray` is a tensor.
        contract: the model's contract.
        sample_id: id of the sample; one that a `Sample` brings is kept.

    Raises:
        UnknownMemberError: if a tensor is given that the model does not take.
        MissingMemberError: if a required tensor is not given.
        AxesError, SizeError: if a tensor can not be read as the described one.
    """
    sample = labelled_sample(inputs, contract, labelled, sample_id=sample_id)
    members = {n: read_tensor(t, contract.tensor(n, "input")) for n, t in sample.members.items()}
    return attrs.evolve(sample, members=members)


def labelled_sample(
    inputs: Any,
    contract: ModelContract,
    label: Callable[[Any, TensorContract], Tensor],
    *,
    sample_id: str | None = None,
) -> Sample:
    """The tensors that are given for a model, with names for their axes, whichever these are.

    Args:
        inputs, contract, sample_id: as of `as_sample`.
        label: makes a tensor of what is given for an input: `labelled`, or what opens files first.

    Raises:
        UnknownMemberError, MissingMemberError: as `as_sample`; and whatever `label` raises.
    """
    given, stat, own_id = _by_name(inputs, contract)
    known = [t.id for t in contract.inputs]
    for name in given:
        if name not in known:
            raise UnknownMemberError(
                "this model takes no tensor of that name",
                tensor=name,
                expected=f"one of {', '.join(known)}",
            )
    members: dict[str, Tensor] = {}
    for tensor in contract.inputs:
        value = given.get(tensor.id)
        if value is None and not tensor.optional:
            raise MissingMemberError(
                "a required input is missing",
                tensor=tensor.id,
                expected=str(tensor),
                got=", ".join(given) or "nothing",
            )
        if value is not None:
            members[tensor.id] = label(value, tensor)
    return Sample(members, stat=stat, id=own_id if own_id is not None else sample_id)


def _by_name(inputs: Any, contract: ModelContract) -> tuple[dict[str, Any], Any, str | None]:
    if isinstance(inputs, Sample):
        return {str(m): t for m, t in inputs.members.items()}, inputs.stat, inputs.id
    if isinstance(inputs, Mapping):
        return {str(name): value for name, value in inputs.items()}, {}, None
    required = [t for t in contract.inputs if not t.optional] or list(contract.inputs)
    if len(required) != 1:
        raise MissingMemberError(
            "this model takes several tensors",
            expected=f"a mapping with {', '.join(t.id for t in required)}",
            got="one array",
            remedy="give {id: array, ...}",
        )
    return {required[0].id: inputs}, {}, None


def labelled(value: Any, contract: TensorContract) -> Tensor:
    """A tensor as it is, and an array as the described tensor.

    Raises:
        AxesError: if the array has no labels, and no reading fits, or several do.
    """
    if isinstance(value, Tensor):
        return value
    return Tensor.from_xarray(value) if is_data_array(value) else read_array(value, contract)


def read_tensor(value: Any, contract: TensorContract) -> Tensor:
    """A tensor or array as the described tensor: its axes, in its order.

    Raises:
        AxesError: if the axes can not be matched.
        SizeError: if an axis has a size that the model can never take.
    """
    tensor = _by_label(labelled(value, contract), contract)
    for axis in contract.axes:
        size = tensor.sizes[axis.id]
        if not _possible(axis, size):
            raise SizeError(
                "the model does not take this size",
                tensor=contract.id,
                axis=axis.id,
                expected=axis.size,
                got=_got(tensor, axis, size),
                remedy="select some: predict(..., channels=...)"
                if axis.type == "channel" and size > 1
                else None,
            )
    return tensor


def _got(tensor: Tensor, axis: AxisContract, size: int) -> str:
    names = tensor.calibration.channel_names if axis.type == "channel" else ()
    return f"{size} ({', '.join(names)})" if len(names) == size else str(size)


def _possible(axis: AxisContract, size: int) -> bool:
    """Whether an axis of this size can be brought to a valid one by padding or cutting."""
    if size < 1:
        return False
    if axis.type == "channel":
        return not isinstance(axis.size, FixedSize) or axis.size.size == size
    return True


def check_axes(tensor: Tensor, contract: TensorContract) -> None:
    """Refuse a tensor that lacks an axis which the model needs, whatever other axes it has.

    Raises:
        AxesError: if so.
    """
    for axis in contract.axes:
        if axis.id not in tensor.axes and not _single(axis):
            raise AxesError(
                "the tensor lacks an axis that the model needs",
                tensor=contract.id,
                axis=axis.id,
                expected=f"axes {', '.join(contract.axis_ids)}",
                got=", ".join(tensor.axes),
                remedy="if they are named wrong, name them: Tensor(array, axes),"
                " or predict(..., axes=...)",
            )


def _by_label(tensor: Tensor, contract: TensorContract) -> Tensor:
    check_axes(tensor, contract)
    missing = [a.id for a in contract.axes if a.id not in tensor.axes]
    extra = [a for a in tensor.axes if a not in contract.axis_ids]
    for name in extra:
        if tensor.sizes[name] != 1:
            raise AxesError(
                "the model has no such axis",
                tensor=contract.id,
                axis=name,
                expected=f"axes {', '.join(contract.axis_ids)}",
                got=f"{tensor.sizes[name]} pixels along it",
                remedy="select one index of it, or call `predict`, which runs each of them",
            )
    whole = insert_axes(drop_axes(tensor, extra), missing)
    return transpose(whole, contract.axis_ids)


def _single(axis: AxisContract) -> bool:
    """Whether an axis may be added with size 1."""
    if isinstance(axis.size, AnySize):
        return True
    return admits(axis.size, 1)


def read_array(array: Any, contract: TensorContract) -> Tensor:
    """An array without labels as the described tensor.

    Raises:
        AxesError: if no reading fits, or several do that give different tensors.

    Examples:
        >>> import numpy as np
        >>> from bioimageio_fn.axes import axis_type
        >>> from bioimageio_fn.contract.records import AxisContract, ParameterizedSize
        >>> sizes = [("batch", AnySize()), ("channel", FixedSize(1)),
        ...          ("y", ParameterizedSize(16, 16)), ("x", ParameterizedSize(16, 16))]
        >>> axes = tuple(AxisContract(axis, axis_type(axis), size) for axis, size in sizes)
        >>> contract = TensorContract("raw", axes, "float32")
        >>> read_array(np.zeros((30, 40, 1)), contract)
        Tensor(batch=1, channel=1, y=30, x=40, dtype=float64)
    """
    if isinstance(array, (str, os.PathLike)):
        raise ArrayError(
            "a path is not an array",
            tensor=contract.id,
            got=os.fspath(array),
            remedy="read it with `read_image`, or call `predict`",
        )
    data = array if hasattr(array, "shape") else _array_of(array, contract)
    shape = tuple(int(s) for s in data.shape)
    if 0 in shape:
        raise SizeError(
            "an array of size 0 holds nothing", tensor=contract.id, got=f"shape {shape}"
        )
    found = readings(shape, contract)
    if len(found) != 1:
        described = ", ".join(f"{a.id}: {a.size}" for a in contract.axes)
        listed = " or ".join(_show(reading, shape) for reading in found)
        raise AxesError(
            "an array without axes can be read in several ways" if found else "no reading fits",
            tensor=contract.id,
            expected=f"({described})",
            got=f"shape {shape}, that is {listed}" if found else f"shape {shape}",
            remedy=f"name its axes: Tensor(array, '{_letters(found[0])}')"
            if found
            else "select what the model takes, or name the axes: Tensor(array, axes),"
            " or predict(..., axes=...)",
        )
    reading = found[0]
    named = [axis or AxisId(f"dropped{i}") for i, axis in enumerate(reading)]
    return _by_label(Tensor(data, named), contract)


def _array_of(values: Any, contract: TensorContract) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ArrayError(
            "these are no numbers of an image",
            tensor=contract.id,
            expected="an array, or lists of the same lengths",
            got=error,
        ) from error


def readings(shape: Sequence[int], contract: TensorContract) -> list[Reading]:
    """The ways in which a shape can be read as the described tensor, best kind only.

    Kinds, best first: the described order; the described order with axes of size 1 added or
    dropped; the channel moved to another place. Of one kind, those win that leave the fewest
    spatial axes with size 1. Readings that give the same tensor count once. Several samples at
    once (a batch) are only read from an array that has every described axis.
    """
    axes = list(contract.axes)
    full = tuple(a.id for a in axes)
    if len(shape) == len(full) and _fits(full, shape, axes):
        return [full]
    for orders in ([axes], _channel_moved(axes)):
        found = [r for order in orders for r in _assignments(tuple(shape), order)]
        fitting = [r for r in found if _fits(r, shape, axes)]
        if fitting:
            fewest = min(_single_space(r, shape, axes) for r in fitting)
            best = [r for r in fitting if _single_space(r, shape, axes) == fewest]
            return list({_effect(r, shape): r for r in best}.values())
    return []


def _channel_moved(axes: Sequence[AxisContract]) -> list[list[AxisContract]]:
    channel = [a for a in axes if a.type == "channel"]
    rest = [a for a in axes if a.type != "channel"]
    first = 1 if rest and rest[0].type == "batch" else 0
    places = range(first, len(rest) + 1) if channel else ()
    return [[*rest[:i], *channel, *rest[i:]] for i in places]


def _assignments(shape: tuple[int, ...], axes: Sequence[AxisContract]) -> Iterator[Reading]:
    """Give each dimension the next axis, or drop it where its size is 1; skip axes at will."""
    if not shape:
        yield ()
        return
    for i, axis in enumerate(axes):
        for rest in _assignments(shape[1:], axes[i + 1 :]):
            yield (axis.id, *rest)
    if shape[0] == 1:
        for rest in _assignments(shape[1:], axes):
            yield (None, *rest)


def _fits(reading: Reading, shape: Sequence[int], axes: Sequence[AxisContract]) -> bool:
    sizes = {axis: size for axis, size in zip(reading, shape, strict=True) if axis is not None}
    # an image with its colours last must not pass for a batch of very narrow images
    if len(sizes) < len(axes) and any(sizes.get(a.id, 1) > 1 for a in axes if a.type == "batch"):
        return False
    return all(_possible(a, sizes[a.id]) if a.id in sizes else _single(a) for a in axes)


def _single_space(reading: Reading, shape: Sequence[int], axes: Sequence[AxisContract]) -> int:
    """How many spatial axes that could be larger would have size 1."""
    sizes = {axis: size for axis, size in zip(reading, shape, strict=True) if axis is not None}
    return sum(
        sizes.get(a.id, 1) == 1 for a in axes if a.type == "space" and a.size != FixedSize(1)
    )


def _effect(reading: Reading, shape: Sequence[int]) -> tuple[tuple[int, AxisId | None], ...]:
    """What tells readings apart: the axis that each dimension larger than 1 is taken for."""
    return tuple((i, axis) for i, axis in enumerate(reading) if shape[i] != 1)


def _show(reading: Reading, shape: Sequence[int]) -> str:
    names = ", ".join(f"{axis or '(dropped)'}={s}" for axis, s in zip(reading, shape, strict=True))
    return f"({names})"


def _letters(reading: Reading) -> str:
    """A reading as a string of axes, for a message."""
    short = {"batch": "b", "channel": "c", "time": "t", "index": "i"}
    return "".join(short.get(axis, axis) for axis in reading if axis is not None)
