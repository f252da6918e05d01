"""Archives of strangers become plain files in one folder, or nothing at all."""

import hashlib
import io
import multiprocessing
import stat
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn import archives
from bioimageio_fn.archives import unpacked, unpacked_file
from bioimageio_fn.errors import (
    FileReadError,
    FileWriteError,
    HashMismatchError,
    MissingFileError,
    UnsafePackageError,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    return tmp_path / "cache" / "bioimageio_fn" / "unpacked"


def zipped(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def member(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def nothing_was_made(tmp_path, cache):
    left = [p for p in tmp_path.rglob("*") if p not in (cache, *cache.parents)]
    return [p.name for p in left] == ["bad.zip"]


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)


@given(st.dictionaries(NAMES.map(str.casefold), st.binary(max_size=50), max_size=5))
def test_what_was_packed_comes_out(members):
    file = io.BytesIO()
    zipped(file, [(f"folder/{name}", content) for name, content in members.items()])

    folder = unpacked_file(file, "a.zip")

    assert contents(folder) == {f"folder/{name}": c for name, c in members.items()}


def test_an_archive_is_named_by_its_content_and_unpacked_once(tmp_path, cache):
    first = zipped(tmp_path / "a.zip", [("x", "1"), ("sub/", ""), ("sub/y", "2")])
    second = tmp_path / "b.zip"
    second.write_bytes(first.read_bytes())

    folder = unpacked(first)

    assert unpacked(second) == folder
    assert folder == cache / hashlib.sha256(first.read_bytes()).hexdigest()
    assert contents(folder) == {"x": b"1", "sub/y": b"2"}
    assert [p.name for p in cache.iterdir()] == [folder.name]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_members_that_are_executable_come_out_as_plain_files(tmp_path):
    path = zipped(tmp_path / "a.zip", [(member("run", stat.S_IFREG | 0o4777), "x")])

    assert not (unpacked(path) / "run").stat().st_mode & (0o111 | stat.S_ISUID)


@pytest.mark.parametrize(
    "name",
    [
        *("../out", "a/../../out", "/out", "//out", "./out", "a//out", "..", "a/.."),
        *("..\\out", "a\\..\\..\\out", "C:\\out", "C:out", "\\\\host\\out", "file:stream"),
        *("a\x00b", "a\nb", "a\x1b[0m"),
    ],
)
def test_a_path_that_leads_out_is_refused_by_name(tmp_path, cache, name):
    # zipfile would mend some names when it writes them
    path = zipped(tmp_path / "bad.zip", [("ok", "fine"), ("?" * len(name.encode()), "payload")])
    path.write_bytes(path.read_bytes().replace(b"?" * len(name.encode()), name.encode()))

    with pytest.raises(UnsafePackageError, match="bad.zip: its path leads out") as caught:
        unpacked(path)

    assert isinstance(caught.value, ValueError)
    assert nothing_was_made(tmp_path, cache)


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_what_is_no_file_is_refused(tmp_path, cache, kind):
    path = zipped(tmp_path / "bad.zip", [("ok", "fine"), (member("odd", kind), "/etc/passwd")])

    with pytest.raises(UnsafePackageError, match="a link, a device.*'odd'"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("sub/a", "sub/A"), ("stra\u00dfe", "STRASSE")])
def test_a_file_that_is_there_twice_is_refused(tmp_path, cache, names):
    path = zipped(tmp_path / "bad.zip", [(name, "x") for name in names])

    with pytest.raises(UnsafePackageError, match="it is there twice"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "A")])
