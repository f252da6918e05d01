"""Folds: any partition of the data, merged in any order, gives the same values."""

import itertools
import pickle
import warnings
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import tensors

from bioimageio_fn.axes import AxisId
from bioimageio_fn.errors import BioimageioFnWarning, OperationError, SizeError
from bioimageio_fn.sample import AxisBlock, BlockMeta, Sample, SampleBlock
from bioimageio_fn.stats.compute import compute_dataset_measures, compute_sample_measures
from bioimageio_fn.stats.fold import finalize, init, look_again, merge, update
from bioimageio_fn.stats.measure import Measure
from bioimageio_fn.tensor import Tensor, slice_axes

DTYPES = ("bool", "uint8", "int16", "uint16", "int32", "float16", "float32", "float64")
METHODS = ("linear", "inverted_cdf")


@st.composite
def measures(draw, axes):
    reduced = draw(st.none() | st.lists(st.sampled_from(axes), unique=True, min_size=1))
    name = draw(st.sampled_from(["mean", "std", "var", "quantile"]))
    if name != "quantile":
        return Measure(name, "raw", reduced)
    q = draw(st.sampled_from([0.0, 0.01, 0.25, 0.5, 0.998, 1.0]) | st.floats(0, 1))
    return Measure(name, "raw", reduced, q=q, method=draw(st.sampled_from(METHODS)))


def blocks_of(tensor, axis, cuts):
    """The tensor in blocks along an axis, each with a halo of one pixel where there is one."""
    size = tensor.sizes[axis]
    edges = [0, *sorted(cuts), size]
    for i, (start, stop) in enumerate(itertools.pairwise(edges)):
        outer = max(0, start - 1), min(size, stop + 1)
        region = {axis: AxisBlock(start, stop, *outer, outer[1] - outer[0])}
        part = Sample({"raw": slice_axes(tensor, {axis: outer})})
        yield SampleBlock(part, BlockMeta(i, len(edges) - 1, {"raw": region}))


def tree(draw, states):
    """Merge states in any order and with any brackets."""
    states = list(states)
    while len(states) > 1:
        i = draw(st.integers(0, len(states) - 1))
        first = states.pop(i)
        j = draw(st.integers(0, len(states) - 1))
        states[j] = merge(first, states[j])
    return states[0]


def assert_same(found, expected, *, exact):
    assert found.keys() == expected.keys()
    for m, value in found.items():
        assert value.axes == expected[m].axes
        if m.name == "quantile" and exact:
            assert value == expected[m], m
        else:
            scale = np.fmax.reduce(np.abs(np.asarray(expected[m])), axis=None, initial=1)
            np.testing.assert_allclose(
                np.asarray(value), np.asarray(expected[m]), rtol=1e-9, atol=1e-9 * scale
            )


@given(st.data())
@settings(max_examples=150)
def test_any_partition_into_blocks_merged_in_any_order_gives_the_values_of_the_whole(data):
    tensor = data.draw(tensors(DTYPES, min_dims=1, nan=True))
    wanted = data.draw(st.lists(measures(tensor.axes), min_size=1, max_size=4))
    axis = data.draw(st.sampled_from(tensor.axes))
    size = tensor.sizes[axis]
    cuts = data.draw(st.sets(st.integers(1, size - 1))) if size > 1 else set()
    blocks = list(blocks_of(tensor, axis, cuts))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BioimageioFnWarning)
        whole = compute_sample_measures(wanted, Sample({"raw": tensor}))
        state = tree(data.draw, [update(init(wanted), block) for block in blocks])
        if (again := look_again(state)) is not None:
            state = tree(data.draw, [update(again, block) for block in blocks])
        assert_same(finalize(state), whole, exact=True)
        straight = reduce(update, blocks, init(wanted))
        first = tree(data.draw, [update(init(wanted), block) for block in blocks])
        assert_same(finalize(straight), finalize(first), exact=True)


@given(st.data())
@settings(max_examples=100)
def test_a_data_set_is_measured_as_all_its_pixels_together(data):
    shapes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    dtype = data.draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    arrays = [(rng.normal(size=n) * 100).astype(dtype) for n in shapes]
    wanted = [
        Measure("mean", "raw", scope="dataset"),
        Measure("std", "raw", scope="dataset"),
        *(Measure("quantile", "raw", scope="dataset", q=0.3, method=m) for m in METHODS),
    ]
    samples = [Sample({"raw": Tensor(a, "x")}) for a in arrays]
    every = np.concatenate(arrays).astype("float64")
    found = [float(v.data) for v in compute_dataset_measures(wanted, samples).values()]
    expected = [
        every.mean(),
        every.std(),
        *(np.quantile(every, 0.3, method=m) for m in METHODS),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)
    once = compute_dataset_measures(wanted, iter(samples))
    exact = "int" in dtype or dtype == "bool"
    # between two values that are nearly opposite, little is left of what each is off by
    atol = 1e-9 if exact else 2**-13 * np.abs(every).max()
    found = [float(v.data) for v in once.values()]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=atol)


