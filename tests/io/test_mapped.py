"""Arrays in files are what NumPy says they are, and cost no memory where they are not looked at."""

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from memory import grown
from strategies import arrays

from bioimageio_fn.arrays import DTYPES
from bioimageio_fn.errors import FileReadError, FileWriteError, MissingFileError
from bioimageio_fn.io.mapped import MappedFile, mapped_npy, new_npy
from bioimageio_fn.io.stores import scratch
from bioimageio_fn.spec import TensorSpec


@given(st.data(), hnp.array_shapes(max_dims=5, max_side=4), st.sampled_from(DTYPES))
def test_what_is_written_region_by_region_is_what_numpy_holds(data, shape, dtype):
    expected = np.zeros(shape, dtype)
    with tempfile.TemporaryDirectory() as folder:
        file = new_npy(Path(folder, "a.npy"), shape, dtype)

        for _ in range(data.draw(st.integers(0, 4))):
            key = data.draw(hnp.basic_indices(shape, allow_newaxis=False))
            values = data.draw(arrays([dtype], np.shape(expected[key])))
            file[key] = values
            expected[key] = values

        key = data.draw(hnp.basic_indices(shape))
        np.testing.assert_array_equal(file[key], expected[key])
        assert file[key].flags.writeable
        assert (file.shape, file.dtype) == (shape, np.dtype(dtype))
        np.testing.assert_array_equal(np.load(file.path), expected)


@given(arrays())
def test_npy_files_are_mapped_in_the_order_in_which_they_lie(array):
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/a.npy", array)
        file = mapped_npy(Path(folder, "a.npy"))

        np.testing.assert_array_equal(file, array)
        np.testing.assert_array_equal(file[..., 1:], array[..., 1:])
        assert file.dtype == array.dtype


def test_fortran_order_is_kept(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(np.arange(6).reshape(2, 3)))

    file = mapped_npy(tmp_path / "a.npy")
    file[0, 2] = 9

    assert file.order == "F"
    assert np.load(tmp_path / "a.npy").tolist() == [[0, 1, 9], [3, 4, 5]]


def test_records_compare_and_pickle(tmp_path):
    file = new_npy(tmp_path / "a.npy", (2, 3), "float16")
    file[:] = 1.5

    again = pickle.loads(pickle.dumps(file))

    assert again == file
    assert (again[...] == 1.5).all()


def test_a_relative_path_is_that_of_the_folder_it_was_given_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = new_npy(Path("a.npy"), (3,), "uint8")

    monkeypatch.chdir("/")

    assert file[...].tolist() == [0, 0, 0]


def test_a_file_that_is_gone_or_cut_is_an_error(tmp_path):
    file = new_npy(tmp_path / "a.npy", (100,), "float64")
    short = MappedFile(file.path, "float64", (1000,))

    with pytest.raises(FileReadError, match=r"can not map .*a\.npy"):
        short[3]
    file.path.unlink()
    with pytest.raises(MissingFileError, match=r"a\.npy"):
        file[3]
    with pytest.raises(MissingFileError, match=r"a\.npy"):
        file[3] = 1


def test_a_full_disk_is_told_before_a_file_is_made(tmp_path):
    with pytest.raises(FileWriteError, match=r"no space for .*a\.npy: expected 8000000000000000"):
        new_npy(tmp_path / "a.npy", (10**9, 10**6), "float64")

    assert list(tmp_path.iterdir()) == []


def test_the_space_is_taken_when_the_file_is_made(tmp_path):
    file = new_npy(tmp_path / "a.npy", (1 << 20,), "uint8")

    assert file.path.stat().st_blocks * 512 >= 1 << 20


def test_a_file_of_300_mb_is_written_and_read_in_a_few_mb(tmp_path):
    code = """
file = new_npy(folder / "a.npy", (300, 1 << 20), "uint8")
for i in range(300):
    file[i] = i % 7
image = open_image(folder / "a.npy")
assert sum(int(image[i].max()) for i in range(300)) == sum(i % 7 for i in range(300))
"""
    assert grown(code, tmp_path) < 20


def test_scratch_is_removed_at_the_end(tmp_path):
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path) as create:
        one = create("raw", TensorSpec("yx", (2, 3), "float32"))
        other = create("raw", TensorSpec("x", (4,), "bool"))
        one[...] = 2
        assert (one[...].sum(), other[...].any()) == (12, False)
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_scratch_that_can_not_be_made_is_an_error(tmp_path):
    with (
        pytest.raises(FileWriteError, match=r"can not write .*nowhere"),
        scratch(tmp_path / "nowhere"),
    ):
        pass
    with scratch(tmp_path) as create:
        with pytest.raises(FileWriteError, match="not known how many.*tensor 'raw'.*'x': None"):
            create("raw", TensorSpec("yx", (2, None), "uint8"))
        with pytest.raises(FileWriteError, match="no space"):
            create("raw", TensorSpec("yx", (1 << 31, 1 << 31), "uint8"))
