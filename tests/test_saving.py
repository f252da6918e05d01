"""Predictions on disk: calibrated, in every format, in one block or many, and safe."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import zarr
from descriptions import build, image05
from stored import stored

import bioimageio_fn as fn
from bioimageio_fn.calibration import Calibration, PixelSize
from bioimageio_fn.errors import FileWriteError
from bioimageio_fn.io.attributes import calibration_of
from bioimageio_fn.io.images import write_image
from bioimageio_fn.saving import is_labels

PIXELS = np.random.default_rng(0).random((96, 80)).astype("float32")
SIZES = {"y": PixelSize(0.1, "micrometer"), "x": PixelSize(0.2, "micrometer")}
IMAGE = fn.Tensor(PIXELS, "yx", Calibration(SIZES))
NAMES = ["a.npy", "a.zarr", "a.h5", "a.tif", "a.ome.tif", "a.ome.zarr"]


def pipeline_of(net=lambda x: (x + 1,), **fields):
    return fn.create_prediction_pipeline(build(image05(**fields)), backend=net)


def scale_of(path):
    """Extents of a pixel along y and x in micrometers, as its own library finds them in a file."""
    if path.name.endswith(".ome.zarr"):
        (scales,) = zarr.open_group(path, mode="r").attrs["ome"]["multiscales"]
        return scales["datasets"][0]["coordinateTransformations"][0]["scale"]
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        return [pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]]
    sizes = calibration_of(zarr.open_array(path).attrs["calibration"]).pixel_sizes
    return [sizes["y"].value, sizes["x"].value]


@pytest.mark.parametrize("blocks", [{}, {"y": 32, "x": 32}], ids=["one block", "many"])
@pytest.mark.parametrize("name", ["a.zarr", "a.tif", "a.ome.tif", "a.ome.zarr"])
def test_outputs_on_disk_are_calibrated_as_their_image(tmp_path, name, blocks):
    result = fn.predict(
        model=pipeline_of(),
        inputs=IMAGE,
        save_output_path=tmp_path / name,
        input_block_shape=blocks,
    )

    np.testing.assert_array_equal(np.squeeze(stored(tmp_path / name)), PIXELS + 1)
    np.testing.assert_array_equal(np.asarray(result)[0, 0], PIXELS + 1)
    assert scale_of(tmp_path / name) == [0.1, 0.2]
    assert result["out"].calibration.pixel_sizes == SIZES


@pytest.mark.parametrize("blocks", [{}, {"y": 32, "x": 32}], ids=["one block", "many"])
@pytest.mark.parametrize("values", [[0, 1], None], ids=["classes", "numbers"])
def test_outputs_described_one_by_one_are_labels(tmp_path, values, blocks):
    model = image05(out_dtype="uint8")
    model["outputs"][0]["data"] = (
        {"type": "uint8", "values": values} if values else {"type": "uint8"}
    )
    pipeline = fn.create_prediction_pipeline(
        build(model), backend=lambda x: ((x > 0.5).astype("uint8"),)
    )

    fn.predict(
        model=pipeline,
        inputs=IMAGE,
        save_output_path=tmp_path / "a.ome.zarr",
        input_block_shape=blocks,
    )

    ome = zarr.open_group(tmp_path / "a.ome.zarr", mode="r").attrs["ome"]
    assert ("image-label" in ome) == (values is not None)
    assert is_labels(pipeline.contract.outputs[0]) == (True if values else None)


def test_a_name_with_spaces_and_letters_of_all_kinds_is_kept(tmp_path):
    folder = tmp_path / "Bilder vom 3. März ☀"
    for name in NAMES:
        path = write_image(folder / f"Zelle №1 (β) {{x}} {name}", IMAGE)
        np.testing.assert_array_equal(stored(path), PIXELS)
    assert len(list(folder.iterdir())) == len(NAMES)


# ---------------------------------------------------------------- when nothing can be written


@pytest.mark.parametrize("name", [*NAMES, "a.png"])
def test_a_file_in_the_way_of_a_folder_is_told_before_the_network_runs(tmp_path, name):
    (tmp_path / "taken").write_text("mine")

    def never(*_):
        raise AssertionError("the network was run")

    with pytest.raises(FileWriteError, match="taken"):
        fn.predict(
            model=pipeline_of(never, out_dtype="uint8"),
            inputs=IMAGE,
            save_output_path=tmp_path / "taken" / name,
        )

    assert (tmp_path / "taken").read_text() == "mine"


def mounted(place, *options):
    """Mount a small disk, or skip."""
    place.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", *options, "tmpfs", place], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk of our own: only root may mount one ({error})")
    return place


@pytest.fixture
def full_disk(tmp_path):
    """A disk of one megabyte, which is taken away at the end."""
    place = mounted(tmp_path / "disk", "-o", "size=1m")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts as Linux does")
@pytest.mark.parametrize("replaced", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize("name", [*NAMES, "a.png"])
def test_a_full_disk_is_an_error_and_leaves_what_stood_there(full_disk, name, replaced):
    path = full_disk / name
    small = fn.Tensor(np.full((4, 5), 3, "uint8"), "yx")
    if replaced:
        write_image(path, small)
    before = sorted(full_disk.rglob("*"))
    noise = np.random.default_rng(0).integers(0, 255, (2000, 1500), "uint8")

    with pytest.raises(FileWriteError, match="no space|No space|File too large") as caught:
        write_image(path, fn.Tensor(noise, "yx"))

    assert name in str(caught.value) or str(full_disk) in str(caught.value)
    assert sorted(full_disk.rglob("*")) == before
    if replaced:
        found = fn.read_image(path) if name == "a.png" else stored(path)
        np.testing.assert_array_equal(found, small)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts as Linux does")
@pytest.mark.parametrize("blocks", [{}, {"y": 256, "x": 256}], ids=["one block", "many"])
def test_a_prediction_that_fills_the_disk_leaves_nothing(full_disk, blocks):
    noise = np.random.default_rng(0).random((900, 900)).astype("float32")

    with pytest.raises(FileWriteError, match="space"):
        fn.predict(
            model=pipeline_of(),
            inputs=noise,
            save_output_path=full_disk / "{output_id}.ome.zarr",
            input_block_shape=blocks,
        )

    assert list(full_disk.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="mounts as Linux does")
@pytest.mark.parametrize("name", [*NAMES, "a.png"])
def test_a_disk_that_is_read_only_is_told_before_the_network_runs(tmp_path, name):
    place = mounted(tmp_path / "disk", "-o", "ro")

    def never(*_):
        raise AssertionError("the network was run")

    try:
        with pytest.raises(FileWriteError, match="can not write .*a folder that can be written to"):
            fn.predict(
                model=pipeline_of(never, out_dtype="uint8"),
                inputs=IMAGE,
                save_output_path=place / name,
            )
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="no rights of folders")
def test_a_folder_without_permission_is_told_before_the_network_runs(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("root may write everywhere")

    with pytest.raises(FileWriteError, match="can not write .*a folder that can be written to"):
        write_image(folder / "a.ome.tif", IMAGE)

    assert list(folder.iterdir()) == []
