"""A pipeline is a function from sample to sample that remembers nothing."""

import pickle

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import bioimageio_fn as fn
from bioimageio_fn.contract.records import (
    AnySize,
    AxisContract,
    FixedSize,
    ModelContract,
    Padding,
    ParameterizedSize,
    ReferencedSize,
    TensorContract,
)
from bioimageio_fn.errors import (
    BackendError,
    BioimageioFnWarning,
    CastWarning,
    DeviceError,
    MissingMemberError,
    OperationError,
    UnknownMemberError,
)
from bioimageio_fn.ops.records import (
    EnsureDtype,
    ScaleLinear,
    ScaleRange,
    Sigmoid,
    ZeroMeanUnitVariance,
)


def tensor(name, operations, sizes, *, halo=0, **options):
    rules = {"batch": AnySize(), "channel": FixedSize(1), **sizes}
    kinds = {"batch": "batch", "channel": "channel"}
    axes = tuple(
        AxisContract(axis, kinds.get(axis, "space"), rule, halo if axis not in kinds else 0)
        for axis, rule in rules.items()
    )
    return TensorContract(name, axes, "float32", tuple(operations), **options)


def pipeline(
    backend,
    *,
    pre=(),
    post=(),
    min_size=4,
    step=4,
    halo=0,
    statistics=None,
    fixed=None,
    **options,
):
    """A model of one input and one output of the same size, run by a plain function."""
    rule = ParameterizedSize(min_size, step) if fixed is None else FixedSize(fixed)
    raw = tensor("raw", pre, {"y": rule, "x": rule}, **options)
    follow = {axis: ReferencedSize("raw", axis) for axis in "yx"}
    out = tensor("out", post, follow, halo=halo)
    contract = ModelContract("m", (raw,), (out,), (attrs.evolve(out, dtype=None, operations=()),))
    chains = [
        tuple(fn.Transform(op, t.id) for op in t.operations)
        for t in (contract.inputs[0], contract.outputs[0])
    ]
    return fn.Pipeline(contract, chains[0], backend, chains[1], statistics or {})


def identity(array):
    return (array,)


