"""From what a user names to the text of a description, and the place that its files lie in.

What holds here: what looks like a path is answered without a request, and offline everything is; a
zip archive is a folder that it was unpacked to; nothing is parsed.
"""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from ..archives import unpacked, unpacked_file
from ..contract.files import check_sha256
from ..errors import DescriptionError, FileReadError, MissingFileError, UnsafePackageError
from ..files import existing_path, looks_like_path, sha256_of
from ..network import is_offline, read_url
from .fields import LENGTH

__all__ = ["Found", "Source", "found"]

Source = Any
"""Path, URL, id of the BioImage.IO collection, open zip archive, or a description."""


@attrs.frozen
class Found:
    """The text of a description.

    Args:
        content: its bytes; a few more than allowed, if there are too many.
        root: the folder or the URL that its files lie in.
        file_name: of its file.
        source: where it was found, in words.
    """

    content: bytes
    root: Any
    file_name: str
    source: str


def found(source: Source, *, sha256: str | None = None, progressbar: Any = None) -> Found:
    """The text of the description that a source names.

    Args:
        source: folder, `bioimageio.yaml`, zip archive, URL, or id.
        sha256: what the file has to hash to; of a folder: its `bioimageio.yaml`.
        progressbar: of downloads, as of `bioimageio.spec.load_description`.

    Raises:
        MissingFileError: if it looks like a path and nothing is there, or is no known id.
        HashMismatchError: if it is another file than the one meant.
        UnsafePackageError, FileReadError: if an archive or a link is refused, or can not be read.
        DescriptionError: if there is no description, or this is no source.
    """
    if isinstance(source, zipfile.ZipFile):
        return _in_archive(source, sha256)
    if not isinstance(source, (str, os.PathLike)):
        raise DescriptionError(
            "not the source of a description",
            expected="a path, URL, id, open zip archive, or description",
            got=type(source).__name__,
        )
    text = os.fspath(source)
    if not isinstance(source, str) or looks_like_path(text) or Path(text).exists():
        return _on_disk(existing_path(text).absolute(), sha256)
    return _on_the_net(text, sha256, progressbar)


def _in_archive(archive: zipfile.ZipFile, sha256: str | None) -> Found:
    if archive.fp is None:
        raise DescriptionError("the zip archive is closed", got=archive.filename)
    name = str(archive.filename or "the zip archive")
    return _in_folder(unpacked_file(archive.fp, name, sha256=sha256), name)


def _on_disk(path: Path, sha256: str | None) -> Found:
    if path.is_dir():
        path = _described_in(path)
    elif not path.is_file():
        raise FileReadError(f"not a file that could be read: {path}")
    elif zipfile.is_zipfile(path):
        return _in_folder(unpacked(path, sha256=sha256), str(path))
    if sha256 is not None:
        check_sha256(path.name, str(sha256), sha256_of(path))
    return Found(_beginning(path), path.parent, path.name, str(path))


def _in_folder(folder: Path, source: str) -> Found:
    path = _described_in(folder)
    return Found(_beginning(path), folder, path.name, source)


def _described_in(folder: Path) -> Path:
    """The description in a folder; one that a user names may be a link, one that is found not."""
    from bioimageio.spec.utils import identify_bioimageio_yaml_file_name

    names = [path.name for path in folder.iterdir() if path.is_file()]
    path = folder / identify_bioimageio_yaml_file_name(names)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UnsafePackageError(
            f"{path.name} is a file outside of the package: a link leads out of the package",
            got=path.resolve(),
            remedy="put the file into the folder, or name it itself",
        )
    return path


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LENGTH + 1)


def _on_the_net(source: str, sha256: str | None, progressbar: Any) -> Found:
    asked, reader = _opened(source, progressbar)
    check_sha256(asked, sha256, reader.sha256)
    if reader.is_zipfile:
        return _in_folder(unpacked_file(reader, asked), asked)
    reader.seek(0)
    content = reader.read(LENGTH + 1)
    return Found(content, reader.original_root, reader.original_file_name, asked)


def _opened(source: str, progressbar: Any) -> tuple[str, Any]:
    """The URL that a source stands for, and what is there."""
    from bioimageio.spec import settings

    if "://" in source:
        return source, read_url(source, progressbar=progressbar)
    url = settings.collection_http_pattern.format(bioimageio_id=source)
    with suppress(Exception):  # the collection does not answer, or does not know it
        return url, read_url(url, progressbar=False)
    url, expected = _listed(source)
    reader = read_url(url, progressbar=progressbar)
    check_sha256(url, expected, reader.sha256)
    return url, reader


def _listed(source: str) -> tuple[str, str]:
    """Where the lists of the collection say that an id is, with its sha256."""
    from bioimageio.spec import settings

    for address in (settings.id_map, settings.id_map_draft if settings.resolve_draft else ""):
        with suppress(Exception):  # a list that does not answer says nothing
            entry = json.loads(read_url(address, progressbar=False).read())[source]
            return str(entry["source"]), str(entry["sha256"])
    raise MissingFileError(
        f"no such file or model id: {source}",
        remedy="no request may be made to ask for an id that was not fetched before"
        if is_offline()
        else "is it spelled right, and is there a network to ask for ids?",
    )
