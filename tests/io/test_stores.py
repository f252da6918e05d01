"""Results on disk: what was written region by region is there, whole or not at all."""

import math
import random
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from memory import grown
from stored import stored
from strategies import arrays

from bioimageio_fn.arrays import DTYPES
from bioimageio_fn.axes import as_axes
from bioimageio_fn.errors import FileWriteError
from bioimageio_fn.io.chunks import ELEMENTS, chunk_shape
from bioimageio_fn.io.stores import created
from bioimageio_fn.spec import TensorSpec

EXACT = ["a.npy", "a.zarr", "a.h5", "a.HDF5", "b.h5/in/it"]
NAMES = [*EXACT, "a.tif", "a.ome.tif", "a.ome.zarr"]


def spec_of(array):
    return TensorSpec("bczyx"[-array.ndim :], array.shape, str(array.dtype))


@given(
    st.data(),
    st.sampled_from(EXACT),
    st.sampled_from(DTYPES),
    hnp.array_shapes(min_dims=1, max_dims=5, max_side=5),
)
def test_regions_in_any_order_make_what_numpy_holds(data, name, dtype, shape):
    expected = np.zeros(shape, dtype)
    with tempfile.TemporaryDirectory() as folder:
        with created(f"{folder}/{name}", spec_of(expected)) as target:
            assert (target.shape, target.dtype) == (shape, np.dtype(dtype))
            for _ in range(data.draw(st.integers(0, 3))):
                key = data.draw(regions(shape))
                values = data.draw(arrays([dtype], np.shape(expected[key]), layouts=["plain"]))
                target[key] = values
                expected[key] = values
                np.testing.assert_array_equal(target[key], expected[key])

        found = stored(f"{folder}/{name}")
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == dtype


TYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]


@settings(max_examples=40)
@given(
    st.data(),
    st.sampled_from(["a.tif", "a.ome.tif", "a.ome.zarr"]),
    st.sampled_from(TYPES),
    st.permutations("btczyx"),
)
def test_viewers_find_the_regions_in_their_order_of_axes(data, name, dtype, letters):
    axes = [a for a in letters if a in "yx" or data.draw(st.booleans())]
    shape = [1 if a == "b" else data.draw(st.integers(1, 20)) for a in axes]
    expected = np.zeros(shape, dtype)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("bioimageio_fn.io.ome_tiff._TILE", 16)
        patch.setattr("bioimageio_fn.io.ome_tiff._STRIP_BYTES", 50)
        path = f"{folder}/{name}"
        with created(path, TensorSpec("".join(axes), shape, dtype)) as target:
            for _ in range(data.draw(st.integers(0, 3))):
                key = data.draw(regions(shape))
                values = data.draw(hnp.arrays(dtype, np.shape(expected[key])))
                target[key] = values
                expected[key] = values
                np.testing.assert_array_equal(target[key], expected[key])
                assert target[key].dtype == dtype

        order = [a for a in "tczyx" if a in axes and (a in "yx" or shape[axes.index(a)] > 1)]
        dropped = [a for a in axes if a not in order]
        turned = expected.transpose([axes.index(a) for a in (*dropped, *order)])
        found = stored(path)
        np.testing.assert_array_equal(found, turned.reshape(found.shape))
        assert found.dtype == ("uint8" if dtype == "bool" else dtype)
        assert axes_in(path) == "".join(order)


def axes_in(path):
    if path.endswith(".zarr"):
        return "".join(zarr.open_array(f"{path}/0", mode="r").metadata.dimension_names)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        return file.series[0].axes.lower()


@st.composite
def regions(draw, shape):
    """Keys of indices and slices without steps; the last ones may be left out."""
    key = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        start, stop = sorted(draw(st.tuples(*[st.integers(0, size)] * 2)))
        key.append(draw(st.sampled_from([slice(start, stop), slice(-size, stop), slice(None)])))
        if start < size and draw(st.booleans()):
            key[-1] = start
    return tuple(key)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_that_are_shared_by_blocks_lose_nothing(tmp_path, name):
    expected = np.random.default_rng(0).random((2, 700, 1100)).astype("float32")
    with created(tmp_path / name, TensorSpec("cyx", expected.shape, "float32")) as target:
        starts = [
            (c, y, x) for c in (0, 1) for y in range(0, 700, 300) for x in range(0, 1100, 430)
        ]
        for c, y, x in random.Random(0).sample(starts, len(starts)):
            key = (slice(c, c + 1), slice(y, y + 300), slice(x, x + 430))
            target[key] = expected[key]

    np.testing.assert_array_equal(stored(tmp_path / name), expected)


