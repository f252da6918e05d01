"""Differences are exact, whatever the types: Python's own numbers are the oracle."""

import math
from fractions import Fraction

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.deviation import deviations

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
