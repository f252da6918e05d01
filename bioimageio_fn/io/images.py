"""Images on disk, whatever their format.

What holds here: a file is written whole or not at all; its content is what its suffix says; what a
format can not hold is an error, never a silent change of the values. Pickled arrays are not read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import to_numpy
from ..files import expanded
from ..spec import tensor_spec
from ..stats.walk import parts
from ..tensor import Tensor, drop_axes
from .formats import location
from .holding import check_holds, check_writable
from .labelled import open_labelled
from .labels import Image
from .png import write_png
from .stores import created

__all__ = ["open_image", "read_image", "write_image"]


def open_image(path: str | os.PathLike[str]) -> Image:
    """The array in an image file, which is read where it is sliced, as far as the format allows.

    Use it for images that are larger than memory: as the data of a `Tensor`, or as they are;
    `open_tensor` gives their axes, too. PNG, JPEG and NPZ files are read at once, and so are packed
    TIFF files that are small, or stored in one piece, or where the package zarr is missing.

    Args:
        path: a `.tif`, `.tiff`, `.npy`, `.png`, `.jpg` or `.jpeg` file; a `.h5`, `.hdf5` or `.npz`
            file and the path of an array in it (`cells.h5/raw/0`); a `.zarr` folder, or a `.zip` of
            one, of Zarr format 2 or 3, and the path of an array or image in it (`cells.zarr/1`,
            `cells.zarr/labels/nuclei`). The path within may be left out if there is one array, or
            one OME-Zarr image, of which the full resolution is meant. Files that end otherwise are
            read by bioio, if it and its plugin for the format are installed. Of several images in
            a TIFF file or one of bioio, it is the first.

    Returns:
        An array, or something with shape, dtype and basic slicing, which pickles.

    Raises:
        MissingFileError: if there is no such file, or nothing at the path in it.
        FileReadError: if the format is not supported, the file is damaged, has no pixels, or holds
            something else than real numbers and truth values.
        MissingDependencyError: if a package is missing that reads the format.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_image(f"{folder}/a.npy", Tensor(np.eye(3), "yx"))
        ...     image = open_image(path)
        ...     image.shape, image[1:, 1].tolist()
        ((3, 3), [1.0, 0.0])
    """
    return open_labelled(path).data


def read_image(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """The array in an image file, as it is stored, in memory.

    For images that are larger than memory there is `open_image`.

    Args:
        path: as for `open_image`.

    Raises:
        MissingFileError: if there is no such file, or nothing at the path in it.
        FileReadError: as of `open_image`.
        MissingDependencyError: if a package is missing that reads the format.

    Examples:
        >>> import bioimageio_fn as fn
        >>> image = read_image(fn.demo_image())
        >>> image.shape, image.dtype
        ((300, 417), dtype('uint16'))
    """
    return np.asarray(open_image(path))


def write_image(
    path: str | os.PathLike[str], tensor: Tensor, *, labels: bool | None = None
) -> Path:
    """Write a tensor to an image file.

    NPY, Zarr and HDF5 hold the array as it is, with all axes. TIFF, OME-Zarr and PNG are for
    viewers: they hold it with the axes t, c, z, y, x, in that order, without axes of size 1 other
    than y and x; in the first two truth values become 0 and 1. All but NPY are compressed. All but
    NPY and PNG name the axes, and the pixel sizes and channels of `tensor.calibration`. OME-Zarr
    has smaller copies of the image beside it.

    PNG holds 2D images with 1, 3 or 4 channels of 8 or 16 bits, channels last: floats within 0 and
    1 become 0 to 255, truth values 0 and 255.

    A tensor that is larger than memory is read and written part by part, but as PNG.

    Args:
        path: ends in `.npy`, `.png`, `.ome.tif`, `.tif`, `.ome.zarr`, `.zarr`, `.h5` or `.hdf5`; or
            is the path of a dataset in an HDF5 file (`cells.h5/mask`), else its name is `data`; or
            one of labels of an OME-Zarr image of version 0.5 (`cells.ome.zarr/labels/nuclei`). All
            TIFF files are OME-TIFF; `.ome.tif` is packed in tiles, `.tif` in strips, for ImageJ.
        tensor: what is written.
        labels: whether its values are names (of objects, of classes), which viewers colour; by
            default truth values and integers of 32 and 64 bits are. Labels in OME-Zarr say so, and
            their smaller copies hold no other values.

    Returns:
        The path.

    Raises:
        FileWriteError: if the format can not hold the tensor, or the file can not be written.
        MissingDependencyError: if a package is missing that writes the format.
    """
    file = expanded(path)
    check_writable(file)
    if location(file).suffix == ".png":
        check_holds(file, tensor_spec(tensor), unit_range=True)
        single = [a for a, n in tensor.sizes.items() if n == 1 and a not in ("y", "x")]
        write_png(file, drop_axes(tensor, single))
        return file
    with created(file, tensor_spec(tensor), tensor.calibration, labels=labels) as target:
        chunked = getattr(tensor.data, "chunks", None)
        for key in parts(tensor.data if chunked else target):
            target[key] = to_numpy(tensor.data[key])
    return file
