"""Scenarios of users, under the numbers of the list of demands that they stand in."""

import subprocess
import sys
import time

import numpy as np
import onnxruntime
import zarr
from commands import MODEL, document, image, invoke

import bioimageio_fn as fn


def test_a12_a_mistyped_model_is_answered_within_a_second_with_no_network(tmp_path, monkeypatch):
    path = image(tmp_path / "a.npy")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket", None)  # a request would be another error

    start = time.monotonic()
    done = invoke("predict", "./pkg", path)
    seconds = time.monotonic() - start

    assert done.exit_code == 1
    assert done.stderr == "error: no such file or folder: pkg\n"
    assert seconds < 1


def test_a12_a_word_that_is_no_id_is_answered_offline_without_a_request(tmp_path, monkeypatch):
    path = image(tmp_path / "a.npy")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket", None)

    done = invoke("predict", "pkg", path, "--offline")

    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert "pkg" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a18_zarr_in_and_no_output_named_is_zarr_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    array = zarr.create_array("cells.zarr", shape=(64, 72), dtype="uint16", chunks=(32, 32))
    array[...] = np.random.default_rng(0).integers(0, 1000, (64, 72))

    said = document("predict", MODEL, "cells.zarr")

    (path,) = said["samples"][0]["outputs"].values()
    assert path == "cells_probability.ome.zarr"
    group = zarr.open_group(path, mode="r")  # content and suffix agree
    assert group.attrs["ome"]["multiscales"]
    direct = fn.predict(model=MODEL, inputs=array[...])
    np.testing.assert_allclose(np.squeeze(fn.read_image(path)), np.squeeze(direct), atol=1e-5)


def test_a18_a_suffix_says_what_is_written_whatever_was_read(tmp_path):
    path = image(tmp_path / "a.npy")

    done = invoke("predict", MODEL, path, "-o", tmp_path / "x.zarr")

    assert done.exit_code == 0, done.stderr
    assert zarr.open_array(tmp_path / "x.zarr", mode="r").shape == (1, 1, 64, 72)


def test_a20_a_model_is_opened_once_for_a_folder_of_images(tmp_path, monkeypatch):
    for i in range(25):
        image(tmp_path / "data" / f"{i}.npy", seed=i)
    opened = []

    class Counted(onnxruntime.InferenceSession):
        def __init__(self, *args, **options):
            opened.append(args)
            super().__init__(*args, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Counted)

    said = document(
        *("predict", MODEL, tmp_path / "data", "-o", tmp_path / "out"),
        *("--weights-format", "onnx"),
    )

    assert (len(said["samples"]), said["failed"]) == (25, 0)
    assert len(list((tmp_path / "out").iterdir())) == 25
    assert len(opened) == 1


def test_the_installed_command_shows_help_for_every_command():
    names = ("predict", "info", "stats", "check-blocks", "package", "validate-format")
    for name in (*names, "version", "empty-cache"):
        assert f"Usage: cli {name}" in invoke(name, "--help").output


def test_shells_can_complete_commands():
    done = subprocess.run(
        [sys.executable, "-m", "bioimageio_fn"],
        capture_output=True,
        text=True,
        check=False,
        env={"_BIOIMAGEIO_FN_COMPLETE": "bash_source", "PATH": "/usr/bin:/bin"},
    )

    assert "_bioimageio_fn_completion" in done.stdout
