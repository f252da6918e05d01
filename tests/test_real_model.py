"""A published model on a real image: against its published tensor, ground truth, and bare NumPy."""

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from descriptions import build, image04

import bioimageio_fn as fn
from bioimageio_fn.cli.main import cli
from bioimageio_fn.io.images import read_image

CROPS = {
    "whole": (slice(None), slice(None)),
    "300x417": (slice(0, 300), slice(0, 417)),
    "60x60": (slice(200, 260), slice(200, 260)),
}


def iou(a, b):
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("weights_format", ["onnx", "torchscript"])
def test_published_test_tensor_is_reproduced(real_model, weights_format):
    inputs, expected = fn.test_inputs(real_model), fn.test_outputs(real_model)

    actual = fn.predict(model=real_model, inputs=inputs, weights_format=weights_format)

    assert list(actual.members) == ["probability"]
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=0, atol=1e-4)


def test_described_with_free_sizes_it_reproduces_the_same_tensor(real_model):
    description = real_model / "parameterized.bioimageio.yaml"

    actual = fn.predict(model=description, inputs=fn.test_inputs(description))

    expected = np.asarray(fn.test_outputs(description))
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS)
@pytest.mark.parametrize("weights_format", ["onnx", "torchscript"])
def test_nuclei_are_found_in_an_image_of_any_size(real_model, nuclei, crop, weights_format):
    image, mask = (a[crop] for a in nuclei)

    result = fn.predict(model=real_model, inputs=image, weights_format=weights_format)

    assert result["probability"].sizes == {"batch": 1, "channel": 1} | dict(
        zip("yx", image.shape, strict=True)
    )
    assert iou(np.asarray(result)[0, 0] > 0.5, mask) >= 0.78


def test_nuclei_are_found_from_the_command_line(real_model, nuclei, nuclei_path, tmp_path):
    out = tmp_path / "probability.tif"

    done = CliRunner().invoke(cli, ["predict", str(real_model), str(nuclei_path), "-o", str(out)])

    assert done.exit_code == 0, done.output
    probability = read_image(out)
    assert probability.shape == (512, 512)
    assert iou(probability > 0.5, nuclei[1]) >= 0.78


@pytest.mark.parametrize("crop", ["300x417", "60x60"])
def test_predict_equals_bare_numpy_and_onnxruntime(real_model, nuclei, crop):
    image = nuclei[0][CROPS[crop]]
    height, width = image.shape
    normalised = (image.astype(np.float64) - image.mean()) / (image.std() + 1e-6)
    padded = np.pad(normalised, ((0, 512 - height), (0, 512 - width)), mode="symmetric")
    session = onnxruntime.InferenceSession(
        real_model / "weights.onnx", providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run(["82"], {"input.1": padded[None, None].astype(np.float32)})
    expected = 1 / (1 + np.exp(-logits[0, 0, :height, :width].astype(np.float64)))

    actual = fn.predict(model=real_model, inputs=image, weights_format="onnx")

    np.testing.assert_allclose(np.asarray(actual)[0, 0], expected, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def free(real_model, nuclei):
    """The pipeline that takes any size, an image of 1000 x 1501, and its prediction as a whole."""
    pipeline = fn.create_prediction_pipeline(real_model / "parameterized.bioimageio.yaml")
    image = np.tile(nuclei[0], (2, 3))[:1000, :1501]
    return pipeline, image, np.asarray(fn.predict_sample_without_blocking(pipeline, image))


@pytest.mark.parametrize(
    "options",
    [
        {"block_shape": {"y": 512, "x": 512}},
        {"block_shape": {"x": 400}},
        {"blocksize_parameter": {"y": 20, "x": 44}},
        {"memory": fn.MemoryModel(fixed=0, per_pixel=1, limit=500_000)},
    ],
    ids=str,
)
def test_blocks_equal_the_whole_borders_included(free, options):
    pipeline, image, whole = free
    plan = fn.default_plan(pipeline, image, halo=64, **options)
    assert plan.count > 1

    np.testing.assert_allclose(fn.run(pipeline, image, plan), whole, rtol=0, atol=1e-5)


def test_the_described_halo_is_shorter_than_the_reach_and_that_shows(free):
    pipeline, image, whole = free
    plan = fn.default_plan(pipeline, image, block_shape={"y": 512, "x": 512})
    difference = np.abs(np.asarray(fn.run(pipeline, image, plan)) - whole).max()

    assert 1e-4 < difference < 1e-1


def test_blocks_of_a_description_in_0_4_equal_the_whole(free):
    pipeline, image, whole = free
    normalise = {"mode": "per_sample", "axes": "yx", "eps": 1e-6}
    model = image04(
        smallest=80,
        by=16,
        halo=32,
        pre=[{"name": "zero_mean_unit_variance", "kwargs": normalise}],
        post=[{"name": "sigmoid"}],
    )
    twin = fn.create_prediction_pipeline(build(model), backend=pipeline.backend)
    plan = fn.default_plan(twin, image, block_shape={"y": 640, "x": 512}, halo=64)

    np.testing.assert_allclose(fn.run(twin, image, plan), whole, rtol=0, atol=1e-5)


def test_a_model_of_fixed_size_runs_on_an_image_larger_than_it(real_model, nuclei):
    image = np.concatenate([nuclei[0], nuclei[0]], axis=1)[:, :701]
    free = fn.predict(model=real_model / "parameterized.bioimageio.yaml", inputs=image)

    fixed = fn.predict(model=real_model, inputs=image, weights_format="onnx")

    # its described halo is shorter than its reach, which its author measured as harmless
    np.testing.assert_allclose(np.asarray(fixed), np.asarray(free), rtol=0, atol=2e-2)


@pytest.mark.parametrize("shape", [(512, 512), (512, 512, 1), (1, 512, 512), (1, 1, 512, 512)])
def test_every_usual_shape_of_one_image_is_read_alike(real_model, nuclei, shape):
    expected = fn.predict(model=real_model, inputs=nuclei[0])

    actual = fn.predict(model=real_model, inputs=nuclei[0].reshape(shape))

    assert actual["probability"] == expected["probability"]
