"""How long a unit of length is, by the names of the BioImage.IO format.

What holds here: a unit that is not known has no length; nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping

from immutabledict import immutabledict

from .calibration import PixelSize

__all__ = ["length_ratio"]

_PREFIXES = {
    "yocto": -24, "zepto": -21, "atto": -18, "femto": -15, "pico": -12, "nano": -9, "micro": -6,
    "milli": -3, "centi": -2, "deci": -1, "": 0, "hecto": 2, "kilo": 3, "mega": 6, "giga": 9,
    "tera": 12, "peta": 15, "exa": 18, "zetta": 21, "yotta": 24,
}  # fmt: skip
_METERS: Mapping[str, float] = immutabledict(
    {
        **{f"{prefix}meter": 10.0**power for prefix, power in _PREFIXES.items()},
        "angstrom": 1e-10,
        "inch": 0.0254,
        "foot": 0.3048,
        "yard": 0.9144,
        "mile": 1609.344,
        "parsec": 3.0856775814913673e16,
    }
)


def length_ratio(one: PixelSize, other: PixelSize) -> float | None:
    """How many times longer one pixel is than another; None where that is not known.

    Examples:
        >>> round(length_ratio(PixelSize(0.5, "micrometer"), PixelSize(250, "nanometer")), 9)
        2.0
        >>> length_ratio(PixelSize(0.5), PixelSize(250, "nanometer")) is None
        True
    """
    meters, others = _METERS.get(one.unit or ""), _METERS.get(other.unit or "")
    if meters is None or others is None:
        return None
    return one.value * meters / (other.value * others)
