"""Reading TIFF files.

What holds here: what lies in a file as it would in memory is mapped; of what is packed, only the
strips or tiles that are asked for are unpacked, if the package zarr is there to ask for them.
"""

from __future__ import annotations

import math
import weakref
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import FileReadError
from ..stats.walk import READ_ELEMENTS
from .formats import Location
from .mapped import MappedFile
from .sources import StoredArray

__all__ = ["open_tiff"]


def open_tiff(place: Location) -> MappedFile | StoredArray | np.ndarray[Any, Any]:
    """The first series of images in a TIFF file.

    Raises:
        Exception: whatever tifffile raises, if the file can not be read.
    """
    from tifffile import TiffFile

    with ExitStack() as opened:
        file = opened.enter_context(TiffFile(place.file))
        series = file.series[0]
        _check_whole(file, series, place)
        if series.dataoffset is not None:
            dtype = np.dtype(file.byteorder + series.dtype.char)
            return MappedFile(place.file, dtype, series.shape, series.dataoffset)
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
        store = opened.enter_context(TiffFile(place.file)).series[0].aszarr()
        array = zarr.open_array(opened.enter_context(store), mode="r")
        source = StoredArray(place, array, _unpacked_where_read)
        weakref.finalize(source, opened.pop_all().close)
    return source
