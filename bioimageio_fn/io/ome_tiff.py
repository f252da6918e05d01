"""Writing TIFF files.

What holds here: every TIFF that we write is an OME-TIFF: it names its axes, pixel sizes and
channels, for any program, in OME-XML; it is packed, and never has to be in memory. Resolution tags
say the pixel size once more, for programs that read no OME-XML.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..axes import AxisId
from ..files import writing
from ..units import NO_UNIT, in_micrometers, symbol
from .formats import Location, is_ome_tiff
from .mapped import MappedFile, new_npy
from .pictures import Picture

__all__ = ["new_tiff"]

_TILE = 512
_STRIP_BYTES = 1 << 18
_LETTERS = {"time": "T", "channel": "C", "z": "Z", "y": "Y", "x": "X"}
_CLASSIC_BYTES = 2**32 - 2**25
"""What the offsets of a classic TIFF reach; a larger one has to be a BigTIFF."""


@contextmanager
def new_tiff(path: Path, place: Location, picture: Picture) -> Iterator[MappedFile]:
    """A new file, which is made of what lies beside it unpacked when the block ends.

    It is packed in tiles, which are read one by one, if it is named `.ome.tif`; else in strips,
    which is the only way that ImageJ reads without a plugin.

    Args:
        path: where to make it, in a folder of its own.
        place: the place that it will take.
        picture: as viewers want it.

    Raises:
        FileWriteError: if it can not be written.
    """
    values = new_npy(path.with_name("unpacked.npy"), picture.shape, picture.dtype, place=place.file)
    yield values
    with writing(place.file):
        _pack(path, values, picture, tiled=is_ome_tiff(place))


def _pack(path: Path, values: MappedFile, picture: Picture, *, tiled: bool) -> None:
    from tifffile import imwrite

    height, width = values.shape[-2:]
    rows = max(1, _STRIP_BYTES // (width * values.dtype.itemsize))
    segment = (_tile(height), _tile(width)) if tiled else (min(rows, height), width)
    packing: dict[str, Any] = {"tile": segment} if tiled else {"rowsperstrip": segment[0]}
    # the first level of packing is the fastest, and packs nearly as well
    parts = (zlib.compress(part.tobytes(), 1) for part in _segments(values, segment, padded=tiled))
    imwrite(
        path,
        parts,
        shape=values.shape,
        dtype=values.dtype,
        bigtiff=math.prod(values.shape) * values.dtype.itemsize > _CLASSIC_BYTES,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        metadata=_ome(picture, path.name),
        **packing,
        **_resolution(picture),
    )


def _tile(size: int) -> int:
    return min(_TILE, -(-size // 16) * 16)


def _segments(
    values: MappedFile, segment: Sequence[int], *, padded: bool
) -> Iterator[np.ndarray[Any, Any]]:
    """All tiles or strips in the order of TIFF; tiles beyond the image are filled with zeros."""
    *planes, height, width = values.shape
    for plane in np.ndindex(*planes):
        for y in range(0, height, segment[0]):
            for x in range(0, width, segment[1]):
                part = values[(*plane, slice(y, y + segment[0]), slice(x, x + segment[1]))]
                missing = [(0, s - n) for s, n in zip(segment, part.shape, strict=True)]
                yield np.pad(part, missing) if padded else part


def _ome(picture: Picture, name: str) -> dict[str, Any]:
    """What OME-XML says of a picture, in the words of tifffile."""
    said: dict[str, Any] = {"axes": "".join(_LETTERS[axis] for axis in picture.axes), "Name": name}
    for axis in ("x", "y", "z"):
        if (size := picture.pixel_size(axis)) is not None:
            said[f"PhysicalSize{axis.upper()}"] = size.value
            said[f"PhysicalSize{axis.upper()}Unit"] = symbol(size.unit) or NO_UNIT
    frame = picture.pixel_size("time")
    # a time without a unit would be read as one in seconds
    if frame is not None and (unit := symbol(frame.unit)) is not None:
        said |= {"TimeIncrement": frame.value, "TimeIncrementUnit": unit}
    if picture.channel_names:
        said["Channel"] = {"Name": list(picture.channel_names)}
    return said


def _resolution(picture: Picture) -> dict[str, Any]:
    """Pixels in a centimeter, as tags, if they are known."""
    sizes = [in_micrometers(picture.pixel_size(AxisId(axis))) for axis in "xy"]
    if None in sizes:
        return {}
    return {"resolution": [1e4 / size for size in sizes if size], "resolutionunit": "CENTIMETER"}
