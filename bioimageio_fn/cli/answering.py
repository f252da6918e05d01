"""`answering`: how a command speaks, to people and to programs, and how it fails.

What holds here: results go to stdout, everything else to stderr; with `--json`, stdout is one JSON
document, whatever happens; an error or warning is one line; the exit code is 0 if all is done, 1 if
something failed, 2 for a wrong call, and 130 after Ctrl-C.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias

import attrs
import click

from ..errors import BioimageioFnError

__all__ = ["INTERRUPTED", "Answer", "Say", "answering", "note", "one_line"]

Say: TypeAlias = Callable[[str], None]
"""Shows a line of the result to people."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as of shells."""


@attrs.frozen
class Answer:
    """What a command has found out.

    Args:
        document: the result for programs, of what JSON has.
        failed: whether the exit code says that something is not as it should be.
    """

    document: Any
    failed: bool = False


def answering(function: Callable[..., Answer]) -> Callable[..., None]:
    """A callback of click that gives the answer of a function, in text or as JSON.

    Args:
        function: takes `say` and the options of the command. What it says is the result as text;
            what it returns is the same for programs.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
    @click.option("--debug", is_flag=True, help="Show where an error came from.")
    @functools.wraps(function)
    def callback(*, as_json: bool, debug: bool, **options: Any) -> None:
        say: Say = (lambda _: None) if as_json else click.echo
        with _said_in_one_line(as_json=as_json, debug=debug):
            answer = function(say, **options)
        if as_json:
            click.echo(json.dumps(answer.document, indent=2, ensure_ascii=False))
        if answer.failed:
            sys.exit(1)

    return callback


@contextmanager
def _said_in_one_line(*, as_json: bool, debug: bool) -> Iterator[None]:
    """Say errors and warnings in one line each; errors end the program."""
    # what tifffile logs of a damaged file is said by the error, in one line
    logging.getLogger("tifffile").setLevel(logging.NOTSET if debug else logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: note(f"warning: {one_line(message)}")
        try:
            yield
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except KeyboardInterrupt:
            note("stopped: what was finished is there, and nothing half-written")
            sys.exit(INTERRUPTED)
        except Exception as error:  # noqa: BLE001
            _fail(error, as_json=as_json, debug=debug)


def _fail(error: Exception, *, as_json: bool, debug: bool) -> NoReturn:
    if debug:
        note("".join(traceback.format_exception(error)).rstrip())
    if as_json:
        click.echo(json.dumps({"error": {"type": type(error).__name__, "text": one_line(error)}}))
    note(f"error: {one_line(error)}")
    sys.exit(1)


def note(text: str) -> None:
    """Say something that is no result."""
    click.echo(text, err=True)


def one_line(message: object) -> str:
    """An error or warning as one line.

    Examples:
        >>> one_line(RuntimeError("two\\nlines"))
        'RuntimeError: two lines (see --debug)'
    """
    text = " ".join(str(message).split())
    if isinstance(message, Exception) and not isinstance(message, (BioimageioFnError, Warning)):
        return f"{type(message).__name__}: {text} (see --debug)"
    return text
