"""Differences are exact, whatever the types: Python's own numbers are the oracle."""

import math
from fractions import Fraction

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.validation.deviation import deviations, exceeding, within
from bioimageio_fn.validation.records import Tolerance

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "bool")
FLOATS = ("float16", "float32", "float64")


def arrays(dtypes, size=5):
    return st.sampled_from(dtypes).flatmap(lambda dtype: hnp.arrays(dtype, size))


@given(arrays(INTEGERS), arrays(INTEGERS))
def test_integers_of_any_types_are_compared_exactly(a, b):
    exact = [abs(int(x) - int(y)) for x, y in zip(a, b, strict=True)]

    found = deviations(a, b)

    assert [float(e) for e in exact] == pytest.approx(found.tolist(), rel=1e-15)
    assert (found == 0).tolist() == [e == 0 for e in exact]


@given(arrays(FLOATS), arrays(FLOATS))
def test_floats_are_compared_as_float64_and_what_is_not_finite_only_equals_itself(a, b):
    for found, x, y in zip(deviations(a, b), a.astype("f8"), b.astype("f8"), strict=True):
        if math.isfinite(x) and math.isfinite(y):
            try:
                exact = float(abs(Fraction(float(x)) - Fraction(float(y))))
            except OverflowError:
                exact = math.inf
            assert found == pytest.approx(exact, rel=1e-15)
        else:
            same = x == y or (math.isnan(x) and math.isnan(y))
            assert found == (0 if same else np.inf)


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