def blur(array):
    """A 3 x 3 mean that sees zeros beyond the border: a network with a reach of one pixel."""
    wide = np.pad(np.asarray(array), ((0, 0), (0, 0), (1, 1), (1, 1)))
    h, w = array.shape[2:]
    return (sum(wide[..., i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9,)


IMAGES = hnp.arrays(
    "float32",
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20),
    elements=st.floats(-100, 100, width=32),
)


@given(IMAGES)
def test_an_image_of_any_size_comes_back_with_its_size(image):
    result = pipeline(identity)(image)

    assert result["out"].sizes == {
        "batch": 1,
        "channel": 1,
        "y": image.shape[0],
        "x": image.shape[1],
    }
    np.testing.assert_array_equal(np.asarray(result)[0, 0], image)


@given(IMAGES, st.sampled_from([8, 12]))
def test_a_model_of_fixed_size_takes_any_image(image, fixed):
    result = pipeline(identity, fixed=fixed)(image)

    np.testing.assert_array_equal(np.asarray(result)[0, 0], image)


@given(IMAGES, st.sampled_from([8, 12, 16]), st.integers(1, 2))
def test_blocks_equal_the_whole_borders_included(image, block, halo):
    p = pipeline(blur, pre=[ZeroMeanUnitVariance()], post=[Sigmoid()], halo=halo)
    sample = fn.as_sample(image, p.contract)
    plan = fn.default_plan(p, sample, block_shape={"y": block, "x": block})

    whole, blocks = p(sample), fn.run(p, sample, plan)

    np.testing.assert_allclose(np.asarray(blocks), np.asarray(whole), atol=1e-5, rtol=0)


@given(IMAGES)
def test_the_same_call_gives_the_same_answer_and_leaves_the_input_alone(image):
    p = pipeline(blur, pre=[ScaleRange(1.0, 99.0), EnsureDtype("float32")])
    before = image.copy()
    image.flags.writeable = False

    assert p(image) == p(image)
    np.testing.assert_array_equal(image, before)


def test_a_backend_that_writes_to_its_input_can_not_change_the_callers_array():
    def writes(array):
        array += 1
        return (array,)

    image = np.zeros((4, 4), "float32")

    with pytest.raises(ValueError, match="read-only"):
        pipeline(writes)(image)
    assert not image.any()


def test_statistics_are_taken_before_padding():
    image = np.arange(25, dtype="float32").reshape(5, 5)
    constant = Padding("constant", 1000)

    result = pipeline(identity, pre=[ZeroMeanUnitVariance()], padding=constant)(image)

    expected = (image - image.mean()) / (image.std() + 1e-6)
    np.testing.assert_allclose(np.asarray(result)[0, 0], expected, atol=1e-6)


def test_the_raw_image_is_padded_not_the_processed_one():
    seen = []

    def watch(array):
        seen.append(np.asarray(array))
        return (array,)

    p = pipeline(watch, pre=[ScaleLinear(2.0, 1.0)], padding=Padding("constant", 10))
    p(np.zeros((3, 4), "float32"))

    assert seen[0][0, 0, 3].tolist() == [21.0] * 4


def test_a_pad_value_that_an_integer_image_can_not_hold_is_neither_wrapped_nor_refused():
    seen = []

    def watch(array):
        seen.append(np.asarray(array))
        return (array,)

    pipeline(watch, padding=Padding("constant", -1.5))(np.zeros((3, 4), "uint8"))

    assert seen[0][0, 0, 3].tolist() == [-1.5] * 4


def test_postprocessing_is_measured_on_the_cropped_output():
    image = np.arange(25, dtype="float32").reshape(5, 5)

    result = pipeline(identity, post=[ZeroMeanUnitVariance()])(image)

    assert abs(float(np.asarray(result).mean())) < 1e-6
    assert abs(float(np.asarray(result).std()) - 1) < 1e-5


def test_postprocessing_that_measures_runs_forward_once_for_each_block():
    calls = []

    def count(array):
        calls.append(array.shape)
        return (array,)

    p = pipeline(count, post=[Sigmoid(), ZeroMeanUnitVariance()])
    image = np.arange(16 * 16, dtype="float32").reshape(16, 16)
    sample = fn.as_sample(image, p.contract)
    plan = fn.default_plan(p, sample, block_shape={"y": 8, "x": 8})

    blocks = fn.run(p, sample, plan)

    assert len(calls) == plan.count == 4
    np.testing.assert_allclose(np.asarray(blocks), np.asarray(p(sample)), atol=1e-6)


def test_a_reference_tensor_is_the_unprocessed_input():
    post = [ScaleRange(reference="raw")]
    image = np.array([[0, 10], [5, 10]], "float32")

    result = pipeline(identity, pre=[ScaleLinear(100.0)], post=post)(image)

    np.testing.assert_allclose(np.asarray(result)[0, 0], image * 10, rtol=1e-6)


def test_given_statistics_are_used_and_the_result_carries_none():
    mean, std = ZeroMeanUnitVariance().measures("raw")
    p = pipeline(identity, pre=[ZeroMeanUnitVariance()], statistics={mean: 10.0, std: 2.0})

    result = p(np.full((4, 4), 14, "float32"))

    np.testing.assert_allclose(np.asarray(result), 2.0, rtol=1e-6)
    assert not result.stat


def test_one_sample_never_lends_its_statistics_to_another():
    p = pipeline(identity, pre=[ZeroMeanUnitVariance()])
    image = np.arange(16, dtype="float32").reshape(4, 4)

    first = p(image)
    p(image * 100 + 7)

    assert p(image) == first


def test_a_batch_is_normalised_sample_by_sample_also_when_it_is_cut():
    p = pipeline(identity, pre=[ZeroMeanUnitVariance(axes="cyx")])
    batch = np.random.default_rng(0).random((3, 1, 4, 4)).astype("float32")
    sample = fn.as_sample(batch, p.contract)
    plan = fn.plan_blocks(
        p.contract, {"raw": sample["raw"].sizes}, signature={"raw": (1, None, None, None)}
    )
    assert plan.count == 3

    blocks, whole = fn.run(p, sample, plan), p(sample)

    assert blocks == whole
    np.testing.assert_allclose(np.asarray(whole).mean((1, 2, 3)), 0, atol=1e-6)


def test_a_plain_function_in_the_chain_sees_the_whole_sample():
    shapes = []

    def look(sample):
        shapes.append(sample["raw"].shape)
        return sample

    p = pipeline(identity)
    p = attrs.evolve(p, preprocess=fn.compose(look, p.preprocess))
    sample = fn.as_sample(np.zeros((16, 16)), p.contract)

    fn.run(p, sample, fn.default_plan(p, sample, block_shape={"x": 8}))

    assert shapes == [(1, 1, 16, 16)]


def test_progress_counts_the_blocks():
    p = pipeline(identity)
    sample = fn.as_sample(np.zeros((16, 16)), p.contract)
    plan = fn.default_plan(p, sample, block_shape={"x": 8})
    seen = []

    fn.run(p, sample, plan, on_progress=lambda *done: seen.append(done))

    assert seen == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (lambda a: a, "a backend gives a tuple of arrays"),
        (lambda _: (), "too few outputs: expected out, got 0 arrays"),
        (lambda a: (a[0],), r"other axes than described \(tensor 'out'\)"),
        (lambda a: (a[..., 1:],), r"a size that its description does not say \(tensor 'out', axis"),
    ],
    ids=["no tuple", "too few", "wrong axes", "wrong size"],
)
def test_a_network_that_breaks_its_description_is_named(backend, message):
    with pytest.raises(BackendError, match=message):
        pipeline(backend)(np.zeros((4, 4)))


