"""What files say of their pixels: axes, pixel sizes, names of channels.

What holds here: a name or a size that a file does not give, or that makes no sense, is absent; it
is never made up. Words are those of the BioImage.IO format, whatever a file calls them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from ..axes import AxisId
from ..calibration import UNKNOWN, Calibration, PixelSize
from ..units import unit_name
from .mapped import MappedFile
from .sources import StoredArray

__all__ = [
    "Image",
    "Labelled",
    "Labels",
    "calibration",
    "channel_names",
    "named_axes",
    "pixel_size",
]

Image: TypeAlias = MappedFile | StoredArray | np.ndarray[Any, Any]
Labels: TypeAlias = tuple[tuple[AxisId, ...] | None, Calibration]

_NO_EXTENT = ("pixel", "pixels", "px", "reference frame")
_NUMBERED = re.compile(r"(phony_)?dim_\d+|(Channel|C):\d+(:\d+)?")
"""Dimensions of xarray and netCDF, channels of bioio, to which nobody has given a name."""


@attrs.frozen(eq=False)
class Labelled:
    """An array in a file, and what the file says of it.

    Args:
        data: what is sliced.
        axes: one for each dimension; None if the file does not name all of them.
        calibration: pixel sizes and channel names, where the file has them.
    """

    data: Image
    axes: tuple[AxisId, ...] | None = None
    calibration: Calibration = UNKNOWN


def named_axes(names: Iterable[Any], dimensions: int) -> tuple[AxisId, ...] | None:
    """Axes of the names that a file gives; None if they do not name each dimension, once.

    Names that only number the dimensions are none.

    Examples:
        >>> named_axes(["T", "c", "Y", "x"], 4)
        ('time', 'channel', 'y', 'x')
        >>> named_axes(["c", None, "x"], 3), named_axes("yy", 2), named_axes(["dim_0"], 1)
        (None, None, None)
    """
    given = [*names]
    named = [
        isinstance(name, str) and name.isidentifier() and not _NUMBERED.fullmatch(name)
        for name in given
    ]
    if len(given) != dimensions or not all(named):
        return None
    axes = tuple(AxisId(name) for name in given)
    return axes if len({*axes}) == len(axes) else None


def pixel_size(value: object, unit: object = None) -> PixelSize | None:
    """The size of a pixel, if it is one: a number larger than 0 that does not count pixels.

    Examples:
        >>> pixel_size("0.25", "um"), pixel_size(0, "um"), pixel_size(1, "pixel")
        (PixelSize(value=0.25, unit='micrometer'), None, None)
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if not (math.isfinite(number) and number > 0) or str(unit).strip().lower() in _NO_EXTENT:
        return None
    return PixelSize(number, unit_name(unit))


def channel_names(
    names: Sequence[object], axes: Sequence[str | None] | None, shape: Sequence[int]
) -> tuple[str, ...]:
    """The names of channels, if there is one for each; none where that can not be told.

    Some files leave a channel without a name, or number it; its name then is empty. A tensor
    without an axis for them has one channel.

    Examples:
        >>> channel_names(["DAPI", None], ["channel", "y", "x"], (2, 5, 5))
        ('DAPI', '')
        >>> channel_names(["DAPI", "GFP"], ["y", "x"], (5, 5))
        ()
    """
    given = ["" if name is None else str(name).strip() for name in names]
    found = tuple("" if _NUMBERED.fullmatch(name) else name for name in given)
    sizes = dict(zip(axes or (), shape, strict=False))
    return found if any(found) and len(found) == sizes.get("channel", 1) else ()


def calibration(
    sizes: Mapping[Any, PixelSize | None], channels: tuple[str, ...] = ()
) -> Calibration:
    """What is known of sizes, some of which are not."""
    return Calibration({a: size for a, size in sizes.items() if size is not None}, channels)
