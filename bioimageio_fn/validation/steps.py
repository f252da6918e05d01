"""The steps in which weights of one format are tested, one after the other.

What holds here: a step runs when its finding is asked for, so that whoever asks may stop; nothing
that a model does ends in an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ..arrays import to_numpy
from ..errors import BlockError, FileWriteError
from ..making import create_prediction_pipeline
from ..pipeline import Pipeline
from ..sample import Sample
from ..seams import measure_seams
from ..tensor import Tensor
from ..trusted import TrustCode
from .as_described import not_as_described
from .findings import Finding, Note, Problem, attempted, noted, problem_of
from .reach import measure_reach
from .reproducing import Expectation, expectation, reproduced
from .running import Trial, run_in_one_piece
from .sizes import SizeCase, resized, size_cases

__all__ = ["Weights", "steps_of"]


@attrs.frozen
class Weights:
    """Weights that are to be tested.

    Args:
        description: of the model that they are of.
        weights_format: their format.
        device: where they run; None for the default.
        trust_code: whether Python code of the model may run.
        working_dir: where tensors are kept; None for nowhere.
    """

    description: Any
    weights_format: str
    device: str | None = None
    trust_code: TrustCode = False
    working_dir: Path | None = None

    @property
    def name(self) -> str:
        """The format, and the device if one is asked for."""
        on = "" if self.device is None else f", {self.device}"
        return f"{self.weights_format}{on}"


def steps_of(weights: Weights, *, in_blocks: bool = True) -> Iterator[Finding]:
    """The findings of the steps of a test, as they are made.

    First the test outputs are reproduced. If that could be run at all, the model is run at other
    sizes that its description allows; then blocks are held against the whole, and what the network
    sees against the described halo.

    Args:
        weights: what to test.
        in_blocks: whether to do the latter, which is the same for all weights of one network.
    """
    name = f"Reproduce test outputs from test inputs ({weights.name})"
    with noted() as notes:
        opened = _opened(weights)
    if isinstance(opened, Problem):
        yield Finding(name, problems=(opened,), notes=tuple(notes))
        return
    pipeline, case = opened
    keep = None if weights.working_dir is None else partial(_keep, weights, case)
    with pipeline:
        first = attempted(name, partial(reproduced, name, pipeline, case, keep))
        yield attrs.evolve(first, notes=(*notes, *first.notes))
        if not first.reproductions:
            return
        yield from _at_other_sizes(weights, pipeline, case)
        if not in_blocks:
            return
        for title, step in (
            (f"Compare blocks with the whole ({weights.name})", _seams),
            (f"Measure how far the network sees ({weights.name})", _reaches),
        ):
            yield attempted(title, partial(step, title, pipeline, case.inputs))


def _opened(weights: Weights) -> tuple[Pipeline, Expectation] | Problem:
    """The model, and what it has to reproduce; or what keeps it from being opened."""
    description, weights_format = weights.description, weights.weights_format
    try:
        pipeline = create_prediction_pipeline(
            description,
            devices=weights.device,
            weights_format=weights_format,
            trust_code=weights.trust_code,
        )
        return pipeline, expectation(description, weights_format)
    except Exception as error:  # noqa: BLE001 # strangers' weights raise whatever they like
        return problem_of(error)


def _at_other_sizes(weights: Weights, pipeline: Pipeline, case: Expectation) -> Iterator[Finding]:
    for size in size_cases(pipeline.contract):
        name = (
            f"Run {weights.name} inference for inputs with batch_size: {size.batch} and size"
            f" parameter n: {size.n}"
        )
        yield attempted(name, partial(_at_size, name, pipeline, case, size))


def _at_size(name: str, pipeline: Pipeline, case: Expectation, size: SizeCase) -> Finding:
    trial = run_in_one_piece(pipeline, resized(case.inputs, size))
    wrong = not_as_described(trial, pipeline.contract, case.tolerances)
    problems = [problem_of(error) for error in wrong]
    problems += [
        Problem("not finite", f"output '{member}' has values that are not finite")
        for member, tensor in trial.outputs.members.items()
        if not _finite(tensor) and _finite(case.expected.members.get(member))
    ]
    return Finding(name, problems=tuple(problems), plan=trial.plan, seconds=trial.seconds)


def _finite(tensor: Tensor | None) -> bool:
    return tensor is None or bool(np.isfinite(to_numpy(tensor.data)).all())


def _seams(name: str, pipeline: Pipeline, inputs: Sample) -> Finding:
    try:
        seams = measure_seams(pipeline, inputs)
    except BlockError as error:  # nothing to compare: too small, or of fixed size
        return Finding(name, notes=(Note("info", f"not run: {error}"),), ran=False)
    notes = [Note("info" if s.verdict == "equal" else "warning", str(s)) for s in seams]
    return Finding(name, notes=tuple(notes), seams=seams)


def _reaches(name: str, pipeline: Pipeline, inputs: Sample) -> Finding:
    try:
        reaches = measure_reach(pipeline, inputs)
    except BlockError as error:  # it takes no image that could be cut
        return Finding(name, notes=(Note("info", f"not run: {error}"),), ran=False)
    notes = [Note("info" if r.covered else "warning", str(r)) for r in reaches]
    return Finding(name, notes=tuple(notes), reaches=reaches)


# ---------------------------------------------------------------- what is kept


def _keep(weights: Weights, case: Expectation, trial: Trial, outputs: Sample) -> None:
    """Write the tensors of a test as NPY: what the model and its network got and gave."""
    if weights.working_dir is None:
        return
    folder = weights.working_dir / weights.name.replace(", ", "_").replace(":", "")
    samples: dict[str, Sample] = {
        "input": trial.inputs,
        "network_input": trial.network_inputs,
        "network_output": trial.network_outputs,
        "output": outputs,
        "expected": case.expected,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, sample in samples.items():
            for member, tensor in sample.members.items():
                np.save(folder / f"{kind}_{member}.npy", to_numpy(tensor.data))
    except OSError as error:
        raise FileWriteError("can not keep the tensors of a test", got=str(error)) from error
