"""Formats that bioio reads: `.ozx`, a zipped OME-Zarr, stands for those of all its plugins."""

import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import written

from bioimageio_fn.errors import FileReadError
from bioimageio_fn.io.labelled import open_labelled, open_tensor

SIZES = {"t": 2.5, "z": 0.5, "y": 0.25, "x": 0.125}


def ozx(folder, array, axes, channels=()):
    path = written.ome_zarr(folder / "a.zarr", array, axes, SIZES, channels)
    shutil.make_archive(folder / "a", "zip", path)
    return (folder / "a.zip").rename(folder / "a.ozx")


@pytest.mark.parametrize(
    ("axes", "channels"), [("tczyx", ("DAPI", "GFP")), ("yx", ()), ("zyx", ())]
)
def test_an_image_is_read_with_what_the_plugin_says_of_it(tmp_path, axes, channels):
    array = written.pixels(axes)
    path = ozx(tmp_path, array, axes, channels)

    tensor = open_tensor(path)

    np.testing.assert_array_equal(tensor, array)
    np.testing.assert_array_equal(tensor.data[..., 3:5, 7], array[..., 3:5, 7])
    native = open_tensor(tmp_path / "a.zarr")
    assert tensor.axes == native.axes
    assert tensor.calibration == native.calibration


def test_an_image_is_read_by_other_processes_too(tmp_path):
    array = written.pixels("zyx")
    tensor = open_tensor(ozx(tmp_path, array, "zyx"))

    again = pickle.loads(pickle.dumps(tensor))

    assert type(again.data) is type(tensor.data)
    assert again.data.chunks == tensor.data.chunks
    np.testing.assert_array_equal(again, array)


def test_axes_of_size_1_are_dropped(tmp_path):
    array = written.pixels("tczyx")[:1, :, :1]

    assert open_tensor(ozx(tmp_path, array, "tczyx")).axes == ("channel", "y", "x")


@pytest.mark.parametrize("name", ["a.xyz", "a.czi", "no suffix", "folder"])
def test_where_no_plugin_reads_it_the_error_says_how_to_get_one(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_bytes(b"no image")

    with pytest.raises(FileReadError, match=rf"{name}.*no plugin .*bioio.*bioio-czi"):
        open_labelled(path)


def test_a_damaged_image_is_an_error_that_names_it(tmp_path):
    (tmp_path / "a.ozx").write_bytes(b"PK\3\4")

    with pytest.raises(FileReadError, match=r"a\.ozx"):
        open_labelled(tmp_path / "a.ozx")


def test_without_bioio_the_error_says_what_to_install(tmp_path):
    code = """
import sys
sys.modules["bioio"] = None
from bioimageio_fn.errors import FileReadError
from bioimageio_fn.io.images import open_image
try:
    open_image(sys.argv[1])
except FileReadError as error:
    print(error)
"""
    (tmp_path / "a.czi").touch()
    run = [sys.executable, "-c", code, tmp_path / "a.czi"]
    result = subprocess.run(run, capture_output=True, text=True, check=True)

    assert "expected a file that ends in .tif" in result.stdout
    assert "pip install 'bioimageio_fn[bioio]'" in result.stdout
