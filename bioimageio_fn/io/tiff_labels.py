"""What TIFF files say of their pixels: OME-TIFF, hyperstacks of ImageJ, and plain files.

What holds here: letters that tifffile gives to dimensions it knows nothing of are no names. The
resolution of a plain file counts if it is given per centimeter or smaller: inches are those of
screens and printers, which most programs write whatever the image is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from immutabledict import immutabledict

from ..calibration import UNKNOWN, Calibration, PixelSize
from .labels import Labels, calibration, channel_names, named_axes, pixel_size

__all__ = ["tiff_labels"]

_NAMES: Mapping[str, str] = immutabledict(
    {
        "X": "x",
        "Y": "y",
        "Z": "z",
        "T": "time",
        "C": "channel",
        "S": "channel",
        "A": "angle",
        "E": "lambda",
        "H": "lifetime",
        "L": "exposure",
        "M": "mosaic",
        "P": "phase",
        "R": "tile",
        "V": "event",
    }
)
_MICROMETERS: Mapping[int, float] = immutabledict({3: 1e4, 4: 1e3, 5: 1.0})
"""In a centimeter, a millimeter, a micrometer, by the number that TIFF has for it."""


def tiff_labels(file: Any, series: Any) -> Labels:
    """The axes and the calibration of a series of images in a TIFF file.

    Args:
        file: a `tifffile.TiffFile`.
        series: one of its series.
    """
    names = [_NAMES.get(letter) for letter in series.axes]
    axes = named_axes(names, len(series.shape))
    if series.kind == "ome":
        return axes, _ome(file.ome_metadata, names, series.shape)
    if series.kind == "imagej":
        return axes, _imagej(file.imagej_metadata, series.keyframe, names, series.shape)
    return axes, calibration(_resolution(series.keyframe))


def _ome(xml: str, axes: Sequence[str | None], shape: Sequence[int]) -> Calibration:
    """What OME-XML says of the first image with pixels of that size."""
    if "<!DOCTYPE" in xml:
        return UNKNOWN  # no writer has one, and it could declare entities
    root = ET.fromstring(xml)  # noqa: S314 - so it can not
    found = root.findall("{*}Image/{*}Pixels")
    sizes = dict(zip(axes, shape, strict=True))
    pixels = next(
        (p for p in found if all(p.get(f"Size{a.upper()}") == str(sizes.get(a)) for a in "yx")),
        None,
    )
    if pixels is None:
        return UNKNOWN
    # the units of the schema where a file names none
    extents = {
        axis: pixel_size(
            pixels.get(f"PhysicalSize{axis.upper()}"),
            pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm"),
        )
        for axis in "zyx"
    }
    time = pixel_size(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    names = [channel.get("Name") for channel in pixels.findall("{*}Channel")]
    return calibration({"time": time, **extents}, channel_names(names, axes, shape))


def _imagej(
    described: Mapping[str, Any], page: Any, axes: Sequence[str | None], shape: Sequence[int]
) -> Calibration:
    unit = described.get("unit", "pixel")
    found = {
        "time": pixel_size(described.get("finterval"), described.get("tunit", "second")),
        "z": pixel_size(described.get("spacing"), described.get("zunit", unit)),
        "y": pixel_size(_pixel(page, "YResolution"), described.get("yunit", unit)),
        "x": pixel_size(_pixel(page, "XResolution"), unit),
    }
    names = _imagej_channels(described.get("Labels", ()), dict(zip(axes, shape, strict=True)))
    return calibration(found, channel_names(names, axes, shape))


def _imagej_channels(labels: Sequence[str], sizes: Mapping[str | None, int]) -> Sequence[str]:
    """The labels of planes, if they are those of channels: the same in all planes of a channel."""
    count = sizes.get("channel", 1)
    names = labels[:count]
    planes = count * sizes.get("z", 1) * sizes.get("time", 1)  # channels run fastest
    alike = [*labels] == [*names] * (planes // count)
    return names if alike and len({*names}) == count else ()


def _resolution(page: Any) -> dict[str, PixelSize | None]:
    tag = page.tags.get("ResolutionUnit")
    unit = _MICROMETERS.get(int(tag.value)) if tag is not None else None
    extents = {axis: _pixel(page, f"{axis.upper()}Resolution") for axis in "yx"}
    return {
        axis: pixel_size(extent * unit, "micrometer")
        for axis, extent in extents.items()
        if extent is not None and unit is not None
    }


def _pixel(page: Any, name: str) -> float | None:
    """The extent of a pixel in a unit, of a tag that says how many there are in one."""
    tag = page.tags.get(name)
    many, units = (0, 0) if tag is None else tag.value
    return units / many if many else None
