"""Which samples a user means by files, folders and globs.

What holds here: nothing is opened; the order is that of names; files of several inputs belong
together by what tells their names apart, never by their number; no two samples have one name.
"""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import attrs

from ..errors import FileReadError, MissingMemberError
from ..files import existing_path, expanded
from ..io.formats import READ, location, stem

__all__ = ["Item", "files_of", "items_of", "matched"]


_WORDS = re.compile(r"\d+|[^\W\d_]+|[\W_]")


@attrs.frozen
class Item:
    """One sample that is to be predicted.

    Args:
        id: its name, which its results are named by.
        inputs: the path of its image; or the paths of several, by input id.
    """

    id: str
    inputs: str | Mapping[str, str]

    @property
    def files(self) -> tuple[str, ...]:
        """All of its paths."""
        return (self.inputs,) if isinstance(self.inputs, str) else tuple(self.inputs.values())


def items_of(texts: Sequence[str], named: Mapping[str, Sequence[str]]) -> list[Item]:
    """The samples that are meant.

    Args:
        texts: files, folders and globs of a model with one input.
        named: the same for each input, by its id.

    Raises:
        MissingFileError: if there is no such file.
        FileReadError: if there are no images, or two samples would have the same name.
        MissingMemberError: if not all samples have all inputs.
    """
    if named:
        items = matched({name: files_of(given) for name, given in named.items()})
    else:
        items = [Item(stem(file), file) for file in files_of(texts)]
    counts = Counter(item.id for item in items)
    for item in items:
        if counts[item.id] > 1:
            raise FileReadError(
                f"several images are named {item.id}, and their results would be, too",
                got=", ".join(i.files[0] for i in items if i.id == item.id),
                remedy="predict them one by one, each into a folder of its own",
            )
    return items


def files_of(texts: Iterable[str]) -> list[str]:
    """The image files that files, folders and globs stand for, each once.

    Of a folder, these are the files in it with a suffix that can be read, but no hidden ones, and
    none in folders below it. A glob may have been left for us by the shell: `'data/*.tif'`.

    Raises:
        MissingFileError: if there is no such file or folder.
        FileReadError: if there are no images in a folder, or nothing has the form of a glob.
    """
    found = {file: None for text in texts for file in _expanded(text)}
    return list(found)


def _expanded(text: str) -> list[str]:
    path = expanded(text)
    if _is_image(path):
        return [str(path)]
    if path.is_dir():
        return _images_in(path)
    if not path.exists() and glob.has_magic(text):
        return _matching(str(path))
    # of a path that leads into a file, the file has to be there
    existing_path(location(path).file)
    return [str(path)]


def _is_image(path: Path) -> bool:
    """Whether a path is that of a file, of a Zarr folder, or leads into one of these."""
    place = location(path)
    return place.file.exists() and (place.suffix == ".zarr" or not place.file.is_dir())


def _images_in(folder: Path) -> list[str]:
    files = [str(path) for path in sorted(folder.iterdir()) if _is_readable(path)]
    if not files:
        raise FileReadError(
            f"there are no images in the folder {folder}",
            expected=f"files that end in {', '.join(READ)}",
            got=_suffixes_in(folder),
        )
    return files


def _is_readable(path: Path) -> bool:
    name = path.name.lower()
    # other archives than those of Zarr are no images
    known = name.endswith(".zarr.zip") if name.endswith(".zip") else path.suffix.lower() in READ
    return known and not name.startswith(".") and _is_image(path)


def _suffixes_in(folder: Path) -> str:
    counts = Counter("folders" if p.is_dir() else p.suffix or p.name for p in folder.iterdir())
    return ", ".join(f"{n} {suffix}" for suffix, n in counts.most_common(5)) or "an empty folder"


def _matching(pattern: str) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - which has no hidden files
    files = [file for file in found if _is_image(Path(file))]
    if not files:
        raise FileReadError(
            f"no file has the form {pattern}", remedy=f"the current folder is {Path.cwd()}"
        )
    return files


def matched(files: Mapping[str, Sequence[str]]) -> list[Item]:
    """Samples of several inputs, named by the first of them.

    If each input has one file, these are a sample. Else files belong together whose names are the
    same, or differ by what all names of an input have in common: `a_raw.tif` and `b_raw.tif` go
    with `a_mask.tif` and `b_mask.tif`.

    Args:
        files: of each input, by its id.

    Raises:
        MissingMemberError: if a file of one input has none of another.
        FileReadError: if two files of an input have the same name.

    Examples:
        >>> items = matched({"raw": ["a_raw.tif", "b_raw.tif"], "mask": ["b_m.tif", "a_m.tif"]})
        >>> items[1].id, items[1].inputs["mask"]
        ('b_raw', 'b_m.tif')
    """
    if all(len(paths) == 1 for paths in files.values()):
        inputs = {name: paths[0] for name, paths in files.items()}
        return [Item(stem(next(iter(inputs.values()))), inputs)]
    keys = _keys(files)
    for name, paths in files.items():
        if len(keys[name]) < len(paths):
            raise FileReadError("several images of one input have the same name", tensor=name)
    first = next(iter(files))
    for name in files:
        for one, other in ((first, name), (name, first)):
            if alone := sorted(set(keys[one]) - set(keys[other])):
                raise MissingMemberError(
                    "these files do not belong together by their names",
                    tensor=other,
                    expected=f"one for {keys[one][alone[0]]} (of {one})",
                    got=f"{len(files[one])} and {len(files[other])} files",
                    remedy="give them names that differ in nothing but what they show",
                )
    return [
        Item(stem(path), {name: keys[name][key] for name in files})
        for key, path in keys[first].items()
    ]


def _keys(files: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Files by what tells them apart: their whole names, if these are the same for all inputs."""
    whole = {name: {stem(path): path for path in paths} for name, paths in files.items()}
    same = len({frozenset(keys) for keys in whole.values()}) == 1
    if same and all(len(whole[name]) == len(paths) for name, paths in files.items()):
        return whole
    return {name: _by_difference(paths) for name, paths in files.items()}


def _by_difference(paths: Sequence[str]) -> dict[str, str]:
    """Files by their names without the words and numbers that all begin and end with."""
    words = [_WORDS.findall(stem(path)) for path in paths]
    before = _in_common(words)
    rest = [own[before:] for own in words]
    behind = _in_common([own[::-1] for own in rest])
    keys = ["".join(own[: len(own) - behind]) for own in rest]
    return dict(zip(keys, paths, strict=True))


def _in_common(words: Sequence[Sequence[str]]) -> int:
    """How many words all begin with."""
    return sum(
        1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False))
    )
