"""Images of all other formats, which bioio reads if its plugin for the format is there.

What holds here: an image is read where it is sliced, as far as the plugin does so; dimensions of
size 1 but y and x are dropped, as plugins add those that a file does not have.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from ..errors import FileReadError
from .formats import READ, Location
from .labels import Image, Labelled, calibration, channel_names, named_axes, pixel_size
from .sources import StoredArray

__all__ = ["open_other"]


def open_other(place: Location) -> Labelled:
    """The first scene of an image file, as bioio reads it.

    Raises:
        FileReadError: if bioio, or its plugin for such files, is not installed.
        Exception: whatever a plugin raises.
    """
    image = _image(place)
    pixels = image.reader.xarray_dask_data
    kept = [i for i, d in enumerate(pixels.dims) if pixels.shape[i] != 1 or d in ("Y", "X")]
    names = [str(pixels.dims[i]) for i in kept]
    axes = named_axes(names, len(kept))
    data = pixels.data[tuple(slice(None) if i in kept else 0 for i in range(pixels.ndim))]
    source = StoredArray(place, _Computed(data), _opened_again)
    channels = channel_names(image.channel_names or (), axes, data.shape)
    return Labelled(source, axes, calibration(_sizes(image), channels))


def _opened_again(place: Location) -> Image:
    return open_other(place).data


def _image(place: Location) -> Any:
    try:
        from bioio import BioImage
        from bioio_base.exceptions import UnsupportedFileFormatError
    except ImportError as error:
        raise _unreadable(
            place,
            "pip install 'bioimageio_fn[bioio]' and a plugin of bioio for its format, such as "
            "bioio-czi",
        ) from error
    try:
        return BioImage(place.file)
    except UnsupportedFileFormatError as error:
        raise _unreadable(
            place,
            "install the plugin of bioio for its format, such as bioio-czi, bioio-lif, bioio-nd2 "
            "or bioio-bioformats; https://github.com/bioio-devs/bioio lists all",
        ) from error


def _unreadable(place: Location, remedy: str) -> FileReadError:
    if place.file.is_dir():
        return FileReadError(
            f"{place.file} is a folder and no image",
            expected="a file, or a Zarr folder whose name ends in .zarr",
            remedy="for the images in it, call predict_many with their paths",
        )
    return FileReadError(
        f"can not read {place.file}",
        expected=f"a file that ends in {', '.join(READ)}, or in what a plugin of bioio reads",
        got=place.suffix or "no suffix",
        remedy=remedy,
    )


def _sizes(image: Any) -> dict[str, Any]:
    """Pixel sizes; few plugins say in which unit."""
    properties = image.dimension_properties
    return {
        axis: pixel_size(
            getattr(image.scale, letter), getattr(getattr(properties, letter), "unit", None)
        )
        for axis, letter in (("time", "T"), ("z", "Z"), ("y", "Y"), ("x", "X"))
    }


@attrs.frozen(eq=False)
class _Computed:
    """An array of dask, which is computed where it is sliced."""

    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """Sizes of the parts that are read at once."""
        return tuple(self.array.chunksize)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        return np.asarray(self.array[key])
