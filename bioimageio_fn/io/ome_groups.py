"""OME-Zarr groups that are there already: what may be replaced, and images that get labels.

What holds here: an image is only replaced if nothing else would be lost with it; labels are named
by their image when they are in their place, and not before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import FileReadError, FileWriteError
from ..files import written_whole
from .formats import Location

__all__ = ["check_image_replaceable", "check_labelled", "levels_of", "registered"]

_LABELS = "labels"
_METADATA = "zarr.json"


def _attributes(folder: Path) -> dict[str, Any]:
    """What a group of OME-Zarr 0.5 says of itself; nothing if it is none."""
    try:
        described = json.loads((folder / _METADATA).read_text(encoding="utf-8"))
        found = described["attributes"]["ome"]
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _level_paths(folder: Path) -> list[str]:
    """The arrays of an image of one resolution each."""
    try:
        return [str(level["path"]) for level in _attributes(folder)["multiscales"][0]["datasets"]]
    except (LookupError, TypeError):
        return []


def check_image_replaceable(folder: Path) -> None:
    """Refuse to replace what is no image alone, such as an image with labels.

    Raises:
        FileWriteError: if so.
    """
    if not folder.exists():
        return
    levels = _level_paths(folder)
    others = folder.is_dir() and {path.name for path in folder.iterdir()} - {_METADATA, *levels}
    if not levels or others:
        raise FileWriteError(
            f"{folder} is in the way",
            expected="an OME-Zarr image alone, which would be replaced, or nothing",
            got=f"one with {', '.join(sorted(others))}"
            if levels and others
            else "a file or folder of another kind",
            remedy="remove it, or write to another place",
        )


def check_labelled(place: Location) -> None:
    """Refuse a path in a Zarr folder that is not one of labels of an image.

    Raises:
        FileWriteError: if so.
    """
    group, _, name = place.inner.partition("/")
    if group != _LABELS or not name or "/" in name:
        raise FileWriteError(
            f"can not write {place.file / place.inner}",
            expected=f"a path that ends in .zarr, or in .zarr/{_LABELS}/NAME",
            got=f"{place.inner!r} in the Zarr folder {place.file}",
        )
    if not _level_paths(place.file):
        raise FileWriteError(
            f"{place.file} can not get labels",
            expected="an OME-Zarr image of version 0.5",
            got="something else" if place.file.exists() else "nothing there",
            remedy="write to a new .ome.zarr",
        )


def levels_of(place: Location) -> int:
    """How many levels an image has; its labels have as many."""
    return len(_level_paths(place.file))


@contextmanager
def registered(place: Location) -> Iterator[None]:
    """Let the group `labels` of an image name the labels that the block puts in their place.

    Raises:
        FileWriteError: if it can not be written.
    """
    yield
    folder = place.file / _LABELS
    names = _attributes(folder).get("labels", [])
    if not isinstance(names, list):
        raise FileReadError(f"can not read {folder}", expected="a list of labels", got=names)
    name = place.inner.partition("/")[2]
    ome = {"version": "0.5", "labels": [*names, *([] if name in names else [name])]}
    described = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    with written_whole(folder / _METADATA) as temporary:
        temporary.write_text(json.dumps(described, indent=2), encoding="utf-8")
