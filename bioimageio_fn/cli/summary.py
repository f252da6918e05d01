"""A test of a model, in lines for a terminal.

What holds here: what is said of a step stands below it; nothing of the summary is left out but
repetition: sizes at which all is well are counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .answering import one_line

__all__ = ["lines_of"]

_SIZES = " for inputs with "
"""Where the name of a step goes on with sizes."""

_NOT_RUN = "not run"
"""What a note begins with that says why there was nothing to run."""

_WARNING = 30
"""The severity from which on something is a warning."""


def lines_of(summary: Any) -> Iterator[str]:
    """The steps of a test, with what each has found, by the weights that they are about.

    Args:
        summary: the `ValidationSummary` of a test.

    Examples:
        >>> import bioimageio_fn as fn
        >>> model = fn.load_description(fn.demo_model(), perform_io_checks=False)
        >>> for line in lines_of(model.validation_summary):
        ...     print(line)
        description
          passed   Successfully created `ModelDescr` instance.
          passed   bioimageio.spec format validation model 0.5...
                   warning: inputs.0.sample_tensor: Needs to be filled for FAIR compliance
                   warning: outputs.0.sample_tensor: Needs to be filled for FAIR compliance
    """
    for subject, details in itertools.groupby(summary.details, _subject):
        yield subject
        for _, alike in itertools.groupby(details, _kind):
            yield from _step(list(alike))


def _subject(detail: Any) -> str:
    """What a step is about: weights of some format, or the description."""
    place = tuple(map(str, detail.loc))
    return place[1] if place[:1] == ("weights",) and len(place) > 1 else "description"


def _kind(detail: Any) -> tuple[str, int]:
    """What is the same for steps that are counted; a step of which there is more to say is not."""
    what, at_size, _ = detail.name.partition(_SIZES)
    plain = at_size and not detail.errors and not detail.warnings
    return (what, 0) if plain else (detail.name, id(detail))


def _step(alike: Sequence[Any]) -> Iterator[str]:
    first = alike[0]
    name = first.name
    if len(alike) > 1:
        name = f"{name.partition(_SIZES)[0]} for inputs of {len(alike)} sizes"
    yield f"  {_status(first):7}  {name}"
    for text in _said(first):
        yield f"           {text}"


def _status(detail: Any) -> str:
    """Whether a step passed; of one that had nothing to run the summary says so in words alone."""
    idle = any(note.msg.startswith(_NOT_RUN) for note in detail.warnings)
    return _NOT_RUN if idle and not detail.errors else str(detail.status)


def _said(detail: Any) -> Iterable[str]:
    """What a step has found, each in one line."""
    for error in detail.errors:
        yield f"{error.type}: {_where(error, detail)}{one_line(error.msg)}"
    for note in detail.warnings:
        kind = "warning: " if note.severity >= _WARNING else ""
        yield f"{kind}{_where(note, detail)}{one_line(note.msg)}"


def _where(entry: Any, detail: Any) -> str:
    """The field that something is said of, unless that is all of what the step is about."""
    return "" if tuple(entry.loc) == tuple(detail.loc) else f"{'.'.join(map(str, entry.loc))}: "
