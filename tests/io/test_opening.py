"""Images are read where they are asked for, and what is no image is an error."""

import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bioimageio_fn.arrays import DTYPES
from bioimageio_fn.errors import FileReadError, MissingFileError
from bioimageio_fn.io.images import open_image, read_image
from bioimageio_fn.io.mapped import MappedFile
from bioimageio_fn.io.sources import StoredArray
from bioimageio_fn.stats.walk import reads
from bioimageio_fn.tensor import Tensor, slice_axes, transpose


def npy(folder, array):
    np.save(folder / "a.npy", array)
    return folder / "a.npy"


def fortran(folder, array):
    np.save(folder / "f.npy", np.asfortranarray(array))
    return folder / "f.npy"


def tiff(folder, array):
    tifffile.imwrite(folder / "a.tif", array, photometric="minisblack")
    return folder / "a.tif"


def big_endian_tiff(folder, array):
    tifffile.imwrite(folder / "b.tiff", array, photometric="minisblack", byteorder=">")
    return folder / "b.tiff"


def tiled_tiff(folder, array):
    options = {"photometric": "minisblack", "compression": "zlib", "tile": (16, 16)}
    tifffile.imwrite(folder / "t.tif", array, **options)
    return folder / "t.tif"


def separate_pages(folder, array):
    with tifffile.TiffWriter(folder / "p.tif") as file:
        for page in array.reshape(-1, *array.shape[-2:]):
            file.write(page, photometric="minisblack", metadata=None, compression="zlib")
    return folder / "p.tif"


def hdf5(folder, array):
    with h5py.File(folder / "a.h5", "w") as file:
        chunks = tuple(min(20, s) for s in array.shape)
        file.create_dataset("raw", data=array, chunks=chunks, compression="gzip")
    return folder / "a.h5"


def zarr2(folder, array):
    chunks = tuple(min(20, s) for s in array.shape)
    zarr.create_array(folder / "2.zarr", data=array, chunks=chunks, zarr_format=2)
    return folder / "2.zarr"


def zarr3(folder, array):
    chunks = tuple(min(20, s) for s in array.shape)
    zarr.create_group(folder / "3.zarr").create_array("in/it", data=array, chunks=chunks)
    return folder / "3.zarr"


def zipped(folder, array):
    shutil.make_archive(folder / "a.zarr", "zip", zarr3(folder, array))
    return folder / "a.zarr.zip"


FORMATS = [npy, fortran, tiff, big_endian_tiff, tiled_tiff, separate_pages, hdf5]
FORMATS += [zarr2, zarr3, zipped]
MAPPED = (npy, fortran, tiff, big_endian_tiff)


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    """Packed TIFF files that are small are read at once; here none is small."""
    monkeypatch.setattr("bioimageio_fn.io.tiff.READ_ELEMENTS", 0)


@pytest.mark.parametrize("make", FORMATS)
@settings(max_examples=25)
@given(data=st.data())
def test_any_region_of_any_format_is_that_of_numpy(make, data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=40))
    array = np.arange(math.prod(shape)).reshape(shape) % 120
    array = array.astype(data.draw(st.sampled_from(DTYPES)))
    with tempfile.TemporaryDirectory() as folder:
        path = make(Path(folder), array)
        expected = tifffile.imread(path) if "tif" in path.suffix else array
        image = open_image(path)

        key = data.draw(regions(expected.shape))
        np.testing.assert_array_equal(image[key], expected[key])
        np.testing.assert_array_equal(read_image(path), expected)
        assert (image.shape, image.dtype.name) == (expected.shape, expected.dtype.name)


@st.composite
def regions(draw, shape):
    """Keys of indices and of slices with steps of 1 and more."""
    forward = [st.slices(size).filter(lambda key: (key.step or 1) > 0) for size in shape]
    indices = [st.integers(-size, size - 1) for size in shape]
    return tuple(draw(a | b) for a, b in zip(forward, indices, strict=True))


IMAGE = np.arange(3 * 100 * 90, dtype="uint16").reshape(3, 100, 90)


@pytest.mark.parametrize("make", FORMATS)
def test_an_image_is_not_read_before_it_is_sliced(tmp_path, make):
    path = make(tmp_path, IMAGE)

    image = open_image(path)

    assert isinstance(image, MappedFile if make in MAPPED else StoredArray)
    assert isinstance(image[0, :5], np.ndarray)
    assert isinstance(read_image(path), np.ndarray)


