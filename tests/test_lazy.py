"""Sources on disk: rearranged without being read, and read where they are asked."""

import itertools

import h5py
import numpy as np
import pytest
import zarr
from descriptions import build, image05, sized
from hypothesis import given
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.lazy import At, Rearranged, Taken
from bioimageio_fn.tensor import Tensor, drop_axes, insert_axes, transpose


class Source:
    """What can be sliced, and nothing else; it counts what is read."""

    def __init__(self, array):
        self.array, self.read = array, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key):
        assert isinstance(key, tuple)
        assert all(isinstance(k, slice) for k in key)
        self.read += self.array[key].size
        return self.array[key]

    def __array__(self, *_, **__):
        raise AssertionError("read as a whole")


@st.composite
def keys(draw, shape):
    """A key of basic indexing: slices, indices, and perhaps an ellipsis."""
    key = []
    for size in shape:
        kind = draw(st.sampled_from(["slice", "index", "all"]))
        if kind == "index":
            key.append(draw(st.integers(-size, size - 1)))
        elif kind == "slice":
            start = draw(st.integers(0, size - 1))
            key.append(slice(start, draw(st.integers(start, size))))
        else:
            key.append(slice(None))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(key)))
        cut = draw(st.integers(at, len(key)))
        key[at:cut] = [...]
    return tuple(key)


@st.composite
def cases(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    single = [i for i, n in enumerate(shape) if n == 1]
    dropped = set(draw(st.lists(st.sampled_from(single), unique=True)) if single else [])
    dimensions = [i for i in range(len(shape)) if i not in dropped]
    dimensions += [None] * draw(st.integers(0, 2))
    dimensions = draw(st.permutations(dimensions))
    rearranged = tuple(1 if d is None else shape[d] for d in dimensions)
    return shape, dimensions, dropped, draw(keys(rearranged))


@given(cases())
def test_what_is_read_is_what_numpy_gives_and_no_more(case):
    shape, dimensions, dropped, key = case
    array = np.arange(np.prod(shape)).reshape(shape)
    source = Source(array)
    kept = [d for d in dimensions if d is not None]
    whole = array.transpose([*kept, *dropped]).reshape([shape[d] for d in kept])
    whole = whole[tuple(None if d is None else slice(None) for d in dimensions)]

    lazy = Rearranged(source, dimensions)
    assert (lazy.shape, source.read) == (whole.shape, 0)
    np.testing.assert_array_equal(lazy[key], whole[key])
    assert source.read == whole[key].size or not whole[key].size
    np.testing.assert_array_equal(np.asarray(lazy), whole)


@given(st.permutations("zyx"))
def test_tensors_of_sources_are_turned_without_being_read(order):
    source = Source(np.arange(24).reshape(2, 1, 3, 4))
    lazy = drop_axes(Tensor(source, "zcyx"), "c")
    lazy = insert_axes(transpose(lazy, order), "bc")
    plain = insert_axes(transpose(Tensor(source.array[:, 0], "zyx"), order), "bc")

    assert source.read == 0
    assert (lazy.axes, lazy.shape, lazy.dtype) == (plain.axes, plain.shape, plain.dtype)
    assert lazy == plain
    assert isinstance(lazy.data.source, Source)


@pytest.mark.parametrize("axes", ["bcyx", "byxc", "xycb", "yx"])
@pytest.mark.parametrize("mode", ["symmetric", "constant"])
def test_a_source_in_any_order_is_read_block_by_block(axes, mode):
    pad = {"mode": mode, **({"value": -1} if mode == "constant" else {})}
    model = image05(halo=2, pad=pad, size=sized(8, 8))
    pipeline = fn.create_prediction_pipeline(build(model), backend=lambda x: (x,))
    array = np.random.default_rng(0).integers(0, 255, (1, 1, 61, 50), "uint8")
    plain = transpose(drop_axes(Tensor(array, "bcyx"), set("bc") - set(axes)), axes)
    source = Source(np.asarray(plain))
    sample = fn.as_sample(Tensor(source, axes), pipeline.contract)
    plan = fn.default_plan(pipeline, sample, block_shape={"y": 16, "x": 16})

    assert source.read == 0
    blocks = fn.predict_blocks(pipeline, sample, plan)
    next(blocks)
    assert source.read <= 16 * 16
    list(blocks)
    assert source.read <= array.size * (1 + plan.waste)
    np.testing.assert_array_equal(fn.run(pipeline, sample, plan), array)


@pytest.mark.parametrize("kind", ["zarr 2", "zarr 3", "hdf5", "memmap"])
def test_stores_go_in_and_out_block_by_block(kind, tmp_path):
    array = np.random.default_rng(0).integers(0, 4096, (70, 90), "uint16")
    stores = itertools.count()

    def store(shape, dtype):
        name = f"a{next(stores)}"
        if kind == "hdf5":
            return h5py.File(tmp_path / name, "w").create_dataset("x", shape, dtype, chunks=True)
        if kind == "memmap":
            return np.lib.format.open_memmap(tmp_path / name, "w+", dtype, shape)
        return zarr.create_array(
            tmp_path / name, shape=shape, dtype=dtype, chunks=(32,) * len(shape),
            zarr_format=int(kind[-1]),
        )  # fmt: skip

    image = store(array.shape, array.dtype)
    image[...] = array
    normalise = {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}}
    model = image05(halo=2, pre=[normalise])
    pipeline = fn.create_prediction_pipeline(build(model), backend=lambda x: (x,))
    sample = fn.as_sample(Tensor(image, "yx"), pipeline.contract)
    plan = fn.default_plan(pipeline, sample, block_shape={"y": 32, "x": 32})
    written = fn.merge(
        fn.predict_blocks(pipeline, sample, plan),
        plan,
        create=lambda name, spec: store(spec.shape, spec.dtype),
    )

    np.testing.assert_allclose(written["out"], pipeline(array)["out"], atol=1e-5)


