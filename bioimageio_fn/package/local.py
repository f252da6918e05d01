"""Files of a package as files on disk.

What holds here: a file is given out only if it has the sha256 that its description gives; files on
disk stay where they are, others are kept in the cache, named by their content.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ..cache import cache_folder, cached_folder
from ..contract.files import FileRef, check_sha256
from ..errors import MissingFileError, UnsafePackageError
from ..files import inner_parts, sha256_of, written_whole
from ..network import read_url

__all__ = ["local_file", "local_file_with", "staged"]


def local_file(ref: FileRef) -> Path:
    """A file of a package as a file on disk, checked against its sha256.

    Files on disk stay where they are; those on the net are copied to the cache
    (`settings.cache_path`), named by their content.

    Raises:
        MissingFileError: if there is no such file.
        HashMismatchError: if it is not the file that the description names.
    """
    path = _on_disk(ref)
    check_sha256(ref.name, ref.sha256, sha256_of(path))
    return path


def _on_disk(ref: FileRef) -> Path:
    if isinstance(ref.source, Path) or Path(str(ref.source)).is_file():
        path = Path(ref.source).absolute()
        if not path.is_file():
            raise MissingFileError(f"the package has no file {ref.name}", got=path)
        return path
    if ref.sha256 is not None and (kept := _place(ref, ref.sha256)).is_file():
        return kept
    content = _bytes_of(ref)
    path = _place(ref, hashlib.sha256(content).hexdigest())
    if not path.is_file():
        with written_whole(path) as temporary:
            temporary.write_bytes(content)
    return path


def _place(ref: FileRef, digest: str) -> Path:
    # a name that comes from elsewhere may be anything
    name = ref.name if inner_parts(ref.name) is not None else "file"
    return cache_folder() / "files" / digest / name


def _bytes_of(ref: FileRef) -> bytes:
    try:
        content: bytes = read_url(ref.source).read()
    except MissingFileError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise MissingFileError(
            f"the package has no file {ref.name}", got=f"{type(error).__name__}: {reason}"
        ) from error
    return content


def local_file_with(ref: FileRef, others: Sequence[FileRef]) -> Path:
    """A file on disk that has others beside it, placed as they are in the package; all checked.

    They stay where they are if they lie so already; else they are `staged`.

    Raises:
        MissingFileError, HashMismatchError, UnsafePackageError: as of `staged`.
    """
    refs = (ref, *others)
    paths = [local_file(each) for each in refs]
    roots = {path.parents[each.place.count("/")] for each, path in zip(refs, paths, strict=True)}
    lies_so = len(roots) == 1 and all(
        path == min(roots) / each.place for each, path in zip(refs, paths, strict=True)
    )
    return paths[0] if lies_so else staged(refs) / ref.place


def staged(refs: Iterable[FileRef]) -> Path:
    """A folder with copies of these files and no others, placed as they are in the package.

    Code of a package opens files that lie beside it. It finds those that the description declares,
    wherever they come from.

    Raises:
        MissingFileError: if one is not there.
        HashMismatchError: if one is not the file that the description names.
        UnsafePackageError: if two of them have the same place.
    """
    files: dict[str, tuple[str, Path]] = {}
    for ref in refs:
        path = local_file(ref)
        entry = (sha256_of(path), path)
        if files.setdefault(ref.place, entry)[0] != entry[0]:
            raise UnsafePackageError("two files of the package have the same place", got=ref.place)
    names = "\n".join(f"{digest} {place}" for place, (digest, _) in sorted(files.items()))
    digest = hashlib.sha256(names.encode()).hexdigest()
    return cached_folder("staged", digest, partial(_copy, files))


def _copy(files: Mapping[str, tuple[str, Path]], folder: Path) -> None:
    for place, (_, path) in files.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        # no link: what is edited in the package later must not change here
        shutil.copyfile(path, target)
