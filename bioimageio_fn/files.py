"""Files on disk: whole or not at all.

What holds here: what looks like a path is checked before anything is imported or requested; a file
or folder is written beside its place and then renamed, so that none is ever half-written.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import BioimageioFnError, FileReadError, FileWriteError, MissingFileError

__all__ = [
    "beside",
    "check_new",
    "check_place",
    "discard_unfinished",
    "existing_path",
    "expanded",
    "inner_parts",
    "looks_like_path",
    "sha256_of",
    "unfinished",
    "writing",
    "written_whole",
]

_SUFFIXES = (".yaml", ".yml", ".zip", ".npy", ".npz", ".tif", ".tiff", ".png", ".jpg", ".jpeg")


def looks_like_path(source: str) -> bool:
    """Whether a string names a file rather than an id or a URL.

    Told by a separator, a known suffix, or a leading `.` or `~`.

    Examples:
        >>> looks_like_path("models/unet"), looks_like_path("unet.zip"), looks_like_path("my-unet")
        (True, True, False)
        >>> looks_like_path("https://example.com/unet.zip")
        False
    """
    if "://" in source:
        return False
    separators = {os.sep, os.altsep or os.sep, "/"}
    named = source.startswith((".", "~")) or source.lower().endswith(_SUFFIXES)
    return named or any(s in source for s in separators)


def inner_parts(name: str) -> tuple[str, ...] | None:
    r"""The parts of a path that stays within its folder, on every system; None if it does not.

    Not only `..` and a leading `/` lead out of a folder: a drive letter and a backslash do so on
    Windows, where a colon also names a stream of a file.

    Examples:
        >>> inner_parts("code/network.py")
        ('code', 'network.py')
        >>> [inner_parts(name) for name in ("../a", "/a", "C:/a", "a/..\\b", "")]
        [None, None, None, None, None]
    """
    parts = tuple(name.split("/"))
    strange = any(c in "\\:\x7f" or c < " " for c in name)
    return None if strange or any(part in {"", ".", ".."} for part in parts) else parts


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path, with `~` as the folder of a user where there is one: names may begin with it, too.

    Examples:
        >>> expanded("~temporary.tif").name
        '~temporary.tif'
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def existing_path(source: str | os.PathLike[str]) -> Path:
    """The path, if there is something.

    Raises:
        MissingFileError: if there is not; names files of a similar name beside it.
    """
    path = expanded(source)
    if os.path.exists(path):  # noqa: PTH110 - no error if the name is longer than a system has any
        return path
    raise MissingFileError(
        f"no such file or folder: {path}",
        remedy=None if path.parent.is_dir() else f"there is no folder {path.parent} either",
    )


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileReadError(f"can not read {path}: {error.strerror}") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of the system within the block, as errors that name what is written.

    Raises:
        FileWriteError: in the place of an `OSError` that is none of this package.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, BioimageioFnError):
            raise
        raise FileWriteError(f"can not write {path}: {error.strerror or error}") from error


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path to write to, of the same name; it takes the place when all went well.

    Raises:
        FileWriteError: if the folder or the file can not be written. What stood there remains.
    """
    with writing(path), beside(path) as temporary:
        yield temporary


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """As `written_whole`, of a file or a folder, for a block that does more than write.

    The errors of the block are left as they are. It may leave other files beside the temporary
    path, which are removed.

    Raises:
        FileWriteError: if there is no place for it, or it can not take its place.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.stem[:50]}."))
    with unfinished(folder):
        yield folder / path.name
        with writing(path), _PLACING:
            _take_place(folder / path.name, path)


_UNFINISHED: set[Path] = set()
_PLACING = threading.Lock()
"""Held while something takes its place, which must not be left half-way."""


@contextmanager
def unfinished(folder: Path) -> Iterator[None]:
    """A folder that is removed at the end of the block, or of the process if that ends before."""
    _UNFINISHED.add(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _UNFINISHED.discard(folder)


def discard_unfinished() -> None:
    """Remove what is being written, for a process that is about to end within its blocks.

    What is just taking its place takes it; nothing does so afterwards.
    """
    _PLACING.acquire()
    for folder in tuple(_UNFINISHED):
        shutil.rmtree(folder, ignore_errors=True)


def _take_place(new: Path, place: Path) -> None:
    if not new.is_dir():
        new.replace(place)
        return
    # a folder can not be replaced in one step: what stands there is put aside, and back if need be
    aside: list[Path] = []
    try:
        while not _moved(new, place):
            old = place.with_name(f"{new.parent.name}.{len(aside)}")
            with suppress(FileNotFoundError):  # another process puts its own there, too
                place.rename(old)
                aside.append(old)
    except BaseException:
        if aside and not place.exists():
            aside.pop().rename(place)
        raise
    finally:
        for old in aside:
            shutil.rmtree(old, ignore_errors=True)


def _moved(folder: Path, place: Path) -> bool:
    """Move a folder to its place, unless that is taken."""
    try:
        folder.rename(place)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    return True


def check_new(folder: Path) -> Path:
    """Refuse, before any work, a place for a folder where there is something already.

    Returns:
        The folder.

    Raises:
        FileWriteError: if something is there, or nothing can be written.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileWriteError(
            f"{folder} is there already",
            expected="a new or empty folder",
            remedy="name another one, or empty it",
        )
    check_place(folder / "bioimageio.yaml")
    return folder


def check_place(path: Path, size: int = 0) -> None:
    """Refuse, before any work, a place where nothing can be written, or not as much.

    Args:
        size: bytes to be written, if they are known.

    Raises:
        FileWriteError: if so. That a place is not refused is no promise.

    Examples:
        >>> check_place(Path("new-folder/out.npy"), 1 << 70)
        Traceback (most recent call last):
        ...
        bioimageio_fn.errors.FileWriteError: the disk has no space for new-folder/out.npy: ...
    """
    if "\0" in str(path):
        raise FileWriteError(f"no file has such a name: {str(path)!r}")
    with writing(path), suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()  # an error if the name is longer than the system has any
    folder = next(p for p in path.absolute().parents if p.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise FileWriteError(
            f"can not write {path}", expected="a folder that can be written to", got=folder
        )
    free = shutil.disk_usage(folder).free
    if free < size:
        raise FileWriteError(
            f"the disk has no space for {path}",
            expected=f"{size} bytes",
            got=f"{free}",
            remedy="make space, or write to another disk",
        )
