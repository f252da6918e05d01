"""Descriptions brought up to date: to the newest format, or to the files as they are now.

What holds here: what changes is shown as a diff in which only changes stand out; what is written is
valid, and written whole or not at all; a description stays with its files.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Mapping
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import attrs

from .contract.files import architecture_of
from .descriptions import (
    built_description,
    dump_description,
    save_bioimageio_package,
    save_bioimageio_package_as_folder,
    save_bioimageio_yaml_only,
)
from .errors import FileWriteError
from .files import check_new, check_place, sha256_of, written_whole
from .package import as_valid, fields_of_source, load_description, local_file

__all__ = ["Update", "update_format", "update_hashes"]

_HASHES = ("sha256", "architecture_sha256")


@attrs.frozen
class Update:
    """A description that was brought up to date.

    Args:
        description: as it is now.
        diff: what has changed, as a unified diff of YAML; empty if nothing has.
    """

    description: Any = attrs.field(repr=False)
    diff: str

    def __str__(self) -> str:
        return self.diff or "nothing changes"


def update_format(source: Any, *, output: str | Path | None = None) -> Update:
    """A description in the newest format, as `bioimageio.spec` converts it.

    Args:
        source: as of `load_description`.
        output: where to write it: a `.yaml` file in the folder of the source, which may be its own;
            a folder that is new or empty, or a `.zip` archive, with all of its files. Comments in
            YAML are lost. Nothing is written by default.

    Returns:
        The description, and what has changed.

    Raises:
        DescriptionError: if it is invalid, before or then, also as a file is missing or is another
            one; nothing is written.
        FileWriteError: if the output is none of these, or can not be written.

    Examples:
        >>> update_format("model", output="model.txt")
        Traceback (most recent call last):
            ...
        bioimageio_fn.errors.FileWriteError: model.txt is no place for a description: ...
    """
    return _updated(source, output, lambda _, fields: fields, _lean, format_version="latest")


def update_hashes(source: Any, *, output: str | Path | None = None) -> Update:
    """A description with the sha256 values that its files have now.

    Use it when you have changed a file of a package of yours. Of what comes from others, another
    sha256 is a reason to ask them.

    Args:
        source, output: as of `update_format`.

    Returns:
        The description, and what has changed.

    Raises:
        DescriptionError: if it is invalid, also as a file is missing; nothing is written.
        FileWriteError: if the output is none of these, or can not be written.
    """
    return _updated(source, output, _with_new_hashes, _rehashed)


def _updated(
    source: Any,
    output: str | Path | None,
    change: Callable[[Any, dict[str, Any]], dict[str, Any]],
    write: Callable[[Any, Any], Any],
    **options: Any,
) -> Update:
    """A description with other fields.

    Args:
        source, output: as of `update_format`.
        change: makes its new fields of the description as it is and of its fields.
        write: makes what is written of the fields of the source and of the new description.
        options: as of `built_description`.
    """
    place = None if output is None else _checked_place(Path(output))
    opened = as_valid(load_description(source, perform_io_checks=False))
    before = dict(dump_description(source)) if source is opened else fields_of_source(source)
    # without a look at the files bioimageio.spec forgets their sha256 where it converts
    description = as_valid(
        built_description(opened, partial(change, opened), perform_io_checks=True, **options)
    )
    after = write(before, description)
    if "covers" not in before:
        after.pop("covers", None)  # one that was drawn just now lies somewhere else
    update = Update(description, _diff(before, after, description.file_name))
    if place is not None:
        _write(update, after, place)
    return update


def _with_new_hashes(description: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without the sha256 of files, which are then filled in; `config` is not looked at.

    That of code in format 0.4 is filled in here, as it has to be there.
    """
    bare = {n: v if n == "config" else _without_hashes(v) for n, v in fields.items()}
    entry = (bare.get("weights") or {}).get("pytorch_state_dict") or {}
    if "architecture_sha256" in entry and (file := architecture_of(description).file) is not None:
        entry["architecture_sha256"] = sha256_of(local_file(attrs.evolve(file, sha256=None)))
    return bare


def _without_hashes(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {n: v for n, v in value.items() if not (n == "sha256" and "source" in value)}
        return {name: _without_hashes(inner) for name, inner in kept.items()}
    return [_without_hashes(v) for v in value] if isinstance(value, list) else value


def _checked_place(output: Path) -> Path:
    if output.suffix in {".yaml", ".yml", ".zip"}:
        check_place(output)
        return output
    if output.suffix and not output.is_dir():
        raise FileWriteError(
            f"{output} is no place for a description",
            expected="a .yaml file, a .zip archive, or a folder",
            got=output.suffix,
        )
    return check_new(output)


def _write(update: Update, fields: Mapping[str, Any], place: Path) -> None:
    if place.suffix == ".zip":
        save_bioimageio_package(update.description, output_path=place)
    elif place.suffix not in {".yaml", ".yml"}:
        save_bioimageio_package_as_folder(update.description, output_path=place)
    elif not _is_beside(place, update.description.root):
        raise FileWriteError(
            f"{place} is not beside the files that it names",
            expected=f"a file in {update.description.root}",
            remedy="write a folder or a .zip archive, which gets all of its files",
        )
    elif update.diff or not place.exists():
        with written_whole(place) as temporary:
            temporary.write_text(_yaml(fields), encoding="utf-8")


def _is_beside(place: Path, root: Any) -> bool:
    return isinstance(root, Path) and place.absolute().parent.resolve() == root.resolve()


def _diff(before: Mapping[str, Any], after: Mapping[str, Any], name: str | None) -> str:
    old, new = (_yaml(fields).splitlines(keepends=True) for fields in (before, after))
    name = name or "bioimageio.yaml"
    return "".join(difflib.unified_diff(old, new, name, f"{name} (updated)", n=2))


def _yaml(fields: Mapping[str, Any]) -> str:
    text = io.StringIO()
    save_bioimageio_yaml_only(dict(fields), text)
    return text.getvalue()


def _rehashed(before: Any, description: Any) -> Any:
    """The old fields with the sha256 values of the new description, and nothing else of it."""
    return _with_hashes_of(before, dump_description(description))


def _with_hashes_of(before: Any, after: Any) -> Any:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        new = {n: v for n, v in after.items() if n in _HASHES and v is not None}
        return {n: _with_hashes_of(v, after.get(n)) for n, v in before.items()} | new
    if isinstance(before, list) and isinstance(after, list):
        return [_with_hashes_of(*items) for items in zip_longest(before, after[: len(before)])]
    return before


def _lean(before: Any, description: Any) -> Any:
    """The new fields in the order of the old ones; defaults are left out where they were before."""
    fields = dump_description(description)
    return _leaned(before, fields, dump_description(description, exclude_defaults=True))


def _leaned(before: Any, after: Any, bare: Any) -> Any:
    """Fields at any depth.

    Args:
        before: the old fields.
        after: the new fields.
        bare: the new fields without those that are defaults.
    """
    if isinstance(after, Mapping):
        old, short = (x if isinstance(x, Mapping) else {} for x in (before, bare))
        names = [*(n for n in old if n in after), *(n for n in short if n not in old)]
        return {n: _leaned(old.get(n), after[n], short.get(n)) for n in names}
    if isinstance(after, list):
        olds, shorts = (x if isinstance(x, list) else [] for x in (before, bare))
        return [_leaned(*items) for items in zip_longest(olds[: len(after)], after, shorts)]
    # 0.0 for 0 is no change
    numbers = all(isinstance(v, (int, float)) for v in (before, after))
    return before if numbers and before == after and not isinstance(after, bool) else after
