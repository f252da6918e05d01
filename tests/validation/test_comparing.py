"""Whether tensors agree: against NumPy, and exactly where NumPy would cast."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bioimageio_fn.tensor import Tensor
from bioimageio_fn.validation.comparing import agreement
from bioimageio_fn.validation.records import Tolerance
from bioimageio_fn.validation.tolerating import within

SHAPE = (3, 4)
floats = hnp.arrays("float64", SHAPE, elements=st.floats(-1e3, 1e3))
tolerances = st.floats(0, 0.5)


def compared(produced, expected, *tolerance):
    tolerance = Tolerance(*tolerance) if tolerance else Tolerance(0, 0, 0)
    return agreement("out", Tensor(produced, "yx"), Tensor(expected, "yx"), tolerance)


@given(floats, floats, tolerances, tolerances)
def test_mismatched_elements_are_those_of_numpy(produced, expected, relative, absolute):
    found = compared(produced, expected, relative, absolute, 0)

    close = np.isclose(produced, expected, rtol=relative, atol=absolute)
    assert found.mismatched == (~close).sum()
    assert found.size == close.size
    assert found.passed == bool(close.all())


@given(floats, floats)
def test_the_largest_difference_is_where_it_says(produced, expected):
    found = compared(produced, expected)

    assert found.largest_difference == np.abs(produced - expected).max()
    if found.where:
        place = tuple(found.where[axis] for axis in "yx")
        assert produced[place] == found.produced_there
        assert expected[place] == found.expected_there
        assert abs(found.produced_there - found.expected_there) == found.largest_difference
    else:
        np.testing.assert_array_equal(produced, expected)


@given(floats, st.integers(0, 12), st.integers(0, 1_000_000))
def test_so_many_of_a_million_may_differ(expected, wrong, allowed):
    produced = expected.copy()
    produced.flat[:wrong] += 10

    found = compared(produced, expected, 0, 1e-9, allowed)

    assert found.mismatched == wrong
    assert found.passed == (wrong * 1_000_000 <= allowed * expected.size)


@given(
    hnp.arrays("float64", SHAPE, elements=st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf])),
    hnp.arrays("float64", SHAPE, elements=st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf])),
    st.sampled_from([0, 100_000, 1_000_000]),
)
def test_no_share_that_may_differ_lets_what_is_not_finite_pass(produced, expected, allowed):
    found = compared(produced, expected, 0, 0.5, allowed)

    one_is_not = np.isfinite(produced) != np.isfinite(expected)
    if one_is_not.any():
        assert not found.passed
    assert found.passed == within(produced, expected, Tolerance(0, 0.5, allowed))


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("other", [0.0, 1e30, np.nan, np.inf, -np.inf])
def test_what_is_not_finite_agrees_with_its_like_alone(special, other):
    alike = np.array_equal(special, other, equal_nan=True)
    for one, two in ((special, other), (other, special)):
        found = compared(np.full(SHAPE, one), np.full(SHAPE, two), 0.5, 1e9, 1e6)

        assert found.passed == alike


@pytest.mark.parametrize(
    ("dtype", "low"),
    [("int32", 16777216), ("int64", 2**62), ("uint64", 2**64 - 2), ("int64", -(2**63))],
)
def test_labels_that_a_float_can_not_tell_apart_differ(dtype, low):
    expected = np.full(SHAPE, low, dtype)
    produced = expected.copy()
    produced[1, 2] += 1

    found = compared(produced, expected)

    assert (found.mismatched, found.largest_difference) == (1, 1.0)
    assert found.where == {"y": 1, "x": 2}


def test_doubles_are_compared_as_doubles():
    expected = np.ones(SHAPE)

    assert not compared(expected + 1e-12, expected, 0, 1e-13, 0).passed
    assert compared(expected + 1e-12, expected, 0, 1e-11, 0).passed


@pytest.mark.parametrize("produced", [Tensor(np.ones((4, 3)), "yx"), Tensor(np.ones(SHAPE), "xy")])
def test_of_other_axes_or_sizes_nothing_agrees(produced):
    found = agreement("out", produced, Tensor(np.ones(SHAPE), "yx"), Tolerance(1, 1, 0))

    assert (found.mismatched, found.size, found.passed) == (12, 12, False)
