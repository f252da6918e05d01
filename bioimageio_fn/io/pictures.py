"""What is written to a file: an array with what is known of it, and as viewers want it.

What holds here: viewers get the axes t, c, z, y, x, in that order; axes of size 1, but for y and x,
are left out; nothing else is. Numbers stay as they are, and truth values are 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import numpy as np

from ..axes import AxisId, as_axes
from ..calibration import UNKNOWN, Calibration, PixelSize

__all__ = ["VIEWED", "Picture", "Turned", "viewed", "viewed_axes"]

VIEWED = as_axes("tczyx")
_CHANNEL = AxisId("channel")


def _sizes(sizes: Iterable[int]) -> tuple[int, ...]:
    return tuple(sizes)


@attrs.frozen
class Picture:
    """An array that is to be written.

    Args:
        axes: its axes.
        shape: sizes, each of which is 1 or more.
        dtype: type of the values.
        calibration: what is known of its pixels.
        labels: whether the values are names (of objects, of classes), which have no mean.
    """

    axes: tuple[AxisId, ...] = attrs.field(converter=as_axes)
    shape: tuple[int, ...] = attrs.field(converter=_sizes)
    dtype: str
    calibration: Calibration = UNKNOWN
    labels: bool = False

    def pixel_size(self, axis: str) -> PixelSize | None:
        """Extent of a pixel along an axis, if it is known and the axis is there."""
        return self.calibration.pixel_sizes.get(AxisId(axis)) if axis in self.axes else None

    @property
    def channel_names(self) -> tuple[str, ...]:
        """One name for each channel; none if their number is another."""
        sizes = dict(zip(self.axes, self.shape, strict=True))
        names = self.calibration.channel_names
        return names if len(names) == sizes.get(_CHANNEL, 1) else ()


def viewed_axes(axes: Sequence[AxisId], shape: Sequence[int | None]) -> tuple[int, ...]:
    """The dimensions that files for viewers have, in their order.

    Examples:
        >>> viewed_axes(as_axes("bcyx"), (1, 2, 1, 4)), viewed_axes(as_axes("yxc"), (5, 4, 3))
        ((1, 2, 3), (2, 0, 1))
    """
    kept = [i for i, axis in enumerate(axes) if shape[i] != 1 or axis in ("y", "x")]
    return tuple(sorted(kept, key=lambda i: VIEWED.index(axes[i])))


def viewed(picture: Picture) -> Picture:
    """A picture as viewers want it.

    Examples:
        >>> viewed(Picture("byxc", (1, 5, 4, 3), "bool")).shape
        (3, 5, 4)
    """
    order = viewed_axes(picture.axes, picture.shape)
    return attrs.evolve(
        picture,
        axes=tuple(picture.axes[i] for i in order),
        shape=[picture.shape[i] for i in order],
        dtype="uint8" if picture.dtype == "bool" else picture.dtype,
    )


@attrs.frozen(eq=False)
class Turned:
    """An array on disk seen with its dimensions in another order, and others of size 1.

    Args:
        array: what is read and written by regions.
        order: for each dimension of the array, which dimension of this it is.
        ndim: number of dimensions of this.
    """

    array: Any
    order: tuple[int, ...]
    ndim: int

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Sizes of the parts that are packed one by one, if there are such."""
        chunks = getattr(self.array, "chunks", None)
        if chunks is None:
            return None
        by_dimension = dict(zip(self.order, chunks, strict=True))
        return tuple(by_dimension.get(i, 1) for i in range(self.ndim))

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        values = np.asarray(self.array[tuple(region[i] for i in self.order)])
        missing = self._missing()
        back = np.expand_dims(values.transpose(np.argsort(self.order)), missing)
        # an empty region of a single one is empty
        return back[tuple(s if i in missing else slice(None) for i, s in enumerate(region))]

    def __setitem__(self, region: tuple[slice, ...], values: np.ndarray[Any, Any]) -> None:
        turned = values.transpose(*self.order, *self._missing())
        shape = turned.shape[: len(self.order)]
        self.array[tuple(region[i] for i in self.order)] = turned.reshape(shape)

    def _missing(self) -> tuple[int, ...]:
        return tuple(i for i in range(self.ndim) if i not in self.order)