def test_more_outputs_than_described_are_dropped_with_a_warning():
    with pytest.warns(BioimageioFnWarning, match="2 outputs"):
        result = pipeline(lambda a: (a, a))(np.zeros((4, 4)))

    assert list(result.members) == ["out"]


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({"image": np.zeros((4, 4))}, UnknownMemberError, "'image'.*expected one of raw"),
        ({}, MissingMemberError, "a required input is missing.*'raw'"),
        ({"raw": None}, MissingMemberError, "'raw'"),
    ],
)
def test_wrong_members_are_named(inputs, error, message):
    with pytest.raises(error, match=message) as caught:
        pipeline(identity)(inputs)
    assert isinstance(caught.value, KeyError)


def test_a_backend_and_a_device_do_not_go_together():
    with pytest.raises(DeviceError, match="brings its own"):
        fn.create_prediction_pipeline(fn.demo_model(), backend=identity, devices="cpu")


def test_any_callable_is_a_backend():
    p = fn.create_prediction_pipeline(fn.demo_model(), backend=identity)

    result = p(np.zeros((70, 80), "uint16"))

    np.testing.assert_allclose(np.asarray(result), 0.5)


def test_a_pipeline_is_a_value(demo):
    again = fn.create_prediction_pipeline(fn.demo_model(), weights_format="onnx")

    assert again == demo
    assert pickle.loads(pickle.dumps(demo)) == demo
    assert repr(demo).startswith("Pipeline('Nuclei in fluorescence images (demo)': raw -> 3 steps")
    assert "OnnxBackend" in repr(demo)


def test_a_pipeline_frees_its_backend_at_the_end_and_opens_it_again():
    from bioimageio_fn.backends import sessions

    with fn.create_prediction_pipeline(fn.demo_model(), weights_format="onnx") as p:
        first = p(np.ones((20, 20)))
        assert any(recipe == p.backend for _, recipe in sessions._sessions)
    assert not any(recipe == p.backend for _, recipe in sessions._sessions)
    p.close()

    assert p(np.ones((20, 20))) == first


@settings(max_examples=20)
@given(st.integers(1, 3), st.sampled_from([np.float32, np.uint16]))
def test_a_batch_through_the_demo_model_equals_its_samples(n, dtype):
    demo = fn.create_prediction_pipeline(fn.demo_model(), weights_format="onnx")
    batch = np.random.default_rng(n).integers(0, 9999, (n, 1, 64, 68)).astype(dtype)

    together = np.asarray(demo(batch))

    for i in range(n):
        # axes of the demo model leave out the batch: each sample has its own statistics
        np.testing.assert_allclose(together[i], np.asarray(demo(batch[i]))[0], atol=1e-5)


def test_a_list_of_the_wrong_length_is_refused_before_anything_runs():
    def never(_):
        raise AssertionError("forward was run")

    p = pipeline(never, pre=[ScaleLinear([1.0, 2.0, 3.0], axis="y")])

    with pytest.raises(OperationError, match="expected 4 values, got 3 values"):
        p(np.zeros((4, 4)))
    with pytest.raises(OperationError, match="axis 'channel'"):
        fn.run(pipeline(never, pre=[ScaleLinear([1.0, 2.0], axis="c")]), np.zeros((4, 4)))


def test_values_along_an_axis_that_is_cut_belong_to_its_whole():
    p = pipeline(identity, pre=[ScaleLinear(range(1, 17), axis="x")])
    sample = fn.as_sample(np.ones((16, 16)), p.contract)
    plan = fn.default_plan(p, sample, block_shape={"x": 8})

    result = np.asarray(fn.run(p, sample, plan))

    assert result[0, 0, 0].tolist() == list(range(1, 17))


def test_a_loss_in_a_cast_is_said_once_for_all_blocks():
    from descriptions import build, image05, step

    given = [step("ensure_dtype", dtype="uint8")]
    model = build(image05(pre=given, post=given, out_dtype="uint8"))
    pipeline = fn.create_prediction_pipeline(model, backend=lambda x: (x + 300.0,))
    sample = fn.as_sample(np.full((40, 40), 300, "float32"), pipeline.contract)
    plan = fn.default_plan(pipeline, sample, block_shape={"y": 8, "x": 8})
    assert plan.count == 25
    with pytest.warns(CastWarning) as caught:
        fn.run(pipeline, sample, plan)
    assert len(caught) == 1


def test_carried_statistics_are_compared_by_what_they_tell():
    from descriptions import build, image05, step

    model = build(image05(pre=[step("zero_mean_unit_variance"), step("scale_range")]))
    images = [np.full((8, 8), v, "float32") for v in (1, 5, 9)]

    def made(data):
        return fn.create_prediction_pipeline(
            model,
            backend=abs,
            dataset_for_initial_statistics=data,
            keep_updating_initial_dataset_statistics=True,
        )

    assert made(images) == pickle.loads(pickle.dumps(made(images)))
    assert made(images) != made(images[:2])
    assert made(np.stack(images)) == made(images)
