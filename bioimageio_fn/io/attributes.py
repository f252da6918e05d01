"""A calibration as text: the attribute `calibration` of arrays in plain Zarr and HDF5 files.

What holds here: what is written is read back the same; what others may have written under that
name is no calibration, and no error.
"""

from __future__ import annotations

import json

from ..axes import AxisId
from ..calibration import UNKNOWN, Calibration, PixelSize
from ..errors import AxesError

__all__ = ["CALIBRATION", "calibration_of", "calibration_text"]

CALIBRATION = "calibration"
"""Name of the attribute."""


def calibration_text(calibration: Calibration) -> str:
    """A calibration as JSON.

    Examples:
        >>> calibration_text(Calibration({"x": PixelSize(0.5, "micrometer")}, ["DAPI"]))
        '{"pixel_sizes": {"x": [0.5, "micrometer"]}, "channel_names": ["DAPI"]}'
    """
    sizes = {axis: [size.value, size.unit] for axis, size in calibration.pixel_sizes.items()}
    return json.dumps({"pixel_sizes": sizes, "channel_names": calibration.channel_names})


def calibration_of(text: object) -> Calibration:
    """The calibration that `calibration_text` wrote; `UNKNOWN` if it is something else.

    Examples:
        >>> calibration_of('{"pixel_sizes": {"x": [0.5, "micrometer"]}, "channel_names": []}')
        Calibration(pixel_sizes=immutabledict({'x': PixelSize(value=0.5, unit='micrometer')}),
            channel_names=())
        >>> bool(calibration_of("about 3 um"))
        False
    """
    try:
        found = json.loads(text)  # type: ignore[arg-type]
        sizes = {
            AxisId(axis): PixelSize(value, None if unit is None else str(unit))
            for axis, (value, unit) in found["pixel_sizes"].items()
        }
        return Calibration(sizes, [str(name) for name in found["channel_names"]])
    except (TypeError, ValueError, KeyError, AttributeError, AxesError):
        return UNKNOWN
