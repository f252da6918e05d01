"""Axis ids: one set of names for the letters of format 0.4 and the ids of format 0.5.

What holds here: an `AxisId` is a plain lower-case string; the short and the long name of an axis
are the same id (`AxisId("b") == "batch"`); a tuple of axes has no id twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Self

import attrs

from .errors import AxesError

__all__ = ["Axis", "AxisId", "AxisType", "MemberId", "as_axes", "axis_type", "permutation"]

AxisType = Literal["batch", "channel", "time", "index", "space"]

_LONG = {"b": "batch", "c": "channel", "s": "channel", "t": "time", "i": "index"}
_LETTERS = frozenset("bcistxyz")
_TYPES: dict[str, AxisType] = {
    "batch": "batch",
    "channel": "channel",
    "time": "time",
    "index": "index",
    "z": "space",
    "y": "space",
    "x": "space",
}


class AxisId(str):
    """The id of an axis: `batch`, `channel`, `time`, `index`, `z`, `y`, `x`, or any other word.

    The letters of format 0.4 (`b c t i`, and `s` for samples per pixel) are accepted and become
    the ids of format 0.5.

    Raises:
        AxesError: if it is no identifier.

    Examples:
        >>> AxisId("b"), AxisId("Y"), AxisId("channel")
        ('batch', 'y', 'channel')
    """

    __slots__ = ()

    def __new__(cls, axis: str) -> Self:
        """Bring a letter or an id into its one form."""
        if isinstance(axis, cls):
            return axis
        if not isinstance(axis, str) or not axis.isidentifier():
            raise AxesError(
                "not an axis id",
                expected="a letter of 'bcitzyx' or a word such as 'channel'",
                got=repr(axis),
            )
        return super().__new__(cls, _LONG.get(axis.lower(), axis.lower()))


class MemberId(str):
    """The id of a tensor within a sample, such as `raw` or `probability`.

    Examples:
        >>> MemberId("raw")
        'raw'
    """

    __slots__ = ()


def axis_type(axis: str) -> AxisType:
    """The type of an axis, told from its id alone.

    Raises:
        AxesError: if the id is none of the usual ones; an `Axis` then has to say its type.

    Examples:
        >>> axis_type("b"), axis_type("z")
        ('batch', 'space')
    """
    try:
        return _TYPES[AxisId(axis)]
    except KeyError:
        raise AxesError(
            "the type of this axis can not be told from its id",
            axis=axis,
            expected=f"one of {', '.join(_TYPES)}",
            remedy="give Axis(id, type)",
        ) from None


@attrs.frozen
class Axis:
    """An axis: its id and its type.

    Examples:
        >>> Axis("b")
        Axis(id='batch', type='batch')
        >>> Axis("height", type="space").type
        'space'
    """

    id: AxisId = attrs.field(converter=AxisId)
    type: AxisType = attrs.field(
        validator=attrs.validators.in_(("batch", "channel", "time", "index", "space"))
    )

    @type.default
    def _type_of_id(self) -> AxisType:
        return axis_type(self.id)


def as_axes(axes: str | Iterable[str]) -> tuple[AxisId, ...]:
    """A tuple of axis ids from a string of letters, from one id, or from any iterable of ids.

    Args:
        axes: `"bcyx"`, `"channel"`, `["batch", "channel", "y", "x"]`, ...

    Raises:
        AxesError: if an id is given twice, is no identifier, or if a string is neither an id nor
            made of the letters `b c i s t x y z`.

    Examples:
        >>> as_axes("bcyx")
        ('batch', 'channel', 'y', 'x')
        >>> as_axes("channel"), as_axes(["channel"])
        (('channel',), ('channel',))
        >>> as_axes("yy")
        Traceback (most recent call last):
            ...
        bioimageio_fn.errors.AxesError: an axis is named twice (axis 'y'): got 'yy'
    """
    if type(axes) is tuple and len({a for a in axes if type(a) is AxisId}) == len(axes):
        return axes  # those of another tensor
    if isinstance(axes, str) and axes.lower() in _TYPES:
        return (AxisId(axes),)
    if isinstance(axes, str) and not set(axes.lower()) <= _LETTERS:
        raise AxesError(
            "a string of axes has one letter for each",
            expected=f"letters of '{''.join(sorted(_LETTERS))}'",
            got=repr(axes),
            remedy=f"give words as a list: [{axes!r}]",
        )
    if not isinstance(axes, Iterable):
        raise AxesError("not axes", expected="letters or a list of ids", got=repr(axes))
    ids = tuple(AxisId(a) for a in axes)
    doubled = next((a for a in ids if ids.count(a) > 1), None)
    if doubled is not None:
        raise AxesError("an axis is named twice", axis=doubled, got=repr(axes))
    return ids


def permutation(have: Sequence[str], want: Sequence[str]) -> tuple[int, ...]:
    """Where each wanted axis stands among those at hand: the argument of a transposition.

    Raises:
        AxesError: if the two do not hold the same axes.

    Examples:
        >>> permutation(as_axes("yxc"), as_axes("cyx"))
        (2, 0, 1)
    """
    if sorted(have) != sorted(want):
        raise AxesError("these are not the same axes", expected=tuple(want), got=tuple(have))
    return tuple(have.index(axis) for axis in want)
