"""Archives of strangers, unpacked to a private folder.

What holds here: nothing is written outside of that folder; a folder is there whole or not at all,
also when several processes unpack at the same time; no archive fills the disk.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

from .errors import FileReadError
from .files import sha256_of

__all__ = ["unpacked"]

_COUNT, _SIZE, _RATIO = 10_000, 64 * 2**30, 1000


def unpacked(archive: Path, *, sha256: str | None = None) -> Path:
    """The folder with the content of a zip archive.

    Args:
        archive: the file.
        sha256: what it has to hash to, which has been checked; None for anything.

    Raises:
        FileReadError: if it is no zip archive, or one that would write outside of its folder, hold
            links, or unpack to far more than it is.
    """
    import bioimageio.spec

    digest = sha256 or sha256_of(archive)
    folder = Path(bioimageio.spec.settings.cache_path) / "bioimageio_fn" / digest / "unpacked"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unpacking."))
    try:
        _unpack(archive, temporary)
        _renamed(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _renamed(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was faster
            raise


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
            for problem in (_too_much(entries), *map(_problem, entries)):
                if problem is not None:
                    raise FileReadError(f"{archive.name} is not unpacked: {problem}")
            file.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise FileReadError(f"can not read {archive.name} as a zip archive: {error}") from error


def _too_much(entries: list[zipfile.ZipInfo]) -> str | None:
    size = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if len(entries) > _COUNT:
        return f"it has {len(entries)} files"
    if size > _SIZE or size > _RATIO * (packed + 2**20):
        return f"its {packed} bytes would become {size}"
    return None


def _problem(entry: zipfile.ZipInfo) -> str | None:
    windows, posix = PureWindowsPath(entry.filename), PurePosixPath(entry.filename)
    if windows.drive or windows.root or posix.is_absolute() or ".." in windows.parts:
        return f"{entry.filename} would lie outside of its folder"
    mode = stat.S_IFMT(entry.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"{entry.filename} is neither a file nor a folder"
    return None
