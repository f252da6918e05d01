"""Casts saturate; the oracle is written with Python integers and fractions."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from strategies import LIBRARIES, arrays

from bioimageio_fn.arrays import DTYPES, as_array, cast, dtype_name, is_native, namespace, to_numpy
from bioimageio_fn.errors import ArrayError, CastWarning

POWERS = [0, 1, 7, 8, 11, 15, 16, 24, 31, 32, 53, 63, 64]
HAS = {  # the array API has no float16
    "numpy": DTYPES,
    "torch": DTYPES,
    "array_api_strict": tuple(d for d in DTYPES if d != "float16"),
}


def edge_values(dtype):
    """Values at and around every limit that a cast could trip over, as an array of that dtype."""
    if dtype == "bool":
        return np.array([False, True])
    exact = [0] + [s * 2**p + d for p in POWERS for s in (1, -1) for d in (-1, 0, 1)]
    if "int" in dtype:
        info = np.iinfo(dtype)
        kept = {v for v in exact if info.min <= v <= info.max} | {int(info.min), int(info.max)}
        return np.array(sorted(kept), dtype)
    halves = [0.5, 0.999, 1.5, 127.5, 128.5, 254.9, 255.5, 256.5, 32767.5, 32768.5, 65535.5]
    with np.errstate(over="ignore"):
        base = np.array([float(v) for v in exact] + halves + [-h for h in halves], dtype)
        around = np.concatenate([base, np.nextafter(base, dtype_one(dtype) * np.inf)])
        around = np.concatenate([around, np.nextafter(base, dtype_one(dtype) * -np.inf)])
    return np.unique(np.concatenate([around, np.array([np.inf, -np.inf, np.nan, -0.0], dtype)]))


def dtype_one(dtype):
    return np.dtype(dtype).type(1)


def integer_oracle(value, dtype):
    """The saturated value, and whether more than a fraction was lost."""
    if dtype == "bool":
        return not math.isnan(value) and value != 0, False
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    if math.isnan(value):
        return 0, True
    if math.isinf(value):
        return (high if value > 0 else low), True
    whole = math.trunc(Fraction(value))
    return min(max(whole, low), high), not low <= whole <= high


def is_rounded(result, value, dtype):
    """Whether a float is the value, or where it has none, a neighbour of it."""
    if math.isnan(value) or math.isinf(value):
        return np.array_equal(result, value, equal_nan=True)
    if math.isinf(result):
        return abs(Fraction(value)) > Fraction(float(np.finfo(dtype).max))
    if Fraction(float(result)) == value:
        return True
    error = Fraction(float(result)) - Fraction(value)
    neighbour = np.nextafter(result, np.array(-np.inf if error > 0 else np.inf, dtype))
    return abs(error) < abs(Fraction(float(result)) - Fraction(float(neighbour)))


def check_cast(array, plain, target):
    """Cast as a whole and value by value; compare values and warnings with the oracle."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = cast(array, target)
    assert dtype_name(result.dtype) == target
    got = to_numpy(result)
    assert got.shape == plain.shape
    if "float" in target:
        assert not caught
        pairs = zip(got, plain.tolist(), strict=True)
        wrong = [(v, r) for r, v in pairs if not is_rounded(r, v, target)]
        assert not wrong
        return
    expected = [integer_oracle(v, target) for v in plain.tolist()]
    assert got.tolist() == [value for value, _ in expected]
    lost = any(is_lost for _, is_lost in expected)
    assert [w.category for w in caught] == [CastWarning] * lost, [str(w.message) for w in caught]


@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_cast_of_every_dtype_to_every_other_saturates(library, source, target):
    have = HAS[library]
    if not {source, target} <= set(have):
        with pytest.raises((AttributeError, TypeError)):
            LIBRARIES[library](np.zeros(1)).__array_namespace__().float16  # noqa: B018
        return
    plain = edge_values(source)
    check_cast(LIBRARIES[library](plain), plain, target)
    for i in range(len(plain)):
        check_cast(LIBRARIES[library](plain[i : i + 1]), plain[i : i + 1], target)


