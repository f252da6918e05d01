"""What agrees and what does not, and what is said of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bioimageio_fn.weights.agreement import OF_THE_SOURCE, OF_THE_TEST_TENSORS, Tolerance, missed

ARRAYS = hnp.arrays(
    st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]),
    hnp.array_shapes(max_dims=3, max_side=5),
)
FLOATS = hnp.arrays(
    "float64", st.integers(1, 20), elements=st.floats(-1e6, 1e6, allow_subnormal=False)
)


@given(ARRAYS, st.sampled_from([OF_THE_SOURCE, OF_THE_TEST_TENSORS]))
def test_an_array_agrees_with_itself_whatever_is_in_it(array, tolerance):
    assert missed(array, array.copy(), tolerance) is None


@given(FLOATS, st.floats(-1, 1), st.sampled_from([1e-3, 0.5]), st.sampled_from([0, 1e-2]))
def test_floats_are_judged_as_numpy_does(expected, by, relative, absolute):
    found = expected + by
    tolerance = Tolerance(relative=relative, absolute=absolute)

    assert (missed(found, expected, tolerance) is None) == np.allclose(
        found, expected, rtol=relative, atol=absolute
    )


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_agrees_with_itself_alone(strange):
    expected = np.float32([0, strange])

    assert missed(expected, expected, OF_THE_SOURCE) is None
    for other in {np.inf, -np.inf, 3.0} - {strange}:
        figures = missed(np.float32([0, other]), expected, OF_THE_SOURCE)
        assert f"expected {strange:g}" in figures
        assert "50% of the values" in figures
    assert missed(np.float32([strange, 1]), np.float32([0, 1]), OF_THE_SOURCE) is not None


def test_large_labels_are_not_rounded_into_agreement():
    labels = np.full(100, 2**53 + 1)

    assert missed(labels - 1, labels, OF_THE_SOURCE).startswith("up to 1 away")
    assert missed(labels.astype("float64"), labels, OF_THE_SOURCE) == (
        "its type is float64, not int64"
    )


@pytest.mark.parametrize("differing", [0, 1, 2])
def test_one_label_of_a_thousand_may_differ(differing):
    expected = np.zeros(1000, "uint16")
    found = expected.copy()
    found[:differing] = 1

    assert (missed(found, expected, OF_THE_TEST_TENSORS) is None) == (differing < 2)


def test_values_near_zero_may_differ_by_what_large_ones_are_rounded_by():
    assert missed(np.float32([1e-5, 1]), np.float32([0, 1]), OF_THE_SOURCE) is None
    assert missed(np.float32([1e-5, 1e-3]), np.float32([0, 1e-3]), OF_THE_SOURCE) is not None
