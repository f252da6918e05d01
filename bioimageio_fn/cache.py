"""Our part of the cache: folders that are named by what is in them.

What holds here: a folder that is there is whole, as it is filled beside its place and then renamed;
where several processes fill the same one, all use that of the first; only its owner can open it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .files import unfinished, writing

__all__ = ["cache_folder", "cached_folder", "emptied_cache"]

_DOWNLOADS = "entry__url_*_contents_*"
"""Names of the files that `bioimageio.spec` downloads."""


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
        with unfinished(beside):
            fill(beside)
            _rename(beside, folder)
    return folder


def _rename(beside: Path, folder: Path) -> None:
    try:
        beside.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise


def emptied_cache() -> tuple[Path, int]:
    """Remove all that was downloaded and unpacked, and nothing else.

    What other programs keep in the same folder stays, but for downloads of `bioimageio.spec`, which
    are shared with them.

    Returns:
        The folder, and the bytes that are free now.
    """
    ours = cache_folder()
    with writing(ours):
        # renamed first, so that no process finds half of a folder
        aside = ours.with_name(f".{ours.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            ours.rename(aside)
        downloads = list(ours.parent.glob(_DOWNLOADS))
        files = [*(path for path in aside.rglob("*") if path.is_file()), *downloads]
        freed = sum(path.stat().st_size for path in files)
        for path in downloads:
            path.unlink(missing_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
    return ours.parent, freed
