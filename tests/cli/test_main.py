"""The command line: exit codes, one-line errors, and files where they are said to be."""

import hashlib
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import IMAGE, MODEL, invoke
from descriptions import image05, write

import bioimageio_fn as fn
from bioimageio_fn.io.images import read_image

DEMO = [MODEL, IMAGE]
TWO = [IMAGE, str(fn.demo_model() / "test_input.npy")]


def test_version_and_help():
    assert invoke("--version").output == f"bioimageio-fn, version {fn.__version__}\n"
    assert "Run BioImage.IO models" in invoke("--help").output
    assert "-o" in invoke("predict", "--help").output


@pytest.mark.parametrize("weights_format", ["onnx", "torchscript"])
def test_predict_writes_what_python_gives(demo, tmp_path, weights_format):
    out = tmp_path / "p.npy"

    done = invoke("predict", *DEMO, "-o", out, "--weights-format", weights_format)

    assert (done.exit_code, done.stdout) == (0, f"{out}\n")
    expected = np.asarray(demo(read_image(fn.demo_image())))
    np.testing.assert_allclose(np.load(out), expected, atol=1e-5)


def test_a_folder_gets_one_file_for_each_image_and_output(tmp_path):
    np.save(tmp_path / "b.npy", np.ones((64, 64)))
    out = tmp_path / "out"

    done = invoke("predict", *DEMO, tmp_path / "b.npy", "-o", out)

    assert done.exit_code == 0, done.output
    assert {p.name for p in out.iterdir()} == {"image_probability.ome.tif", "b_probability.ome.tif"}


def test_a_pattern_names_the_files(tmp_path):
    done = invoke("predict", *DEMO, "-o", tmp_path / "{sample_id}.{output_id}.png")

    assert done.exit_code == 0, done.output
    assert (tmp_path / "image.probability.png").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["nowhere/model.zip", DEMO[1], "-o", "x.tif"],
            "no such file or folder: nowhere/model.zip",
        ),
        ([DEMO[0], "gone.tif", "-o", "x.tif"], "no such file or folder: gone.tif"),
        ([*DEMO, "-o", "x.jpg"], "ends in .tif, .tiff, .png, .npy"),
        ([*DEMO, "-o", "x.tif", "--weights-format", "keras_v3"], "no weights of this format"),
        ([*DEMO, "-o", "x.tif", "--device", "cuda:99"], "does not have this device"),
    ],
    ids=["model", "image", "suffix", "weights", "device"],
)
def test_a_failure_is_one_line_and_exit_code_1(tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)

    done = invoke("predict", *args)

    lines = done.stderr.strip().splitlines()
    assert done.exit_code == 1
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert "Traceback" not in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        [],
        [DEMO[0]],
        [*DEMO, "-o", "x.tif", "--nonsense"],
        [DEMO[0], *TWO, "-o", "x.tif"],
        [*DEMO, "--example"],
        [*DEMO, "--input", f"raw={DEMO[1]}"],
        [DEMO[0], "--input", DEMO[1]],
        [*DEMO, "--axes", "yx", "--axes", "zyx"],
        [*DEMO, "--rescale", "2"],
    ],
    ids=[
        *("nothing", "no image", "option", "many into one", "example and image", "images twice"),
        *("input without id", "axes twice", "rescale"),
    ],
)
def test_wrong_use_is_exit_code_2(tmp_path, monkeypatch, args):
    monkeypatch.chdir(tmp_path)

    done = invoke("predict", *args)

    assert done.exit_code == 2
    assert "Usage:" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_an_error_came_from():
    done = invoke("predict", DEMO[0], "gone.tif", "-o", "x.tif", "--debug")

    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert "MissingFileError: no such file or folder: gone.tif" in done.stderr


def test_an_image_that_would_be_overwritten_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((64, 64)))

    done = invoke("predict", DEMO[0], tmp_path / "a.npy", "-o", tmp_path / "a.npy", "--overwrite")

    assert done.exit_code == 1
    assert "overwrite" in done.stderr
    assert np.load(tmp_path / "a.npy").shape == (64, 64)


