"""Texts that options take, as values.

What holds here: a text that is no such value is a wrong call, and the error shows one that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

__all__ = ["SIZES", "by_input", "in_order", "indices"]


class Sizes(click.ParamType[Any]):
    """A number, or numbers by axis: `y=512,x=512`."""

    name = "sizes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | dict[str, int]:
        """The number or numbers of a text."""
        if not isinstance(value, str):  # converted before
            sizes: int | dict[str, int] = value
            return sizes
        if value.strip().isdecimal():
            return int(value)
        try:
            pairs = [part.split("=") for part in value.split(",")]
            by_axis = {axis.strip(): int(size) for axis, size in pairs}
        except ValueError:
            self.fail(f"{value!r} is not like y=512,x=512", param, ctx)
        if len(by_axis) < len(pairs):
            self.fail(f"{value!r} names an axis twice", param, ctx)
        return by_axis


SIZES = Sizes()


def by_input(texts: Sequence[str], option: str) -> str | dict[str, str] | None:
    """Values of an option that is one for all inputs, or one for each: `zyx`, or `raw=zyx`.

    Args:
        texts: what was given, each time that it was.
        option: its name, for errors.

    Examples:
        >>> by_input(["zyx"], "--axes"), by_input(["raw=zyx", "mask=yx"], "--axes")
        ('zyx', {'raw': 'zyx', 'mask': 'yx'})
    """
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    pairs = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in pairs):
        raise click.UsageError(f"{option} is given several times; name inputs: {option} raw=...")
    named = {name: value for name, _, value in pairs}
    if len(named) < len(pairs):
        raise click.UsageError(f"{option} is given twice for one input")
    return named


def in_order(text: str) -> str | list[str]:
    """Axes in order: letters, or words with commas between them.

    Examples:
        >>> in_order("zyx"), in_order("channel,height,width")
        ('zyx', ['channel', 'height', 'width'])
    """
    return [axis.strip() for axis in text.split(",")] if "," in text else text


def indices(text: str) -> Any:
    """Channels by their numbers or names, one or several.

    Examples:
        >>> indices("1"), indices("DAPI"), indices("0,DAPI")
        (1, 'DAPI', [0, 'DAPI'])
    """
    channels = [int(part) if part.isdecimal() else part for part in map(str.strip, text.split(","))]
    return channels if "," in text else channels[0]
