"""Kernels: joined where they are affine, run in pieces, the same in every library."""

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LAYOUTS, LAZY_TOO, chains, tensors

from bioimageio_fn.arrays import to_numpy
from bioimageio_fn.errors import BioimageioFnWarning, CastWarning
from bioimageio_fn.ops.affine import Affine, rounded, then
from bioimageio_fn.ops.chain import apply
from bioimageio_fn.ops.fitting import fit
from bioimageio_fn.ops.kernels import Cast, Function, Mapped, joined, run
from bioimageio_fn.ops.pointwise import clip, scale_linear, sigmoid, softmax
from bioimageio_fn.sample import Sample
from bioimageio_fn.stats import walk
from bioimageio_fn.tensor import Tensor

COMMON = ("bool", "uint8", "int16", "uint32", "float32", "float64")
numbers = st.floats(-100, 100, width=32)


def names(kernels):
    return [type(k).__name__ for k in kernels]


# joining


@given(st.tuples(numbers, numbers, numbers), st.tuples(numbers, numbers, numbers), numbers)
def test_two_affine_maps_are_one_after_the_other(a, b, x):
    def value(m, x):
        return (x - m[0]) * m[1] + m[2]

    both = then(Affine(*a), Affine(*b))
    expected = value(b, value(a, x))
    size = (200 * abs(a[1]) + abs(a[2]) + 200) * (abs(b[1]) + 1) + abs(b[2])
    assert abs(value((both.center, both.factor, both.shift), x) - expected) <= 1e-14 * size


def test_affine_neighbours_are_joined_in_float32_and_left_apart_in_float64():
    two = [scale_linear(2, 1), scale_linear(3, 0)]
    assert names(joined(two, "uint16")) == ["Affine"]
    assert names(joined(two, "float32")) == ["Affine"]
    assert names(joined(two, "float64")) == names(joined(two, "int32")) == ["Affine", "Affine"]
    assert names(joined([*two, sigmoid(), *two], "uint8")) == ["Affine", "Function", "Affine"]


def test_casts_that_change_nothing_fall_away_and_others_stay():
    one = scale_linear(2, 1)
    assert names(joined([Cast("float32"), one, Cast("float32"), one], "uint16")) == ["Affine"]
    assert names(joined([Cast("uint8")], "uint8")) == []
    assert names(joined([one, Cast("uint8"), one], "uint16")) == ["Affine", "Cast", "Affine"]
    assert names(joined([Cast("float32"), one], "float64")) == ["Cast", "Affine"]
    assert names(joined([Cast("float32"), sigmoid()], "uint16")) == ["Cast", "Function"]


def test_a_joined_map_keeps_the_digits_that_the_image_and_its_mean_have_in_common():
    x = np.array([60000.0, 60000.004], "float32")
    chain = [scale_linear(1.5, -7), Affine(60000 * 1.5 - 7, 1e3, 0)]
    expected = (x.astype("float64") - 60000) * 1500
    np.testing.assert_allclose(run(chain, x), expected, rtol=1e-6)
    plain = x * np.float32(1500) + np.float32(-(60000 * 1.5) * 1e3)
    assert abs(plain - expected).max() > 1


def test_a_map_without_a_root_and_one_with_a_root_out_of_reach_are_what_they_say():
    x = np.array([1.0, 2.0], "float32")
    for gain, offset in ((0, 5), (1e-30, 1e20), (-1e-38, 3)):
        result = run([scale_linear(1, 1), scale_linear(gain, offset)], x)
        np.testing.assert_allclose(result, (x + 1.0) * gain + offset, rtol=1e-6)
    center, factor, shift = rounded(Affine([0, 1], [0, 2], [3, 0]), "float32")
    np.testing.assert_array_equal((x - center) * factor + shift, [3, 2])


# pieces


@given(st.data())
@settings(max_examples=60)
def test_pieces_give_what_the_whole_gives(data):
    tensor = data.draw(tensors(COMMON, nan=True))
    chain = data.draw(chains(tensor, max_size=3))
    sample = Sample({"raw": tensor})
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore", BioimageioFnWarning)
        bound = fit(chain, sample)
        whole = apply(bound, sample)
        patched.setattr("bioimageio_fn.ops.kernels.PIECE_ELEMENTS", 0)
        patched.setattr(walk, "PIECE_ELEMENTS", data.draw(st.integers(1, 9)))
        assert apply(bound, sample) == whole