@pytest.mark.parametrize("make", FORMATS)
def test_an_image_is_read_by_another_process_too(tmp_path, make):
    image = open_image(make(tmp_path, IMAGE))

    again = pickle.loads(pickle.dumps(Tensor(image, "cyx")))

    assert type(again.data) is type(image)
    np.testing.assert_array_equal(again, IMAGE)


@pytest.mark.parametrize("make", FORMATS)
def test_a_lazy_image_is_the_data_of_a_tensor(tmp_path, make):
    tensor = Tensor(open_image(make(tmp_path, IMAGE)), "cyx")

    part = slice_axes(transpose(tensor, "yxc"), {"y": (20, 50), "channel": (1, 3)})

    np.testing.assert_array_equal(part, IMAGE.transpose(1, 2, 0)[20:50, :, 1:])
    for key, values in reads(tensor.data):
        np.testing.assert_array_equal(values, IMAGE[key])


@pytest.mark.parametrize("make", [tiled_tiff, zipped])
def test_a_fork_reads_by_itself(tmp_path, make):
    image = open_image(make(tmp_path, IMAGE))
    child = os.fork()
    if child == 0:
        same = all((image[i % 3] == IMAGE[i % 3]).all() for i in range(30))
        os._exit(0 if same else 1)

    assert all((image[i % 3] == IMAGE[i % 3]).all() for i in range(30))
    assert os.waitpid(child, 0)[1] == 0


def test_chunks_are_told(tmp_path):
    assert open_image(tiled_tiff(tmp_path, IMAGE)).chunks == (1, 16, 16)
    assert open_image(separate_pages(tmp_path, IMAGE)).chunks == (1, 100, 90)
    assert open_image(hdf5(tmp_path, IMAGE)).chunks == (3, 20, 20)
    assert open_image(zarr2(tmp_path, IMAGE)).chunks == (3, 20, 20)


@pytest.mark.parametrize("make", [zarr2, zarr3])
def test_a_slice_reads_only_its_chunks(tmp_path, make):
    path = make(tmp_path, IMAGE)
    image = open_image(path)
    chunks = [p for p in path.rglob("*") if p.is_file() and p.name[0] not in ".z"]
    assert len(chunks) == 25

    kept = [p for p in chunks if p.as_posix().endswith(("0/1/2", "0.1.2"))]
    for chunk in set(chunks) - set(kept):
        chunk.write_bytes(b"damaged")

    assert len(kept) == 1
    np.testing.assert_array_equal(image[:, 20:40, 45:60], IMAGE[:, 20:40, 45:60])
    with pytest.raises(FileReadError, match=rf"can not read .*{path.name} as ZARR"):
        image[:, 20:41, 45:60]


def test_a_slice_of_a_tiff_reads_only_its_tiles(tmp_path):
    path = tiled_tiff(tmp_path, IMAGE)
    with tifffile.TiffFile(path) as file:
        offsets = file.pages[1].dataoffsets
    with path.open("r+b") as file:
        file.seek(offsets[0])
        file.write(b"damaged")

    image = open_image(path)

    np.testing.assert_array_equal(image[1, 16:, :], IMAGE[1, 16:, :])
    with pytest.raises(FileReadError, match=r"can not read .*t\.tif as TIF"):
        image[1, :17, :]


def test_a_slice_of_hdf5_reads_only_its_chunks(tmp_path):
    path = hdf5(tmp_path, IMAGE)
    with h5py.File(path) as file:
        chunk = file["raw"].id.get_chunk_info_by_coord((0, 20, 40))
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"damaged")

    image = open_image(path)

    np.testing.assert_array_equal(image[:, :20], IMAGE[:, :20])
    np.testing.assert_array_equal(image[:, 20:40, :40], IMAGE[:, 20:40, :40])
    with pytest.raises(FileReadError, match=r"can not read .*a\.h5 as H5"):
        image[:, 20:40, :41]


def test_hdf5_is_not_locked_between_accesses(tmp_path):
    image = open_image(hdf5(tmp_path, IMAGE))

    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["raw"][0] = 7

    assert (image[0] == 7).all()


