"""Units survive the way to OME-XML and back, and calibrations the way to an attribute and back."""

from typing import get_args

import numpy as np
import pytest
from bioimageio.spec.model.v0_5 import SpaceUnit, TimeUnit
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.calibration import UNKNOWN, Calibration, PixelSize
from bioimageio_fn.io.attributes import calibration_of, calibration_text
from bioimageio_fn.io.units import NO_UNIT, in_micrometers, symbol, unit_of

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
    assert [unit_of(s) for s in symbols] == UNITS
    assert (symbol("furlong"), unit_of(NO_UNIT), unit_of("pixel")) == (None, None, None)


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