@pytest.mark.parametrize("layout", LAYOUTS)
def test_large_arrays_of_any_layout_are_worked_through_in_pieces(layout):
    array = np.random.default_rng(0).integers(0, 255, (3, 300, 400), dtype="uint8")
    kernels = [scale_linear(0.5, -3), sigmoid(), softmax(0), scale_linear(2, 1)]
    rest = [k for k in kernels if not isinstance(k, Affine)]
    logistic = 1 / (1 + np.exp(-(array * 0.5 - 3)))
    expected = np.exp(logistic) / np.exp(logistic).sum(axis=0) * 2 + 1
    result = run(kernels, LAYOUTS[layout](array))
    assert len(rest) == 2
    assert result.flags.c_contiguous
    assert result.dtype == "float32"
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_nothing_but_the_result_is_as_large_as_the_image():
    array = np.random.default_rng(0).integers(0, 4000, (4096, 1024), dtype="uint16")
    kernels = [scale_linear(0.5, -3), sigmoid(), clip(0.1, 0.9), scale_linear(2, 1)]
    run(kernels, array[:8])
    tracemalloc.start()
    result = run(kernels, array)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < result.nbytes + 4e6


def test_a_loss_in_a_cast_is_said_once_for_a_large_image():
    array = np.full((600, 600), 300.0, "float32")
    with pytest.warns(CastWarning, match="cast to uint8") as caught:
        result = run([Cast("uint8")], array)
    assert len(caught) == 1
    assert (result == 255).all()


def test_a_lazy_source_is_read_part_by_part():
    class Source:
        def __init__(self, array):
            self.array, self.shape, self.dtype = array, array.shape, array.dtype
            self.read = np.zeros(array.shape, int)

        def __getitem__(self, key):
            self.read[key] += 1
            return self.array[key]

    array = np.random.default_rng(0).normal(size=(7, 500, 2000)).astype("float32")
    source = Source(array)
    np.testing.assert_array_equal(run([scale_linear(2, 1)], source), array * 2 + 1)
    assert (source.read == 1).all()
    mapped = Mapped(source, [sigmoid()])
    assert (mapped.shape, mapped.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(mapped[1:2, 3:5], run([sigmoid()], array[1:2, 3:5]))
    assert source.read.sum() == array.size + 2 * 2000


# libraries


@pytest.mark.parametrize("library", [name for name in LAZY_TOO if name != "numpy"])
@given(data=st.data())
@settings(max_examples=60)
def test_every_library_gives_what_numpy_gives(library, data):
    tensor = data.draw(tensors(COMMON, nan=True))
    chain = data.draw(chains(tensor, max_size=3))
    other = Tensor(LAZY_TOO[library](tensor.data), tensor.axes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BioimageioFnWarning)
        ours = apply(fit(chain, Sample({"raw": tensor})), Sample({"raw": tensor}))["raw"]
        bound = fit(chain, Sample({"raw": other}))
        theirs = apply(bound, Sample({"raw": other}))["raw"]
        assert type(theirs.data) is type(other.data)
        assert (theirs.axes, theirs.shape, theirs.dtype) == (ours.axes, ours.shape, ours.dtype)
        found, expected = (np.asarray(to_numpy(t.data)).astype("float64") for t in (theirs, ours))
    scale = np.fmax.reduce(np.abs(expected), axis=None, initial=1)
    close = np.isclose(found, expected, rtol=1e-5, atol=1e-6 * scale, equal_nan=True)
    # rounding may carry a value over a threshold, or over a whole number in a cast
    assert close.all() or not _is_smooth(chain)


def _is_smooth(chain):
    return not any(t.op.name in ("binarize", "ensure_dtype") for t in chain)


def test_functions_of_users_are_kernels_too():
    doubled = Function(lambda x, by: x * by, {"by": np.array([[2.0], [3.0]], "float32")})
    x = np.ones((2, 3), "float32")
    assert run([doubled], x).tolist() == [[2, 2, 2], [3, 3, 3]]
