"""Writing OME-Zarr images, version 0.5.

What holds here: an image has as many levels as viewers need, axes t, c, z, y, x with units, and the
names of its channels; one whose values are names of objects says so (`image-label`), so that it is
shown as labels. It is written region by region, and the levels are made behind it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ..axes import AxisId, axis_type
from ..files import writing
from .formats import OME_ZARR, Location, require
from .ome_groups import check_image_replaceable, levels_of
from .pictures import Picture
from .pyramid import chunks_of, fill, halvings, level_shapes
from .zarrs import THREADS, Written, new_array

__all__ = ["new_ome_zarr"]

_NAMES = {"time": "t", "channel": "c", "z": "z", "y": "y", "x": "x"}
_COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "0000FF", "FF0000")


@contextmanager
def new_ome_zarr(path: Path, place: Location, picture: Picture) -> Iterator[Written]:
    """A new folder with an image; its other levels are made when the block ends.

    Args:
        path: where to make it.
        place: the place that it will take: a folder, or one within `labels` of an image.
        picture: as viewers want it.

    Raises:
        FileWriteError: if something else would be lost, or the folder can not be written.
    """
    zarr = require(place.suffix)
    check_image_replaceable(place.file / place.inner)
    shapes = level_shapes(picture.axes, picture.shape, levels_of(place) if place.inner else None)
    with writing(place.file):
        group = zarr.create_group(str(path), zarr_format=3)
        levels = [_new_level(group, str(i), picture, shape) for i, shape in enumerate(shapes)]
    with ThreadPoolExecutor(THREADS) as threads:
        yield Written(levels[0], threads)
    with writing(place.file):
        for finer, coarser in itertools.pairwise(levels):
            factors = halvings(picture.axes, finer.shape)
            fill(finer, coarser, factors, labels=picture.labels)
        group.attrs["ome"] = _described(picture, place, levels)
    check_image_replaceable(place.file / place.inner)


def _new_level(group: Any, name: str, picture: Picture, shape: tuple[int, ...]) -> Any:
    level = attrs.evolve(picture, shape=shape)
    return new_array(group.store_path / name, level, [_NAMES[axis] for axis in level.axes])


def _described(picture: Picture, place: Location, levels: Sequence[Any]) -> dict[str, Any]:
    """The metadata of an image, as its models check them."""
    name = (place.inner or place.file.name).rpartition("/")[2]
    said: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [
            {
                "name": name[: -len(OME_ZARR)] if name.lower().endswith(OME_ZARR) else name,
                "type": "nearest" if picture.labels else "mean",
                "axes": [_axis(picture, axis) for axis in picture.axes],
                "datasets": list(_datasets(picture, levels)),
            }
        ],
    }
    if picture.labels:
        said["image-label"] = {"version": "0.5"}
        if place.inner:
            said["image-label"]["source"] = {"image": "../../"}
    elif picture.channel_names:
        said["omero"] = {"channels": _channels(picture, levels[-1])}
    checked = require(OME_ZARR).v05.image.ImageAttrs.model_validate(said)
    described: dict[str, Any] = checked.model_dump(by_alias=True, exclude_none=True)
    return described


def _axis(picture: Picture, axis: AxisId) -> dict[str, str]:
    size = picture.pixel_size(axis)
    described = {"name": _NAMES[axis], "type": axis_type(axis)}
    return described if size is None or size.unit is None else {**described, "unit": size.unit}


def _datasets(picture: Picture, levels: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Where the pixels of each level lie: each in the middle of those that it covers."""
    known = [picture.pixel_size(axis) for axis in picture.axes]
    extents = [1.0 if size is None else size.value for size in known]
    covered = [1] * len(extents)
    for i, level in enumerate(levels):
        scale = [n * extent for n, extent in zip(covered, extents, strict=True)]
        shift = [(n - 1) / 2 * extent for n, extent in zip(covered, extents, strict=True)]
        transforms = [{"type": "scale", "scale": scale}]
        if any(shift):
            transforms.append({"type": "translation", "translation": shift})
        yield {"path": str(i), "coordinateTransformations": transforms}
        factors = halvings(picture.axes, level.shape)
        covered = [n * factor for n, factor in zip(covered, factors, strict=True)]


def _channels(picture: Picture, smallest: Any) -> list[dict[str, Any]]:
    """The names of channels, and the range of values in which viewers show each at first.

    Args:
        smallest: the last level.
    """
    channel = picture.axes.index("channel") if "channel" in picture.axes else None
    count = len(picture.channel_names)
    lows, highs = np.full(count, np.inf), np.full(count, -np.inf)
    for region in chunks_of(smallest.shape, smallest.chunks):
        i = 0 if channel is None else region[channel].start  # chunks have one channel each
        values = smallest[region]
        if (finite := values[np.isfinite(values)]).size:
            lows[i] = min(lows[i], finite.min())
            highs[i] = max(highs[i], finite.max())
    return [
        {"label": name, "color": colour, "window": _window(low, high, picture.dtype)}
        for name, colour, low, high in zip(
            picture.channel_names,
            itertools.cycle(_COLOURS if count > 1 else ["FFFFFF"]),
            lows.tolist(),
            highs.tolist(),
            strict=False,
        )
    ]


def _window(low: float, high: float, dtype: str) -> dict[str, float]:
    if low > high:  # no finite value
        low, high = 0.0, 1.0
    possible = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else None
    lowest, highest = (low, high) if possible is None else (possible.min, possible.max)
    return {"min": lowest, "max": highest, "start": low, "end": high}
