"""What other programs say of their images is read: axes, pixel sizes, names of channels."""

import pickle
import struct
import tempfile
import zlib
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import written
from hypothesis import given, settings
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.axes import as_axes
from bioimageio_fn.calibration import UNKNOWN, Calibration, PixelSize
from bioimageio_fn.errors import AxesError, FileReadError, MissingFileError
from bioimageio_fn.io.images import open_image
from bioimageio_fn.io.labelled import open_labelled, open_tensor

SIZES = {"t": 2.5, "z": 0.5, "y": 0.25, "x": 0.125}
CHANNELS = ("DAPI", "405")
SPACE = "zyx"

ANY_ORDER = {
    written.shaped_tiff: "yx",
    written.hdf5_labels: SPACE,
    written.zarr2: "",
    written.zarr3: "",
}
"""Formats that hold axes in any order, and along which of them pixel sizes."""
MATRIX = [
    *((written.ome_tiff, axes) for axes in ("yx", "cyx", "tyx", "zcyx", "tczyx", "ctyx")),
    *((written.imagej_tiff, axes) for axes in ("yx", "cyx", "zyx", "tzcyx", "tcyx")),
    *((written.hdf5_axistags, axes) for axes in ("yx", "yxc", "zyxc", "tzyxc")),
    *((written.ome_zarr_0_4, axes) for axes in ("yx", "cyx", "tczyx")),
    *((written.ome_zarr_0_5, axes) for axes in ("yx", "zyx", "czyx", "tczyx")),
    *((written.ome_zarr_zip, axes) for axes in ("cyx",)),
    *((written.bioio_tiff, axes) for axes in ("yx", "zyx", "tczyx")),
    *((written.bioio_zarr, axes) for axes in ("cyx", "tczyx")),
]


def sizes_of(axes):
    return {axis: SIZES[axis] for axis in axes if axis in SIZES}


def known_sizes(calibration, unit=None):
    """Pixel sizes by letter: micrometers, and seconds."""
    found = {axis[0]: size for axis, size in calibration.pixel_sizes.items()}
    for axis, size in found.items():
        assert size.unit == (unit or {"t": "second"}.get(axis, "micrometer"))
    return {axis: size.value for axis, size in found.items()}


@pytest.mark.parametrize(
    ("write", "axes"), MATRIX, ids=[f"{write.__name__}-{axes}" for write, axes in MATRIX]
)
def test_what_a_program_says_of_its_image_is_read(tmp_path, write, axes):
    array, channels = written.pixels(axes), CHANNELS if "c" in axes else ()
    path = write(tmp_path, array, axes, sizes_of(axes), channels)

    tensor = open_tensor(path)

    np.testing.assert_array_equal(tensor, array)
    assert tensor.axes == as_axes(axes)
    tags = write is written.hdf5_axistags
    sizes = tensor.calibration.pixel_sizes
    if tags:
        assert {a: (s.value, s.unit) for a, s in sizes.items()} == {
            as_axes(a)[0]: (s, None) for a, s in sizes_of(axes).items()
        }
    else:
        expected = sizes_of(axes.replace("t", "") if write is written.bioio_tiff else axes)
        assert known_sizes(tensor.calibration) == pytest.approx(expected)
    assert tensor.calibration.channel_names == (() if tags else channels)


@pytest.mark.parametrize("write", ANY_ORDER)
@settings(max_examples=20)
@given(data=st.data())
def test_any_order_of_axes_is_read_as_it_was_written(write, data):
    others = data.draw(st.sets(st.sampled_from("tcz")))
    axes = "".join(data.draw(st.permutations([*others, "y", "x"])))
    array = written.pixels(axes)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), array, axes, sizes_of(axes), ())

        tensor = open_tensor(path)

        assert tensor.axes == as_axes(axes)
        np.testing.assert_array_equal(tensor, array)
        sizes = {axis: SIZES[axis] for axis in axes if axis in ANY_ORDER[write]}
        assert known_sizes(tensor.calibration) == pytest.approx(sizes)


