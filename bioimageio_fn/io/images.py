"""Images on disk: TIFF, PNG and NPY.

What holds here: a file is written whole or not at all; its content is what its suffix says; what a
format can not hold is an error, never a silent change of the values. Pickled arrays are not read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import to_numpy
from ..errors import FileReadError
from ..files import existing_path, written_whole
from ..spec import tensor_spec
from ..stats.walk import in_memory, parts
from ..tensor import Tensor, drop_axes
from .formats import TIFF, check_writable, location
from .png import read_png, write_png
from .stores import created

__all__ = ["SUFFIXES", "check_writable", "read_image", "write_image"]

SUFFIXES = (".tif", ".tiff", ".png", ".npy")


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
        return read_png(file)
    from tifffile import imread as tiff_imread

    return np.asarray(tiff_imread(file))


def write_image(path: str | os.PathLike[str], tensor: Tensor) -> Path:
    """Write a tensor to an image file.

    NPY, Zarr and HDF5 hold the array with all axes. TIFF and PNG hold it without axes of size 1,
    other than y and x. All but NPY are compressed; TIFF, Zarr and HDF5 name the axes. In TIFF truth
    values become 0 and 1. PNG holds 2D images with 1, 3 or 4 channels of 8 or 16 bits: floats
    within 0 and 1 become 0 to 255, truth values 0 and 255.

    A tensor that is larger than memory is read and written part by part, but as PNG.

    Args:
        path: ends in `.npy`, `.tif`, `.tiff`, `.png`, `.zarr`, `.h5` or `.hdf5`; or is the path of
            a dataset in an HDF5 file (`cells.h5/mask`), else its name is `data`.

    Returns:
        The path.

    Raises:
        FileWriteError: if the format can not hold the tensor, or the file can not be written.
        MissingDependencyError: if a package is missing that writes the format.
    """
    file = Path(path).expanduser()
    check_writable(file, tensor.dtype, unit_range=True)
    suffix = location(file).suffix
    if suffix == ".png":
        write_png(file, _without_singletons(tensor))
        return file
    if suffix in TIFF:
        with written_whole(file) as temporary:
            _write_tiff(temporary, _without_singletons(tensor))
        return file
    with created(file, tensor_spec(tensor)) as target:
        for key in parts(target if in_memory(tensor.data) else tensor.data):
            target[key] = to_numpy(tensor.data[key])
    return file


def _without_singletons(tensor: Tensor) -> Tensor:
    return drop_axes(tensor, [a for a, s in tensor.sizes.items() if s == 1 and a not in ("y", "x")])


def _write_tiff(file: Path, tensor: Tensor) -> None:
    from tifffile import imwrite

    data = np.asarray(tensor)
    letters = {"batch": "S", "channel": "C", "time": "T", "index": "I"}
    axes = "".join(letters.get(a, a[0].upper()) for a in tensor.axes)
    stored = data.astype(np.uint8) if data.dtype == np.bool_ else data
    imwrite(file, stored, photometric="minisblack", compression="zlib", metadata={"axes": axes})
