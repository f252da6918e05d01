"""`Calibration`: what the pixels of a tensor stand for in the world.

What holds here: what is not known is absent, never assumed to be 1; units are spelled as in the
BioImage.IO format (`micrometer`, `second`), whatever a file calls them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from immutabledict import immutabledict

from .axes import AxisId
from .errors import AxesError

__all__ = ["UNKNOWN", "Calibration", "PixelSize"]


@attrs.frozen
class PixelSize:
    """The extent of a pixel along one axis, or the time between two frames.

    Args:
        value: larger than 0.
        unit: of the value, such as `micrometer` or `second`; None if it is not known.

    Raises:
        AxesError: if the value is not larger than 0.

    Examples:
        >>> print(PixelSize(0.1, "micrometer"))
        0.1 micrometer
    """

    value: float = attrs.field(converter=float)
    unit: str | None = None

    @value.validator
    def _is_an_extent(self, _: object, value: float) -> None:
        if not (value > 0 and math.isfinite(value)):
            raise AxesError("a pixel has an extent", expected="a number larger than 0", got=value)

    def __str__(self) -> str:
        return f"{self.value:.6g} {self.unit or '(no unit)'}"


def _pixel_sizes(sizes: Mapping[Any, PixelSize]) -> immutabledict[AxisId, PixelSize]:
    return immutabledict({AxisId(axis): size for axis, size in sizes.items()})


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@attrs.frozen
class Calibration:
    """What is known of the pixels of a tensor, by axis.

    It follows the axes by their names: it may name axes that a tensor does not have.

    Args:
        pixel_sizes: extent of a pixel by axis, where it is known.
        channel_names: one name for each channel, in order; empty if they have none.

    Examples:
        >>> Calibration({"x": PixelSize(0.1, "micrometer")}).pixel_sizes["x"].value
        0.1
    """

    pixel_sizes: Mapping[AxisId, PixelSize] = attrs.field(
        converter=_pixel_sizes, factory=immutabledict
    )
    channel_names: tuple[str, ...] = attrs.field(converter=_names, default=())

    def __bool__(self) -> bool:
        return bool(self.pixel_sizes or self.channel_names)


UNKNOWN = Calibration()
"""That of a plain array."""