OWN = ["a.ome.tif", "a.tif", "a.ome.zarr", "a.zarr", "a.h5", "b.hdf5/in/it"]
SECONDS_AND_MICROMETERS = {
    as_axes(axis)[0]: PixelSize(size, "second" if axis == "t" else "micrometer")
    for axis, size in SIZES.items()
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("axes", ["yx", "cyx", "zyx", "tczyx"])
def test_what_this_package_writes_comes_back(tmp_path, name, axes):
    sizes = {a: size for a, size in SECONDS_AND_MICROMETERS.items() if a in as_axes(axes)}
    calibration = Calibration(sizes, CHANNELS if "c" in axes else ())
    tensor = fn.Tensor(written.pixels(axes), axes, calibration)

    fn.write_image(tmp_path / name, tensor)

    assert open_tensor(tmp_path / name) == tensor


@settings(max_examples=30)
@given(data=st.data())
def test_any_tensor_comes_back_in_any_order_of_axes(data):
    others = data.draw(st.sets(st.sampled_from("tczb")))
    axes = "".join(data.draw(st.permutations([*others, "y", "x"])))
    size = st.builds(PixelSize, st.floats(1e-3, 1e3), st.sampled_from([None, "nanometer", "hour"]))
    sizes = data.draw(st.dictionaries(st.sampled_from("tzyx"), size))
    tensor = fn.Tensor(written.pixels(axes), axes, Calibration(sizes))
    with tempfile.TemporaryDirectory() as folder:
        path = fn.write_image(f"{folder}/{data.draw(st.sampled_from(['a.zarr', 'a.h5']))}", tensor)

        assert open_tensor(path) == tensor


LAZY = [written.hdf5_labels, written.zarr2, written.zarr3, written.ome_zarr_0_5]
LAZY += [written.ome_tiff, written.shaped_tiff, written.ome_zarr_zip]


@pytest.mark.parametrize("write", LAZY)
def test_a_tensor_is_read_where_it_is_sliced_and_goes_to_other_processes(
    tmp_path, monkeypatch, write
):
    monkeypatch.setattr("bioimageio_fn.io.tiff.READ_ELEMENTS", 0)  # nothing is small
    array = written.pixels("zyx")
    tensor = open_tensor(write(tmp_path, array, "zyx", sizes_of("zyx"), ()))

    again = pickle.loads(pickle.dumps(tensor))

    assert not isinstance(tensor.data, np.ndarray)
    np.testing.assert_array_equal(tensor.data[1, 2:5, 7], array[1, 2:5, 7])
    np.testing.assert_array_equal(again, array)
    assert (again.axes, again.calibration) == (tensor.axes, tensor.calibration)


def test_axes_that_are_given_take_the_place_of_those_of_the_file(tmp_path):
    array = written.pixels("zyx")
    path = written.ome_tiff(tmp_path, array, "zyx", SIZES, ())

    tensor = fn.open_tensor(path, axes="tyx")

    assert tensor.axes == ("time", "y", "x")
    assert known_sizes(tensor.calibration) == SIZES
    with pytest.raises(AxesError, match=r"axes of .*a\.ome\.tif: expected 3 axes .*, got 2"):
        open_tensor(path, "yx")
    with pytest.raises(AxesError, match="named twice"):
        open_tensor(path, "zyy")


def test_a_file_that_names_no_axes_gives_no_tensor_unless_they_are_given(tmp_path):
    np.save(tmp_path / "a.npy", written.pixels("zyx"))

    image = open_labelled(tmp_path / "a.npy")

    assert (image.axes, image.calibration) == (None, UNKNOWN)
    with pytest.raises(
        AxesError, match=r"a\.npy does not name its axes.*shape \(4, 20, 24\); give"
    ):
        open_tensor(tmp_path / "a.npy")
    assert open_tensor(tmp_path / "a.npy", axes="zyx").sizes == {"z": 4, "y": 20, "x": 24}


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((20, 24), ("y", "x")), ((20, 24, 3), ("y", "x", "channel"))],
    ids=["grey", "colours"],
)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_pictures_have_their_colours_last(tmp_path, suffix, shape, axes):
    array = np.random.default_rng(0).integers(0, 255, shape, "uint8")
    imageio.imwrite(tmp_path / f"a{suffix}", array, extension=suffix.lower())

    tensor = open_tensor(tmp_path / f"a{suffix}")

    assert (tensor.axes, tensor.shape) == (axes, shape)
    np.testing.assert_array_equal(tensor, imageio.imread(tmp_path / f"a{suffix}"))


