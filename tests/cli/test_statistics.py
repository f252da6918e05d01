"""Statistics of a data set: the same for every image of a call, and from a file."""

import json

import numpy as np
import pytest
from commands import MODEL, image, invoke
from descriptions import image05, step, write

import bioimageio_fn as fn

AXES = ["batch", "channel", "y", "x"]


@pytest.fixture
def model(tmp_path):
    """A model that gives its input, normalised by statistics of a data set."""
    return write(
        tmp_path / "m", image05(pre=[step("zero_mean_unit_variance", axes=AXES, eps=1e-6)])
    )


@pytest.fixture
def images(tmp_path):
    """Three images of different brightness."""
    arrays = [np.random.default_rng(i).random((16, 20)).astype("float32") + i for i in range(3)]
    for i, array in enumerate(arrays):
        (tmp_path / "data").mkdir(exist_ok=True)
        np.save(tmp_path / "data" / f"{i}.npy", array)
    return arrays


def normalised(arrays):
    """What the model gives, by NumPy."""
    pixels = np.stack(arrays).astype("float64")
    return [(a - pixels.mean()) / (pixels.std() + 1e-6) for a in arrays]


def check(folder, expected):
    for i, array in enumerate(expected):
        np.testing.assert_allclose(np.load(folder / f"{i}.npy")[0, 0], array, atol=1e-5)


def test_all_images_of_a_call_are_the_data_set(model, images, tmp_path):
    done = invoke("predict", model, tmp_path / "data", "-o", tmp_path / "out" / "{sample_id}.npy")

    assert done.exit_code == 0, done.stderr
    check(tmp_path / "out", normalised(images))


def test_statistics_of_a_file_are_those_of_the_images_that_it_was_made_of(model, images, tmp_path):
    file, out = tmp_path / "stat.json", tmp_path / "out" / "{sample_id}.npy"

    made = invoke("stats", model, tmp_path / "data", "-o", file)
    one = invoke("predict", model, tmp_path / "data" / "0.npy", "-o", out, "--stats", file)

    assert made.exit_code == one.exit_code == 0, made.stderr + one.stderr
    assert f"{np.mean(images):.4f}"[:5] in made.stdout
    check(tmp_path / "out", normalised(images)[:1])


def test_a_file_that_is_not_there_is_made(model, images, tmp_path):
    file, out = tmp_path / "stat.json", tmp_path / "out" / "{sample_id}.npy"

    first = invoke("predict", model, tmp_path / "data", "-o", out, "--stats", file)
    (tmp_path / "out" / "2.npy").unlink()
    second = invoke("predict", model, tmp_path / "data" / "2.npy", "-o", out, "--stats", file)

    assert first.exit_code == second.exit_code == 0
    assert len(json.loads(file.read_text())) == len(fn.load_stat(file)) == 2
    check(tmp_path / "out", normalised(images))


def test_a_file_of_another_library_may_hold_more(model, images, tmp_path):
    file = tmp_path / "stat.json"
    invoke("stats", model, tmp_path / "data", "-o", file)
    stat = fn.load_stat(file)
    more = {fn.Measure("var", "raw", tuple(AXES), "dataset"): 3.0}
    fn.save_stat({**stat, **more}, file)

    done = invoke(
        *("predict", model, tmp_path / "data", "--stats", file),
        *("-o", tmp_path / "out" / "{sample_id}.npy"),
    )

    assert done.exit_code == 0, done.stderr
    check(tmp_path / "out", normalised(images))


def test_a_file_of_another_model_is_refused(model, images, tmp_path):
    file = tmp_path / "stat.json"
    fn.save_stat({fn.Measure("mean", "raw", scope="dataset"): 3.0}, file)

    done = invoke("predict", model, tmp_path / "data", "--stats", file, "-o", tmp_path / "out")

    assert done.exit_code == 1
    assert "stat.json has not all statistics that the model needs" in done.stderr
    assert "bioimageio-fn stats" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["stats", "predict"])
def test_a_model_that_measures_no_data_set_is_told_of(tmp_path, command):
    file = tmp_path / "stat.json"
    out = {"stats": ["-o", file], "predict": ["--stats", file, "-o", tmp_path / "out"]}

    done = invoke(command, MODEL, image(tmp_path / "a.npy"), *out[command])

    assert done.exit_code == 1
    assert "no step of this model measures a data set" in done.stderr
    assert not file.exists()


def test_dataset_statistics_are_those_that_a_pipeline_was_made_with(model, images):
    pipeline = fn.create_prediction_pipeline(model, dataset_for_initial_statistics=images)

    stat = fn.dataset_statistics(pipeline)

    assert {m.name for m in stat} == {"mean", "std"}
    mean = next(value for m, value in stat.items() if m.name == "mean")
    assert float(mean.data) == pytest.approx(np.mean(images), rel=1e-6)
    again = fn.create_prediction_pipeline(model, fixed_dataset_statistics=stat)
    assert again(images[0]) == pipeline(images[0])


def test_a_pipeline_without_a_data_set_has_no_statistics(model):
    with pytest.raises(fn.errors.NotFittedError, match="was given no data set"):
        fn.dataset_statistics(fn.create_prediction_pipeline(model))


def test_two_values_of_one_measure_are_no_statistics(tmp_path, images):
    twice = [step("zero_mean_unit_variance", axes=AXES), step("scale_linear", gain=2.0)] * 2
    path = write(tmp_path / "m", image05(pre=twice))
    pipeline = fn.create_prediction_pipeline(path, dataset_for_initial_statistics=images)

    with pytest.raises(fn.errors.OperationError, match="different values of one measure"):
        fn.dataset_statistics(pipeline)
