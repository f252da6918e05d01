"""Processing where others went wrong: each test is a defect that was seen in a running library.

Models are described in memory; the network is a small function; expected values are NumPy's.
"""

import hashlib
import pickle
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from descriptions import (
    axis05,
    build,
    image04,
    image05,
    model05,
    ref,
    sized,
    step,
    step04,
    tensor05,
)

import bioimageio_fn as fn
from bioimageio_fn.errors import (
    CastWarning,
    DescriptionError,
    HashMismatchError,
    OperationError,
    UntrustedCodeError,
)
from bioimageio_fn.ops.functions import sigmoid, softmax

YX = ["y", "x"]
CYX = ["channel", "y", "x"]
RNG = np.random.default_rng(0)
IMAGE = RNG.normal(3, 1, (40, 48)).astype("float32")


def identity(*arrays):
    return arrays


def pipeline_of(model, network=identity, **options):
    return fn.create_prediction_pipeline(build(model), backend=network, **options)


def seen_by_network(model, image, **options):
    """What reaches the network."""
    seen = []

    def network(*arrays):
        seen.append(np.array(arrays[0]))
        return arrays

    pipeline_of(model, network, **options)(image)
    return seen[0]


def predicted(model, image, network=identity, **options):
    return np.asarray(pipeline_of(model, network, **options)(image))


def normalised(x):
    x = np.asarray(x, "float64")
    return (x - x.mean()) / (x.std() + 1e-6)


# statistics are those of the tensor that reaches the step


@pytest.mark.parametrize("where", ["pre", "post"])
def test_statistics_are_taken_of_what_reaches_the_step(where):
    steps = [step("scale_linear", gain=100, offset=5), step("zero_mean_unit_variance", axes=CYX)]
    result = predicted(image05(**{where: steps}), IMAGE)[0, 0]
    np.testing.assert_allclose(result, normalised(IMAGE), atol=1e-4)
    steps = [
        step("clip", min_percentile=5, max_percentile=95, axes=CYX),
        step("scale_range", axes=CYX),
    ]
    result = predicted(image05(**{where: steps}), IMAGE)
    assert result.min() == 0
    assert abs(result.max() - 1) < 1e-5


def test_steps_behind_the_network_measure_its_output():
    for given in (
        step("zero_mean_unit_variance", axes=CYX),
        step("zero_mean_unit_variance"),
    ):
        result = predicted(image05(post=[given]), IMAGE, lambda x: (x**2,))
        np.testing.assert_allclose(result[0, 0], normalised(IMAGE**2), atol=1e-4)
    given = step("scale_mean_variance", reference_tensor="raw", axes=CYX)
    result = predicted(image05(post=[given]), IMAGE, lambda x: (x**2,))
    assert abs(result.mean() - IMAGE.mean()) < 1e-4
    assert abs(result.std() - IMAGE.std()) < 1e-4


def test_a_reference_tensor_is_the_unprocessed_input():
    scale = step("scale_range", reference_tensor="raw", axes=CYX)
    model = image05(pre=[step("scale_linear", gain=10)], post=[scale])
    result = predicted(model, IMAGE)[0, 0]
    low, high = IMAGE.min(), IMAGE.max()
    np.testing.assert_allclose(result, (IMAGE * 10.0 - low) / (high - low + 1e-6), rtol=1e-5)


# data sets


def samples_around(*centers):
    return [(RNG.normal(c, 1, (20, 24))).astype("float32") for c in centers]


@pytest.mark.parametrize("make", [list, iter])
def test_quantiles_of_a_data_set_are_those_of_all_its_pixels(make):
    arrays = samples_around(0, 100, 200)
    every = np.concatenate(arrays).ravel()
    measures = [
        fn.Measure("quantile", "raw", scope="dataset", q=q, method="linear") for q in (0, 0.5, 1)
    ]
    samples = [fn.Sample({"raw": fn.Tensor(a, "yx")}) for a in arrays]
    found = fn.compute_dataset_measures(measures, make(samples))
    values = [float(v.data) for v in found.values()]
    np.testing.assert_allclose(values, np.quantile(every, [0, 0.5, 1]), rtol=2**-13)


def test_fixed_statistics_stay_beside_measured_ones():
    model = model05(
        [
            tensor05(
                name,
                [axis05("b"), axis05("y", sized(4, 1)), axis05("x", sized(4, 1))],
                steps=[step("zero_mean_unit_variance", **kwargs)],
            )
            for name, kwargs in (("a", {}), ("b", {"axes": YX}))
        ],
        [tensor05("out", [axis05("b"), axis05("y", ref("a", "y")), axis05("x", ref("a", "x"))])],
    )
    mean, std = (fn.Measure(n, "a", scope="dataset") for n in ("mean", "std"))
    image = np.full((4, 4), 10.0, "float32")
    image[0, 0] = 9.5
    both = pipeline_of(model, lambda a, _: (a,), fixed_dataset_statistics={mean: 0, std: 1})
    result = np.asarray(both({"a": image, "b": image * 7}))
    np.testing.assert_allclose(result[0], image, rtol=1e-5)
    one = pipeline_of(model, lambda a, _: (a,), fixed_dataset_statistics={mean: 0})
    result = np.asarray(one({"a": image, "b": image * 7}))
    np.testing.assert_allclose(result[0], image / (image.std() + 1e-6), rtol=1e-5)