def test_zarr_has_names_of_axes_and_is_packed_in_chunks(tmp_path):
    with created(tmp_path / "a.zarr", TensorSpec("bcyx", (1, 2, 1000, 300), "uint8")) as target:
        target[...] = 3
        assert target.chunks == (1, 1, 512, 300)

    array = zarr.open_array(tmp_path / "a.zarr", mode="r")
    assert array.metadata.zarr_format == 3
    assert array.metadata.dimension_names == ("batch", "channel", "y", "x")
    assert array.chunks == (1, 1, 512, 300)
    files = [file for file in (tmp_path / "a.zarr").rglob("*") if file.is_file()]
    assert len(files) == 1 + 2 * 2
    assert sum(file.stat().st_size for file in files) < 10_000


def test_hdf5_has_names_of_axes_and_is_packed_in_chunks(tmp_path):
    with created(tmp_path / "a.h5", TensorSpec("yx", (1000, 300), "uint8")) as target:
        target[...] = 3

    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file) == ["data"]
        assert [dimension.label for dimension in file["data"].dims] == ["y", "x"]
        assert (file["data"].chunks, file["data"].compression) == ((512, 300), "gzip")


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.OME.TIFF"])
def test_tiff_is_packed_in_tiles_or_for_imagej_in_strips(tmp_path, name):
    with created(tmp_path / name, TensorSpec("byx", (1, 600, 700), "uint8")) as target:
        target[...] = 3

    with tifffile.TiffFile(tmp_path / name) as file:
        page = file.pages[0]
        assert page.tile == (None if name == "a.tif" else (512, 512))
        assert page.rowsperstrip == (374 if name == "a.tif" else 0)
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert not file.is_bigtiff
    assert (tmp_path / name).stat().st_size < 9000


def test_a_tiff_is_a_big_one_where_offsets_would_not_reach(tmp_path, monkeypatch):
    monkeypatch.setattr("bioimageio_fn.io.ome_tiff._CLASSIC_BYTES", 1000)

    for name, size in (("small", 31), ("large", 32)):
        with created(tmp_path / f"{name}.tif", TensorSpec("yx", (size, 32), "uint8")) as target:
            target[...] = 3
        with tifffile.TiffFile(tmp_path / f"{name}.tif") as file:
            assert file.is_bigtiff == (name == "large")
        assert (stored(tmp_path / f"{name}.tif") == 3).all()


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.ome.zarr"])
def test_an_image_of_200_mb_is_written_in_a_few_mb(tmp_path, name):
    code = f"""
with created(folder / {name!r}, TensorSpec("zyx", (2, 10_000, 10_000), "uint8")) as target:
    for y in range(0, 10_000, 512):
        target[:, y : y + 512] = y // 512
image = open_image(folder / {name + "/0" * name.endswith(".zarr")!r})
assert image[1, 512:514, :3].tolist() == [[1] * 3] * 2
"""
    assert grown(code, tmp_path) < 60


@pytest.mark.parametrize("name", ["a.npy", "a.zarr", "a.h5", "a.tif"])
def test_an_image_on_disk_is_copied_in_parts(tmp_path, name):
    code = f"""
source = new_npy(folder / "source.npy", (6, 5000, 5000), "uint8")
(folder / "new").mkdir()
write_image(folder / "new" / {name!r}, Tensor(source, "zyx"))
"""
    assert grown(code, tmp_path) < 80


