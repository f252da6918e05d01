"""Units of length and time, as the BioImage.IO format spells them.

What holds here: a unit that the format does not have is None, never another one.
"""

from __future__ import annotations

from collections.abc import Mapping

from immutabledict import immutabledict

__all__ = ["unit_name"]

_PREFIXES = {
    "": "",
    "y": "yocto",
    "z": "zepto",
    "a": "atto",
    "f": "femto",
    "p": "pico",
    "n": "nano",
    "u": "micro",
    "µ": "micro",
    "m": "milli",
    "c": "centi",
    "d": "deci",
    "h": "hecto",
    "k": "kilo",
    "M": "mega",
    "G": "giga",
    "T": "tera",
    "P": "peta",
    "E": "exa",
    "Z": "zetta",
    "Y": "yotta",
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
    {short + "m": long + "meter" for short, long in _PREFIXES.items()}
    | {short + "s": long + "second" for short, long in _PREFIXES.items()}
    | {short: long for long, short in _OTHERS.items()}
    | {"micron": "micrometer", "sec": "second"}
)
_NAMES = frozenset(_SYMBOLS.values())
_SPELLINGS: Mapping[str, str] = immutabledict(
    {"\\u00B5": "µ", "\N{GREEK SMALL LETTER MU}": "µ", "\N{ANGSTROM SIGN}": "Å"}
)


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
    if text in _SYMBOLS:
        return _SYMBOLS[text]
    word = text.lower().replace("metre", "meter")
    forms = (word, word.removesuffix("s"))
    return next((f for f in forms if f in _NAMES), None) or _SYMBOLS.get(forms[-1])
