"""Images in TIFF files.

What holds here: what lies in a file as it would in memory is mapped; of what is packed, only the
strips or tiles that are asked for are unpacked, if the package zarr is there to ask for them. A
file that we write is packed in tiles and names its axes; it never has to be in memory.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ..axes import AxisId
from ..errors import FileReadError, FileWriteError
from ..files import writing
from ..spec import TensorSpec
from ..stats.walk import READ_ELEMENTS
from .formats import Location
from .labels import Image, Labelled
from .mapped import MappedFile, new_npy
from .sources import StoredArray
from .tiff_labels import tiff_labels

__all__ = ["new_tiff", "open_tiff", "shown_axes"]

_TILE = 512
_LETTERS = {"batch": "S", "channel": "C", "time": "T", "index": "I"}
_CLASSIC_BYTES = 2**32 - 2**25
"""What the offsets of a classic TIFF reach; a larger one has to be a BigTIFF."""


def open_tiff(place: Location) -> Labelled:
    """The first series of images in a TIFF file, in full resolution.

    Raises:
        Exception: whatever tifffile raises, if the file can not be read.
    """
    from tifffile import TiffFile

    with ExitStack() as opened:
        file = opened.enter_context(TiffFile(place.file))
        series = file.series[0]
        _check_whole(file, series, place)
        axes, calibration = tiff_labels(file, series)
        return Labelled(_pixels(file, series, place), axes, calibration)


def _pixels(file: Any, series: Any, place: Location) -> Image:
    if series.dataoffset is not None:
        dtype = np.dtype(file.byteorder + series.dtype.char)
        return MappedFile(place.file, dtype, series.shape, series.dataoffset)
    missing = sum(page is None for page in series)
    if missing:  # OME-TIFF says how many there are, and that some are in other files
        raise FileReadError(
            f"pages of {place.file} are missing, or files beside it that hold them",
            expected=f"{len(series)} pages",
            got=len(series) - missing,
        )
    # what is small would be read at once, and zarr takes longer to load
    if series.size <= READ_ELEMENTS or _is_one_chunk(series) or not find_spec("zarr"):
        return np.asarray(series.asarray())
    return _unpacked_where_read(place)


def _check_whole(file: Any, series: Any, place: Location) -> None:
    """Refuse a file that lost pages: tifffile reads the others, and only logs it."""
    shape = file.shaped_metadata[0]["shape"] if file.shaped_metadata else series.shape
    if math.prod(shape) != math.prod(series.shape):
        raise FileReadError(f"pages are missing in {place.file}", expected=shape, got=series.shape)


def _is_one_chunk(series: Any) -> bool:
    return len(series.pages) == 1 and len(series.keyframe.dataoffsets) == 1


def _unpacked_where_read(place: Location) -> StoredArray:
    import zarr
    from tifffile import TiffFile

    with ExitStack() as opened:
        # to find the parts of a large file takes long, so it is kept open
        store = opened.enter_context(TiffFile(place.file)).series[0].aszarr(level=0)
        array = zarr.open_array(opened.enter_context(store), mode="r")
        source = StoredArray(place, array, _unpacked_where_read)
        weakref.finalize(source, opened.pop_all().close)
    return source


def shown_axes(axes: Sequence[AxisId], shape: Sequence[int]) -> list[int]:
    """The dimensions that files for viewers have: y and x, and those that are larger than 1.

    Examples:
        >>> from ..axes import as_axes
        >>> shown_axes(as_axes("bcyx"), (1, 2, 1, 4))
        [1, 2, 3]
    """
    return [i for i, axis in enumerate(axes) if shape[i] != 1 or axis in ("y", "x")]


@contextmanager
def new_tiff(path: Path, place: Location, spec: TensorSpec, shape: Sequence[int]) -> Iterator[Any]:
    """A new file, which is made of what lies beside it unpacked when the block ends.

    Args:
        path: where to make it, in a folder of its own.
        place: the place that it will take.
        shape: sizes, all of them known.

    Raises:
        FileWriteError: if fewer than two axes are larger than 1, or it can not be written.
    """
    kept = shown_axes(spec.axes, shape)
    if len(kept) < 2:
        raise FileWriteError(
            f"TIFF can not hold this tensor ({place.file})",
            expected="two axes that are y, x or larger than 1",
            got=spec.sizes,
            remedy="write a .npy file",
        )
    values = new_npy(path.with_name("unpacked.npy"), shape, spec.dtype, place=place.file)
    yield values
    with writing(place.file):
        letters = [_LETTERS.get(spec.axes[i], spec.axes[i][0].upper()) for i in kept]
        _pack(path, attrs.evolve(values, shape=[shape[i] for i in kept]), "".join(letters))


def _pack(path: Path, values: MappedFile, axes: str) -> None:
    from tifffile import imwrite

    pages = values.shape
    while len(pages) > 2 and pages[-1] == 1:
        pages = pages[:-1]  # as tifffile does
    tile = tuple(min(_TILE, -(-size // 16) * 16) for size in pages[-2:])
    dtype = np.dtype("uint8") if values.dtype == np.bool_ else values.dtype
    imwrite(
        path,
        (
            part.astype(dtype, copy=False)
            for part in _tiles(attrs.evolve(values, shape=pages), tile)
        ),
        shape=values.shape,
        dtype=dtype,
        tile=tile,
        bigtiff=math.prod(values.shape) * dtype.itemsize > _CLASSIC_BYTES,
        photometric="minisblack",
        compression="zlib",
        metadata={"axes": axes},
        buffersize=1 << 24,
    )


def _tiles(values: MappedFile, tile: Sequence[int]) -> Iterator[np.ndarray[Any, Any]]:
    """All tiles in the order of TIFF; those that reach beyond the image are filled with zeros."""
    *pages, height, width = values.shape
    for page in np.ndindex(*pages):
        for y in range(0, height, tile[0]):
            for x in range(0, width, tile[1]):
                part = values[(*page, slice(y, y + tile[0]), slice(x, x + tile[1]))]
                yield np.pad(part, [(0, t - s) for t, s in zip(tile, part.shape, strict=True)])
