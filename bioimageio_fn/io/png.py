"""Images in PNG and JPEG files: 2D, for looking at.

What holds here: values are stored as they are, or as the one image that they describe; what PNG can
not hold is an error. A file is read and written as a whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..axes import AxisId
from ..errors import FileWriteError
from ..files import written_whole
from ..tensor import Tensor
from .formats import Location
from .labels import Labelled, named_axes

__all__ = ["read_picture", "write_png"]

_CHANNEL = AxisId("channel")
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def read_picture(place: Location) -> Labelled:
    """The pixels of a PNG or JPEG file, colours last.

    Raises:
        Exception: whatever the library raises, if it is damaged or something else.
    """
    from imageio.v3 import imread

    content = place.file.read_bytes()
    if not content.startswith(_BEGINNINGS):  # the library reads other formats, too
        raise ValueError("it is neither PNG nor JPEG")
    pixels = np.asarray(imread(content, extension=place.suffix))
    return Labelled(pixels, named_axes("yxc"[: pixels.ndim], pixels.ndim))


def write_png(path: Path, tensor: Tensor) -> None:
    """Write a 2D image of 1, 3 or 4 channels, whole or not at all.

    Raises:
        FileWriteError: if it is something else, or can not be written.
    """
    from imageio.v3 import imwrite

    data = _pixels(path, tensor)
    with written_whole(path) as temporary:
        imwrite(temporary, data, extension=".png")


def _pixels(file: Path, tensor: Tensor) -> np.ndarray[Any, Any]:
    colours = tensor.sizes.get(_CHANNEL, 1)
    others = [a for a in tensor.axes if a != _CHANNEL]
    if len(others) != 2 or colours not in (1, 3, 4):
        raise FileWriteError(
            f"PNG can not hold this tensor ({file})",
            expected="a 2D image with 1, 3 or 4 channels",
            got=tensor,
            remedy="write a .tif or .npy file",
        )
    data: np.ndarray[Any, Any] = np.asarray(tensor)
    if _CHANNEL in tensor.axes:
        data = np.moveaxis(data, tensor.axes.index(_CHANNEL), -1)
    if data.dtype == np.bool_:
        return data.astype(np.uint8) * np.uint8(255)
    if data.dtype.kind != "f":
        return data
    if not (np.nanmin(data, initial=0) >= 0 and np.nanmax(data, initial=0) <= 1):
        raise FileWriteError(
            f"PNG can not hold these values ({file})",
            expected="floats within 0 and 1",
            got=f"{data.min()} to {data.max()}",
            remedy="write a .tif or .npy file",
        )
    scaled: np.ndarray[Any, Any] = np.rint(np.nan_to_num(data) * 255).astype(np.uint8)
    return scaled