def test_the_installed_command_runs(tmp_path):
    out = tmp_path / "p.png"

    done = subprocess.run(
        [sys.executable, "-m", "bioimageio_fn", "predict", *DEMO, "-o", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert done.stderr == ""
    assert read_image(out).shape == (300, 417)


def test_a_mistyped_model_is_answered_within_a_second_of_starting():
    start = time.monotonic()

    done = invoke("predict", "./pkg", DEMO[1], "-o", "x.tif")

    assert done.exit_code == 1
    assert time.monotonic() - start < 1


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(tmp_path):
    np.save(tmp_path / "nan.npy", np.full((64, 64), np.nan, "float32"))

    done = invoke("predict", DEMO[0], tmp_path / "nan.npy", "-o", tmp_path / "out.npy")

    assert done.exit_code == 0
    lines = done.stderr.splitlines()
    assert lines
    assert all(line.startswith("warning: ") for line in lines)


def test_an_error_that_nobody_foresaw_is_one_line_too(monkeypatch, tmp_path):
    def crash(*_args, **_options):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("bioimageio_fn.making.create_prediction_pipeline", crash)

    done = invoke("predict", *DEMO, "-o", tmp_path / "out.npy")

    assert (done.exit_code, done.stderr) == (1, "error: RuntimeError: two lines (see --debug)\n")


def test_a_folder_may_have_a_dot_in_its_name(tmp_path):
    (tmp_path / "out.d").mkdir()

    done = invoke("predict", *DEMO, "-o", tmp_path / "out.d")

    assert done.exit_code == 0, done.output
    assert (tmp_path / "out.d" / "image_probability.ome.tif").exists()


# ---------------------------------------------------------------- blocks, memory, code


@pytest.mark.parametrize("options", [["--block-shape", "y=128,x=192"], ["--block-shape", "128"],
                                     ["--blocksize-parameter", "5"],
                                     ["--blocksize-parameter", "y=4, x=5"],
                                     ["--memory-limit", "300MB"], []], ids=str)  # fmt: skip
def test_blocks_of_any_kind_give_the_same(demo, tmp_path, options):
    out = tmp_path / "p.zarr"

    done = invoke("predict", *DEMO, "-o", out, "--quiet", *options)

    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{out}\n", "")
    expected = np.asarray(demo(read_image(fn.demo_image())))
    np.testing.assert_allclose(read_image(out), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--block-shape", "y:512"], 2, "'y:512' is not like y=512,x=512"),
        (["--block-shape", "y=64,y=128"], 2, "'y=64,y=128' names an axis twice"),
        (["--block-shape", "q=64"], 1, "block_shape names an axis that the inputs do not have"),
        (["--block-shape", "y=65"], 1, "the model does not take blocks of this size"),
        (["--block-shape", "y=64", "--blocksize-parameter", "1"], 1, "expected one of them"),
        (["--memory-limit", "2 cups"], 1, "expected such as 2GB or 500MB, got 2 cups"),
        (["--memory-limit", "1KB"], 1, "more memory than it may"),
    ],
)
def test_blocks_that_make_no_sense_are_one_line(tmp_path, options, code, message):
    done = invoke("predict", *DEMO, "-o", tmp_path / "p.zarr", *options)

    assert done.exit_code == code
    assert message in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())


def test_code_of_a_model_runs_only_if_it_is_trusted(tmp_path):
    np.save(tmp_path / "image.npy", np.ones((1, 1, 8, 8), "float32"))
    folder = tmp_path / "model"
    folder.mkdir()
    code = folder / "step.py"
    code.write_text("def double():\n    return lambda x: x * 2\n", encoding="utf-8")
    digest = hashlib.sha256(code.read_bytes()).hexdigest()
    custom = {"id": "custom", "callable": "double", "source": "step.py", "sha256": digest}
    write(folder, image05(post=[custom]))
    args = ["predict", folder, tmp_path / "image.npy", "-o", tmp_path / "out.npy"]

    refused, done = invoke(*args), invoke(*args, "--trust-code")

    assert refused.exit_code == 1
    assert "pass trust_code=True (--trust-code)" in refused.stderr
    assert done.exit_code == 0, done.output
    assert (np.load(tmp_path / "out.npy") == 2).all()
