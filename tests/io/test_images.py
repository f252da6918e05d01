"""Images survive the round trip, and what a format can not hold is refused."""

import tempfile

import dask.array
import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from stored import stored
from strategies import tensors

from bioimageio_fn.errors import FileReadError, FileWriteError, MissingFileError
from bioimageio_fn.io.holding import check_holds, check_writable
from bioimageio_fn.io.images import read_image, write_image
from bioimageio_fn.spec import TensorSpec
from bioimageio_fn.tensor import Tensor

DTYPES = ["uint8", "int16", "uint16", "int32", "float32", "float64", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".ome.tif", ".ome.zarr", ".npy"])
def test_values_and_type_survive(tmp_path, suffix, dtype):
    array = np.arange(2 * 3 * 5).reshape(2, 3, 5).astype(dtype)

    path = write_image(tmp_path / f"a{suffix}", Tensor(array, "cyx"))

    back = read_image(path / "0" if suffix == ".ome.zarr" else path)
    assert back.dtype == ("uint8" if dtype == "bool" and suffix != ".npy" else dtype)
    np.testing.assert_array_equal(back, array)


@given(
    hnp.arrays(
        st.sampled_from(["uint8", "uint16", "float32"]), hnp.array_shapes(min_dims=2, max_dims=5)
    )
)
def test_npy_is_exact(array):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = write_image(f"{folder}/a.npy", Tensor(array, "bczyx"[-array.ndim :]))

        np.testing.assert_array_equal(np.load(path), array)


@given(
    tensors(max_dims=5, max_side=3), st.sampled_from(["a.npy", "a.zarr", "a.h5", "b.hdf5/in/it"])
)
def test_every_tensor_is_written_with_all_its_axes(tensor, name):
    with tempfile.TemporaryDirectory() as folder:
        path = write_image(f"{folder}/{name}", tensor)

        np.testing.assert_array_equal(stored(path), np.asarray(tensor))


@pytest.mark.parametrize("name", ["a.npy", "a.zarr", "a.h5"])
@pytest.mark.parametrize("source", ["zarr", "dask", "torch"])
def test_what_is_not_in_memory_is_written_part_by_part(tmp_path, monkeypatch, source, name):
    monkeypatch.setattr("bioimageio_fn.stats.walk.READ_ELEMENTS", 5000)
    array = np.random.default_rng(0).random((3, 90, 70)).astype("float32")
    given = {
        "zarr": lambda: zarr.create_array(tmp_path / "source.zarr", data=array, chunks=(1, 20, 70)),
        "dask": lambda: dask.array.from_array(array, chunks=(2, 33, 33)),
        "torch": lambda: torch.from_numpy(array),
    }[source]()

    path = write_image(tmp_path / name, Tensor(given, "cyx"))

    np.testing.assert_array_equal(stored(path), array)


def test_tiff_names_its_axes_and_drops_those_of_size_1(tmp_path):
    path = write_image(tmp_path / "a.tif", Tensor(np.ones((1, 2, 1, 4), "float32"), "bcyx"))

    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == "CYX"
        assert file.series[0].shape == (2, 1, 4)
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE


@pytest.mark.parametrize(
    ("array", "stored"),
    [
        (np.array([[0, 255]], "uint8"), [[0, 255]]),
        (np.array([[0, 65535]], "uint16"), [[0, 65535]]),
        (np.array([[False, True]]), [[0, 255]]),
        (np.array([[0.0, 0.5, 1.0]], "float32"), [[0, 128, 255]]),
    ],
    ids=["uint8", "uint16", "bool", "unit range"],
)
def test_png_holds_8_and_16_bits(tmp_path, array, stored):
    path = write_image(tmp_path / "a.png", Tensor(array[None, None], "bcyx"))

    assert imageio.imread(path).tolist() == stored
    assert read_image(path).tolist() == stored


def test_png_holds_colours_last(tmp_path):
    array = np.arange(3 * 2 * 4, dtype="uint8").reshape(3, 2, 4)

    path = write_image(tmp_path / "a.png", Tensor(array, "cyx"))

    np.testing.assert_array_equal(read_image(path), np.moveaxis(array, 0, -1))


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (Tensor(np.zeros((3, 4, 5), "uint8"), "zyx"), "2D image"),
        (Tensor(np.zeros((2, 4, 5), "uint8"), "cyx"), "1, 3 or 4 channels"),
        (Tensor(np.zeros((4, 5), "int32"), "yx"), "bool, uint8, uint16"),
        (Tensor(np.full((4, 5), 1.5, "float32"), "yx"), "floats within 0 and 1"),
    ],
    ids=["3D", "2 channels", "int32", "beyond 1"],
)
def test_what_png_can_not_hold_is_refused_and_nothing_is_written(tmp_path, tensor, reason):
    with pytest.raises(FileWriteError, match=reason) as caught:
        write_image(tmp_path / "a.png", tensor)

    assert "write a .tif or .npy file" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.jpg", "a.zip", "a"])
def test_other_suffixes_are_refused_before_any_work(name):
    with pytest.raises(FileWriteError, match=r"ends in \.tif, \.tiff, \.png, \.npy, \.zarr, \.h5"):
        check_writable(name)


def test_floats_of_unknown_range_are_refused_as_png_before_any_work():
    spec = TensorSpec("yx", (None, None), "float32")
    with pytest.raises(FileWriteError, match="PNG can not hold"):
        check_holds("a.png", spec)
    check_holds("a.png", spec, unit_range=True)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"gone\.tif"):
        read_image(tmp_path / "gone.tif")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".npy"])
@pytest.mark.parametrize("content", [b"", b"no image at all", b"II*\0\x08\0\0\0"])
def test_a_damaged_image_is_an_error_that_names_it(tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)

    with pytest.raises(FileReadError, match=f"bad{suffix}") as caught:
        read_image(path)

    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".npy"])
def test_a_truncated_image_is_an_error(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), "uint8")
    path = write_image(tmp_path / f"a{suffix}", Tensor(pixels, "yx"))
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(FileReadError):
        read_image(path)


def test_a_pickle_in_an_npy_file_is_not_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)

    with pytest.raises(FileReadError, match="can not read"):
        read_image(tmp_path / "a.npy")


def test_an_unknown_suffix_is_an_error(tmp_path):
    (tmp_path / "a.xyz").touch()

    with pytest.raises(FileReadError, match=r"\.tif, \.tiff, \.png, \.npy"):
        read_image(tmp_path / "a.xyz")
