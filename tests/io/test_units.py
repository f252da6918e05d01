"""Units have the names of the BioImage.IO format."""

from typing import get_args

import pytest
from bioimageio.spec.model.v0_5 import SpaceUnit, TimeUnit
from bioio_base.types import ureg

from bioimageio_fn.io.labels import pixel_size
from bioimageio_fn.io.units import unit_name

NAMES = {*get_args(SpaceUnit), *get_args(TimeUnit)}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_names_of_the_format_stay(name):
    assert unit_name(name) == name
    assert unit_name(f" {name.upper()} ") == name


# symbols of pint, which is what bioio has for units; `ly`, `yr` are none of the format
SYMBOLS = [p + u for p in ("", *"yzafpnµumcdhkMGT") for u in "ms"]
SYMBOLS += ["Å", "in", "ft", "yd", "min", "h", "d", "micron", "nanometers", "millimetre", "parsecs"]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_symbols_stand_for_what_they_do_elsewhere(symbol):
    name = unit_name(symbol)

    assert name in NAMES
    assert ureg(symbol) == ureg(name)


@pytest.mark.parametrize("text", [r"\u00B5m", "\N{GREEK SMALL LETTER MU}m", "um", "µm", "Microns"])
def test_a_micrometer_has_many_spellings(text):
    assert unit_name(text) == "micrometer"


@pytest.mark.parametrize("text", ["", None, "furlong", "ly", "S", "µ", "meters per second", 5])
def test_what_is_no_unit_of_the_format_has_no_name(text):
    assert unit_name(text) is None


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), None, "wide", [1]])
def test_what_is_no_extent_is_not_known(value):
    assert pixel_size(value, "um") is None