DATASET = image05(pre=[step("zero_mean_unit_variance")])


def test_samples_join_the_initial_data_set_and_do_not_replace_it():
    first, second = samples_around(0, 1000)
    pipeline = pipeline_of(
        DATASET,
        dataset_for_initial_statistics=[first],
        keep_updating_initial_dataset_statistics=True,
    )
    pooled = np.stack([first, second]).astype("float64")
    expected = (second - pooled.mean()) / pooled.std()
    for _ in range(2):  # the pipeline itself remembers nothing
        np.testing.assert_allclose(np.asarray(pipeline(second))[0, 0], expected, rtol=1e-4)
    (result,) = fn.predict_many(model=pipeline, inputs=[second])
    np.testing.assert_allclose(np.asarray(result)[0, 0], expected, rtol=1e-4)
    assert pickle.loads(pickle.dumps(pipeline))(second) == pipeline(second)


def test_a_data_set_given_up_front_serves_every_image_alike():
    arrays = samples_around(0, 10, 20)
    every = np.stack(arrays).astype("float64")
    expected = [((a - every.mean()) / every.std()).mean() for a in arrays]
    pipeline = pipeline_of(DATASET, dataset_for_initial_statistics=arrays)
    for order in (arrays, arrays[::-1]):
        means = [np.asarray(r).mean() for r in fn.predict_many(model=pipeline, inputs=order)]
        wanted = expected if order is arrays else expected[::-1]
        np.testing.assert_allclose(means, wanted, atol=1e-4)


def test_without_a_data_set_predict_many_measures_the_samples_so_far():
    arrays = samples_around(0, 10, 20)
    results = fn.predict_many(model=pipeline_of(DATASET), inputs=iter(arrays))
    for n, result in enumerate(results):
        so_far = np.stack(arrays[: n + 1]).astype("float64")
        expected = (arrays[n] - so_far.mean()) / (so_far.std() + 1e-6)
        np.testing.assert_allclose(np.asarray(result)[0, 0], expected, atol=1e-4)


def test_a_data_set_is_measured_behind_the_network_too():
    arrays = samples_around(1, 5)
    model = image05(post=[step("zero_mean_unit_variance")])
    pipeline = pipeline_of(model, lambda x: (x**2,), dataset_for_initial_statistics=arrays)
    squares = np.stack(arrays).astype("float64") ** 2
    expected = (arrays[0].astype("float64") ** 2 - squares.mean()) / squares.std()
    np.testing.assert_allclose(np.asarray(pipeline(arrays[0]))[0, 0], expected, atol=1e-4)


def test_statistics_of_one_sample_do_not_reach_another():
    model = image05(pre=[step("zero_mean_unit_variance", axes=CYX)])
    pipeline = pipeline_of(model)
    first = fn.as_sample(IMAGE, pipeline.contract)
    second = fn.as_sample(IMAGE * 100 + 7, pipeline.contract)
    results = [pipeline(s) for s in (first, second, first)]
    assert results[0] == results[2]
    np.testing.assert_allclose(np.asarray(results[0]), np.asarray(results[1]), atol=1e-4)
    assert not any(s.stat for s in (first, second, *results))


def test_threads_do_not_disturb_one_another():
    arrays = [np.full((8, 8), i, "uint16") + np.arange(8, dtype="uint16") for i in range(200)]
    pipeline = pipeline_of(DATASET, dataset_for_initial_statistics=arrays)
    alone = [np.asarray(pipeline(a)) for a in arrays]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda a: np.asarray(pipeline(a)), arrays))
    assert all(map(np.array_equal, alone, together))


# keywords


def test_a_threshold_along_an_axis_is_one_for_each_of_its_indices():
    x = RNG.random((1, 3, 8, 8)).astype("float32") * 20
    given = step("binarize", threshold=[5, 10, 15], axis="channel")
    result = predicted(image05(channels=3, post=[given]), x)
    assert np.array_equal(result[0], x[0] > np.array([5, 10, 15])[:, None, None])
    assert result.dtype == "float32"


