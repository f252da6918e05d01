"""Chains: each step's statistics are those of what reaches it; bound chains run on blocks."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import chains, tensors

from bioimageio_fn.axes import AxisId
from bioimageio_fn.errors import BioimageioFnWarning, NotFittedError, UnknownMemberError
from bioimageio_fn.ops.chain import (
    apply,
    block_safe_from,
    compose,
    cut_chain,
    is_bound,
    plan,
)
from bioimageio_fn.ops.fitting import fit
from bioimageio_fn.ops.records import (
    Clip,
    FixedZeroMeanUnitVariance,
    ScaleLinear,
    ScaleRange,
    Sigmoid,
    ZeroMeanUnitVariance,
)
from bioimageio_fn.ops.transform import Transform
from bioimageio_fn.sample import AxisBlock, Sample, with_member
from bioimageio_fn.spec import sample_spec
from bioimageio_fn.stats.compute import measure
from bioimageio_fn.stats.measure import Measure
from bioimageio_fn.tensor import Tensor, pad, slice_axes

# float16 overflows when scaled, int64 beyond 2**53 has no exact percentiles
DTYPES = ("bool", "uint8", "int16", "uint32", "float32", "float64")
FEW = settings(max_examples=60)
ZMUV = Transform(ZeroMeanUnitVariance(), "raw")


def sample_of(array, names="yx", **known):
    return Sample({"raw": Tensor(np.asarray(array), names)}, **known)


# composition


@given(st.data())
@FEW
def test_compose_is_associative_with_the_empty_chain_as_identity(data):
    tensor = data.draw(tensors(DTYPES))
    a, b, c = (data.draw(chains(tensor, max_size=2)) for _ in range(3))
    assert compose(a, compose(b, c)) == compose(compose(a, b), c) == compose(a, b, c)
    assert compose(a, compose()) == compose((), a) == compose(a) == compose(*a) == a
    assert compose(iter(a)) == a


@given(st.data())
@FEW
def test_a_composed_chain_is_one_after_the_other(data):
    tensor = data.draw(tensors(DTYPES))
    a, b = data.draw(chains(tensor, max_size=2)), data.draw(chains(tensor, max_size=2))
    sample = Sample({"raw": tensor})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BioimageioFnWarning)
        assert fit(compose(a, b), sample)[: len(a)] == fit(a, sample)
    assert apply((), sample) is sample


@given(st.data())
@settings(max_examples=100)
def test_plan_says_what_a_chain_gives_and_nothing_is_changed(data):
    tensor = data.draw(tensors(DTYPES, nan=True))
    chain = data.draw(chains(tensor))
    sample = Sample({"raw": tensor})
    before = np.array(tensor.data).tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BioimageioFnWarning)
        bound = fit(chain, sample)
        result = apply(bound, sample)
        assert fit(chain, sample) == bound
        assert apply(bound, sample) == result
    assert all(map(is_bound, bound))
    assert plan(chain, sample_spec(sample)) == plan(bound, sample_spec(sample))
    assert sample_spec(result) == plan(chain, sample_spec(sample))
    assert pickle.loads(pickle.dumps(bound)) == bound
    assert fit(bound, Sample({})) == bound
    assert np.array(tensor.data).tobytes() == before


SMOOTH = (
    "scale_linear",
    "fixed_zero_mean_unit_variance",
    "zero_mean_unit_variance",
    "scale_range",
    "sigmoid",
    "clip",
)


def one_by_one(chain, tensor):
    """The loop written by hand: measure what reaches a step, run it, go on with the result."""
    spreads = [np.inf]
    for step in chain:
        values = [measure(tensor, m) for m in step.measures]
        spreads += [
            np.min(v.data) for v, m in zip(values, step.measures, strict=True) if m.name == "std"
        ]
        if isinstance(step.op, ScaleRange):
            spreads.append(np.min(values[1].data - values[0].data))
        tensor = step.op.apply(tensor, *values)
    return np.asarray(tensor).astype("float64"), min(spreads)


@given(st.data())
@settings(max_examples=300)
def test_joined_steps_are_no_less_exact_than_steps_one_by_one(data):
    tensor = data.draw(tensors(("uint8", "uint16", "int16", "float32"), min_dims=1))
    chain = data.draw(chains(tensor, max_size=4, names=SMOOTH))
    sample = Sample({"raw": tensor})
    exact, spread = one_by_one(chain, Tensor(np.asarray(tensor).astype("float64"), tensor.axes))
    assume(spread > 1e-3)  # where nothing varies, eps makes a million of one
    apart = np.abs(one_by_one(chain, tensor)[0] - exact)
    together = np.abs(np.asarray(apply(fit(chain, sample), sample)).astype("float64") - exact)
    rounding = 1e-6 * (1 + np.abs(exact).max())
    assert together.max() <= 2 * apart.max() + rounding, (together.max(), apart.max())


def test_an_offset_behind_two_normalisations_of_a_constant_image_is_kept():
    sample = sample_of(np.full((4, 5), -862, "float32"))
    over = ZeroMeanUnitVariance(axes="yx")
    for steps in ([over, over], [over, ScaleRange(axes="yx")], [over] * 4):
        chain = [Transform(op, "raw") for op in (*steps, ScaleLinear(3.0, -2.0))]
        assert (np.asarray(apply(fit(chain, sample), sample)) == -2).all()


@given(st.data(), st.floats(1, 1e4, width=32) | st.integers(0, 255))
@settings(max_examples=200)
def test_a_constant_image_is_normalised_to_0_behind_any_affine_steps(data, value):
    dtype = "uint8" if isinstance(value, int) else "float32"
    tensor = Tensor(np.full((3, 5), value, dtype), "yx")
    gains = st.floats(0.1, 10) | st.floats(-10, -0.1)
    affine = st.builds(ScaleLinear, gains, st.floats(-100, 100))
    chain = [Transform(op, "raw") for op in data.draw(st.lists(affine, max_size=4))]
    last = data.draw(st.sampled_from([ZeroMeanUnitVariance(), ScaleRange(1, 99.8)]))
    sample = Sample({"raw": tensor})
    result = apply(fit([*chain, Transform(last, "raw")], sample), sample)
    assert not np.asarray(result).any()


# statistics


def test_statistics_are_those_of_the_tensor_that_reaches_the_step():
    array = np.random.default_rng(0).normal(size=(30, 40)).astype("float32")
    chain = [Transform(ScaleLinear(100.0, 5.0), "raw"), ZMUV]
    result = np.asarray(apply(fit(chain, sample_of(array)), sample_of(array)))
    assert abs(result.mean()) < 1e-5
    assert abs(result.std() - 1) < 1e-5
    chain = [
        Transform(Clip(min_percentile=5, max_percentile=95), "raw"),
        Transform(ScaleRange(0, 100), "raw"),
    ]
    result = np.asarray(apply(fit(chain, sample_of(array)), sample_of(array)))
    assert result.min() == 0
    assert abs(result.max() - 1) < 1e-5


def test_equal_measures_at_two_places_are_two_values():
    sample = sample_of([[1.0, 3.0]])
    first, second = fit([ZMUV, ZMUV], sample)
    assert float(first.values[0].data) == 2
    assert float(second.values[0].data) == 0


def test_given_statistics_are_used_by_every_step_that_asks_and_are_not_overwritten():
    mean, std = ZMUV.measures
    sample = sample_of([[1.0, 3.0]], stat={mean: 0.0, std: 1.0})
    double = Transform(ScaleLinear(2.0), "raw")
    bound = fit([ZMUV, double, ZMUV], sample)
    for step in (bound[0], bound[2]):
        assert [float(v.data) for v in step.values] == [0, 1]
    np.testing.assert_allclose(np.asarray(apply(bound, sample)), [[2, 6]], rtol=1e-5)
    assert {m: float(v.data) for m, v in sample.stat.items()} == {mean: 0, std: 1}
    only_mean = sample_of([[1.0, 3.0]], stat={mean: 0.0})
    (bound,) = fit([ZMUV], only_mean)
    assert [float(v.data) for v in bound.values] == [0, 1]
    other = Measure("mean", "raw", "x")
    (bound,) = fit([ZMUV], sample_of([[1.0, 3.0]], stat={other: 0.0}))
    assert [float(v.data) for v in bound.values] == [2, 1]


def test_given_statistics_hold_behind_a_plain_function_that_forgets_them():
    mean, std = ZMUV.measures
    sample = sample_of([[1.0, 3.0]], stat={mean: 0.0, std: 1.0})
    bound = fit([lambda s: Sample(dict(s.members)), ZMUV], sample)
    assert [float(v.data) for v in bound[1].values] == [0, 1]


def test_statistics_of_one_sample_do_not_reach_the_next():
    chain = (ZMUV,)
    one, two = sample_of([[1.0, 3.0]]), sample_of([[100.0, 300.0]])
    for sample in (one, two, one):
        result = np.asarray(apply(fit(chain, sample), sample))
        np.testing.assert_allclose(result, [[-1, 1]], rtol=1e-5)
        assert not sample.stat


def test_a_reference_tensor_is_measured_unprocessed():
    raw = Tensor(np.array([0.0, 10.0]), "x")
    sample = Sample({"raw": raw, "aux": Tensor(np.array([5.0, 20.0]), "x")})
    chain = [
        Transform(ScaleLinear(100.0), "raw"),
        Transform(ScaleRange(reference="raw"), "aux"),
    ]
    result = apply(fit(chain, sample), sample)
    np.testing.assert_allclose(np.asarray(result["aux"]), [0.5, 2.0], rtol=1e-6)
    output = Sample({"out": Tensor(np.array([5.0]), "x")})
    chain = [Transform(ScaleRange(reference="raw"), "out")]
    result = apply(fit(chain, output, unprocessed=sample), output)
    np.testing.assert_allclose(np.asarray(result), [0.5], rtol=1e-6)


def test_a_reference_to_the_tensor_itself_is_measured_unprocessed_too():
    sample = sample_of([[0.0, 10.0]])
    chain = [Transform(ScaleLinear(2.0), "raw"), Transform(ScaleRange(reference="raw"), "raw")]
    result = apply(fit(chain, sample), sample)
    np.testing.assert_allclose(np.asarray(result), [[0, 2]], rtol=1e-6)


def test_steps_behind_the_last_measured_one_are_not_run_by_fit():
    def fails(sample):
        raise AssertionError(sample)

    assert fit([ZMUV, fails], sample_of([[1.0]]))[1] is fails
    assert fit([fails, fails], sample_of([[1.0]])) == (fails, fails)


# errors


def test_an_unbound_step_is_an_error_with_its_place():
    chain = [Transform(Sigmoid(), "raw"), ZMUV]
    with pytest.raises(NotFittedError, match="this transform needs statistics") as caught:
        apply(chain, sample_of([[1.0]]))
    assert caught.value.__notes__ == [f"in step 1 of the chain: {ZMUV!r}"]


def test_a_failing_step_keeps_its_error_and_carries_its_place():
    def divide(sample):
        return 1 / 0

    for run in (
        lambda: apply([Transform(Sigmoid(), "raw"), divide], sample_of([[1.0]])),
        lambda: fit([Transform(Sigmoid(), "raw"), divide, ZMUV], sample_of([[1.0]])),
    ):
        with pytest.raises(ZeroDivisionError) as caught:
            run()
        (note,) = caught.value.__notes__
        assert note.startswith("in step 1 of the chain: <function ")


def test_a_step_that_can_not_be_bound_carries_its_place():
    chain = [Transform(Sigmoid(), "raw"), Transform(ZeroMeanUnitVariance(axes="z"), "raw")]
    with pytest.raises(ValueError, match="'z'") as caught:
        fit(chain, sample_of([[1.0]]))
    assert caught.value.__notes__ == [f"in step 1 of the chain: {chain[1]!r}"]


def test_a_step_that_can_not_be_planned_carries_its_place():
    chain = [Transform(Sigmoid(), "raw"), Transform(Sigmoid(), "row")]
    with pytest.raises(UnknownMemberError, match="'row'") as caught:
        plan(chain, sample_spec(sample_of([[1.0]])))
    assert caught.value.__notes__ == [f"in step 1 of the chain: {chain[1]!r}"]


# plain functions


def test_plain_functions_are_steps():
    def flip(sample):
        return with_member(sample, "raw", Tensor(np.asarray(sample["raw"])[:, ::-1], "yx"))

    sample = sample_of([[1.0, 2.0, 6.0]])
    chain = compose(flip, [ZMUV], flip)
    bound = fit(chain, sample)
    assert (bound[0], bound[2]) == (flip, flip)
    assert apply(bound, sample) == apply(fit([ZMUV], sample), sample)
    assert plan(chain, sample_spec(sample)) == plan([ZMUV], sample_spec(sample))


# blocks


def test_a_chain_is_block_safe_from_behind_its_last_unsafe_step():
    (bound,) = fit([ZMUV], sample_of([[1.0, 2.0]]))
    along = Transform(FixedZeroMeanUnitVariance([1, 2], [1, 1], "x"), "raw")
    sigmoid, plain = Transform(Sigmoid(), "raw"), lambda s: s
    x, y = {"raw": ["x"]}, {"raw": ["y"]}
    assert block_safe_from([], x) == 0
    assert block_safe_from([sigmoid, bound], x) == 0
    assert block_safe_from([sigmoid, ZMUV, sigmoid], x) == 2
    assert block_safe_from([along, sigmoid], x) == 1
    assert block_safe_from([along, sigmoid], y) == 0
    assert block_safe_from([along, sigmoid], {"other": ["x"]}) == 0
    assert block_safe_from([sigmoid, plain, sigmoid], x) == 2
    assert block_safe_from([sigmoid, plain, sigmoid], {"raw": []}) == 0
    assert block_safe_from([plain, along, ZMUV], x) == 3


STEPS = [
    Transform(ScaleLinear(2.0, 1.0), "raw"),
    Transform(ZeroMeanUnitVariance(axes="yx"), "raw"),
    Transform(Clip(min_percentile=10, max_percentile=90, axes="xb"), "raw"),
    Transform(ScaleRange(5, 95, axes="zyx"), "raw"),
    Transform(ZeroMeanUnitVariance(axes="x"), "raw"),
    Transform(ScaleRange(0, 100), "raw"),
]


@st.composite
def cuts(draw, size):
    """A block of an axis with a halo, and padding where it reaches the end."""
    start = draw(st.integers(0, size - 1))
    stop = draw(st.integers(start + 1, size))
    outer_start = draw(st.integers(0, start))
    outer_stop = draw(st.integers(stop, size))
    padding = draw(st.integers(0, 3)) if outer_stop == size else 0
    return AxisBlock(start, stop, outer_start, outer_stop, outer_stop - outer_start + padding)


def block_of(tensor, region, mode):
    """The tensor as a block sees it: cut, then padded at the end of the whole."""
    whole = pad(tensor, {a: (0, b.padding) for a, b in region.items()}, mode=mode)
    return slice_axes(
        whole, {a: (b.outer_start, b.outer_start + b.size) for a, b in region.items()}
    )


@given(st.data(), st.lists(st.sampled_from(STEPS), min_size=1, max_size=3))
@settings(max_examples=100)
def test_a_bound_chain_gives_on_blocks_what_it_gives_on_the_whole(data, chain):
    shape = tuple(data.draw(st.integers(1, 5)) for _ in range(4))
    seed = data.draw(st.integers(0, 99))
    array = np.random.default_rng(seed).normal(100, 20, shape).astype("float32")
    sample = sample_of(array, "bzyx")
    split = data.draw(st.sets(st.sampled_from("bzyx"), min_size=1))
    region = {AxisId(a): data.draw(cuts(sample["raw"].sizes[AxisId(a)])) for a in sorted(split)}
    bound = fit(chain, sample)
    assert block_safe_from(bound, {"raw": list(region)}) == 0
    mode = data.draw(st.sampled_from(["edge", "reflect", "symmetric"]))
    block = with_member(sample, "raw", block_of(sample["raw"], region, mode))
    on_block = apply(cut_chain(bound, {"raw": region}, {"raw": mode}), block)
    on_whole = block_of(apply(bound, sample)["raw"], region, mode)
    assert on_block["raw"] == on_whole


def test_statistics_of_padding_are_those_of_the_pixels_that_it_shows():
    # z is mirrored by two planes: the second of them is the last but one, with its own mean
    array = np.random.default_rng(0).normal(size=(3, 4, 4)) * [[[1.0]], [[10.0]], [[100.0]]]
    sample = sample_of(array, "zyx")
    bound = fit([Transform(ZeroMeanUnitVariance(axes="yx"), "raw")], sample)
    region = {AxisId("z"): AxisBlock(0, 3, 0, 3, 5)}
    wide = {"z": (0, 2)}
    block = with_member(sample, "raw", pad(sample["raw"], wide))
    on_block = apply(cut_chain(bound, {"raw": region}), block)
    assert on_block["raw"] == pad(apply(bound, sample)["raw"], wide)


def test_the_cut_chain_keeps_plain_functions_and_what_is_not_cut():
    bound = (*fit([ZMUV], sample_of([[1.0, 2.0]])), len)
    assert cut_chain(bound, {"other": {AxisId("x"): AxisBlock(0, 1, 0, 1, 1)}}) == bound
