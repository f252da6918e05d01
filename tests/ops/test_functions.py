"""Array functions against a float64 oracle, in every library."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LIBRARIES, arrays, native

from bioimageio_fn.arrays import DTYPES, dtype_name, to_numpy
from bioimageio_fn.errors import ArrayError, CastWarning
from bioimageio_fn.ops import functions, kernels, pointwise

COMMON = tuple(d for d in DTYPES if d != "float16")
FEW = settings(max_examples=50)
numbers = st.floats(-10, 10, width=16)

FUNCTIONS = {
    "scale_linear": (
        lambda x: functions.scale_linear(x, gain=2.5, offset=-3),
        lambda x: x * 2.5 - 3,
    ),
    "zero_mean_unit_variance": (
        lambda x: functions.zero_mean_unit_variance(x, mean=3, std=0.5, eps=0),
        lambda x: (x - 3) / 0.5,
    ),
    "sigmoid": (
        functions.sigmoid,
        lambda x: np.where(x > 0, 1 / (1 + np.exp(-np.abs(x))), 1 - 1 / (1 + np.exp(-np.abs(x)))),
    ),
    "binarize": (lambda x: functions.binarize(x, threshold=2), lambda x: x > 2),
    "clip": (
        lambda x: functions.clip(x, low=-2, high=7.5),
        lambda x: np.where(x < -2, -2, np.where(x > 7.5, 7.5, x)),
    ),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
@FEW
def test_functions_give_what_float64_gives_within_rounding(library, name, data):
    array = data.draw(arrays(COMMON if library == "array_api_strict" else DTYPES, nan=True))
    ours, theirs = FUNCTIONS[name]
    given_ = array if library == "numpy" else LIBRARIES[library](array)
    result = ours(given_)
    assert type(result) is type(given_)
    expected = theirs(native(array).astype("float64"))
    np.testing.assert_allclose(
        to_numpy(result).astype("float64"), expected.astype("float64"), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
@FEW
def test_functions_change_nothing_take_read_only_arrays_and_say_the_same_twice(name, data):
    array = data.draw(arrays(nan=True, inf=True))
    array.flags.writeable = False
    before = array.tobytes()
    ours, _ = FUNCTIONS[name]
    first, second = ours(array), ours(array)
    assert first.tobytes() == second.tobytes()
    assert array.tobytes() == before


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", COMMON)
@pytest.mark.parametrize("name", ["scale_linear", "zero_mean_unit_variance", "sigmoid"])
def test_small_types_are_computed_in_float32_and_large_ones_in_float64(library, dtype, name):
    small = dtype in ("bool", "uint8", "int8", "uint16", "int16", "float32")
    result = FUNCTIONS[name][0](LIBRARIES[library](np.ones(3, dtype)))
    assert dtype_name(result.dtype) == ("float32" if small else "float64")
    assert kernels.float_dtype(dtype) == dtype_name(result.dtype)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["scale_linear", "zero_mean_unit_variance", "sigmoid"])
def test_float16_is_computed_in_float32(library, name):
    result = FUNCTIONS[name][0](LIBRARIES[library](np.ones(3, "float16")))
    assert dtype_name(result.dtype) == kernels.float_dtype("float16") == "float32"


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_sigmoid_has_no_overflow_and_no_warning(library):
    for dtype in ("float32", "float64", "int16", "int64"):
        x = LIBRARIES[library](np.array([-1000, -90, 0, 90, 1000], dtype))
        result = to_numpy(functions.sigmoid(x))
        assert result.tolist()[2:] == [0.5, 1, 1]
        assert result[0] == 0
        assert 0 <= result[1] < 1e-38
    inf = LIBRARIES[library](np.array([-np.inf, np.inf, np.nan], "float32"))
    np.testing.assert_array_equal(to_numpy(functions.sigmoid(inf)), [0, 1, np.nan])


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_sigmoid_is_the_logistic_function_on_both_sides_of_0(library, dtype):
    x = np.linspace(-20, 20, 401)
    result = to_numpy(functions.sigmoid(LIBRARIES[library](x.astype(dtype))))
    np.testing.assert_allclose(result, 1 / (1 + np.exp(-x)), rtol=2e-6)


def test_the_sigmoid_of_unsigned_and_boolean_images_does_not_wrap():
    np.testing.assert_allclose(functions.sigmoid(np.array([250, 10], "uint8")), [1, 1], atol=1e-4)
    np.testing.assert_allclose(functions.sigmoid(np.array([False, True])), [0.5, 0.7310586])


@pytest.mark.parametrize("value", [0.1, 1000.1, 60000.3, 7])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16"])
def test_where_x_equals_the_mean_the_result_is_exactly_0(value, dtype):
    x = np.full((5, 7), value).astype(dtype)
    result = functions.zero_mean_unit_variance(x, mean=float(x[0, 0]), std=1e-6, eps=0)
    assert not result.any()


def test_zero_mean_unit_variance_keeps_the_digits_that_x_and_the_mean_have_in_common():
    x = np.array([60000.0, 60000.004], "float32")
    expected = (x.astype("float64") - 60000) / 1e-3
    ours = functions.zero_mean_unit_variance(x, mean=60000, std=1e-3, eps=0)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int64"])
def test_parameters_may_lie_along_an_axis(library, dtype):
    plain = np.arange(12).reshape(3, 4).astype(dtype)
    x = LIBRARIES[library](plain)
    rows = np.array([[1.0], [2.5], [-3.0]])
    cases = [
        (functions.scale_linear(x, gain=rows, offset=-rows), plain * rows - rows),
        (functions.zero_mean_unit_variance(x, mean=rows, std=rows, eps=0), (plain - rows) / rows),
        (functions.binarize(x, threshold=rows), plain > rows),
        (functions.clip(x, low=rows, high=rows + 2), np.clip(plain, rows, rows + 2)),
    ]
    for ours, theirs in cases:
        np.testing.assert_allclose(to_numpy(ours), theirs, rtol=1e-6)


@given(arrays(("float32", "float64", "uint8"), nan=True), numbers)
@FEW
def test_binarize_is_strict_and_nan_is_false(array, threshold):
    result = functions.binarize(array, threshold=threshold)
    assert result.dtype == bool
    np.testing.assert_array_equal(result, array.astype("float64") > threshold)
    at = functions.binarize(array, threshold=float(np.nan_to_num(array).flat[0]))
    assert not at.flat[0]


@pytest.mark.parametrize(
    ("dtype", "low", "high", "expected"),
    [
        ("uint8", 0, 255, "uint8"),
        ("uint8", -5, 300, "uint8"),
        ("uint8", 3, None, "uint8"),
        ("uint8", 0.5, None, "float32"),
        ("uint8", -0.5, None, "uint8"),
        ("uint8", 300, None, "float32"),
        ("uint8", None, -1, "float32"),
        ("int32", 0.5, None, "float64"),
        ("int32", None, np.inf, "int32"),
        ("bool", 0, 1, "bool"),
        ("bool", 0.5, None, "float32"),
        ("float16", 0.5, None, "float16"),
        ("float32", 0.5, 7, "float32"),
        ("float64", 0, 1, "float64"),
        ("uint16", [1, 2], [3, 4.5], "float32"),
        ("uint16", [1, 2], [3, 4], "uint16"),
    ],
)
def test_clipped_integers_stay_integers_where_they_can_hold_the_bounds(dtype, low, high, expected):
    assert pointwise.clip_dtype(dtype, low, high) == expected
    result = functions.clip(np.array([0, 1], dtype), low=low, high=high)
    assert result.dtype == expected


@given(
    arrays(tuple(d for d in COMMON if d not in ("bool", "float32")), nan=True),
    st.none() | st.integers(-300, 300) | numbers,
    st.none() | st.integers(-300, 300) | numbers,
)
@settings(max_examples=100)
def test_clip_is_exact_and_nan_stays(array, low, high):
    if low is not None and high is not None:
        low, high = sorted((low, high))
    result = functions.clip(array, low=low, high=high)
    expected = array.astype("float64")
    expected = expected if low is None else np.where(expected < low, low, expected)
    expected = expected if high is None else np.where(expected > high, high, expected)
    np.testing.assert_array_equal(result.astype("float64"), expected)


@pytest.mark.parametrize("bounds", [{"low": 1}, {"high": 0}], ids=str)
def test_clip_of_truth_values_reaches_its_bound(bounds):
    result = functions.clip(np.array([False, True]), **bounds)
    assert result.astype(int).tolist() == ([1, 1] if "low" in bounds else [0, 0])


@pytest.mark.parametrize("high", [np.inf, 1e30, 2.0**63])
def test_a_bound_beyond_int64_has_no_effect(high):
    assert functions.clip(np.array([1, 2], "int64"), high=high).tolist() == [1, 2]


def test_clip_of_torch_uint64_is_refused_with_the_way_on():
    x = LIBRARIES["torch"](np.array([1, 5, 9], "uint64"))
    with pytest.raises(ArrayError, match="torch can not compare uint64.*cast it to int64"):
        functions.clip(x, low=2, high=7)


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_clip_of_torch_takes_the_dtypes_that_torch_can_not_compare(dtype):
    x = LIBRARIES["torch"](np.array([1, 5, 9], dtype))
    assert to_numpy(functions.clip(x, low=2, high=7)).tolist() == [2, 5, 7]


@given(arrays(nan=True, inf=True), st.sampled_from(["uint8", "int16", "bool", "float32"]))
@FEW
def test_ensure_dtype_saturates(array, dtype):
    array = array.astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CastWarning)
        result = functions.ensure_dtype(array, dtype=dtype)
    assert result.dtype == dtype
    if dtype in ("uint8", "int16"):
        info = np.iinfo(dtype)
        expected = np.trunc(np.clip(np.where(np.isnan(array), 0, array), info.min, info.max))
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("library", LIBRARIES)
def test_ensure_dtype_warns_once_when_values_are_lost(library):
    x = LIBRARIES[library](np.array([-3, 300, np.nan], "float32"))
    with pytest.warns(CastWarning) as caught:
        result = functions.ensure_dtype(x, dtype="uint8")
    assert len(caught) == 1
    assert to_numpy(result).tolist() == [0, 255, 0]
