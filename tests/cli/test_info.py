"""The command `info`: what a model takes and gives, and what runs here."""

import importlib.util
import shutil
import subprocess
import sys

import pytest
from commands import MODEL, document, invoke
from descriptions import axis05, image05, model05, ref, sized, step, tensor05, write

from bioimageio_fn.cli.info import _bytes


def test_people_see_what_the_model_takes_and_gives():
    done = invoke("info", MODEL)

    assert done.exit_code == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "Nuclei in fluorescence images (demo)"
    for line in ("license:     MIT", "raw (uint16)", "channel: 1 (intensity)", "y: 64 + n*4"):
        assert line in lines
    assert "x: raw.x, halo 28" in lines
    assert "- Sigmoid()" in lines
    assert any(line.startswith("onnx (290.8 kB): runs here") for line in lines)


def test_programs_see_the_same():
    said = document("info", MODEL)

    assert (said["license"], said["format"][:3]) == ("MIT", "0.5")
    (raw,) = said["inputs"]
    assert [axis["size"] for axis in raw["axes"]] == ["any", "1", "64 + n*4", "64 + n*4"]
    assert [entry["format"] for entry in said["weights"]] == ["onnx", "torchscript"]
    assert all(entry["runs"] and entry["bytes"] > 1000 for entry in said["weights"])


def test_pixel_sizes_channels_and_optional_inputs_are_told(tmp_path):
    raw = tensor05(
        "raw",
        [axis05("b"), axis05("c", 2), axis05("x", sized(8, 4), unit="micrometer", scale=0.5)],
        steps=[step("binarize", threshold=3.0)],
    )
    mask = tensor05(
        "mask", [axis05("x", ref("raw", "x"), unit="micrometer", scale=0.5)], optional=True
    )
    out = tensor05(
        "out",
        [axis05("b"), axis05("c", 2), axis05("x", ref("raw", "x"), unit="micrometer", scale=0.5)],
    )
    path = write(tmp_path, model05([raw, mask], [out]))

    done = invoke("info", path)
    text = done.stdout

    assert done.exit_code == 0, done.stderr
    assert "x: 8 + n*4, pixels of 0.5 micrometer" in text
    assert "channel: 2 (channel0, channel1)" in text
    assert "mask (float32, optional)" in text
    assert "threshold=3.0" in text


def test_weights_that_do_not_run_say_why_and_what_to_do(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "bioimageio_fn.backends.formats.find_spec",
        lambda name: None if name == "onnxruntime" else find(name),
    )

    said = document("info", MODEL)

    first, second = said["weights"]
    assert (first["format"], first["runs"]) == ("torchscript", True)
    assert (second["format"], second["runs"]) == ("onnx", False)
    assert "pip install 'bioimageio_fn[onnx]'" in second["why_not"]
    assert (
        "does not run here: the package onnxruntime is not installed"
        in invoke("info", MODEL).stdout
    )


def test_weights_that_are_not_there_have_no_size(tmp_path):
    path = write(tmp_path, image05())
    (tmp_path / "weights.onnx").unlink()

    assert document("info", path)["weights"][0]["bytes"] is None
    assert _bytes(None) in invoke("info", path).stdout


def test_no_framework_is_imported():
    code = (
        "import sys; from bioimageio_fn.cli.main import cli\n"
        f"cli(['info', {MODEL!r}], standalone_mode=False)\n"
        "print([m for m in ('torch', 'onnxruntime', 'tensorflow') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["info", "validate-format", "check-blocks"])
def test_what_is_no_model_is_one_line(command, tmp_path):
    shutil.copy(f"{MODEL}/cover.png", tmp_path / "cover.png")

    done = invoke(command, tmp_path / "cover.png")

    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_weights_that_a_package_lacks_do_not_run(tmp_path):
    shutil.copytree(MODEL, tmp_path / "model")
    (tmp_path / "model" / "weights.onnx").unlink()

    lines = invoke("info", tmp_path / "model").stdout.splitlines()

    first, last = (line.strip() for line in lines[-2:])
    assert first == "torchscript (313.3 kB): runs here"
    assert last.endswith("does not run here: the package has no file weights.onnx")
