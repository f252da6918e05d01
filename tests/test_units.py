"""Units have the names of the format, here and in OME-XML; calibrations survive as an attribute."""

from typing import get_args

import numpy as np
import pytest
from bioimageio.spec.model.v0_5 import SpaceUnit, TimeUnit
from bioio_base.types import ureg
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.calibration import UNKNOWN, Calibration, PixelSize
from bioimageio_fn.io.attributes import calibration_of, calibration_text
from bioimageio_fn.io.labels import pixel_size
from bioimageio_fn.units import NO_UNIT, in_micrometers, symbol, unit_name

UNITS = [*get_args(SpaceUnit), *get_args(TimeUnit)]
CALIBRATIONS = st.builds(
    Calibration,
    st.dictionaries(
        st.sampled_from("tzyx"),
        st.builds(PixelSize, st.floats(1e-30, 1e30), st.sampled_from([None, *UNITS])),
    ),
    st.lists(st.text()),
)


def test_ome_has_every_unit_of_the_format_under_a_name_of_its_own():
    symbols = [symbol(unit) for unit in UNITS]

    assert None not in symbols
    assert len(set(symbols)) == len(UNITS)
    assert [unit_name(s) for s in symbols] == UNITS
    assert (symbol("furlong"), unit_name(NO_UNIT), unit_name("pixel")) == (None, None, None)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (PixelSize(100, "nanometer"), 0.1),
        (PixelSize(0.00065, "millimeter"), 0.65),
        (PixelSize(2, "micrometer"), 2),
        (PixelSize(5, "angstrom"), 0.0005),
        (PixelSize(1, "inch"), None),
        (PixelSize(1, "second"), None),
        (PixelSize(1), None),
        (None, None),
    ],
)
def test_metric_lengths_are_told_in_micrometers(size, expected):
    assert in_micrometers(size) == (None if expected is None else pytest.approx(expected))


@given(CALIBRATIONS)
def test_a_calibration_survives_as_text(calibration):
    assert calibration_of(calibration_text(calibration)) == calibration


@given(st.one_of(st.none(), st.text(), st.integers(), st.binary()))
def test_what_others_wrote_is_no_calibration(text):
    assert calibration_of(text) == UNKNOWN


@pytest.mark.parametrize(
    "text", ['{"pixel_sizes": {"x": [0, null]}, "channel_names": []}', "[1]", '{"pixel_sizes": 3}',
             '{"pixel_sizes": {"x": [1]}, "channel_names": []}', np.zeros(3)]
)  # fmt: skip
def test_what_looks_like_one_and_is_none_is_no_calibration(text):
    assert calibration_of(text) == UNKNOWN


@pytest.mark.parametrize("name", UNITS)
def test_names_of_the_format_stay(name):
    assert unit_name(name) == name
    assert unit_name(f" {name.upper()} ") == name


# symbols of pint, which is what bioio has for units; `ly`, `yr` are none of the format
SYMBOLS = [p + u for p in ("", *"yzafpnµumcdhkMGT") for u in "ms"]
SYMBOLS += ["Å", "in", "ft", "yd", "min", "h", "d", "micron", "nanometers", "millimetre", "parsecs"]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_symbols_stand_for_what_they_do_elsewhere(symbol):
    name = unit_name(symbol)

    assert name in UNITS
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