@pytest.mark.parametrize("name", ["zero_mean_unit_variance", "scale_range"])
def test_eps_counts_in_both_formats(name):
    x = IMAGE.astype("float64")
    spread = x.std() if name == "zero_mean_unit_variance" else x.max() - x.min()
    low = x.mean() if name == "zero_mean_unit_variance" else x.min()
    for model in (
        image05(pre=[step(name, axes=CYX, eps=0.1)]),
        image04(pre=[step04(name, mode="per_sample", axes="cyx", eps=0.1)]),
    ):
        result = seen_by_network(model, IMAGE)[0, 0]
        np.testing.assert_allclose(result, (x - low) / (spread + 0.1), atol=1e-5)


def test_a_fixed_deviation_is_divided_by_as_it_is():
    given = step("fixed_zero_mean_unit_variance", mean=0, std=1e-6)
    assert predicted(image05(post=[given]), np.ones((8, 8), "float32")).max() == 1e6


@pytest.mark.parametrize("value", [1000.1, 60000.3, 0.1])
@pytest.mark.parametrize("name", ["zero_mean_unit_variance", "scale_range"])
def test_a_constant_image_is_normalised_to_0(name, value):
    image = np.full((40, 48), value, "float32")
    assert not predicted(image05(pre=[step(name, axes=CYX)]), image).any()


def test_a_missing_pixel_stays_the_only_one():
    image = IMAGE.copy()
    image[3, 4] = np.nan
    for given in (
        step("zero_mean_unit_variance", axes=CYX),
        step("clip", min_percentile=1, max_percentile=99, axes=CYX),
    ):
        result = predicted(image05(post=[given]), image)[0, 0]
        assert np.argwhere(np.isnan(result)).tolist() == [[3, 4]]
    rest = IMAGE.astype("float64")[~np.isnan(image)]
    result = predicted(image05(pre=[step("zero_mean_unit_variance", axes=CYX)]), image)[0, 0]
    expected = (rest - rest.mean()) / rest.std()
    np.testing.assert_allclose(result[~np.isnan(image)], expected, atol=1e-4)