@pytest.mark.parametrize(
    ("make", "inner"),
    [(hdf5, "raw"), (hdf5, ""), (zarr3, "in/it"), (zarr3, "in"), (zipped, "in/it"), (zipped, "in")],
)
def test_the_path_in_a_file_may_be_left_out_if_there_is_one_array(tmp_path, make, inner):
    assert open_image(make(tmp_path, IMAGE) / inner).shape == IMAGE.shape


def test_several_arrays_are_listed(tmp_path):
    for i in range(25):
        zarr.create_array(tmp_path / "a.zarr" / f"x{i:02}", shape=(2,), dtype="u1", zarr_format=2)
    with zarr.open_group(tmp_path / "a.zarr", mode="a", zarr_format=2).store:
        pass
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/b"], file["group/a"], file["c"] = [1], [2], [3]

    with pytest.raises(FileReadError, match=r"such as .*a\.zarr/x\d\d, got x.*, and 5 more$"):
        open_image(tmp_path / "a.zarr")
    with pytest.raises(FileReadError, match=r"a\.h5 holds several .*, got c, group/a, group/b$"):
        open_image(tmp_path / "a.h5")
    with pytest.raises(FileReadError, match=r"such as .*a\.h5/group/a, got a, b$"):
        open_image(tmp_path / "a.h5" / "group")
    assert read_image(tmp_path / "a.h5/group/b").tolist() == [1]


@pytest.mark.parametrize("make", [hdf5, zarr2, zarr3, zipped])
def test_what_is_not_in_a_file_is_missing(tmp_path, make):
    path = make(tmp_path, IMAGE)

    for inner in ("gone", "in/gone", "raw/gone"):
        with pytest.raises(MissingFileError, match=f"there is no .*{inner} in .*{path.name}"):
            open_image(path / inner)
    with pytest.raises(MissingFileError, match=r"no such file.*gone"):
        open_image(tmp_path / f"gone{path.suffix}" / "raw")


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".zarr", ".zip", ".zarr.zip", ".tif", ".npy"])
@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89HDF\r\n\x1a\n", b"PK\3\4"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)

    with pytest.raises(FileReadError, match=f"can not read .*bad{suffix} as|no Zarr .*bad{suffix}"):
        open_image(path)


@pytest.mark.parametrize("make", FORMATS)
def test_a_truncated_file_is_an_error_when_it_is_opened_or_read(tmp_path, make):
    path = make(tmp_path, IMAGE)
    if path.is_dir():
        files = [p for p in path.rglob("*") if p.is_file() and p.name[0] not in ".z"]
    else:
        files = [path]
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])

    with pytest.raises(FileReadError, match=path.name):
        read_image(path)


def test_a_small_tiff_without_its_last_pages_is_an_error(tmp_path, monkeypatch):
    monkeypatch.undo()
    path = tiled_tiff(tmp_path, IMAGE)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    with pytest.raises(FileReadError, match=r"pages are missing in .*t\.tif.*\[3, 100, 90\]"):
        read_image(path)


def test_what_holds_no_numbers_is_an_error(tmp_path):
    np.save(tmp_path / "complex.npy", np.ones(3, "complex64"))
    np.save(tmp_path / "empty.npy", np.ones((3, 0)))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    zarr.create_array(tmp_path / "complex.zarr", data=np.ones(3, "complex64"))
    zarr.create_array(tmp_path / "empty.zarr", shape=(3, 0), dtype="u1")
    zarr.create_group(tmp_path / "none.zarr")
    (tmp_path / "folder.zarr").mkdir()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["text"], file["complex"], file["empty"] = "text", [1j], np.ones((3, 0))
        file["null"] = h5py.Empty("f")
        file.create_group("none")

    reasons = {
        "complex.npy": "expected real numbers or truth values, got complex64",
        "empty.npy": r"no pixels in .*: got shape \(3, 0\)",
        "objects.npy": "can not read .*objects.npy as NPY",
        "complex.zarr": "real numbers or truth values, got complex64",
        "empty.zarr": "no pixels",
        "none.zarr": "there is no array in",
        "folder.zarr": "no Zarr array or group in",
        "a.h5/text": "real numbers or truth values, got object",
        "a.h5/complex": "real numbers or truth values, got complex128",
        "a.h5/empty": "no pixels",
        "a.h5/null": "no pixels",
        "a.h5/none": "there is no array in",
    }
    for name, reason in reasons.items():
        with pytest.raises(FileReadError, match=reason):
            open_image(tmp_path / name)


