"""`defaults`: options that stand in a file beside the data.

What holds here: a value in the file is what could be typed for it, and is read by the same rules;
what is typed wins; a key that no command knows is an error, as is a second file.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from .answering import one_line

__all__ = ["NAMES", "defaults", "file_in", "key_of"]

NAMES = ("bioimageio-cli.yaml", "bioimageio-cli.json")
"""Files that are looked for."""

_LENGTH = 2**20


def file_in(folder: Path) -> Path | None:
    """The config file in a folder, if there is one.

    Raises:
        click.UsageError: if there are two.
    """
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) > 1:
        raise click.UsageError(f"there are two config files, {' and '.join(NAMES)}; keep one")
    return found[0] if found else None


def defaults(file: Path, commands: Mapping[str, click.Command]) -> dict[str, dict[str, Any]]:
    """The defaults of commands, as of a config file.

    Keys are the long names of options without their dashes, and `model` and `inputs`. They stand at
    the top, for every command that has them, or below the name of a command.

    Args:
        file: the config file.
        commands: all of them, by name.

    Raises:
        click.UsageError: if it can not be read, or has a key or a value that makes no sense.
    """
    fields = _read(file)
    nested = {name: fields.pop(name) or {} for name in commands if name in fields}
    _check(fields, {key_of(p) for c in commands.values() for p in c.params} | {*commands}, file)
    return {
        name: dict(_of_command(command, fields, nested.get(name, {}), file))
        for name, command in commands.items()
    }


def key_of(parameter: click.Parameter) -> str:
    """The key of a parameter: the long name of an option, or the name of an argument.

    Examples:
        >>> key_of(click.Option(["-o", "--output"])), key_of(click.Argument(["model"]))
        ('output', 'model')
    """
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len).lstrip("-")
    return str(parameter.name)


def _read(path: Path) -> dict[str, Any]:
    from ..package.fields import fields_of

    try:
        with path.open("rb") as file:
            content = file.read(_LENGTH + 1)
        # JSON has numbers and escapes that YAML reads otherwise
        fields = json.loads(content) if path.suffix == ".json" else fields_of(content, path.name)
    except Exception as error:
        raise click.UsageError(f"can not read {path.name}: {one_line(error)}") from error
    if not isinstance(fields, dict):
        raise click.UsageError(f"{path.name} has no keys with values")
    return {_spelled(key): value for key, value in fields.items()}


def _spelled(key: str) -> str:
    return key.replace("_", "-")


def _check(fields: Collection[str], known: Collection[str], path: Path, where: str = "") -> None:
    for key in fields:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise click.UsageError(
                f"{path.name} has the unknown key {key!r}{where}; "
                + (f"is {near[0]!r} meant?" if near else f"known are {', '.join(sorted(known))}")
            )


def _of_command(
    command: click.Command, top: Mapping[str, Any], own: Any, path: Path
) -> Iterator[tuple[str, Any]]:
    """The defaults of one command; what stands below its name wins."""
    known = {key_of(parameter): parameter for parameter in command.params}
    if not isinstance(own, Mapping):
        raise click.UsageError(f"{path.name} has no keys with values below {command.name!r}")
    mine = {_spelled(str(key)): value for key, value in own.items()}
    _check(mine, known, path, f" below {command.name!r}")
    for key, value in {**{k: v for k, v in top.items() if k in known}, **mine}.items():
        if value is not None:
            yield str(known[key].name), _typed(value, known[key], f"{key!r} in {path.name}")


def _typed(value: Any, parameter: click.Parameter, where: str) -> Any:
    """What would be typed for a value; a list of that if it may be typed several times."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        if isinstance(value, bool):
            return value
        raise click.UsageError(f"{where} has to be true or false, and not {value!r}")
    parts = [f"{k}={_text(v, where)}" for k, v in value.items()] if isinstance(value, dict) else []
    parts = [_text(v, where) for v in value] if isinstance(value, list) else parts
    if not isinstance(value, (dict, list)):
        parts = [_text(value, where)]
    return parts if parameter.multiple or parameter.nargs == -1 else ",".join(parts)


def _text(value: Any, where: str) -> str:
    if isinstance(value, list):
        return ",".join(_text(v, where) for v in value)
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise click.UsageError(f"{where} has the value {value!r}, which could not be typed")
