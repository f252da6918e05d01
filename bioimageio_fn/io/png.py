"""Images in PNG and JPEG files: 2D, for looking at.

What holds here: values are stored as they are, or as the one image that they describe; what PNG can
not hold is an error. A file is read and written as a whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..axes import as_axes
from ..errors import FileReadError, FileWriteError
from ..files import written_whole
from ..tensor import Tensor, transpose
from .formats import Location
from .labels import Labelled, named_axes

__all__ = ["read_png_or_jpeg", "write_png"]

_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def read_png_or_jpeg(place: Location) -> Labelled:
    """The pixels of a PNG or JPEG file, colours last.

    Raises:
        FileReadError: if there are several pictures in it, one after the other, or it is larger
            than the library takes for honest.
        Exception: whatever the library raises, if it is damaged or something else.
    """
    from imageio.v3 import improps, imread
    from PIL.Image import DecompressionBombError

    content = place.file.read_bytes()
    if not content.startswith(_BEGINNINGS):  # the library reads other formats, too
        raise ValueError("it is neither PNG nor JPEG")
    try:
        several = improps(content, extension=place.suffix).is_batch
    except DecompressionBombError as error:
        raise FileReadError(
            f"{place.file} has more pixels than are read of a picture",
            got=error,
            remedy="write them to a .tif file, which is read region by region",
        ) from error
    if several:
        raise FileReadError(
            f"{place.file} holds several pictures",
            expected="one",
            remedy="write them to a .tif file",
        )
    pixels = np.asarray(imread(content, extension=place.suffix))
    return Labelled(pixels, named_axes("yxc"[: pixels.ndim], pixels.ndim))


def write_png(path: Path, tensor: Tensor) -> None:
    """Write a 2D image of 1, 3 or 4 channels, whole or not at all.

    Args:
        tensor: axes y, x and maybe channel, in any order.

    Raises:
        FileWriteError: if its values are not such as PNG holds, or it can not be written.
    """
    from imageio.v3 import imwrite

    # imageio leaves a file open that it could not write
    packed = imwrite("<bytes>", _pixels(path, tensor), extension=".png")
    with written_whole(path) as temporary:
        temporary.write_bytes(packed)


def _pixels(file: Path, tensor: Tensor) -> np.ndarray[Any, Any]:
    order = [axis for axis in as_axes("yxc") if axis in tensor.axes]
    data: np.ndarray[Any, Any] = np.asarray(transpose(tensor, order))
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
