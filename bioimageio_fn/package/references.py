"""The files that a description refers to lie in its package.

What holds here: no file is opened; a path is refused for its spelling, and for what links make of
it. URLs are allowed, as the format allows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UnsafePackageError
from ..files import inner_parts

__all__ = ["check_references"]


def check_references(description: Any, *, absolute: bool = False) -> None:
    """Refuse a description that refers to files outside of its package.

    Args:
        description: a valid description.
        absolute: whether absolute paths are allowed: who makes a description in Python may name
            any file, what comes as text may not.

    Raises:
        UnsafePackageError: if one does; names the field and the file.
    """
    for field, source in _references(description, ""):
        if isinstance(source, Path):
            if not absolute:
                raise _unsafe(field, source, "it is an absolute path")
        elif hasattr(type(source), "get_absolute"):  # relative to the package
            _check_relative(field, str(source), source.absolute())


def _check_relative(field: str, name: str, location: Any) -> None:
    parts = inner_parts(name)
    if parts is None:
        raise _unsafe(field, name, "its path leads out of the package")
    if isinstance(location, Path):
        package = location.parents[len(parts) - 1].resolve()
        if not location.resolve().is_relative_to(package):
            raise _unsafe(field, name, "a link leads out of the package")


def _references(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    """Each file, folder or URL that a description names, and the field in which it does.

    Told by `absolute`, which references have, whatever version of the format they are of.
    """
    if hasattr(type(value), "absolute"):
        yield field, value
        return
    for name, item in _parts(value):
        yield from _references(item, f"{field}.{name}")


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    kind = type(value)  # a model of pydantic is slow to say what it has not
    if issubclass(kind, str):
        # format 0.4 has references within text, such as file.py:Network and conda:file.yaml
        names = ("source_file", "file")
        return [(name, getattr(value, name)) for name in names if hasattr(kind, name)]
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, Sequence):
        return enumerate(value)
    return value if hasattr(kind, "model_fields_set") else ()  # a part of the description


def _unsafe(field: str, source: object, why: str) -> UnsafePackageError:
    return UnsafePackageError(
        f"{field.removeprefix('.')} is a file outside of the package: {why}",
        got=str(source)[:200],
        remedy="put the file into the folder of the description, and name it from there",
    )
