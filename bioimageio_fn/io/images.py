"""Images on disk: TIFF, PNG and NPY.

What holds here: a file is written whole or not at all; its content is what its suffix says; what a
format can not hold is an error, never a silent change of the values. Pickled arrays are not read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..axes import AxisId
from ..errors import FileReadError, FileWriteError
from ..files import existing_path, written_whole
from ..tensor import Tensor, drop_axes

__all__ = ["SUFFIXES", "check_writable", "read_image", "write_image"]

SUFFIXES = (".tif", ".tiff", ".png", ".npy")
_CHANNEL = AxisId("channel")
_PNG_TYPES = ("bool", "uint8", "uint16")


def read_image(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """The array in an image file, as it is stored.

    Args:
        path: a `.tif`, `.tiff`, `.png` or `.npy` file. NPY files are not read but mapped, so that
            only what is used is loaded.

    Raises:
        MissingFileError: if there is no such file.
        FileReadError: if the format is not supported, or the file is damaged.

    Examples:
        >>> import bioimageio_fn as fn
        >>> image = read_image(fn.demo_image())
        >>> image.shape, image.dtype
        ((300, 417), dtype('uint16'))
    """
    file = existing_path(path)
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise FileReadError(
            f"can not read {file}",
            expected=f"a file that ends in {', '.join(SUFFIXES)}",
            got=suffix,
        )
    try:
        array = _read(file, suffix)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileReadError(
            f"can not read {file} as {suffix[1:].upper()}",
            got=reason,
            remedy="is it damaged, or of another format than its name says?",
        ) from error
    if array.size == 0:
        raise FileReadError(f"there are no pixels in {file}", got=f"shape {array.shape}")
    return array


def _read(file: Path, suffix: str) -> np.ndarray[Any, Any]:
    if suffix == ".npy":
        stored: np.ndarray[Any, Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        return stored
    if suffix == ".png":
        from imageio.v3 import imread

        return np.asarray(imread(file.read_bytes(), extension=".png"))
    from tifffile import imread as tiff_imread

    return np.asarray(tiff_imread(file))


def check_writable(path: str | os.PathLike[str], dtype: str | None, unit_range: bool) -> None:
    """Refuse, before any work, a file that could not hold the result.

    Args:
        dtype: type of the values; None if it is not known.
        unit_range: whether floating point values are described to lie within 0 and 1.

    Raises:
        FileWriteError: if the suffix is not supported, or its format can not hold the values.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise FileWriteError(
            f"can not write {path}",
            expected=f"a file that ends in {', '.join(SUFFIXES)}",
            got=suffix or "no suffix",
        )
    if suffix != ".png" or dtype is None or dtype in _PNG_TYPES:
        return
    if "float" not in dtype or not unit_range:
        raise FileWriteError(
            f"PNG can not hold these values ({path})",
            expected="bool, uint8, uint16, or floats described to lie within 0 and 1",
            got=dtype,
            remedy="write a .tif or .npy file",
        )


def write_image(path: str | os.PathLike[str], tensor: Tensor) -> Path:
    """Write a tensor to an image file.

    NPY holds the array with all axes. TIFF and PNG hold it without axes of size 1, other than y
    and x. TIFF is compressed (zlib) and names its axes; truth values become 0 and 1. PNG holds 2D
    images with 1, 3 or 4 channels of 8 or 16 bits: floats within 0 and 1 become 0 to 255, truth
    values 0 and 255.

    Returns:
        The path.

    Raises:
        FileWriteError: if the format can not hold the tensor, or the file can not be written.
    """
    file = Path(path).expanduser()
    check_writable(file, tensor.dtype, unit_range=True)
    suffix = file.suffix.lower()
    content = tensor if suffix == ".npy" else _without_singletons(tensor)
    data = _png_data(file, content) if suffix == ".png" else np.asarray(content)
    with written_whole(file) as temporary:
        if suffix == ".npy":
            np.save(temporary, data)
        elif suffix == ".png":
            from imageio.v3 import imwrite

            imwrite(temporary, data, extension=".png")
        else:
            _write_tiff(temporary, data, content)
    return file


def _without_singletons(tensor: Tensor) -> Tensor:
    return drop_axes(tensor, [a for a, s in tensor.sizes.items() if s == 1 and a not in ("y", "x")])


def _write_tiff(file: Path, data: np.ndarray[Any, Any], tensor: Tensor) -> None:
    from tifffile import imwrite

    letters = {"batch": "S", "channel": "C", "time": "T", "index": "I"}
    axes = "".join(letters.get(a, a[0].upper()) for a in tensor.axes)
    stored = data.astype(np.uint8) if data.dtype == np.bool_ else data
    imwrite(file, stored, photometric="minisblack", compression="zlib", metadata={"axes": axes})


def _png_data(file: Path, tensor: Tensor) -> np.ndarray[Any, Any]:
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