def test_functions_of_small_integers_and_truth_values_do_not_wrap():
    np.testing.assert_allclose(sigmoid(np.array([250, 10], "uint8")), [1, 1], atol=1e-4)
    np.testing.assert_allclose(sigmoid(np.array([True, False])), [0.7310586, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sigmoid(np.array([-1000], "float32")) == 0
    whole = softmax(np.array([[250, 10, 3]], "uint8"), axis=1)
    np.testing.assert_allclose(whole.sum(), 1)
    assert softmax(np.array([True, False]), axis=0).sum() == 1


def test_casts_saturate_and_say_so():
    model = image05(post=[step("ensure_dtype", dtype="uint8")], out_dtype="uint8")
    image = np.array([[-3, 300, np.nan, 7.9]] * 8, "float32").repeat(2, 1)
    with pytest.warns(CastWarning):
        result = predicted(model, image)
    assert result[0, 0, 0].tolist() == [0, 0, 255, 255, 0, 0, 7, 7]


@pytest.mark.parametrize(
    "given",
    [
        step("scale_range", axes=CYX),
        step("fixed_zero_mean_unit_variance", mean=3, std=2),
        step("scale_linear", gain=[2], axis="channel"),
        step("zero_mean_unit_variance"),
        step("clip", min=1, max=3),
    ],
    ids=lambda s: s["id"],
)
def test_float32_stays_float32_and_no_copies_are_made(given):
    image = RNG.normal(size=(1024, 1024)).astype("float32")
    pipeline = pipeline_of(image05(pre=[given]))
    pipeline(image[:32, :32])
    tracemalloc.start()
    result = np.asarray(pipeline(image))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.dtype == "float32"
    # the bins of floats, most of which are never touched
    bins = 2**22 * 8 if given["id"] == "scale_range" else 0
    assert peak < 2 * image.nbytes + bins + 4e6


def test_a_single_measure_of_a_sample_or_of_a_data_set_can_be_computed():
    sample = fn.Sample({"raw": fn.Tensor([1.0, 3.0], "x")})
    for scope in ("sample", "dataset"):
        one = fn.Measure("mean", "raw", "x", scope)
        assert float(fn.compute_measures([one], [sample])[one].data) == 2
    assert float(fn.compute_sample_measures([one], sample)[one].data) == 2


# format 0.4


def test_an_output_of_0_4_is_cast_behind_its_postprocessing():
    image = RNG.random((40, 48)).astype("float32")
    post = [step04("binarize", threshold=0.5)]
    result = predicted(image04(post=post, out_dtype="uint8"), image)
    assert result.dtype == "uint8"
    assert np.array_equal(result[0, 0], image > 0.5)


def test_every_input_of_0_4_reaches_the_network_as_float32():
    image = RNG.integers(0, 255, (40, 48)).astype("uint8")
    assert seen_by_network(image04(dtype="uint8"), image).dtype == "float32"


def test_lists_of_0_4_lie_along_the_axis_that_is_left_out():
    x = RNG.random((1, 2, 40, 48)).astype("float32")
    given = step04("scale_linear", gain=[2, 3], offset=[1, 0], axes="yx")
    result = seen_by_network(image04(channels=2, pre=[given]), x)
    np.testing.assert_allclose(result[0, 0], x[0, 0] * 2 + 1, rtol=1e-6)
    np.testing.assert_allclose(result[0, 1], x[0, 1] * 3, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool"])
def test_a_mask_has_the_described_type(dtype):
    values = {"values": [False, True]} if dtype == "bool" else {}
    model = image05(post=[step("binarize", threshold=3)], out_dtype=dtype)
    model["outputs"][0]["data"] |= values
    result = predicted(model, IMAGE)
    assert result.dtype == dtype
    assert np.array_equal(result[0, 0].astype(bool), IMAGE > 3)


# custom steps


CODE = """
import numpy as np

CALLS = []


class Differ:
    def __init__(self, factor=1):
        self.factor = factor

    def __call__(self, *arrays):
        CALLS.append([a.shape for a in arrays])
        arrays[0][:] = -1
        return arrays[1] * self.factor + len(CALLS)


def wrong_shape():
    return lambda *arrays: arrays[0][0]


not_callable = 3
"""


@pytest.fixture
def custom(tmp_path):
    """A model of two outputs; the second is made by code of the model's."""
    path = tmp_path / "my_postprocess.py"
    path.write_text(CODE, encoding="utf-8")

    def model(name="Differ", sha256=None, **kwargs):
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if sha256 is None else sha256
        axes = [axis05("b"), axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
        given = {"id": "custom", "callable": name, "source": str(path), "sha256": digest}
        return model05(
            [tensor05("raw", [axis05("b"), axis05("y", sized(4, 1)), axis05("x", sized(4, 1))])],
            [
                tensor05("one", axes),
                tensor05("two", axes, steps=[{**given, "kwargs": kwargs}]),
            ],
        )

    return model


def both(x):
    return x, x * 2


def test_code_of_a_model_runs_only_with_consent(custom):
    with pytest.raises(UntrustedCodeError, match=r"Differ of my_postprocess\.py.*trust_code=True"):
        pipeline_of(custom(), both)


def test_a_custom_step_gets_all_outputs_once_for_each_image(custom):
    pipeline = pipeline_of(custom(factor=10), both, trust_code=True)
    x = RNG.random((3, 16, 16)).astype("float32")
    sample = fn.as_sample(fn.Tensor(x, "byx"), pipeline.contract)
    plan = fn.default_plan(pipeline, sample, block_shape={"y": 8, "x": 8})
    assert plan.count > 1
    result = fn.run(pipeline, sample, plan)
    expected = x * 20 + np.array([1, 2, 3])[:, None, None]
    np.testing.assert_allclose(np.asarray(result["two"]), expected, rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(result["one"]), x)
    again = pickle.loads(pickle.dumps(pipeline))
    assert again == pipeline
    assert again(sample)["one"] == result["one"]


def test_code_that_is_not_the_described_one_does_not_run(custom):
    with pytest.raises(HashMismatchError, match=r"my_postprocess\.py"):
        pipeline_of(custom(sha256="0" * 64), both, trust_code=True)
    for name in ("Missing", "not_callable"):
        with pytest.raises(DescriptionError, match="does not define what the custom step names"):
            pipeline_of(custom(name), both, trust_code=True)


def test_code_that_gives_something_else_is_told_of(custom):
    pipeline = pipeline_of(custom("wrong_shape"), both, trust_code=True)
    with pytest.raises(OperationError, match=r"tensor 'two'.*an array with axes batch, y, x"):
        pipeline(np.zeros((8, 8), "float32"))


# softmax


def test_a_softmax_sums_up_to_1_along_an_axis_that_is_cut_and_beside_a_halo():
    x = RNG.normal(size=(1, 1, 40, 48)).astype("float32")
    powers = np.exp(x - x.max(axis=2, keepdims=True))
    for where, halo in (("post", 0), ("post", 4), ("pre", 0)):
        model = image05(size=sized(16, 4), halo=halo, **{where: [step("softmax", axis="y")]})
        pipeline = pipeline_of(model)
        sample = fn.as_sample(x, pipeline.contract)
        plan = fn.default_plan(pipeline, sample, block_shape={"y": 24, "x": 24})
        assert plan.count > 1
        for result in (pipeline(sample), fn.run(pipeline, sample, plan)):
            np.testing.assert_allclose(
                np.asarray(result), powers / powers.sum(axis=2, keepdims=True), rtol=1e-5
            )