def test_nothing_outside_of_an_hdf5_file_is_read(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.ones(3)
    (tmp_path / "secret.bin").write_bytes(bytes(range(24)))
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "data", shape=(3,))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["external"] = h5py.ExternalLink("secret.h5", "data")
        file["through"] = h5py.SoftLink("/external")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", 3, "f8", external=[(str(tmp_path / "secret.bin"), 0, 24)])
        file["loop"] = h5py.SoftLink("loop")

    reasons = {
        "external": "external is a link that leaves the file",
        "through": "through is a link that leaves the file",
        "virtual": "virtual of .* has its values in other files",
        "raw": "raw of .* has its values in other files",
        "loop": "loop is a link that leaves the file",
    }
    for name, reason in reasons.items():
        with pytest.raises(FileReadError, match=reason):
            open_image(tmp_path / "a.h5" / name)


def test_links_within_an_hdf5_file_are_followed(tmp_path):
    with h5py.File(hdf5(tmp_path, IMAGE), "r+") as file:
        file["group/up"] = h5py.SoftLink("/other")
        file["other"] = h5py.SoftLink("raw")

    image = open_image(tmp_path / "a.h5/group/up")

    np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize(
    "described", [{"filters": [{"id": "pickle"}]}, {"compressor": {"id": "pickle"}}]
)
@pytest.mark.parametrize("dtype", ["|u1", "|O"])
def test_zarr_is_not_unpickled(tmp_path, described, dtype):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    path = zarr2(tmp_path, np.zeros((2, 2), "uint8"))
    meta = json.loads((path / ".zarray").read_text(encoding="utf-8"))
    meta |= {"compressor": None, "dtype": dtype, **described}
    (path / ".zarray").write_text(json.dumps(meta), encoding="utf-8")
    (path / "0.0").write_bytes(pickle.dumps(Trap()))

    with pytest.raises(FileReadError, match="pickled Python objects, which can run code|data type"):
        open_image(path)

    assert not (tmp_path / "sprung").exists()


def test_small_packed_tiffs_are_read_without_zarr(tmp_path, monkeypatch):
    monkeypatch.undo()
    assert isinstance(open_image(tiled_tiff(tmp_path, IMAGE)), np.ndarray)


def test_a_tiff_in_one_piece_is_read_at_once(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE[0], compression="zlib")

    assert isinstance(open_image(tmp_path / "a.tif"), np.ndarray)


@pytest.mark.parametrize(
    ("make", "extra"), [(hdf5, "hdf5"), (zarr2, "zarr"), (zipped, "zarr"), (tiled_tiff, None)]
)
def test_a_missing_package_is_named_if_there_is_no_other_way(tmp_path, make, extra):
    path = make(tmp_path, IMAGE)
    code = """
import sys
from importlib.machinery import PathFinder
class Hidden:
    def find_spec(name, path=None, target=None):
        if name not in ("zarr", "h5py"):
            return PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Hidden
import bioimageio_fn.io.tiff
bioimageio_fn.io.tiff.READ_ELEMENTS = 0
from bioimageio_fn.io.images import open_image
from bioimageio_fn.errors import MissingDependencyError
try:
    print(type(open_image(sys.argv[1])).__name__)
except MissingDependencyError as error:
    print(error)
"""
    run = [sys.executable, "-c", code, path]
    result = subprocess.run(run, capture_output=True, text=True, check=True)

    remedy = f"pip install 'bioimageio_fn[{extra}]'"
    assert result.stdout.strip().endswith(remedy if extra else "ndarray")


def test_a_png_is_read_whole(tmp_path):
    imageio.imwrite(tmp_path / "a.png", IMAGE[0])

    assert isinstance(open_image(tmp_path / "a.png"), np.ndarray)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), IMAGE[0])


@pytest.mark.parametrize("folder", ["x.h5", "x.zip", "x.zarr"])
def test_files_in_folders_with_the_names_of_formats_are_read(tmp_path, folder):
    (tmp_path / folder).mkdir()

    np.save(tmp_path / folder / "a.npy", IMAGE)

    np.testing.assert_array_equal(read_image(tmp_path / folder / "a.npy"), IMAGE)
