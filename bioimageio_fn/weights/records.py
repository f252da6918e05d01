"""Records of converting weights: what a converter gets and makes, and what is known of it.

What holds here: records say what was found, in figures; nothing is done here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from immutabledict import immutabledict

from ..axes import MemberId
from ..backends.signature import Signature
from ..contract.records import ModelContract
from .graph import Converter

__all__ = ["AddedWeights", "Attempt", "Made", "Miss", "Task"]


@attrs.frozen
class Task:
    """What a converter gets.

    Args:
        backend: the weights to convert, as `load_backend` gives them.
        signature: what they say of themselves.
        contract: what the model takes and gives.
        arrays: one for each input, as they reach the network, of sizes that are not the smallest;
            None for an optional input that is absent.
        folder: an empty folder, for what it makes.
        verbose: whether the framework may print.
    """

    backend: Any
    signature: Signature
    contract: ModelContract
    arrays: tuple[Any, ...]
    folder: Path
    verbose: bool = False


@attrs.frozen
class Made:
    """What a converter made.

    Args:
        file: the weights.
        tool: what made them, with its version.
        fields: what the description says of weights of this format, such as `opset_version`.
        external: a file that holds their numbers, and lies beside them.
    """

    file: Path
    tool: str
    fields: Mapping[str, Any] = attrs.field(converter=immutabledict)
    external: Path | None = None


@attrs.frozen
class Miss:
    """An output that is not what it should be.

    Args:
        output: its id.
        reference: what it was compared with.
        at: the sizes of the inputs.
        figures: by how much it missed.
    """

    output: MemberId
    reference: str
    at: str
    figures: str

    def __str__(self) -> str:
        return f"{self.output} is not that of {self.reference} at {self.at}: {self.figures}"


@attrs.frozen
class Attempt:
    """One converter, tried.

    Args:
        converter: from which format to which.
        proven: the sizes at which its weights gave what the source gives.
        misses: where they did not.
        problem: what went wrong, if they could not be made or run.
    """

    converter: Converter
    proven: tuple[str, ...] = ()
    misses: tuple[Miss, ...] = ()
    problem: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the weights were made, and are what they should be."""
        return self.problem is None and not self.misses

    def __str__(self) -> str:
        if self.problem is not None:
            return f"{self.converter}: failed: {self.problem}"
        if self.misses:
            return f"{self.converter}: not added: {'; '.join(map(str, self.misses))}"
        return f"{self.converter}: added, proven at {', '.join(self.proven)}"


@attrs.frozen
class AddedWeights:
    """A model with the weights that were added to it.

    Args:
        description: the description with what was added; the one that was given if that is nothing.
        folder: the package that was written; None if nothing was added, and so nothing written.
        attempts: what was tried, in order.
    """

    description: Any = attrs.field(repr=False)
    folder: Path | None
    attempts: tuple[Attempt, ...]

    @property
    def added(self) -> tuple[str, ...]:
        """The formats that were added."""
        return tuple(a.converter.target for a in self.attempts if a.passed)

    def __str__(self) -> str:
        where = "nothing was added" if self.folder is None else f"written to {self.folder}"
        return "\n".join([where, *(f"  {attempt}" for attempt in self.attempts)])
