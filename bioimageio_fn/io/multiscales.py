"""Images in Zarr groups: OME-Zarr, and which array of a group is meant.

What holds here: without a path, an OME-Zarr image is its full resolution; with one, the array or
image at that path, labelled by the image it belongs to. Where several images are, none is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..calibration import PixelSize
from .attributes import CALIBRATION, calibration_of
from .formats import Location
from .labels import Labels, calibration, channel_names, named_axes, pixel_size
from .sources import only_one

__all__ = ["image_in"]

GroupAt: TypeAlias = Callable[[str], Any]


def image_in(node: Any, group_at: GroupAt, place: Location) -> tuple[Any, Labels]:
    """The array that is meant by a place in a Zarr hierarchy, and what is said of it.

    Args:
        node: the array or group at that place.
        group_at: the group at a path of the hierarchy, if there is one.
        place: for errors.

    Raises:
        FileReadError: if there are several images, or none.
    """
    inner = place.inner
    if hasattr(node, "members"):
        name = only_one(sorted(_images(node, "")), place)
        image = node[name] if name else node
        if not hasattr(image, "members"):
            node, inner = image, f"{inner}/{name}"
        else:
            level = (_multiscale(image) or {})["datasets"][0]["path"]
            node, inner = image[level], f"{inner}/{name}/{level}"
    return node, _labels(node, group_at, inner)


def _images(group: Any, name: str) -> Iterator[str]:
    """Paths of the images in a group: OME-Zarr images, and arrays outside of them."""
    if _multiscale(group) is not None:
        yield name
        return
    for key, member in group.members():
        path = f"{name}/{key}".strip("/")
        if hasattr(member, "members"):
            yield from _images(member, path)
        else:
            yield path


def _described(group: Any) -> Mapping[str, Any]:
    """The metadata of OME-Zarr: those of version 0.5 have a room of their own."""
    attributes = dict(group.attrs)
    own = attributes.get("ome")
    return own if isinstance(own, dict) else attributes


def _multiscale(group: Any) -> Mapping[str, Any] | None:
    """The image that a group is; the first if it is several, as the specification has it."""
    found = _described(group).get("multiscales")
    return found[0] if isinstance(found, list) and found else None


def _labels(array: Any, group_at: GroupAt, inner: str) -> Labels:
    parts = [part for part in inner.split("/") if part]
    for depth in reversed(range(len(parts))):
        group = group_at("/".join(parts[:depth]))
        image = (group is not None and _multiscale(group)) or {}
        for level in image.get("datasets", ()):
            if level["path"].strip("/") == "/".join(parts[depth:]):
                return _image_labels(array, group, image, level)
    names = getattr(array.metadata, "dimension_names", None)
    axes = named_axes(names or array.attrs.get("_ARRAY_DIMENSIONS") or (), array.ndim)
    return axes, calibration_of(array.attrs.get(CALIBRATION))


def _image_labels(
    array: Any, group: Any, image: Mapping[str, Any], level: Mapping[str, Any]
) -> Labels:
    # images of versions before 0.3 name no axes, and have these
    described = [a if isinstance(a, dict) else {"name": a} for a in image.get("axes") or "tczyx"]
    names = [_axis(axis) for axis in described]
    scales = [_scale(of, len(names)) for of in (level, image)]
    sizes = {
        name: _size(math.prod(factors), axis.get("unit"))
        for name, axis, factors in zip(names, described, zip(*scales, strict=True), strict=True)
        if name != "channel" and name is not None
    }
    channels = _described(group).get("omero", {}).get("channels", ())
    shown = channel_names([channel.get("label") for channel in channels], names, array.shape)
    return named_axes(names, array.ndim), calibration(sizes, shown)


def _axis(axis: Mapping[str, Any]) -> str | None:
    kind, name = axis.get("type"), axis.get("name")
    return kind if kind in ("channel", "time") else _known(name)


def _known(name: object) -> str | None:
    axes = named_axes([name], 1)
    return None if axes is None else axes[0]


def _scale(described: Mapping[str, Any], count: int) -> Sequence[float]:
    factors = [1.0] * count
    for step in described.get("coordinateTransformations") or ():
        if step.get("type") == "scale" and len(step.get("scale", ())) == count:
            factors = [a * float(b) for a, b in zip(factors, step["scale"], strict=True)]
    return factors


def _size(value: float, unit: object) -> PixelSize | None:
    """The size of a pixel; a scale has to stand there also where nothing is known."""
    return None if unit is None and value == 1 else pixel_size(value, unit)
