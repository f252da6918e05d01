"""Chunks: the parts in which Zarr and HDF5 pack an array.

What holds here: chunks follow the axes, not the machine, so that files are the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..axes import AxisId

__all__ = ["chunk_shape"]

SINGLE = ("batch", "channel", "time", "index")
ELEMENTS = 1 << 18
"""The most elements of a chunk, 512 x 512: much smaller than a block of a prediction, which packs
chunks that it shares with others again and again; large enough for few files, and to pack well."""


def chunk_shape(axes: Sequence[AxisId], shape: Sequence[int]) -> tuple[int, ...]:
    """Chunks of about the same size along all axes of space, and of size 1 along the others.

    Without axes of space, the last axis is cut.

    Examples:
        >>> from ..axes import as_axes
        >>> chunk_shape(as_axes("bcyx"), (1, 3, 2000, 300))
        (1, 1, 512, 300)
        >>> chunk_shape(as_axes("zyx"), (5, 900, 900))
        (5, 128, 256)
    """
    space = [i for i, axis in enumerate(axes) if axis not in SINGLE]
    growing = space or [*range(len(axes))][-1:]
    chunk = [1] * len(axes)
    while growing:
        axis = min(growing, key=lambda i: (chunk[i], -i))
        larger = min(2 * chunk[axis], shape[axis])
        if math.prod(chunk) // chunk[axis] * larger > ELEMENTS:
            break
        chunk[axis] = larger
        growing = [i for i in growing if chunk[i] < shape[i]]
    return tuple(chunk)
