"""Parameters of operations: how they are read, and how they are checked and brought into shape.

What holds here: whatever can not be a parameter is an `OperationError` (or an `AxesError`), when
the operation is made or planned; nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array
from ..axes import AxisId, as_axes
from ..errors import AxesError, OperationError, SizeError
from ..spec import TensorSpec
from ..tensor import Tensor, transpose

__all__ = [
    "Numbers",
    "aligned",
    "along_axis",
    "check",
    "check_axes",
    "check_axis",
    "check_lists",
    "number",
    "numbers",
    "optional_axes",
    "optional_axis",
]

Numbers: TypeAlias = float | tuple[float, ...]
"""One number for a whole tensor, or one for each index of an axis."""


def number(value: Any) -> float:
    """A parameter that is one number; not a string that reads like one, and not NaN."""
    try:
        result = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if math.isnan(result):
        raise OperationError("not a number", expected="a number", got=repr(value))
    return result


def numbers(value: float | Iterable[float]) -> Numbers:
    """A parameter that is a number or a list of them."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return number(value)
    if not (result := tuple(map(number, value))):
        raise OperationError("an empty list", expected="at least one number", got=value)
    return result


def optional_axis(value: str | None) -> AxisId | None:
    """A parameter that is an axis or None."""
    return None if value is None else AxisId(value)


def optional_axes(value: Iterable[str] | None) -> tuple[AxisId, ...] | None:
    """A parameter that is a set of axes, or None for all."""
    return None if value is None else as_axes(value)


def check(condition: bool, step: str, what: str, expected: object, got: object) -> None:
    """Raise `OperationError` unless a condition holds."""
    if not condition:
        raise OperationError(what, step=step, expected=expected, got=got)


def along_axis(values: Numbers, axis: AxisId | None, spec: TensorSpec) -> Any:
    """A number, or a list of them shaped to lie along an axis."""
    if axis is None or not isinstance(values, tuple):
        return values
    return np.reshape(values, [-1 if a == axis else 1 for a in spec.axes])


def aligned(value: Tensor, spec: TensorSpec) -> Array:
    """A statistic as an array that broadcasts against a tensor of those axes."""
    axes, shape = spec.axes, spec.shape
    kept = [a for a in axes if a in value.axes]
    missing = [a for a in value.axes if a not in axes]
    if missing:
        raise AxesError(
            "a statistic keeps an axis that the tensor does not have",
            axis=missing[0],
            expected=f"axes of {tuple(axes)}",
            got=value.axes,
        )
    for axis in kept:
        if value.sizes[axis] not in (1, shape[axes.index(axis)]):
            raise SizeError(
                "a statistic has one value for each index of an axis that it keeps",
                axis=axis,
                expected=shape[axes.index(axis)],
                got=value.sizes[axis],
            )
    array = np.asarray(transpose(value, kept))
    return array.reshape([value.sizes[a] if a in kept else 1 for a in axes])


def check_axis(spec: TensorSpec, axis: AxisId | None, lists: Iterable[Numbers], step: str) -> None:
    """Refuse an axis that the tensor does not have, and lists that are not as long as it is."""
    if axis is None:
        return
    if axis not in spec.axes:
        raise AxesError("no such axis", axis=axis, step=step, expected=f"one of {spec.axes}")
    size = spec.sizes[axis]
    for values in lists:
        if isinstance(values, tuple) and size is not None and len(values) != size:
            raise OperationError(
                "one value is needed for each index of the axis",
                axis=axis,
                step=step,
                expected=f"{size} values",
                got=f"{len(values)} values",
            )


def check_axes(spec: TensorSpec, axes: Iterable[AxisId] | None, step: str) -> None:
    """Refuse axes that the tensor does not have."""
    for axis in axes or ():
        if axis not in spec.axes:
            raise AxesError("no such axis", axis=axis, step=step, expected=f"one of {spec.axes}")


def check_lists(step: str, axis: AxisId | None, **lists: Numbers) -> None:
    """Refuse lists of different lengths, lists without an axis, and an axis without lists."""
    lengths = {len(v) for v in lists.values() if isinstance(v, tuple)}
    check(
        len(lengths) <= 1,
        step,
        f"the lists of {' and '.join(lists)} belong together",
        "lists of one length",
        sorted(lengths),
    )
    check(
        bool(lengths) == (axis is not None),
        step,
        f"lists of {' and '.join(lists)} go along an axis, single numbers do not",
        "an axis and a list, or neither",
        {"axis": axis, **lists},
    )