def test_one_look_at_floats_is_within_the_bin_and_knows_no_order():
    rng = np.random.default_rng(0)
    array = np.exp(rng.normal(size=100_000) * 8).astype("float32") * rng.choice([-1, 1], 100_000)
    for method in METHODS:
        for q in (0, 0.001, 0.1, 0.5, 0.9, 0.999, 1):
            wanted = [Measure("quantile", "raw", q=q, method=method)]
            values = []
            for order in (array, array[::-1], np.sort(array), rng.permutation(array)):
                parts = [Sample({"raw": Tensor(p, "x")}) for p in np.array_split(order, 7)]
                (value,) = finalize(reduce(update, parts, init(wanted))).values()
                values.append(float(value.data))
            assert len(set(values)) == 1
            exact = np.quantile(array, q, method=method)
            assert abs(values[0] - exact) <= 2**-14 * abs(exact) + 1e-12
            if q in (0, 1):
                assert values[0] == exact


def test_states_never_change_and_pickle():
    wanted = [Measure("mean", "raw"), Measure("quantile", "raw", q=0.5, method="linear")]
    one, two = (Sample({"raw": Tensor([x, x + 1.0], "x")}) for x in (1.0, 5.0))
    state = update(init(wanted), one)
    before = {m: float(v.data) for m, v in finalize(state).items()}
    both = merge(state, update(init(wanted), two))
    update(state, two)
    assert {m: float(v.data) for m, v in finalize(state).items()} == before
    again = pickle.loads(pickle.dumps(both))
    assert finalize(again) == finalize(both)
    assert finalize(merge(both, init(wanted))) == finalize(both)


def test_sums_of_a_very_large_bright_image_do_not_overflow():
    # 60,000 x 60,000 pixels of 65535 and 65533, without having them
    row = Sample({"raw": Tensor(np.array([65535, 65533] * 30_000, "uint16"), "x")})
    wanted = [Measure("mean", "raw"), Measure("std", "raw")]
    state = update(init(wanted), row)
    for _ in range(16):  # doubled sixteen times: 65,536 rows
        state = merge(state, state)
    assert [float(v.data) for v in finalize(state).values()] == [65534, 1]


def test_integers_and_floats_of_one_data_set_are_measured_together():
    samples = [
        Sample({"raw": Tensor(np.array([1, 2, 300], "uint16"), "x")}),
        Sample({"raw": Tensor(np.array([0.5, 2.5, 1000.0], "float32"), "x")}),
    ]
    wanted = [
        Measure("quantile", "raw", scope="dataset", q=q, method="inverted_cdf")
        for q in (0, 0.5, 0.6, 1)
    ] + [Measure("mean", "raw", scope="dataset")]
    for order in (samples, samples[::-1]):
        found = [float(v.data) for v in compute_dataset_measures(wanted, order).values()]
        np.testing.assert_allclose(found, [0.5, 2, 2.5, 1000, 1306 / 6], rtol=1e-12)


def test_integers_that_reach_far_are_counted_without_an_array_of_all_between():
    array = np.array([-(2**62), 0, 1, 2**40, 2**62], "int64")
    sample = Sample({"raw": Tensor(array, "x")})
    wanted = [Measure("quantile", "raw", q=q, method="inverted_cdf") for q in (0, 0.5, 0.8, 1)]
    found = [float(v.data) for v in compute_sample_measures(wanted, sample).values()]
    assert found == [-(2.0**62), 1, 2.0**40, 2.0**62]


def test_samples_that_differ_in_a_kept_axis_are_refused():
    wanted = [Measure("mean", "raw", "x", scope="dataset")]
    samples = [Sample({"raw": Tensor(np.zeros((n, 4)), "cx")}) for n in (2, 3)]
    with pytest.raises(SizeError, match=r"samples differ in an axis.*channel.*2.*got.*3"):
        compute_dataset_measures(wanted, samples)


def test_statistics_of_other_measures_are_not_merged_and_nothing_is_no_value():
    one, two = (init([Measure(name, "raw")]) for name in ("mean", "std"))
    with pytest.raises(OperationError, match="of the same measures"):
        merge(one, two)
    with pytest.raises(OperationError, match="nothing was measured"):
        finalize(one)


def test_a_measure_of_each_sample_is_no_measure_of_a_data_set():
    with pytest.raises(OperationError, match="belongs to each sample"):
        compute_dataset_measures([Measure("mean", "raw")], [])
    assert compute_dataset_measures([Measure("mean", "raw", scope="dataset")], []) == {}


def test_the_second_look_at_a_block_is_for_its_own_cells():
    array = np.random.default_rng(0).normal(size=(6, 50)).astype("float32")
    tensor = Tensor(array, "zx")
    wanted = [Measure("quantile", "raw", "x", q=0.3, method="linear")]
    blocks = list(blocks_of(tensor, AxisId("z"), {1, 3, 4}))
    known = reduce(update, blocks, init(wanted))
    (value,) = finalize(reduce(update, blocks[::-1], look_again(known))).values()
    np.testing.assert_allclose(value.data, np.quantile(array.astype("f8"), 0.3, axis=1), rtol=1e-12)


def test_cells_of_a_kept_axis_come_together_from_blocks():
    array = np.arange(24.0).reshape(4, 6)
    tensor = Tensor(array, "zx")
    wanted = [Measure("mean", "raw", "x"), Measure("quantile", "raw", "x", q=1, method="linear")]
    blocks = list(blocks_of(tensor, AxisId("z"), {1, 3}))
    mean, top = finalize(reduce(update, reversed(blocks), init(wanted))).values()
    assert mean.data.tolist() == array.mean(axis=1).tolist()
    assert top.data.tolist() == array.max(axis=1).tolist()
