"""Smaller copies of an image: as many as viewers need, and of the right pixels."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bioimageio_fn.axes import as_axes
from bioimageio_fn.io.pyramid import SMALL, halvings, level_shapes, reduced

FACTORS = st.tuples(*[st.sampled_from([1, 2])] * 3)
SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)


def covered(values, factors, index):
    """The pixels that one pixel of the smaller copy covers."""
    return values[tuple(slice(i * f, i * f + f) for i, f in zip(index, factors, strict=True))]


@given(FACTORS, SHAPES, st.sampled_from(["uint8", "int32", "float32", "float64"]), st.data())
def test_a_pixel_is_the_mean_of_those_that_it_covers(factors, shape, dtype, data):
    numbers = st.integers(0, 200) if "int" in dtype else st.floats(-1e6, 1e6, width=32)
    values = data.draw(hnp.arrays(dtype, shape, elements=numbers))

    found = reduced(values, factors, labels=False)

    assert found.dtype == dtype
    assert found.shape == tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))
    for index in np.ndindex(found.shape):
        mean = covered(values, factors, index).mean(dtype="float64")
        assert found[index] == pytest.approx(mean, rel=1e-6, abs=0.5 if "int" in dtype else 1e-6)


@given(FACTORS, hnp.arrays("int32", SHAPES))
def test_a_pixel_of_labels_is_one_of_those_that_it_covers(factors, values):
    found = reduced(values, factors, labels=True)

    for index in np.ndindex(found.shape):
        assert found[index] in covered(values, factors, index)


@given(st.permutations("tczyx"), st.data())
def test_levels_halve_what_is_large_in_space_until_nothing_is(letters, data):
    axes = as_axes(letters)
    shape = tuple(data.draw(st.integers(1, 5000)) for _ in axes)

    shapes = level_shapes(axes, shape)

    assert shapes[0] == shape
    for finer, coarser in itertools.pairwise(shapes):
        for axis, before, after in zip(axes, finer, coarser, strict=True):
            assert after in ({before} if axis in ("time", "channel") else {before, -(-before // 2)})
        assert coarser != finer
        y, x = axes.index("y"), axes.index("x")
        factors = halvings(axes, finer)
        assert factors[y] == factors[x] or 1 in (finer[y], finer[x])
    last = dict(zip(axes, shapes[-1], strict=True))
    assert max(last[axis] for axis in "zyx") <= SMALL
