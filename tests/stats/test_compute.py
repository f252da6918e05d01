"""Measures against NumPy in float64, for any slabs, layouts, libraries, and missing pixels."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LAYOUTS, LIBRARIES, tensors

from bioimageio_fn.arrays import DTYPES
from bioimageio_fn.errors import AxesError, DataWarning, SizeError
from bioimageio_fn.stats import walk
from bioimageio_fn.stats.compute import measure
from bioimageio_fn.stats.measure import Measure
from bioimageio_fn.tensor import Tensor

COMMON = tuple(d for d in DTYPES if d != "float16")
MEASURES = [
    {"name": "mean"},
    {"name": "std"},
    {"name": "var"},
    {"name": "quantile", "q": 0.3, "method": "linear"},
    {"name": "quantile", "q": 0.3, "method": "inverted_cdf"},
]


def oracle_of(values, wanted):
    """The measure of a flat list of float64 values, NaN left out."""
    values = values[~np.isnan(values)]
    if not values.size:
        return math.nan
    if wanted.name == "quantile":
        return np.quantile(values, wanted.q, method=wanted.method)
    return getattr(np, wanted.name)(values)


def oracle(tensor, wanted):
    """The measure at every index of the kept axes, one by one."""
    reduced = tensor.axes if wanted.axes is None else wanted.axes
    kept = [i for i, a in enumerate(tensor.axes) if a not in reduced]
    array = np.asarray(tensor).astype("float64")
    result = np.empty([array.shape[i] for i in kept])
    for index in np.ndindex(result.shape):
        key = [slice(None)] * array.ndim
        for i, k in zip(kept, index, strict=True):
            key[i] = k
        result[index] = oracle_of(array[tuple(key)].reshape(-1), wanted)
    return Tensor(result, [tensor.axes[i] for i in kept])


def quietly(tensor, wanted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return measure(tensor, wanted)


def check(ours, theirs):
    assert ours.axes == theirs.axes
    assert ours.dtype == "float64"
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-12, atol=1e-9)


@st.composite
def measures(draw, tensor):
    reduced = draw(st.none() | st.sets(st.sampled_from(tensor.axes))) if tensor.axes else None
    wanted = dict(draw(st.sampled_from(MEASURES)))
    if "q" in wanted:
        wanted["q"] = draw(st.sampled_from([0.0, 1.0, 0.5]) | st.floats(0, 1))
    return Measure(member="raw", axes=reduced, **wanted)


@given(st.data())
@settings(max_examples=150)
def test_measures_over_any_axes_are_those_of_numpy_in_float64_without_nan(data):
    tensor = data.draw(tensors(nan=True))
    wanted = data.draw(measures(tensor))
    check(quietly(tensor, wanted), oracle(tensor, wanted))


@given(st.data())
@settings(max_examples=100)
def test_any_size_of_slabs_gives_the_same(data):
    tensor = data.draw(tensors(nan=True))
    wanted = data.draw(measures(tensor))
    slab = data.draw(st.integers(1, 30))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "PIECE_ELEMENTS", slab)
        cut = quietly(tensor, wanted)
    check(cut, quietly(tensor, wanted))


@pytest.mark.parametrize("slab", [1, 2, 3, 5, 7, 12, 100])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 4), (2, 1, 5), (3, 2, 2, 2), (0, 3)])
def test_slabs_tile_the_array_exactly_once_and_are_no_larger_than_allowed(slab, shape, monkeypatch):
    monkeypatch.setattr(walk, "PIECE_ELEMENTS", slab)
    hits = np.zeros(shape, int)
    for piece in walk.pieces(np.zeros(shape)):
        assert hits[piece].size <= slab
        hits[piece] += 1
    assert (hits == 1).all()


@pytest.mark.parametrize("wanted", MEASURES, ids=lambda m: "-".join(map(str, m.values())))
@pytest.mark.parametrize("reduced", [None, "", "y", "yx", "c"])
def test_an_array_larger_than_a_slab_is_measured_as_by_numpy(wanted, reduced, monkeypatch):
    monkeypatch.setattr(walk, "PIECE_ELEMENTS", 1000)
    rng = np.random.default_rng(0)
    for array in (
        rng.normal(1e6, 1.0, (3, 40, 50)).astype("float32"),
        rng.integers(0, 65535, (3, 40, 50)).astype("uint16"),
    ):
        tensor = Tensor(array, "cyx")
        ours = measure(tensor, Measure(member="raw", axes=reduced, **wanted))
        theirs = oracle(tensor, Measure(member="raw", axes=reduced, **wanted))
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-9)


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
@given(data=st.data())
@settings(max_examples=60)
def test_every_library_measures_what_numpy_measures(library, data):
    tensor = data.draw(tensors(COMMON, nan=True))
    wanted = data.draw(measures(tensor))
    other = Tensor(LIBRARIES[library](tensor.data), tensor.axes)
    result = quietly(other, wanted)
    assert type(result.data) is np.ndarray
    check(result, quietly(tensor, wanted))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wanted", MEASURES, ids=lambda m: "-".join(map(str, m.values())))
def test_the_layout_of_memory_makes_no_difference(layout, wanted):
    array = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("float32")
    wanted = Measure(member="raw", axes="yc", **wanted)
    laid = LAYOUTS[layout](array)
    check(measure(Tensor(laid, "cyx"), wanted), measure(Tensor(array, "cyx"), wanted))


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32", "int64", "uint16", "bool"])
@pytest.mark.parametrize("value", [0.1, 1000.1, 60000.3, 1.0, 0.0])
@pytest.mark.parametrize("slab", [1, 7, 1 << 20])
def test_constant_arrays_have_exactly_std_0_and_their_value_as_mean(
    dtype, value, slab, monkeypatch
):
    monkeypatch.setattr(walk, "PIECE_ELEMENTS", slab)
    array = np.full((7, 11), value).astype(dtype)
    tensor = Tensor(array, "yx")
    for reduced in (None, "x"):
        assert not np.asarray(measure(tensor, Measure("std", "raw", reduced))).any()
        mean = np.asarray(measure(tensor, Measure("mean", "raw", reduced)))
        assert (mean.astype(dtype) == array[0, 0]).all()


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1000.1, -7.7])
def test_constant_float64_arrays_have_exactly_std_0_and_their_value_as_mean(value):
    tensor = Tensor(np.full((7, 11), value), "yx")
    assert float(measure(tensor, Measure("std", "raw")).data) == 0
    assert float(measure(tensor, Measure("mean", "raw")).data) == value


def test_huge_values_have_a_standard_deviation():
    tensor = Tensor(np.full((7, 11), 1e200), "yx")
    assert float(measure(tensor, Measure("std", "raw")).data) == 0


@pytest.mark.parametrize("slab", [1, 2, 1 << 20])
def test_the_mean_with_an_infinite_pixel_is_infinite_however_it_is_cut(slab, monkeypatch):
    monkeypatch.setattr(walk, "PIECE_ELEMENTS", slab)
    tensor = Tensor(np.array([np.inf, 1.0, 1.0, 1.0, 1.0]), "x")
    assert float(measure(tensor, Measure("mean", "raw")).data) == np.inf


def test_infinite_pixels_are_not_called_missing():
    tensor = Tensor(np.array([np.inf, 1.0]), "x")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = measure(tensor, Measure("std", "raw"))
    assert math.isnan(value.data)
    assert not [w for w in caught if "nothing but NaN" in str(w.message)]


@pytest.mark.parametrize("wanted", MEASURES, ids=lambda m: "-".join(map(str, m.values())))
def test_nothing_but_nan_gives_nan_and_one_warning_that_names_the_tensor(wanted):
    tensor = Tensor(np.array([[np.nan, np.nan], [1.0, np.nan]]), "yx")
    with pytest.warns(DataWarning, match=f"'raw' holds nothing but NaN.*{wanted['name']}") as w:
        result = measure(tensor, Measure(member="raw", axes="x", **wanted))
    assert len(w) == 1
    assert math.isnan(result.data[0])
    assert result.data[1] == (0 if wanted["name"] in ("std", "var") else 1)


def test_a_missing_pixel_does_not_count():
    array = np.array([1.0, np.nan, 3.0], "float32")
    assert float(measure(Tensor(array, "x"), Measure("mean", "raw")).data) == 2
    assert float(measure(Tensor(array, "x"), Measure("std", "raw")).data) == 1


def test_an_axis_that_is_not_there_is_an_error_that_names_it_and_those_that_are():
    with pytest.raises(AxesError, match="can not be measured over") as caught:
        measure(Tensor(np.zeros((2, 3)), "yx"), Measure("mean", "raw", "zy"))
    error = caught.value
    assert (error.tensor, error.axis, error.expected) == ("raw", "z", "one of y, x")


@pytest.mark.parametrize("wanted", MEASURES, ids=lambda m: "-".join(map(str, m.values())))
def test_an_empty_axis_is_an_error_where_it_is_reduced_and_kept_where_it_is_not(wanted):
    tensor = Tensor(np.zeros((0, 3)), "yx")
    with pytest.raises(SizeError, match="an empty axis has no statistics") as caught:
        measure(tensor, Measure(member="raw", **wanted))
    assert (caught.value.tensor, caught.value.axis, caught.value.got) == ("raw", "y", 0)
    assert measure(tensor, Measure(member="raw", axes="x", **wanted)).shape == (0,)


def test_inverted_cdf_is_a_value_that_occurs():
    array = np.array([1, 5, 9, 200], "uint8")
    for q in np.linspace(0, 1, 21):
        wanted = Measure("quantile", "raw", q=float(q), method="inverted_cdf")
        assert float(measure(Tensor(array, "x"), wanted).data) in array.tolist()


@given(tensors(COMMON, nan=True), st.data())
@settings(max_examples=40)
def test_measuring_changes_nothing_and_says_the_same_twice(tensor, data):
    before = np.array(tensor.data, copy=True).tobytes()
    wanted = data.draw(measures(tensor))
    assert quietly(tensor, wanted) == quietly(tensor, wanted)
    assert np.array(tensor.data, copy=True).tobytes() == before


def test_many_cells_behind_steps_are_sorted_too_and_give_the_same():
    from bioimageio_fn.ops.kernels import Mapped
    from bioimageio_fn.ops.pointwise import sigmoid
    from bioimageio_fn.stats.quantiles import are_better_sorted

    array = np.random.default_rng(0).normal(size=(3, 20, 30)).astype("float32")
    seen = Tensor(Mapped(array, [sigmoid()]), "cyx")
    m = Measure("quantile", "raw", "c", q=0.3, method="linear")
    assert are_better_sorted(seen, ["y", "x"])
    expected = np.quantile(1 / (1 + np.exp(-array.astype("float64"))), 0.3, axis=0)
    np.testing.assert_allclose(np.asarray(measure(seen, m)), expected, rtol=1e-6)
