"""Units of length and time: as the BioImage.IO format and OME-Zarr spell them, and as others do.

What holds here: no unit is guessed; one that the format does not have is None.
"""

from __future__ import annotations

from collections.abc import Mapping

from immutabledict import immutabledict

from .calibration import PixelSize

__all__ = ["NO_UNIT", "in_micrometers", "length_ratio", "symbol", "unit_name"]

NO_UNIT = "reference frame"
"""What OME-XML calls a length that is no physical one."""

_PREFIXES = {
    "yotta": ("Y", 24),
    "zetta": ("Z", 21),
    "exa": ("E", 18),
    "peta": ("P", 15),
    "tera": ("T", 12),
    "giga": ("G", 9),
    "mega": ("M", 6),
    "kilo": ("k", 3),
    "hecto": ("h", 2),
    "": ("", 0),
    "deci": ("d", -1),
    "centi": ("c", -2),
    "milli": ("m", -3),
    "micro": ("µ", -6),
    "nano": ("n", -9),
    "pico": ("p", -12),
    "femto": ("f", -15),
    "atto": ("a", -18),
    "zepto": ("z", -21),
    "yocto": ("y", -24),
}
_OTHERS = {
    "angstrom": "Å",
    "inch": "in",
    "foot": "ft",
    "yard": "yd",
    "mile": "mi",
    "parsec": "pc",
    "minute": "min",
    "hour": "h",
    "day": "d",
}
_SYMBOLS: Mapping[str, str] = immutabledict(
    {
        **{
            f"{prefix}{unit}": f"{short}{letter}"
            for prefix, (short, _) in _PREFIXES.items()
            for unit, letter in (("meter", "m"), ("second", "s"))
        },
        **_OTHERS,
    }
)
_UNITS: Mapping[str, str] = immutabledict(
    {short: unit for unit, short in _SYMBOLS.items()} | {"micron": "micrometer", "sec": "second"}
)
_SPELLINGS: Mapping[str, str] = immutabledict(
    {"\\u00B5": "µ", "\N{GREEK SMALL LETTER MU}": "µ", "\N{ANGSTROM SIGN}": "Å"}
)
# powers of ten are exact up to here, so that 100 nanometer are 0.1 micrometer to the last digit
_POWERS: Mapping[str, int] = immutabledict(
    {
        **{f"{prefix}meter": power + 6 for prefix, (_, power) in _PREFIXES.items()},
        "angstrom": -4,
    }
)


def symbol(unit: str | None) -> str | None:
    """What OME-XML calls a unit; None if it does not have it.

    Examples:
        >>> symbol("micrometer"), symbol("millisecond"), symbol("furlong"), symbol(None)
        ('µm', 'ms', None, None)
    """
    return None if unit is None else _SYMBOLS.get(unit)


def unit_name(unit: object) -> str | None:
    """The name of a unit in the BioImage.IO format; None if it has none there.

    Args:
        unit: a symbol, or a name in any case, also in the plural.

    Examples:
        >>> unit_name("µm"), unit_name("microns"), unit_name("Nanometers"), unit_name("furlong")
        ('micrometer', 'micrometer', 'nanometer', None)
    """
    text = str(unit).strip()
    for spelling, usual in _SPELLINGS.items():
        text = text.replace(spelling, usual)
    if len(text) > 1 and text[0] == "u":  # for those who have no µ
        text = _UNITS.get(f"µ{text[1:]}", text)
    if text in _UNITS:
        return _UNITS[text]
    word = text.lower().replace("metre", "meter")
    forms = (word, word.removesuffix("s"))
    return next((f for f in forms if f in _SYMBOLS), None) or _UNITS.get(forms[-1])


def in_micrometers(size: PixelSize | None) -> float | None:
    """The extent of a pixel in micrometers; None if its unit is no metric one of length.

    Examples:
        >>> in_micrometers(PixelSize(325, "nanometer")), in_micrometers(PixelSize(2))
        (0.325, None)
    """
    power = None if size is None else _POWERS.get(size.unit or "")
    if size is None or power is None:
        return None
    return size.value * 10.0**power if power >= 0 else size.value / 10.0**-power


def length_ratio(one: PixelSize, other: PixelSize) -> float | None:
    """How many times longer one pixel is than another; None if one is of no metric length.

    Examples:
        >>> length_ratio(PixelSize(0.5, "micrometer"), PixelSize(250, "nanometer"))
        2.0
        >>> length_ratio(PixelSize(0.5), PixelSize(250, "nanometer")) is None
        True
    """
    length, other_length = in_micrometers(one), in_micrometers(other)
    return None if length is None or other_length is None else length / other_length
