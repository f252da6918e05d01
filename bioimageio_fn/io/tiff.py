"""Reading TIFF files.

What holds here: what lies in a file as it would in memory is mapped; of what is packed, only the
strips or tiles that are asked for are unpacked, if the package zarr is there to ask for them.
"""

from __future__ import annotations

import math
import struct
import weakref
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import FileReadError
from ..stats.walk import READ_ELEMENTS
from .formats import Location
from .labels import Image, Labelled
from .mapped import MappedFile
from .sources import StoredArray
from .tiff_labels import tiff_labels

__all__ = ["open_tiff"]

_DESCRIPTION = 270
"""The tag that holds what ImageJ, OME-XML and tifffile say of an image."""


def open_tiff(place: Location) -> Labelled:
    """The first series of images in a TIFF file, in full resolution.

    Raises:
        Exception: whatever tifffile raises, if the file can not be read.
    """
    from tifffile import TiffFile

    with ExitStack() as opened:
        file = opened.enter_context(TiffFile(place.file))
        series = file.series[0]
        _check_description(file, place)
        _check_whole(file, series, place)
        axes, calibration = tiff_labels(file, series)
        return Labelled(_pixels(file, series, place), axes, calibration)


def _check_description(file: Any, place: Location) -> None:
    """Refuse a file that lost its end, where its description may lie: tifffile only logs it."""
    tiff, page = file.tiff, file.pages.first
    file.filehandle.seek(page.offset)
    count = struct.unpack(tiff.tagnoformat, file.filehandle.read(tiff.tagnosize))[0]
    entries = file.filehandle.read(count * tiff.tagsize)
    code = struct.Struct(f"{file.byteorder}H")
    codes = {code.unpack_from(entries, i * tiff.tagsize)[0] for i in range(count)}
    if _DESCRIPTION in codes and _DESCRIPTION not in page.tags:
        raise FileReadError(
            f"the end of {place.file} is missing, with what it says of axes and pixel sizes",
            remedy="copy or write it again",
        )


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
    last = series.pages[-1]
    if last is not None and _end(last) > last.parent.filehandle.size:
        raise FileReadError(
            f"the end of {place.file} is missing",
            expected=f"{_end(last)} bytes",
            got=last.parent.filehandle.size,
            remedy="copy or write it again",
        )
    # of others it is known, without a look at all pages, how many there are
    if series.kind in ("generic", "uniform") and (following := _behind_the_last_page(file)):
        raise FileReadError(
            f"pages are missing in {place.file}",
            expected=f"one at byte {following}",
            got=f"{file.filehandle.size} bytes",
            remedy="copy or write it again",
        )


def _end(page: Any) -> int:
    """Where the pixels of a page end in its file."""
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    return max((start + count for start, count in parts), default=0)


def _behind_the_last_page(file: Any) -> int:
    """Where the last page says that another one is; 0 if it says none."""
    tiff, handle = file.tiff, file.filehandle
    handle.seek(file.pages[-1].offset)
    count = struct.unpack(tiff.tagnoformat, handle.read(tiff.tagnosize))[0]
    handle.seek(count * tiff.tagsize, 1)
    offset: int = struct.unpack(tiff.offsetformat, handle.read(tiff.offsetsize))[0]
    return offset


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
