"""What of two networks agrees and what does not, and what is said of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import bioimageio_fn as fn
from bioimageio_fn.weights import agreement

ARRAYS = hnp.arrays(
    st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]),
    hnp.array_shapes(max_dims=3, max_side=5),
)
FLOATS = hnp.arrays(
    "float64", st.integers(1, 20), elements=st.floats(-1e6, 1e6, allow_subnormal=False)
)


def missed(found, expected):
    axes = "zyx"[-expected.ndim :]
    return agreement.missed(fn.Tensor(found, axes[-found.ndim :]), fn.Tensor(expected, axes))


@given(ARRAYS)
def test_an_array_agrees_with_itself_whatever_is_in_it(array):
    assert missed(array, array.copy()) is None


@given(FLOATS, st.floats(-1, 1))
def test_floats_are_judged_as_numpy_does(expected, by):
    found = expected + by
    largest = np.abs(expected).max()

    assert (missed(found, expected) is None) == np.allclose(
        found, expected, rtol=1e-3, atol=1e-4 * largest
    )


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_agrees_with_itself_alone(strange):
    expected = np.float32([0, strange])

    assert missed(expected, expected) is None
    for other in {np.inf, -np.inf, 3.0} - {strange}:
        text = missed(np.float32([0, other]), expected)
        assert f"{other:g} instead of {strange:g}" in text
        assert "1 of 2 elements" in text
    assert missed(np.float32([strange, 1]), np.float32([0, 1])) is not None


def test_large_labels_are_not_rounded_into_agreement():
    labels = np.full(100, 2**53 + 1)

    assert "100 of 100 elements differ" in missed(labels - 1, labels)
    assert missed(labels.astype("float64"), labels) == "its type is float64, not int64"


@pytest.mark.parametrize("differing", [0, 1, 2])
def test_one_label_of_a_thousand_may_differ(differing):
    expected = np.zeros(1000, "uint16")
    found = expected.copy()
    found[:differing] = 1

    assert (missed(found, expected) is None) == (differing < 2)


def test_values_near_zero_may_differ_by_what_large_ones_are_rounded_by():
    assert missed(np.float32([1e-5, 1]), np.float32([0, 1])) is None
    assert missed(np.float32([1e-5, 1e-3]), np.float32([0, 1e-3])) is not None


def test_another_shape_is_said():
    assert missed(np.zeros((1, 2)), np.zeros((2, 1))) == "its shape is (1, 2), not (2, 1)"