@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("source", DTYPES)
def test_a_big_endian_array_casts_as_its_native_twin(source, target):
    plain = edge_values(source)
    check_cast(plain.astype(plain.dtype.newbyteorder(">")), plain, target)


def test_known_defects_of_the_reference_are_not_ours():
    with pytest.warns(CastWarning, match="cast to uint8") as caught:
        assert cast(np.array([-3.0, 300.0, np.nan]), "uint8").tolist() == [0, 255, 0]
    assert len(caught) == 1
    with pytest.warns(CastWarning):
        assert cast(np.array([65535], "uint16"), "uint8").tolist() == [255]


def test_only_the_loss_of_a_fraction_is_no_warning():
    assert cast(np.array([-0.9, 0.9, 255.9], "float32"), "uint8").tolist() == [0, 0, 255]
    assert cast(np.array([-127.9, 127.9], "float32"), "int8").tolist() == [-127, 127]


def test_the_loss_of_a_fraction_at_the_lower_limit_is_no_warning():
    assert cast(np.array([-128.5], "float32"), "int8").tolist() == [-128]


def test_minus_infinity_of_float16_saturates_at_the_limit_of_wide_integers():
    with pytest.warns(CastWarning):
        assert cast(np.array([-np.inf], "float16"), "int32").tolist() == [-(2**31)]


@given(arrays(nan=True, inf=True))
@settings(max_examples=60)
def test_a_cast_keeps_its_argument_and_says_the_same_twice(array):
    before = array.copy()
    array.flags.writeable = False
    for dtype in ("bool", "uint8", "int32", "float32"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CastWarning)
            first, second = cast(array, dtype), cast(array, dtype)
        assert np.array_equal(first, second, equal_nan=dtype == "float32")
        assert is_native(first)
    assert array.tobytes() == before.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_cast_to_the_same_dtype_is_the_array_itself(dtype):
    array = np.zeros(3, dtype)
    assert cast(array, dtype) is array


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,)])
def test_casts_of_odd_shapes_keep_the_shape(shape):
    for dtype in ("uint8", "bool", "float32"):
        result = cast(np.zeros(shape), dtype)
        assert result.shape == shape
        assert result.dtype == dtype


@pytest.mark.parametrize("dtype", ["complex64", "str", "float", "int", "", "float128", ">f4"])
def test_a_cast_to_an_unknown_dtype_is_an_error(dtype):
    with pytest.raises(ArrayError, match="no such data type: expected one of bool, uint8") as e:
        cast(np.zeros(1), dtype)
    assert e.value.got == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_names_are_the_same_in_every_library(dtype):
    assert dtype_name(np.dtype(dtype)) == dtype_name(np.dtype(dtype).newbyteorder(">")) == dtype
    for library, have in HAS.items():
        if dtype in have:
            assert dtype_name(LIBRARIES[library](np.zeros(1, dtype)).dtype) == dtype


def test_arrays_of_a_library_stay_and_other_sources_become_numpy():
    for library in LIBRARIES.values():
        array = library(np.arange(3))
        assert as_array(array) is array
        assert to_numpy(array).tolist() == [0, 1, 2]
    assert as_array([1, 2]).tolist() == [1, 2]
    assert namespace(torch.zeros(1)).__name__ == "array_api_compat.torch"
    gradient = torch.zeros(2, requires_grad=True)
    assert to_numpy(gradient).tolist() == [0, 0]
    array = np.zeros(3)
    assert to_numpy(array) is array


def test_byte_order_is_told():
    assert is_native(np.zeros(1, "=f4"))
    assert not is_native(np.zeros(1, np.dtype("f4").newbyteorder("S")))
    assert is_native(torch.zeros(1))