@given(st.lists(st.sampled_from("bctizyx"), unique=True), st.data())
def test_chunks_are_small_and_as_large_as_they_may_be(letters, data):
    axes = as_axes(letters)
    shape = [data.draw(st.integers(1, 10**6)) for _ in axes]

    chunk = chunk_shape(axes, shape)

    assert all(1 <= c <= size for c, size in zip(chunk, shape, strict=True))
    assert math.prod(chunk) <= ELEMENTS
    space = [i for i, axis in enumerate(axes) if axis in ("z", "y", "x")] or [len(axes) - 1]
    assert all(chunk[i] == 1 for i in range(len(axes)) if i not in space)
    cut = [i for i in space if axes and chunk[i] < shape[i]]
    assert not cut or math.prod(chunk) * 2 > ELEMENTS // 2


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, GeneratorExit, ConnectionError])
@pytest.mark.parametrize("before", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_result_leaves_what_stood_there(tmp_path, name, before, stop):
    old = np.arange(6, dtype="int16").reshape(2, 3)
    if before:
        with created(tmp_path / name, spec_of(old)) as target:
            target[...] = old
    there = sorted(tmp_path.rglob("*"))

    with (
        pytest.raises(stop),
        created(tmp_path / name, TensorSpec("yx", (900, 900), "float32")) as target,
    ):
        target[:, :700] = 1
        raise stop("in the middle")

    assert sorted(tmp_path.rglob("*")) == there
    if before:
        np.testing.assert_array_equal(stored(tmp_path / name), old)


@pytest.mark.parametrize("name", NAMES)
def test_a_result_replaces_what_stood_there_when_it_is_whole(tmp_path, name):
    for value in (1, 2):
        with created(tmp_path / name, TensorSpec("yx", (20 * value, 30), "uint8")) as target:
            target[...] = value
            assert (tmp_path / name.partition("/")[0]).exists() == (value == 2)

        np.testing.assert_array_equal(stored(tmp_path / name), np.full((20 * value, 30), value))
        assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", NAMES)
def test_processes_that_write_the_same_result_leave_one_of_them(tmp_path, name):
    code = """
import sys
from bioimageio_fn.io.stores import created
from bioimageio_fn.spec import TensorSpec
for _ in range(10):
    with created(sys.argv[1], TensorSpec("yx", (600, 600), "uint8")) as target:
        target[:300] = int(sys.argv[2])
        target[300:] = int(sys.argv[2])
"""
    path = tmp_path / name
    processes = [subprocess.Popen([sys.executable, "-c", code, path, n]) for n in "12"]

    assert [process.wait() for process in processes] == [0, 0]
    assert len(np.unique(stored(path))) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of file sizes")
@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_gets_full_is_an_error_and_leaves_nothing(tmp_path, name):
    code = """
import resource, sys
import numpy as np
from bioimageio_fn.errors import FileWriteError
from bioimageio_fn.io.stores import created
from bioimageio_fn.spec import TensorSpec
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with created(sys.argv[1], TensorSpec("yx", (1500, 1500), "float64")) as target:
        for y in range(0, 1500, 100):
            target[y : y + 100] = np.random.default_rng(y).random((100, 1500))
except FileWriteError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / name], capture_output=True, text=True, check=False
    )

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"can not write {tmp_path / name.partition('/')[0]}")
    assert result.stdout.endswith(": File too large\n")
    assert list(tmp_path.iterdir()) == []


def test_other_datasets_in_a_file_are_not_lost(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/mine"] = 1

    with (
        pytest.raises(FileWriteError, match=r"other datasets.*got group/mine; write to a new file"),
        created(tmp_path / "a.h5/data", TensorSpec("x", (3,), "uint8")),
    ):
        raise AssertionError("the block was run")
    with created(tmp_path / "a.h5/group/mine", TensorSpec("x", (3,), "uint8")) as target:
        target[1] = 1
    assert stored(tmp_path / "a.h5/group/mine").tolist() == [0, 1, 0]


def test_a_dataset_that_came_meanwhile_is_not_lost(tmp_path):
    with (
        pytest.raises(FileWriteError, match="other datasets, which would be lost: got mine"),
        created(tmp_path / "a.h5", TensorSpec("x", (3,), "uint8")),
        h5py.File(tmp_path / "a.h5", "w") as file,
    ):
        file["mine"] = 1

    assert stored(tmp_path / "a.h5/mine") == 1


def test_what_is_no_single_array_is_not_replaced(tmp_path):
    zarr.create_group(tmp_path / "group.zarr").create_array("a", shape=3, dtype="u1")
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "file.zarr").touch()
    (tmp_path / "text.h5").write_text("none", encoding="utf-8")

    for name in ["group.zarr", "folder.zarr", "file.zarr", "text.h5"]:
        with (
            pytest.raises(FileWriteError, match=f"{name} is in the way"),
            created(tmp_path / name, TensorSpec("x", (3,), "uint8")),
        ):
            raise AssertionError("the block was run")
        assert (tmp_path / name).exists()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    ("name", "spec", "reason"),
    [
        ("a.png", TensorSpec("yx", (3, 4), "uint8"), "can not be written region by region"),
        ("a.jpg", TensorSpec("yx", (3, 4), "uint8"), "can not write .*a.jpg: expected a file that"),
        ("a.zarr/b", TensorSpec("yx", (3, 4), "uint8"), "expected a path that ends in .zarr"),
        ("a.npy", TensorSpec("yx", (3, None), "uint8"), "not known how many.*'a.npy'.*'x': None"),
        ("a.h5", TensorSpec("yx", (3, 0), "uint8"), "there are no pixels"),
        (
            "a.tif",
            TensorSpec("bz", (1, 4), "uint8"),
            "TIFF holds images.*axes y and x, got batch, z",
        ),
        ("a.npy", TensorSpec("yx", (1 << 40, 1 << 20), "uint8"), "the disk has no space for"),
    ],
)
def test_what_can_not_be_written_is_refused_before_any_work(tmp_path, name, spec, reason):
    with pytest.raises(FileWriteError, match=reason), created(tmp_path / name, spec):
        raise AssertionError("the block was run")

    assert list(tmp_path.iterdir()) == []


def test_a_region_has_no_steps_and_lies_within(tmp_path):
    with created(tmp_path / "a.zarr", TensorSpec("yx", (3, 4), "uint8")) as target:
        with pytest.raises(IndexError, match="no steps"):
            target[::2] = 1
        with pytest.raises(IndexError):
            target[3] = 1
        with pytest.raises(ValueError, match="broadcast"):
            target[0] = [1, 2, 3]
        target[..., -1] = 300  # as NumPy casts an array

    assert stored(tmp_path / "a.zarr").sum() == 3 * 44