def test_pictures_that_move_are_several(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (3, 20, 24), "uint8")
    imageio.imwrite(tmp_path / "a.png", frames, is_batch=True)

    with pytest.raises(FileReadError, match=r"a\.png holds several pictures"):
        open_image(tmp_path / "a.png")


def test_a_picture_that_is_too_large_is_told_with_what_holds_it(tmp_path):
    imageio.imwrite(tmp_path / "a.png", np.zeros((2, 2), "uint8"))
    content = (tmp_path / "a.png").read_bytes()
    header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + content[24:29]
    checked = header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "a.png").write_bytes(content[:12] + checked + content[33:])

    with pytest.raises(FileReadError, match=r"a\.png has more pixels.*400000000.*\.tif"):
        open_image(tmp_path / "a.png")


def test_an_npz_file_holds_one_array_or_the_path_says_which(tmp_path):
    np.savez(tmp_path / "one.npz", raw=np.arange(6).reshape(2, 3))
    np.savez_compressed(tmp_path / "two.npz", **{"raw": np.ones(2), "in/it": np.zeros(3)})
    np.savez(tmp_path / "none.npz")
    np.savez(tmp_path / "objects.npz", raw=np.array([{}], object))
    np.save(tmp_path / "a.npy", np.ones(2))
    (tmp_path / "a.npy").rename(tmp_path / "not.npz")

    assert open_image(tmp_path / "one.npz").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert open_image(tmp_path / "one.npz/raw").shape == (2, 3)
    assert open_image(tmp_path / "two.npz/in/it").shape == (3,)
    reasons = {
        "two.npz": r"two\.npz holds several arrays: .*such as .*two\.npz/raw, got raw, in/it",
        "none.npz": r"there is no array in .*none\.npz",
        "objects.npz": r"can not read .*objects\.npz as NPZ",
        "not.npz": r"not\.npz is an NPY file; rename it",
    }
    for name, reason in reasons.items():
        with pytest.raises(FileReadError, match=reason):
            open_image(tmp_path / name)
    with pytest.raises(MissingFileError, match=r"no array gone in .*two\.npz; it holds raw, in/it"):
        open_image(tmp_path / "two.npz/gone")


BROKEN = [".npz", ".jpg", ".png", ".tif", ".npy", ".zip", ".h5"]


@pytest.mark.parametrize("suffix", BROKEN)
@pytest.mark.parametrize("content", ["", "no image at all"])
def test_what_is_no_image_is_an_error_that_names_the_file(tmp_path, suffix, content):
    path = tmp_path / f"an image µ{suffix}"
    path.write_text(content)

    with pytest.raises(FileReadError, match=f"an image µ{suffix}"):
        open_tensor(path)


@pytest.mark.parametrize("suffix", BROKEN)
def test_an_image_of_another_format_than_its_name_says_is_an_error(tmp_path, suffix):
    path = tmp_path / f"wrong{suffix}"
    with path.open("wb") as file:
        if suffix == ".tif":
            np.save(file, written.pixels("yx"))
        else:
            tifffile.imwrite(file, written.pixels("yx"))

    with pytest.raises(FileReadError, match=rf"{path.name}.* is it damaged, or of another format"):
        open_tensor(path)
