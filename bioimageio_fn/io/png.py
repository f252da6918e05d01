"""Images in PNG files: 2D, for looking at.

What holds here: values are stored as they are, or as the one image that they describe; what PNG can
not hold is an error. A file is read and written as a whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..axes import as_axes
from ..errors import FileWriteError
from ..files import written_whole
from ..tensor import Tensor, transpose

__all__ = ["read_png", "write_png"]


def read_png(path: Path) -> np.ndarray[Any, Any]:
    """The pixels of a PNG file, colours last."""
    from imageio.v3 import imread

    return np.asarray(imread(path.read_bytes(), extension=".png"))


def write_png(path: Path, tensor: Tensor) -> None:
    """Write a 2D image of 1, 3 or 4 channels, whole or not at all.

    Args:
        tensor: axes y, x and maybe channel, in any order.

    Raises:
        FileWriteError: if its values are not such as PNG holds, or it can not be written.
    """
    from imageio.v3 import imwrite

    data = _pixels(path, tensor)
    with written_whole(path) as temporary:
        imwrite(temporary, data, extension=".png")


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
