"""Fitting: of a sample, of its blocks, of many samples; with no more looks than are needed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.axes import AxisId
from bioimageio_fn.errors import NotFittedError, OperationError
from bioimageio_fn.ops.chain import apply, is_bound
from bioimageio_fn.ops.fitting import carried, fit, gathered
from bioimageio_fn.ops.records import (
    Clip,
    EnsureDtype,
    ScaleLinear,
    ScaleMeanVariance,
    ScaleRange,
    Sigmoid,
    Softmax,
    ZeroMeanUnitVariance,
)
from bioimageio_fn.ops.transform import Transform
from bioimageio_fn.sample import AxisBlock, BlockMeta, Sample, SampleBlock
from bioimageio_fn.stats.measure import Measure
from bioimageio_fn.tensor import Tensor, slice_axes

RNG = np.random.default_rng(0)
ZMUV = ZeroMeanUnitVariance()
OF_DATA_SET = ZeroMeanUnitVariance(scope="dataset")


class Counted:
    """An array that is not in memory, and counts how often each element is read."""

    def __init__(self, array, chunks=None):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.chunks = chunks
        self.reads = np.zeros(array.shape, int)

    def __getitem__(self, key):
        self.reads[key] += 1
        return self.array[key]


def chain_of(*ops, member="raw"):
    return tuple(Transform(op, member) for op in ops)


def reads(dtype, *ops, chunks=None):
    source = Counted((RNG.random((3, 40, 50)) * 200).astype(dtype), chunks)
    bound = fit(chain_of(*ops), Sample({"raw": Tensor(source, "cyx")}))
    assert all(map(is_bound, bound))
    assert source.reads.min() == source.reads.max()
    return source.reads.max()


AFFINE = (ScaleLinear(2.0, 1.0), EnsureDtype("float32"), ScaleLinear(0.5))


@pytest.mark.parametrize("chunks", [None, (1, 16, 50)])
@pytest.mark.parametrize(
    ("dtype", "ops", "expected"),
    [
        # nothing to measure
        ("float32", [Sigmoid()], 0),
        # one look for all that is measured behind affine steps
        ("float32", [ZMUV], 1),
        ("float32", [*AFFINE, ZMUV, *AFFINE, ZMUV], 1),
        ("float32", [ScaleLinear([1, 2, 3], axis="channel"), ZeroMeanUnitVariance(axes="yx")], 1),
        ("float32", [ScaleLinear(-1.0), ZMUV], 1),
        # quantiles of floats: a second look makes them exact
        ("float32", [ScaleRange(1, 99)], 2),
        ("float32", [*AFFINE, ZMUV, ScaleRange(1, 99), ZMUV], 2),
        # of integers one look tells all
        ("uint16", [ScaleRange(1, 99)], 1),
        ("uint16", [*AFFINE, ZMUV, ScaleRange(1, 99), ZMUV], 1),
        ("uint8", [ZMUV, Sigmoid(), ZMUV, Clip(min_percentile=5), ScaleRange(1, 99)], 1),
        ("int16", [Clip(min_percentile=5, max_percentile=95), ScaleRange(0, 100), ZMUV], 1),
        # a step that is not affine lies between: one more look
        ("float32", [Sigmoid(), ZMUV], 1),
        ("float32", [ZMUV, Sigmoid(), ZMUV, ZMUV], 2),
    ],
)
def test_no_more_looks_than_the_chain_needs(dtype, ops, expected, chunks):
    assert reads(dtype, *ops, chunks=chunks) == expected


def test_what_is_looked_through_is_what_is_there():
    array = RNG.normal(50, 20, (3, 40, 50)).astype("float32")
    chain = chain_of(
        ScaleLinear([1, 2, 3], axis="channel"),
        ZeroMeanUnitVariance(axes="yx"),
        ScaleRange(1, 99),
        Softmax(),
        ZMUV,
    )
    x = array.astype("float64") * np.array([1, 2, 3])[:, None, None]
    x = (x - x.mean((1, 2), keepdims=True)) / (x.std((1, 2), keepdims=True) + 1e-6)
    low, high = np.quantile(x, [0.01, 0.99])
    x = np.exp((x - low) / (high - low + 1e-6))
    x /= x.sum(0)
    expected = (x - x.mean()) / (x.std() + 1e-6)
    for data in (array, Counted(array)):
        sample = Sample({"raw": Tensor(data, "cyx")})
        result = apply(fit(chain, sample), Sample({"raw": Tensor(array, "cyx")}))
        np.testing.assert_allclose(np.asarray(result), expected, atol=1e-4)


# blocks


def blocks_of(sample, cuts):
    """The blocks of a sample along x, with a halo of one pixel."""
    size = sample["raw"].sizes[AxisId("x")]
    edges = [0, *sorted(cuts), size]
    blocks = []
    for i, (start, stop) in enumerate(itertools.pairwise(edges)):
        outer = max(0, start - 1), min(size, stop + 1)
        region = {AxisId("x"): AxisBlock(start, stop, *outer, outer[1] - outer[0])}
        part = Sample({"raw": slice_axes(sample["raw"], {"x": outer})})
        blocks.append(SampleBlock(part, BlockMeta(i, len(edges) - 1, {"raw": region})))
    return blocks


@given(st.data())
@settings(max_examples=50)
def test_blocks_bind_what_the_whole_binds(data):
    dtype = data.draw(st.sampled_from(["uint8", "float32", "float64"]))
    array = (RNG.random((2, 3, 6)) * 200).astype(dtype)
    sample = Sample({"raw": Tensor(array, "cyx")})
    steps = [
        ScaleLinear(2.0, 1.0),
        ZeroMeanUnitVariance(axes="yx"),
        ScaleRange(5, 95, axes="cy"),
        Sigmoid(),
        Clip(min_percentile=10, axes="yx"),
    ]
    ops = data.draw(st.lists(st.sampled_from(steps), max_size=3))
    cuts = data.draw(st.sets(st.integers(1, 5)))
    whole = fit(chain_of(*ops), sample)
    parts = fit(chain_of(*ops), blocks_of(sample, cuts))
    for one, other in zip(whole, parts, strict=True):
        for a, b in zip(one.values, other.values, strict=True):
            assert a.axes == b.axes
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)


# many samples


def samples_of(*arrays, names="yx"):
    return [Sample({"raw": Tensor(a, names)}) for a in arrays]


ARRAYS = [RNG.normal(c, 2, (5, 6)).astype("float32") for c in (0, 10, 50)]
EVERY = np.stack(ARRAYS).astype("float64")


def test_steps_that_measure_a_data_set_are_bound_by_all_samples_and_others_stay_open():
    chain = chain_of(ScaleLinear(2.0), ZMUV, OF_DATA_SET, ScaleRange(5, 95, scope="dataset"))
    bound = fit(chain, samples_of(*ARRAYS))
    assert [is_bound(step) for step in bound] == [True, False, True, True]
    each = [(a * 2 - (a * 2).mean()) / (a * 2).std() for a in ARRAYS]
    every = np.stack(each).astype("float64")
    mean, std = (float(v.data) for v in bound[2].values)
    np.testing.assert_allclose([mean, std], [every.mean(), every.std()], atol=1e-5)
    scaled = (every - mean) / (std + 1e-6)
    found = [float(v.data) for v in bound[3].values]
    np.testing.assert_allclose(found, np.quantile(scaled, [0.05, 0.95]), atol=1e-5)
    result = apply(fit(bound, samples_of(ARRAYS[1])[0]), samples_of(ARRAYS[1])[0])
    low, high = found
    expected = (((each[1] - mean) / (std + 1e-6)) - low) / (high - low + 1e-6)
    np.testing.assert_allclose(np.asarray(result), expected, atol=1e-4)


def test_references_of_a_data_set_are_measured_unprocessed():
    step = Transform(ScaleMeanVariance("raw", scope="dataset"), "out")
    outputs = [Sample({"out": Tensor(a**2, "yx")}) for a in ARRAYS]
    (bound,) = fit([step], outputs, unprocessed=samples_of(*ARRAYS))
    found = [float(v.data) for v in bound.values]
    squares = EVERY**2
    expected = [squares.mean(), squares.std(), EVERY.mean(), EVERY.std()]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_one_sample_after_the_other_is_all_of_them_together():
    chain = chain_of(ScaleLinear(2.0), OF_DATA_SET)
    running, samples = {}, samples_of(*ARRAYS)
    for n, sample in enumerate(samples):
        bound, running = carried(chain, sample, running)
        so_far = EVERY[: n + 1] * 2
        found = [float(v.data) for v in bound[1].values]
        np.testing.assert_allclose(found, [so_far.mean(), so_far.std()], rtol=1e-6)
    pooled, seen = gathered(chain, samples)
    assert seen.keys() == running.keys() == {1}
    for a, b in zip(pooled[1].values, bound[1].values, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12)


def test_given_values_are_taken_and_the_others_are_measured():
    mean, std = OF_DATA_SET.measures("raw")
    (bound,), _ = gathered(chain_of(OF_DATA_SET), samples_of(*ARRAYS), stat=stat({mean: 7}))
    assert float(bound.values[0].data) == 7
    np.testing.assert_allclose(float(bound.values[1].data), EVERY.std(), rtol=1e-6)
    known = stat({mean: 7, std: 2})
    (bound,), seen = gathered(chain_of(OF_DATA_SET), samples_of(*ARRAYS), stat=known)
    assert [float(v.data) for v in bound.values] == [7, 2]
    assert not seen


def stat(values):
    return Sample({}, stat=values).stat


def test_a_generator_is_enough_for_one_look():
    (bound,) = fit(chain_of(OF_DATA_SET), iter(samples_of(*ARRAYS)))
    np.testing.assert_allclose(float(bound.values[0].data), EVERY.mean(), rtol=1e-6)
    two = chain_of(OF_DATA_SET, Sigmoid(), OF_DATA_SET)
    with pytest.raises(NotFittedError, match=r"need another look at the data.*give a list"):
        fit(two, iter(samples_of(*ARRAYS)))
    assert all(map(is_bound, fit(two, samples_of(*ARRAYS))))


def test_an_empty_data_set_has_no_statistics():
    for nothing in ([], iter([])):
        with pytest.raises(OperationError, match="an empty data set"):
            fit(chain_of(OF_DATA_SET), nothing)


def test_a_tensor_that_some_samples_lack_is_measured_where_it_is():
    chain = (Transform(ScaleLinear(2.0), "aux"), Transform(OF_DATA_SET, "aux"))
    chain = (*chain, Transform(OF_DATA_SET, "raw"))
    without = samples_of(*ARRAYS)
    (aux,) = samples_of(ARRAYS[1])
    both = Sample({"raw": aux["raw"], "aux": aux["raw"]})
    bound = fit(chain, [*without, both])
    np.testing.assert_allclose(float(bound[1].values[0].data), 2 * ARRAYS[1].mean(), rtol=1e-5)
    bound = fit(chain, without)
    assert [is_bound(step) for step in bound] == [True, False, True]


def test_measures_that_are_given_are_those_of_the_member_that_asks():
    mean, std = Measure("mean", "raw"), Measure("std", "raw")
    sample = Sample({"raw": Tensor([1.0, 3.0], "x")}, stat={mean: 0, std: 1})
    result = fn.apply(fn.fit(chain_of(ZMUV), sample), sample)
    np.testing.assert_allclose(np.asarray(result), [1, 3], rtol=1e-5)