# ---------------------------------------------------------------- at one index, and at some


@given(st.data())
def test_at_one_index_a_source_is_read_and_written_as_numpy_is(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    array = np.arange(np.prod(shape)).reshape(shape)
    fixed = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    index = {d: data.draw(st.integers(0, shape[d] - 1)) for d in fixed}
    source, expected = Source(array.copy()), array.copy()
    source.__class__.__setitem__ = lambda self, key, value: self.array.__setitem__(key, value)
    view = At(source, index)
    part = expected[(*(index.get(d, slice(None)) for d in range(len(shape))), ...)]
    key = data.draw(keys(view.shape))

    assert view.shape == part.shape
    np.testing.assert_array_equal(view[key], part[key])
    assert source.read == part[key].size
    view[key] = value = -1 - np.arange(part[key].size).reshape(part[key].shape)
    part[key] = value
    np.testing.assert_array_equal(source.array, expected)


@given(st.data())
def test_some_indices_of_a_source_are_those_of_numpy(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    array = np.arange(np.prod(shape)).reshape(shape)
    dimension = data.draw(st.integers(0, len(shape) - 1))
    indices = data.draw(st.lists(st.integers(0, shape[dimension] - 1), min_size=1, max_size=5))
    expected = np.take(array, indices, axis=dimension)
    view = Taken(Source(array), dimension, indices)
    key = data.draw(keys(view.shape))

    assert view.shape == expected.shape
    np.testing.assert_array_equal(view[key], expected[key])


def test_views_know_the_chunks_of_their_source(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(4, 6, 8), chunks=(1, 3, 4), dtype="u1")

    assert At(array, {0: 2}).chunks == (3, 4)
    assert Taken(array, 0, [1, 2]).chunks == (2, 3, 4)
    assert At(np.zeros(3), {}).chunks is None
