"""Tensors as pictures that a web page holds in itself.

What holds here: a picture is one plane of a tensor, made smaller where it is large; a value that is
not finite stands out; where two differ, no difference is lost by making it smaller.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any, Literal

import attrs
import numpy as np
from immutabledict import immutabledict

from ..axes import AxisId
from ..deviation import Array
from ..tensor import Tensor
from .labels import looks_like_labels

__all__ = ["Picture", "Scale", "difference_picture", "label_picture", "plane", "value_picture"]

Colours = Literal["grey", "values", "signed"]

LONGEST = 480
"""Pixels of a picture, at most, along each side."""
RARE = 0.002
"""Part of the pixels of an image that may be darker than black, and brighter than white."""
_AXES_SHOWN = ("x", "y", "z", "time", "index", "channel", "batch")
"""The axes that a plane has, those first that it has if it can."""
_NOT_FINITE = (255, 0, 170)
_COLOURS: dict[Colours, tuple[tuple[int, int, int], ...]] = {
    "grey": ((0, 0, 0), (255, 255, 255)),
    "values": (
        *((18, 16, 40), (59, 40, 110), (26, 104, 143)),
        *((52, 166, 129), (166, 213, 94), (253, 236, 158)),
    ),
    "signed": (
        *((122, 220, 255), (46, 134, 222), (14, 22, 38)),
        *((216, 96, 40), (255, 213, 128)),
    ),
}


@attrs.frozen
class Scale:
    """Which values are darkest and brightest in a picture."""

    low: float
    high: float


@attrs.frozen
class Picture:
    """A picture of a plane.

    Args:
        uri: its PNG file, as a `data:` address.
        shape: rows and columns of the plane.
        where: index along the axes that the plane does not have, if they have several.
        axes: the axes of rows and columns.
        scale: what its colours stand for; None for labels and colour images.
        colours: which ones: `grey`, `values` or `signed`.
        finite: whether all of its values are; others are pink.
    """

    uri: str
    shape: tuple[int, int]
    where: Mapping[AxisId, int] = attrs.field(converter=immutabledict)
    axes: tuple[AxisId, AxisId]
    scale: Scale | None = None
    colours: Colours = "values"
    finite: bool = True


@attrs.frozen(eq=False)
class _Plane:
    """Rows and columns of a tensor, and where they lie."""

    array: Array
    axes: tuple[AxisId, AxisId]
    where: dict[AxisId, int]


def plane(tensor: Tensor, at: Mapping[Any, int] = immutabledict()) -> _Plane:
    """The plane of a tensor to look at: y and x, or the axes next to them if these are short.

    Args:
        at: which index to take along the other axes; by default the middle of those in space, and
            the first of all others.
    """
    order = sorted(tensor.axes, key=_rank)
    long = [axis for axis in order if tensor.sizes[axis] > 1]
    shown = (long + [axis for axis in order if axis not in long])[:2]
    middle = {axis: tensor.sizes[axis] // 2 if axis in ("z", "y", "x") else 0 for axis in order}
    index = {axis: int(at.get(axis, middle[axis])) for axis in order if axis not in shown}
    key = tuple(index.get(axis, slice(None)) for axis in tensor.axes)
    array = np.asarray(np.asarray(tensor)[key])
    left = [axis for axis in tensor.axes if axis in shown]
    array = array.reshape((1,) * (2 - array.ndim) + array.shape)
    rows, columns = [*[AxisId("y")] * (2 - len(left)), *left][:2]
    where = {axis: i for axis, i in index.items() if tensor.sizes[axis] > 1}
    return _Plane(array, (rows, columns), {a: where[a] for a in tensor.axes if a in where})


def _rank(axis: AxisId) -> int:
    """How far back an axis stands when two are looked for; unknown ones are in space."""
    return _AXES_SHOWN.index(axis) if axis in _AXES_SHOWN else 2


def value_picture(
    tensor: Tensor,
    at: Mapping[Any, int] = immutabledict(),
    *,
    scale: Scale | None = None,
    grey: bool = False,
) -> Picture:
    """A tensor in colours that get brighter with its values; colour images as they are.

    Args:
        at: as of `plane`.
        scale: which values are darkest and brightest; by default the extremes of the plane.
        grey: without colours, as images are looked at; few pixels that are far brighter than all
            others do not make these dark.
    """
    if tensor.sizes.get(AxisId("channel")) == 3 and tensor.dtype == "uint8":
        return _in_colours(tensor, at)
    shown = plane(tensor, at)
    if scale is None:
        scale = _scale(shown.array, 1 - RARE if grey else 1)
    values = shown.array.astype("float64")
    with np.errstate(invalid="ignore", over="ignore"):
        width = scale.high - scale.low
        parts = (values - scale.low) / width if width > 0 else np.zeros_like(values)
    small = _shrunk(parts, _mean)
    colours: Colours = "grey" if grey else "values"
    return _picture(_painted(small, colours), shown, scale, colours)


def _in_colours(tensor: Tensor, at: Mapping[Any, int]) -> Picture:
    planes = [plane(tensor, {**at, "channel": i}) for i in range(3)]
    pixels = np.stack([_shrunk(p.array.astype("float64"), _mean) for p in planes], -1)
    first = planes[0]
    first.where.pop(AxisId("channel"), None)
    return _picture(np.rint(pixels).astype("uint8"), first, None)


def label_picture(tensor: Tensor, at: Mapping[Any, int] = immutabledict()) -> Picture:
    """Labels, each in a colour that only depends on its number; background is black."""
    shown = plane(tensor, at)
    labels = _shrunk(shown.array, lambda blocks: blocks[..., 0, 0]).astype("int64")
    hue = (labels * 0.618033988749895) % 1
    light = 0.75 + 0.25 * np.cos(labels * 2.399963)
    waves = np.stack([np.cos(2 * np.pi * (hue + shift)) for shift in (0, 1 / 3, 2 / 3)], -1)
    pixels = np.where(labels[..., None] == 0, 12, (145 + 100 * waves) * light[..., None])
    return _picture(np.clip(pixels, 0, 255).astype("uint8"), shown, None)


def difference_picture(
    produced: Tensor, expected: Tensor, at: Mapping[Any, int], *, least: float
) -> Picture:
    """What is produced beyond what is expected: blue is less, orange is more, dark is the same.

    Of labels, whose numbers have no order: white where they are others.

    Args:
        at: as of `plane`.
        least: the smallest value at which colours are full; below it differences do not matter.
    """
    given, wanted = plane(produced, at), plane(expected, at)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = given.array.astype("float64") - wanted.array.astype("float64")
    if looks_like_labels(np.asarray(expected)):
        other = (given.array != wanted.array).astype("float64")
        return _picture(_painted(_shrunk(other, _farthest), "grey"), wanted, None)
    same = np.isnan(given.array) & np.isnan(wanted.array) if _floats(given, wanted) else False
    apart = np.where(same, 0.0, apart)
    finite = np.abs(apart[np.isfinite(apart)])
    full = max(float(finite.max(initial=0)), least) or 1.0
    small = _shrunk(apart, _farthest)
    return _picture(
        _painted(small / (2 * full) + 0.5, "signed"), wanted, Scale(-full, full), "signed"
    )


def _floats(*planes: _Plane) -> bool:
    return all(p.array.dtype.kind == "f" for p in planes)


def _scale(array: Array, share: float) -> Scale:
    """The range of most of the values: this share of them from below, and from above."""
    finite = array[np.isfinite(array)].astype("float64")
    if not finite.size:
        return Scale(0, 0)
    low, high = np.quantile(finite, [1 - share, share], method="nearest")
    return Scale(float(low), float(high))


def _shrunk(array: Array, join: Any) -> Array:
    """An array with squares of its pixels joined, so that it is not too large to look at."""
    step = math.ceil(max(array.shape) / LONGEST)
    if step == 1:
        return array
    by = [min(step, size) for size in array.shape]
    widths = [(0, -size % n) for size, n in zip(array.shape, by, strict=True)]
    rows, columns = (
        (size + more) // n for size, (_, more), n in zip(array.shape, widths, by, strict=True)
    )
    padded = np.pad(array, widths, mode="edge").reshape(rows, by[0], columns, by[1])
    joined: Array = join(padded.swapaxes(1, 2))
    return joined


def _mean(blocks: Array) -> Array:
    return np.asarray(blocks.mean((-2, -1)))


def _farthest(blocks: Array) -> Array:
    """The value of each block that is farthest from 0."""
    low, high = blocks.min((-2, -1)), blocks.max((-2, -1))
    return np.asarray(np.where(-low > high, low, high))


def _painted(parts: Array, name: Colours) -> Array:
    """Colours for numbers within 0 and 1."""
    colours = _COLOURS[name]
    finite = np.isfinite(parts)
    stops = np.linspace(0, 1, len(colours))
    clipped = np.clip(np.where(finite, parts, 0), 0, 1)
    channels = [np.interp(clipped, stops, channel) for channel in zip(*colours, strict=True)]
    pixels = np.where(finite[..., None], np.stack(channels, -1), _NOT_FINITE)
    return np.asarray(np.rint(pixels).astype("uint8"))


def _picture(
    pixels: Array, shown: _Plane, scale: Scale | None, colours: Colours = "values"
) -> Picture:
    from imageio.v3 import imwrite

    content = imwrite("<bytes>", pixels, extension=".png")
    uri = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    rows, columns = shown.array.shape
    finite = not (pixels == _NOT_FINITE).all(-1).any()
    return Picture(uri, (rows, columns), shown.where, shown.axes, scale, colours, finite)
