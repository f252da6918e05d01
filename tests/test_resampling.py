"""Tensors at other sizes."""

import numpy as np
import pytest
import strategies
import torch
from hypothesis import given
from hypothesis import strategies as st
from stored import Recording

from bioimageio_fn.errors import OutOfMemoryError
from bioimageio_fn.resampling import Resampled, Sampling, resampled
from bioimageio_fn.tensor import Tensor, transpose

SIDES = st.integers(1, 30)
NUMBERS = ["uint8", "int16", "uint16", "float32", "float64"]


def image(shape, dtype="float32"):
    return (200 * np.random.default_rng(0).random(shape)).astype(dtype)


def fitted(shape, sizes):
    return [Sampling.fitted(n, m) for n, m in zip(shape, sizes, strict=True)]


@given(strategies.tensors(axes="yx", max_side=9), SIDES, SIDES, st.booleans())
def test_sizes_and_type_are_those_asked_for(tensor, y, x, linear):
    samplings = {
        "y": Sampling.fitted(tensor.sizes["y"], y),
        "x": Sampling.fitted(tensor.sizes["x"], x),
    }

    result = resampled(tensor, samplings, linear=linear)

    assert result.sizes == {"y": y, "x": x}
    assert result.dtype == tensor.dtype


@given(
    st.sampled_from([*NUMBERS, "int64", "uint64", "bool"]),
    st.integers(0, 100),
    st.tuples(SIDES, SIDES, SIDES, SIDES),
    st.booleans(),
)
def test_a_constant_stays_constant(dtype, value, sizes, linear):
    source = np.full(sizes[:2], value, dtype)

    result = np.asarray(Resampled(source, fitted(sizes[:2], sizes[2:]), linear=linear))

    np.testing.assert_allclose(result, np.full(sizes[2:], value, dtype), rtol=1e-6)


@given(strategies.tensors(axes="zyx", nan=True), st.booleans())
def test_of_the_same_size_it_is_the_same(tensor, linear):
    samplings = {axis: Sampling.fitted(size, size) for axis, size in tensor.sizes.items()}

    assert resampled(tensor, samplings, linear=linear) is tensor


@given(st.data(), st.sampled_from(NUMBERS), st.booleans())
def test_a_region_is_what_it_is_of_the_whole(data, dtype, linear):
    shape, sizes = (data.draw(st.tuples(SIDES, SIDES)) for _ in range(2))
    samplings = fitted(shape, sizes)
    view = Resampled(image(shape, dtype), samplings, linear=linear)
    starts = [data.draw(st.integers(0, n - 1)) for n in sizes]
    stops = [data.draw(st.integers(a + 1, n)) for a, n in zip(starts, sizes, strict=True)]
    region = tuple(map(slice, starts, stops))

    whole, part = np.asarray(view), view[region]

    # values in the middle between two integers may be rounded to either
    np.testing.assert_allclose(part, whole[region], atol=1e-4 if "float" in dtype else 1)
    assert np.array_equal(part, whole[region]) or linear


@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))
def test_values_are_those_of_scipy(shape, sizes):
    from scipy import ndimage

    source = image(shape, "float64")
    steps = [n / m for n, m in zip(shape, sizes, strict=True)]
    smooth = ndimage.gaussian_filter(
        source, [max(0, (s - 1) / 2) for s in steps], mode="nearest", truncate=3
    )
    where = [(np.arange(m) + 0.5) * s - 0.5 for m, s in zip(sizes, steps, strict=True)]
    expected = ndimage.map_coordinates(
        smooth, np.meshgrid(*where, indexing="ij"), order=1, mode="nearest"
    )

    result = Resampled(source, fitted(shape, sizes), linear=True)[...]

    np.testing.assert_allclose(result, expected, atol=1e-9)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), SIDES)
def test_labels_stay_labels(labels, size):
    labels = np.array(labels, "uint16")

    result = Resampled(labels, fitted(labels.shape, (size,)), linear=False)[...]

    assert set(result.tolist()) <= set(labels.tolist())


def test_what_is_too_fine_is_taken_away():
    stripes = np.tile(np.array([0.0, 100.0], "float32"), 32)

    result = Resampled(stripes, fitted((64,), (8,)), linear=True)[...]

    np.testing.assert_allclose(result[1:-1], 50, atol=1)
    np.testing.assert_allclose(result, 50, atol=10)


def test_only_what_a_region_needs_is_read():
    source = Recording(image((1, 1000, 1000)))
    tensor = Tensor(source, "cyx")

    view = resampled(
        tensor, {"y": Sampling.fitted(1000, 500), "x": Sampling.fitted(1000, 2000)}, linear=True
    )
    assert source.reads.sum() == 0
    view.data[:, 100:120, 0:50]

    assert 0 < source.reads.sum() < 3000
    assert source.reads[:, 195:245, :30].any()


def test_axes_are_found_by_name_and_libraries_become_numpy():
    turned = Tensor(torch.from_numpy(image((40, 2, 30))), "xcy")

    result = resampled(turned, {"x": Sampling.fitted(40, 20)}, linear=True)
    expected = resampled(
        transpose(Tensor(np.asarray(turned), "xcy"), "cyx"),
        {"x": Sampling.fitted(40, 20)},
        linear=True,
    )

    assert result.sizes == {"x": 20, "channel": 2, "y": 30}
    np.testing.assert_allclose(transpose(result, "cyx"), expected, atol=1e-4)


def test_an_image_that_gets_too_large_is_an_error_that_asks_for_the_pixel_size():
    tensor = Tensor(image((2, 2, 2)), "zyx")

    with pytest.raises(OutOfMemoryError, match="resampled image.*are the pixel sizes right"):
        resampled(tensor, {axis: Sampling.fitted(2, 1 << 17) for axis in "zyx"}, linear=True)


def test_single_pixels_and_single_indices():
    view = Resampled(image((7, 9)), fitted((7, 9), (3, 4)), linear=True)

    np.testing.assert_allclose(view[1, 2], view[...][1, 2], atol=1e-4)
    assert view[1:1].shape == (0, 4)
    with pytest.raises(IndexError):
        view[3]
