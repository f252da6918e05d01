"""One converter, run and proved.

What holds here: what a converter makes is returned only if it is proved; it stays in its own
folder; whatever goes wrong is an `Attempt` that says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from ..backends.choose import load_backend
from ..backends.formats import obstacle
from ..contract.records import ModelContract
from ..errors import BioimageioFnError
from ..making import create_prediction_pipeline
from ..trusted import TrustCode
from ..validation.reproducing import expectation
from .graph import Converter, converter_function, lacking
from .proof import Case, misses_of_test, misses_of_weights, run_source
from .records import Attempt, Made, Miss, Task

__all__ = ["Evidence", "converted", "why_not"]


@attrs.frozen
class Evidence:
    """What converted weights are held against.

    Args:
        contract: what the model takes and gives.
        cases: arrays for the network.
    """

    contract: ModelContract
    cases: Sequence[Case]

    @property
    def example(self) -> Case:
        """The largest arrays: an axis of size 1 says nothing of how a network treats it."""
        given = [case for case in self.cases if all(a is not None for a in case.arrays)]
        return max(given or self.cases, key=_elements)


def _elements(case: Case) -> int:
    return sum(array.size for array in case.arrays if array is not None)


def why_not(converter: Converter) -> BioimageioFnError | None:
    """Why a converter can not be used here, with what to do; None if it can."""
    return obstacle(converter.source) or obstacle(converter.target) or lacking(converter)


def converted(
    converter: Converter,
    description: Any,
    evidence: Evidence,
    *,
    folder: Path,
    candidate: Callable[[Made], Any],
    trust_code: TrustCode = False,
    verbose: bool = False,
) -> tuple[Attempt, Made | None]:
    """Run a converter, and prove what it makes.

    Args:
        converter: from which format to which.
        description: of the model.
        evidence: what its weights are held against.
        folder: an empty folder, for what is made.
        candidate: the description with what was made, for it to be run.
        trust_code: whether code of the model may run.
        verbose: whether frameworks may print.

    Returns:
        What was found, and the weights if they are proved.
    """
    try:
        with load_backend(
            description, weights_format=converter.source, device="cpu", trust_code=trust_code
        ) as source:
            # it is opened and run first as it is for users, with errors that they know
            opened = (source, source.signature, evidence.contract)
            run_source(source, evidence.example, name=converter.source)
            task = Task(*opened, evidence.example.arrays, folder, verbose)
            made = converter_function(converter)(task)
            misses = _misses(converter, candidate(made), evidence, source, trust_code)
    # of exporters anything may come; what they say is what the user gets
    except Exception as error:  # noqa: BLE001
        return Attempt(converter, problem=_reason(error)), None
    if misses:
        return Attempt(converter, misses=misses), None
    return Attempt(converter, proven=tuple(case.name for case in evidence.cases)), made


def _misses(
    converter: Converter, model: Any, evidence: Evidence, source: Any, trust_code: TrustCode
) -> tuple[Miss, ...]:
    """Where the weights are not what they should be: at the first case at which they are not."""
    with create_prediction_pipeline(
        model, weights_format=converter.target, devices="cpu", trust_code=trust_code
    ) as pipeline:
        for case in evidence.cases:
            misses = misses_of_weights(
                evidence.contract, source, pipeline.backend, case, name=converter.source
            )
            if misses:
                return misses
        return misses_of_test(pipeline, expectation(model, converter.target))


def _reason(error: Exception) -> str:
    """What is wrong, in one line; of errors of exporters what is at the bottom of them."""
    if isinstance(error, BioimageioFnError):
        return " ".join(str(error).split())
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = " ".join(re.sub("\x1b\\[[0-9;]*m", "", str(cause)).split())  # without its colours
    return f"{type(cause).__name__}: {text[:300]}" if text else type(cause).__name__