def test_a_file_that_is_a_folder_too_is_refused(tmp_path, cache, names):
    path = zipped(tmp_path / "bad.zip", [(name, "x") for name in names])

    with pytest.raises(UnsafePackageError, match="a is both a file and a folder"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


def test_a_bomb_is_refused(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(archives, "BYTES_OF_A_SMALL_ARCHIVE", 2**20)
    path = zipped(tmp_path / "bad.zip", [("a", "fine"), ("zeros", bytes(5 * 2**20))])

    with pytest.raises(UnsafePackageError, match="more would come out.*at most 1048576 bytes"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


def test_many_small_members_are_one_bomb(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(archives, "BYTES_OF_A_SMALL_ARCHIVE", 2**20)
    path = zipped(tmp_path / "bad.zip", [(f"{i}", bytes(2**18)) for i in range(5)])

    with pytest.raises(UnsafePackageError, match="more would come out of it"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


def test_what_comes_out_is_counted_while_it_does(tmp_path):
    path = zipped(tmp_path / "a.zip", [("zeros", bytes(5 * 2**20))])

    with zipfile.ZipFile(path) as archive:
        written = archives._write(archive, archive.infolist()[0], tmp_path / "out", 2**20)

    assert 2**20 < written <= 2**21
    assert (tmp_path / "out").stat().st_size == written


def test_what_hardly_compresses_may_be_large(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "BYTES_OF_A_SMALL_ARCHIVE", 0)
    content = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256))

    assert contents(unpacked(zipped(tmp_path / "a.zip", [("w", content)]))) == {"w": content}


def test_there_is_a_limit_for_large_archives_too(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(archives, "BYTES", 1000)
    path = zipped(tmp_path / "bad.zip", [("a", bytes(1001))], zipfile.ZIP_STORED)

    with pytest.raises(UnsafePackageError, match="more would come out of it"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


def test_too_many_members_are_refused(tmp_path, cache):
    path = zipped(tmp_path / "bad.zip", [(f"{i}", "") for i in range(archives.MEMBERS + 1)])

    with pytest.raises(
        UnsafePackageError, match="too many members: expected at most 10000, got 10001"
    ):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


def test_a_list_of_members_that_does_not_end_is_not_read(tmp_path, cache):
    # one entry, and behind its name a comment of 64 KiB for each of 300 entries
    path = zipped(tmp_path / "bad.zip", [])
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", *[20] * 6, 0, 0, 0, 1, 0, 65535, 0, 0, 0, 0)
    listed = 300 * (entry + b"a" + bytes(65535))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 300, 300, len(listed), 0, 0)
    path.write_bytes(listed + end)

    with pytest.raises(UnsafePackageError, match="the list of its members is too large"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


def test_a_size_that_is_a_lie_is_damage(tmp_path, cache):
    path = zipped(tmp_path / "bad.zip", [("a", bytes(1000))])
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 1000), struct.pack("<L", 10)))

    with pytest.raises(FileReadError, match="can not read bad.zip as a zip archive"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_without_a_bound_are_refused(tmp_path, cache, compression):
    path = zipped(tmp_path / "bad.zip", [("a", "x")], compression)

    with pytest.raises(UnsafePackageError, match="something else than deflate"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


def test_an_encrypted_member_is_an_error(tmp_path, cache):
    path = zipped(tmp_path / "bad.zip", [("a", "x")])
    content = path.read_bytes()
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        i = content.index(mark) + at
        content = content[:i] + b"\1" + content[i + 1 :]
    path.write_bytes(content)

    with pytest.raises(FileReadError, match="encrypted"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\5\6" + bytes(3)])
def test_what_is_no_archive_is_an_error(tmp_path, cache, content):
    path = tmp_path / "bad.zip"
    path.write_bytes(content)

    with pytest.raises(FileReadError, match="can not read bad.zip as a zip archive"):
        unpacked(path)
    assert nothing_was_made(tmp_path, cache)


def test_another_archive_than_the_one_meant_is_not_unpacked(tmp_path, cache):
    path = zipped(tmp_path / "bad.zip", [("a", "x")])

    with pytest.raises(HashMismatchError, match="bad.zip is not the file"):
        unpacked(path, sha256="0" * 64)
    assert nothing_was_made(tmp_path, cache)
    assert unpacked(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest().upper())


def test_an_archive_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="gone.zip"):
        unpacked(tmp_path / "gone.zip")
    with pytest.raises(MissingFileError, match="no such file"):
        unpacked(tmp_path)


def test_a_cache_that_can_not_be_written_is_named(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", [("a", "x")])
    monkeypatch.setattr(fn.settings, "cache_path", path)

    with pytest.raises(FileWriteError, match="can not write .*a.zip"):
        unpacked(path)


def test_threads_that_unpack_the_same_archive_share_one_folder(tmp_path, cache):
    path = zipped(tmp_path / "a.zip", [(f"{i}", bytes(1000)) for i in range(50)])

    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(unpacked, [path] * 16))

    assert len(folders) == 1
    assert len(contents(folders.pop())) == 50
    assert len(list(cache.iterdir())) == 1


def _number_of_files(path, cache_path):
    fn.settings.cache_path = cache_path
    return len(contents(unpacked(path)))


def test_processes_that_unpack_the_same_archive_share_one_folder(tmp_path, cache):
    path = zipped(tmp_path / "a.zip", [(f"{i}", bytes(1000)) for i in range(200)])

    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(_number_of_files, [(path, tmp_path / "cache")] * 4)

    assert found == [200] * 4
    assert len(list(cache.iterdir())) == 1
