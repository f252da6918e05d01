"""Zip archives of strangers, as folders of plain files.

What holds here: a member lies in the folder or the archive is refused, whatever its name says; only
plain files and folders are made, each once; what comes out is counted while it comes out, as an
archive may lie about its sizes. An archive is unpacked once, into a folder of the cache that is
named by its content, and which is there as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterable
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

from .cache import cached_folder
from .contract.files import check_sha256
from .errors import FileReadError, MissingFileError, UnsafePackageError
from .files import inner_parts

__all__ = ["check_sizes", "most_of", "unpacked", "unpacked_file"]

MEMBERS = 10_000
"""Files and folders that an archive may have."""
BYTES = 50 * 2**30
"""Bytes that may come out of an archive."""
RATIO = 100
"""How many times its own size may come out of an archive; weights compress by 1.1, tables by 10."""
BYTES_OF_A_SMALL_ARCHIVE = 100 * 2**20
"""What may come out of any archive: images of zeros, as masks nearly are, compress by 1000."""

_REMEDY = "nothing of it was kept; ask whoever made it, or unpack it yourself if you trust it"
_PIECE = 2**20
_DIRECTORY = 16 * 2**20
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpacked(archive: Path, *, sha256: str | None = None) -> Path:
    """The folder of what is in a zip archive; unpacked now if it was not yet.

    Args:
        archive: the file.
        sha256: what it has to hash to; None for anything.

    Raises:
        MissingFileError: if there is no such file.
        HashMismatchError: if it is not the file that is meant.
        UnsafePackageError: if a member lies outside of the folder, is a link or a device, is there
            twice, or if there is too much of them.
        FileReadError: if it is damaged, encrypted, or no zip archive.
    """
    if not archive.is_file():
        raise MissingFileError(f"no such file: {archive}")
    try:
        file = archive.open("rb")
    except OSError as error:
        raise FileReadError(f"can not read {archive}: {error.strerror}") from error
    with file:
        return unpacked_file(file, archive.name, sha256=sha256)


def unpacked_file(file: IO[bytes], name: str, *, sha256: str | None = None) -> Path:
    """The same of an open file, which stays open; `name` is for errors."""
    digest, size = _digest_and_size(file)
    check_sha256(name, sha256, digest)
    return cached_folder("unpacked", digest, partial(_unpack, file, name, size))


def _digest_and_size(file: IO[bytes]) -> tuple[str, int]:
    hasher, size = hashlib.sha256(), 0
    file.seek(0)
    while piece := file.read(_PIECE):
        hasher.update(piece)
        size += len(piece)
    return hasher.hexdigest(), size


def _unpack(file: IO[bytes], name: str, size: int, folder: Path) -> None:
    most = most_of(size)
    try:
        with zipfile.ZipFile(_Careful(file, name)) as archive:
            members = archive.infolist()
            check_sizes((member.file_size for member in members), most, name)
            paths = [folder.joinpath(*parts) for parts in _checked(members, name)]
            # an archive may say less than comes out of it
            written = (_write(archive, m, p, most) for m, p in zip(members, paths, strict=True))
            check_sizes(written, most, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # zipfile says by a RuntimeError that a member is encrypted
        raise FileReadError(f"can not read {name} as a zip archive: {error}") from error


def most_of(size: int) -> int:
    """How many bytes may come out of an archive of this size."""
    return min(BYTES, max(RATIO * size, BYTES_OF_A_SMALL_ARCHIVE))


def check_sizes(sizes: Iterable[int], most: int, name: str) -> None:
    """Refuse an archive whose members are larger, taken together.

    Raises:
        UnsafePackageError: if they are; the sizes behind it are not asked for.
    """
    if any(total > most for total in accumulate(sizes)):
        raise UnsafePackageError(
            f"refused to unpack {name}: more would come out of it than it can honestly hold",
            expected=f"at most {most} bytes",
            remedy=_REMEDY,
        )


class _Careful:
    """A file that zipfile may read from, but not in pieces of any size.

    The list of members is read in one piece, as large as the archive says, before anything of it
    can be looked at.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        most = _DIRECTORY + 1
        piece = self._file.read(min(size, most) if size >= 0 else most)
        if len(piece) == most:
            raise UnsafePackageError(
                f"refused to unpack {self._name}: the list of its members is too large",
                expected=f"at most {_DIRECTORY} bytes",
            )
        return piece


def _checked(members: list[zipfile.ZipInfo], name: str) -> list[tuple[str, ...]]:
    """The parts of the path of each member."""
    if len(members) > MEMBERS:
        raise UnsafePackageError(
            f"refused to unpack {name}: it has too many members",
            expected=f"at most {MEMBERS}",
            got=len(members),
        )
    checked, files, folders = [], set[str](), set[str]()
    for member in members:
        parts = _inner_parts(member, name)
        _check_kind(member, name)
        # on Windows and macOS names that differ in case are one file
        *above, path = (s.casefold() for s in _paths(parts))
        folders.update(above)
        if not member.is_dir() and path in files:
            raise _unsafe(name, "it is there twice", member)
        (folders if member.is_dir() else files).add(path)
        checked.append(parts)
    if both := files & folders:
        raise UnsafePackageError(
            f"refused to unpack {name}: {min(both)} is both a file and a folder"
        )
    return checked


def _paths(parts: tuple[str, ...]) -> list[str]:
    """The path of each folder on the way, and the path itself."""
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _inner_parts(member: zipfile.ZipInfo, name: str) -> tuple[str, ...]:
    # zipfile cuts names at NUL, and on Windows turns backslashes
    parts = inner_parts(member.orig_filename.removesuffix("/"))
    if parts is None:
        raise _unsafe(name, "its path leads out of the package, or could on another system", member)
    return parts


def _check_kind(member: zipfile.ZipInfo, name: str) -> None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in {0, stat.S_IFDIR if member.is_dir() else stat.S_IFREG}:
        raise _unsafe(name, "it is a link, a device, or something else than a file", member)
    if member.compress_type not in _COMPRESSIONS:
        raise _unsafe(name, "it is compressed by something else than deflate", member)


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, most: int) -> int:
    """Write a member; stop when more than `most` bytes came out. The number of bytes."""
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(member) as source, path.open("xb") as target:
        while written <= most and (piece := source.read(_PIECE)):
            target.write(piece)
            written += len(piece)
    return written


def _unsafe(name: str, why: str, member: zipfile.ZipInfo) -> UnsafePackageError:
    return UnsafePackageError(
        f"refused to unpack {name}: {why}",
        got=ascii(member.orig_filename)[:200],
        remedy=_REMEDY,
    )
