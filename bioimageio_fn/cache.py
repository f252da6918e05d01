"""Our part of the cache: folders that are named by what is in them.

What holds here: a folder that is there is whole, as it is filled beside its place and then renamed;
where several processes fill the same one, all use that of the first; only its owner can open it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from .files import writing

__all__ = ["cache_folder", "cached_folder"]


def cache_folder() -> Path:
    """The folder of everything that is kept here (`bioimageio_fn` in `settings.cache_path`)."""
    import bioimageio.spec

    return Path(bioimageio.spec.settings.cache_path).absolute() / "bioimageio_fn"


def cached_folder(kind: str, digest: str, fill: Callable[[Path], None]) -> Path:
    """A folder of the cache; filled now if it is not there yet.

    Args:
        kind: what it is for; those of one kind lie side by side.
        digest: names the content: two of the same name must have the same.
        fill: writes the content into the empty folder that it is given.

    Raises:
        FileWriteError: if the cache can not be written. What `fill` raises is passed on; nothing
            is left behind.
    """
    folder = cache_folder() / kind / digest
    if folder.is_dir():
        return folder
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{digest[:8]}."))
        try:
            fill(beside)
            _rename(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return folder


def _rename(beside: Path, folder: Path) -> None:
    try:
        beside.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
