"""An element agrees within tolerance; what is not finite agrees only with the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.validation.records import Tolerance
from bioimageio_fn.validation.tolerating import exceeding, within


def test_neighbouring_labels_beyond_float32_are_other_labels():
    produced, expected = np.array([16777217], "int32"), np.array([16777216], "int32")

    assert within(produced, expected, Tolerance(0, 1, 0))
    assert not within(produced, expected, Tolerance(0, 0, 0))


@pytest.mark.parametrize("produced", [np.nan, np.inf, -np.inf, 1.0])
@pytest.mark.parametrize("expected", [np.nan, np.inf, -np.inf, 1.0])
def test_no_tolerance_lets_what_is_not_finite_pass(produced, expected):
    loose = Tolerance(1e30, 1e30, 0)
    same = produced == expected or (np.isnan(produced) and np.isnan(expected))

    over = exceeding(np.array([produced]), np.array([expected]), loose)

    assert bool(over[0]) == (not same)


@given(
    st.floats(-10, 10), st.floats(-10, 10), st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**6)
)
def test_an_element_agrees_within_absolute_and_relative(produced, expected, rel, absolute, ppm):
    a, b = np.array([produced]), np.array([expected])
    agrees = abs(produced - expected) <= absolute + rel * abs(expected)
    tolerance = Tolerance(rel, absolute, ppm)

    assert bool(exceeding(a, b, tolerance)[0]) == (not agrees)
    assert within(a, b, tolerance) == (agrees or ppm == 10**6)


def test_elements_per_million_are_counted():
    expected = np.zeros(1000)
    produced = expected.copy()
    produced[:3] = 1

    assert within(produced, expected, Tolerance(0, 0, 3000))
    assert not within(produced, expected, Tolerance(0, 0, 2999))
