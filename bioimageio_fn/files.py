"""Files on disk: whole or not at all.

What holds here: what looks like a path is checked before anything is imported or requested; a file
is written beside its place and then renamed, so that none is ever half-written.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FileReadError, FileWriteError, MissingFileError

__all__ = ["existing_path", "inner_parts", "looks_like_path", "sha256_of", "written_whole"]

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


def existing_path(source: str | os.PathLike[str]) -> Path:
    """The path, if there is something.

    Raises:
        MissingFileError: if there is not; names files of a similar name beside it.
    """
    path = Path(source).expanduser()
    if path.exists():
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
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path to write to, with the same suffix; it takes the place when all went well.

    Raises:
        FileWriteError: if the folder or the file can not be written. What stood there remains.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, FileWriteError):
            raise
        raise FileWriteError(f"can not write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    # there is no way to ask for it but to set it
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
