"""Where results go, and what is never lost."""

import numpy as np
import pytest
import zarr
from commands import IMAGE, MODEL, document, image, invoke

import bioimageio_fn as fn
from bioimageio_fn.cli.images import Item
from bioimageio_fn.cli.results import results_in

TIFF, ZARR, ZIP = Item("a", "a.tif"), Item("a", "a.zarr"), Item("a", "a.ome.zarr.zip")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, "{sample_id}_{output_id}.ome.tif"),
        ("out/", "out/{sample_id}_{output_id}.ome.tif"),
        ("out", "out/{sample_id}_{output_id}.ome.tif"),
        ("out/x.png", "out/x.png"),
        ("out/{sample_id}", "out/{sample_id}.ome.tif"),
        ("out/{sample_id}.{output_id}", "out/{sample_id}.{output_id}.ome.tif"),
        ("out/{sample_id}/{output_id}.npy", "out/{sample_id}/{output_id}.npy"),
        ("out.h5/mask", "out.h5/mask"),
    ],
)
def test_an_output_is_a_folder_a_file_or_a_pattern(output, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert results_in(output, [TIFF]).of(TIFF) == expected


@pytest.mark.parametrize("item", [ZARR, ZIP], ids=["folder", "zip"])
@pytest.mark.parametrize("output", [None, "out", "{sample_id}"])
def test_results_of_zarr_are_zarr(item, output):
    assert results_in(output, [item]).of(item).endswith(".ome.zarr")


def test_a_zarr_that_is_there_is_a_file_and_no_folder(tmp_path):
    path = tmp_path / "out.zarr"
    zarr.create_array(path, shape=(2,), dtype="uint8")

    assert results_in(str(path), [TIFF]).of(TIFF) == str(path)


def test_nothing_is_written_where_no_output_is_asked_for_but_in_the_current_folder(
    tmp_path, monkeypatch
):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    path = image(there / "a.npy")
    monkeypatch.chdir(here)

    done = invoke("predict", MODEL, path)

    assert (done.exit_code, done.stdout) == (0, "a_probability.ome.tif\n")
    assert [p.name for p in here.iterdir()] == ["a_probability.ome.tif"]
    assert [p.name for p in there.iterdir()] == ["a.npy"]


def test_a_result_is_replaced_only_if_that_is_asked_for(tmp_path):
    first, second = image(tmp_path / "a.npy"), image(tmp_path / "b.npy")
    out = tmp_path / "out"
    (out / "b_probability.ome.tif").mkdir(parents=True)
    (out / "b_probability.ome.tif").rmdir()
    (out / "b_probability.ome.tif").write_bytes(b"mine")

    refused = invoke("predict", MODEL, first, second, "-o", out)
    files_then = sorted(p.name for p in out.iterdir())
    done = invoke("predict", MODEL, first, second, "-o", out, "--overwrite")

    assert refused.exit_code == 1
    assert "b_probability.ome.tif is there already" in refused.stderr
    assert "overwrite" in refused.stderr
    assert files_then == ["b_probability.ome.tif"]  # nothing ran
    assert done.exit_code == 0, done.stderr
    assert fn.read_image(out / "b_probability.ome.tif").shape[-2:] == (64, 72)


def test_results_of_an_earlier_run_into_the_same_folder_are_no_images(tmp_path):
    image(tmp_path / "a.npy")
    arguments = ("predict", MODEL, tmp_path, "-o", tmp_path / "{sample_id}_{output_id}.npy")

    first, again = invoke(*arguments), invoke(*arguments, "--overwrite")

    assert first.exit_code == again.exit_code == 0
    assert "left out: 1 of 2 images, which are results of the others" in again.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"a.npy", "a_probability.npy"}


def test_model_id_stands_for_the_name_of_the_model(tmp_path):
    said = document("predict", MODEL, IMAGE, "-o", tmp_path / "{model_id}" / "{output_id}.npy")

    (path,) = said["samples"][0]["outputs"].values()
    assert np.load(path).shape[-2:] == (300, 417)
    assert "{" not in path
