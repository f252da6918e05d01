"""Files are whole or not at all, and what looks like a path is taken for one."""

import hashlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.errors import FileReadError, FileWriteError, MissingFileError
from bioimageio_fn.files import (
    beside,
    check_place,
    existing_path,
    expanded,
    inner_parts,
    looks_like_path,
    sha256_of,
    written_whole,
)


@pytest.mark.parametrize(
    "source",
    ["a/b", "./model", "../x", "~/model", "model.zip", "rdf.yaml", "IMAGE.TIF", ".hidden", "x.npy"],
)
def test_separators_suffixes_and_leading_dots_make_a_path(source):
    assert looks_like_path(source)


@pytest.mark.parametrize(
    "source", ["affable-shark", "https://example.com/a/rdf.yaml", "ftp://x/y.zip", "pkg"]
)
def test_ids_and_urls_are_not_paths(source):
    assert not looks_like_path(source)


def test_a_missing_path_is_named_at_once(tmp_path):
    start = time.monotonic()

    with pytest.raises(MissingFileError, match="no such file or folder.*gone.zip") as caught:
        existing_path(tmp_path / "gone.zip")

    assert isinstance(caught.value, FileNotFoundError)
    assert time.monotonic() - start < 1


def test_a_missing_folder_is_named_too(tmp_path):
    with pytest.raises(MissingFileError, match="there is no folder"):
        existing_path(tmp_path / "nowhere" / "gone.zip")


def test_a_name_that_is_longer_than_any_file_has_is_of_none():
    with pytest.raises(MissingFileError, match="no such file or folder: xxx"):
        existing_path("x" * 300)


def test_a_name_may_begin_like_a_home_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("~temporary").touch()

    assert existing_path("~temporary") == Path("~temporary")
    assert expanded("~") == Path.home()


@given(st.binary(max_size=1000))
def test_sha256_is_that_of_hashlib(content):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)

        assert sha256_of(path) == hashlib.sha256(content).hexdigest()


def test_sha256_of_a_folder_is_an_error(tmp_path):
    with pytest.raises(FileReadError, match="can not read"):
        sha256_of(tmp_path)


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "out.txt"

    with written_whole(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        assert not path.exists()
        assert temporary.suffix == ".txt"

    assert path.read_text(encoding="utf-8") == "half"
    assert [p.name for p in path.parent.iterdir()] == ["out.txt"]


def test_what_stood_there_remains_when_writing_fails(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old", encoding="utf-8")

    with pytest.raises(RuntimeError, match="crash"), written_whole(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError("crash")

    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_a_place_that_can_not_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")

    with (
        pytest.raises(FileWriteError, match="can not write"),
        written_whole(tmp_path / "file" / "out.txt"),
    ):
        pass


def test_the_file_has_the_permissions_that_any_new_file_has(tmp_path):
    (tmp_path / "plain").touch()

    with written_whole(tmp_path / "out") as temporary:
        temporary.touch()

    mode = stat.S_IMODE(os.stat(tmp_path / "out").st_mode)  # noqa: PTH116
    assert mode == stat.S_IMODE(os.stat(tmp_path / "plain").st_mode)  # noqa: PTH116


@given(st.text("ab./\\: \0", max_size=6))
def test_inner_parts_stay_in_their_folder(name):
    parts = inner_parts(name)

    if parts is None:
        plain = name.strip("ab /") == "" and "//" not in name and not name.startswith("/")
        assert not plain or name.endswith("/") or not name
    else:
        assert "/".join(parts) == name
        assert not {"", ".", ".."} & set(parts)
        assert not {"\\", ":", "\0"} & set(name)


def _fill(folder, text):
    folder.mkdir()
    (folder / "a").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("before", [False, True], ids=["new", "replaced"])
def test_a_folder_takes_its_place_when_it_is_whole(tmp_path, before):
    place = tmp_path / "out.zarr"
    if before:
        _fill(place, "old")

    with written_whole(place) as temporary:
        _fill(temporary, "new")
        assert place.exists() == before

    assert (place / "a").read_text(encoding="utf-8") == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out.zarr"]


def test_a_folder_that_stood_there_remains_when_the_new_one_fails(tmp_path):
    place = tmp_path / "out.zarr"
    _fill(place, "old")

    with pytest.raises(KeyboardInterrupt), written_whole(place) as temporary:
        _fill(temporary, "half")
        raise KeyboardInterrupt

    assert (place / "a").read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.zarr"]


def test_a_folder_does_not_replace_a_file(tmp_path):
    (tmp_path / "out.zarr").write_text("old", encoding="utf-8")

    with (
        pytest.raises(FileWriteError, match="can not write .*out.zarr: Not a directory"),
        written_whole(tmp_path / "out.zarr") as temporary,
    ):
        _fill(temporary, "new")

    assert (tmp_path / "out.zarr").read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.zarr"]


def test_processes_that_write_the_same_folder_leave_one_of_them(tmp_path):
    code = """
import sys
from pathlib import Path
from bioimageio_fn.files import written_whole
for _ in range(200):
    with written_whole(Path(sys.argv[1])) as temporary:
        temporary.mkdir()
        (temporary / "a").write_text(sys.argv[2], encoding="utf-8")
"""
    place = tmp_path / "out.zarr"
    processes = [subprocess.Popen([sys.executable, "-c", code, place, text]) for text in "abc"]

    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (place / "a").read_text(encoding="utf-8") in "abc"
    assert [p.name for p in tmp_path.iterdir()] == ["out.zarr"]


def test_errors_that_are_not_of_writing_stay_what_they_are(tmp_path):
    with pytest.raises(FileReadError, match="input"), written_whole(tmp_path / "out"):
        raise FileReadError("can not read the input")
    with pytest.raises(ConnectionError), beside(tmp_path / "out"):
        raise ConnectionError("gone")
    with (
        pytest.raises(FileWriteError, match="can not write .*out: gone"),
        written_whole(tmp_path / "out"),
    ):
        raise ConnectionError("gone")


def test_what_is_closed_early_leaves_nothing(tmp_path):
    def writer():
        with written_whole(tmp_path / "out") as temporary:
            temporary.touch()
            yield

    running = writer()
    next(running)
    running.close()

    assert list(tmp_path.iterdir()) == []


def test_a_place_that_can_not_be_written_is_told_beforehand(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(FileWriteError, match="expected a folder that can be written to.*file"):
        check_place(tmp_path / "file" / "new" / "out.npy")
    check_place(tmp_path / "new" / "out.npy", 10)
    assert not (tmp_path / "new").exists()
