"""What one step of a test has found, and how what goes wrong in it becomes that.

What holds here: a step ends in a finding, whatever happens in it; the words of an error are kept,
its traceback is not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import attrs

from ..blocks.records import BlockPlan
from ..errors import BioimageioFnError, OutOfMemoryError
from ..sample import Sample
from ..seams import Seams
from .records import Reach, Reproduction

__all__ = [
    "Finding",
    "Note",
    "Problem",
    "Severity",
    "attempted",
    "not_for_python",
    "noted",
    "nothing_ran",
    "problem_of",
]

Severity: TypeAlias = Literal["info", "warning", "alert"]


@attrs.frozen
class Problem:
    """Why a step failed.

    Args:
        kind: class of an error, or cause of a difference.
        text: in words.
    """

    kind: str
    text: str


@attrs.frozen
class Note:
    """Something that is worth to be said, and not wrong.

    Args:
        severity: how much it matters.
        text: in words.
    """

    severity: Severity
    text: str


@attrs.frozen
class Finding:
    """What one step of a test has found.

    Args:
        name: of the step.
        problems: why it failed; none if it passed.
        notes: what else there is to say.
        ran: whether there was something to run.
        reproductions: outputs that were compared.
        inputs: what the model was given, as its test inputs.
        plan: how the inputs were cut.
        seconds: what running the model took.
        seams: blockwise against whole.
        reaches: how far the network looks.
    """

    name: str
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()
    ran: bool = True
    reproductions: tuple[Reproduction, ...] = ()
    inputs: Sample | None = None
    plan: BlockPlan | None = None
    seconds: float = 0.0
    seams: tuple[Seams, ...] = ()
    reaches: tuple[Reach, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def not_for_python(weights_format: str) -> Finding:
    """That weights of a format were not run, as nothing in Python runs them."""
    text = f"not run: weights of the format {weights_format} can not be run in Python"
    name = f"Weights of the format {weights_format}"
    return Finding(name, notes=(Note("alert", text),), ran=False)


def nothing_ran() -> Finding:
    """That a model was not tested at all, which is no success."""
    text = "none of the model's weights could be run here"
    return Finding("Run the model", problems=(Problem("WeightsFormatError", text),))


def attempted(name: str, step: Callable[[], Finding]) -> Finding:
    """The finding of a step; if it raises, that is the finding. What it warns of are notes.

    That there is too little memory here says nothing of a model: it is no problem of it.

    Args:
        name: of the step.
        step: what to do.

    Examples:
        >>> attempted("divide", lambda: 1 / 0).problems
        (Problem(kind='ZeroDivisionError', text='ZeroDivisionError: division by zero'),)
    """
    with noted() as notes:
        try:
            found = step()
        except OutOfMemoryError as error:
            found = Finding(name, notes=(Note("alert", f"not run: {error}"),), ran=False)
        except Exception as error:  # noqa: BLE001 # strangers' weights raise whatever they like
            found = Finding(name, problems=(problem_of(error),))
    return attrs.evolve(found, notes=(*found.notes, *notes))


@contextmanager
def noted() -> Iterator[list[Note]]:
    """What is warned of meanwhile, as notes, each once; they are there at the end."""
    notes: list[Note] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for kind in (ResourceWarning, DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", kind)  # of libraries, for their makers
        yield notes
    said = dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught)
    notes += [Note("warning", text) for text in said]


def problem_of(error: Exception) -> Problem:
    """An error as a problem: its class, and its words."""
    kind, text = type(error).__name__, " ".join(str(error).split())
    if not isinstance(error, BioimageioFnError):
        text = f"{kind}: {text}"
    return Problem(kind, text[:2000])
