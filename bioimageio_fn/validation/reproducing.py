"""Test inputs through a model, and what comes of them against its test outputs.

What holds here: of the conventions that test tensors may keep, the first that reproduces them
counts; if none does, the first whose sizes fit is what is said to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import attrs
import numpy as np

from ..arrays import to_numpy
from ..axes import MemberId
from ..contract.files import FileRef, architecture_of, external_data, weights_refs
from ..contract.read import model_contract
from ..contract.records import ParameterizedSize, admits
from ..errors import BioimageioFnError, MissingFileError, SizeError
from ..package import local_file, test_inputs, test_outputs
from ..pipeline import Pipeline
from ..sample import Sample
from ..tensor import Tensor
from .as_described import cast_outputs, not_as_described
from .comparing import agreement
from .conventions import AS_THEY_ARE, Convention, conventions, cropped
from .diagnosis import diagnose, explained
from .findings import Finding, Note, Problem, problem_of
from .records import Agreement, Reproduction, Tolerance
from .running import Trial, run_as, with_raw_statistics
from .tolerances import tolerance_of

__all__ = ["Expectation", "expectation", "reproduced", "unreadable"]


@attrs.frozen
class Expectation:
    """What weights have to reproduce.

    Args:
        weights_format: the format.
        inputs: the test inputs.
        expected: the test outputs.
        tolerances: by output.
    """

    weights_format: str
    inputs: Sample
    expected: Sample
    tolerances: Mapping[MemberId, Tolerance]


def reproduced(
    name: str,
    pipeline: Pipeline,
    case: Expectation,
    keep: Callable[[Trial, Sample], None] | None = None,
) -> Finding:
    """Whether a model gives its test outputs, and if not, why.

    Args:
        name: of this step of the test.
        pipeline: the model.
        case: what it has to reproduce.
        keep: called with what came of it, and the outputs as they are compared.

    Raises:
        BackendError, SizeError, BlockError: if it can not be run on its test inputs.
    """
    convention, trial, outputs = _likeliest(pipeline, case)
    if keep is not None:
        keep(trial, outputs)
    results = tuple(_reproductions(pipeline, case, outputs, convention))
    by_id = {result.output: result for result in results}
    failed = [_problem(result) for result in results if not result.agreement.passed]
    wrong = [problem_of(e) for e in not_as_described(trial, pipeline.contract, case.tolerances)]
    notes = [Note("info", convention.text)] if convention != AS_THEY_ARE else []
    notes += [_note(result) for result in results if result.agreement.passed]
    notes += [Note("alert", text) for text in _not_compared(pipeline, by_id)]
    notes += [Note("warning", text) for text in cast_outputs(trial, pipeline.contract)]
    return Finding(
        name,
        problems=(*failed, *wrong, *_without_numbers(results)),
        notes=tuple(notes),
        reproductions=results,
        inputs=case.inputs,
        plan=trial.plan,
        seconds=trial.seconds,
    )


def expectation(description: Any, weights_format: str) -> Expectation:
    """What weights of a model have to reproduce.

    Raises:
        MissingFileError: if the model has no test tensors, or one is not there.
        FileReadError, HashMismatchError: if one can not be read, or is another.
    """
    contract = model_contract(description)
    inputs, expected = test_inputs(description), test_outputs(description)
    missing = [
        tensor.id
        for tensor in contract.inputs
        if not tensor.optional and tensor.id not in inputs.members
    ]
    if missing or not expected.members:
        raise MissingFileError(
            "the model has no test tensors",
            expected="one for each input that is required, and one for an output at least",
            got=f"none for {', '.join(missing) or 'any output'}",
            remedy="make one, and name it as `test_tensor` in the description",
        )
    tolerances = {t.id: tolerance_of(description, t, weights_format) for t in contract.outputs}
    return Expectation(weights_format, inputs, expected, tolerances)


def unreadable(description: Any) -> Iterator[Problem]:
    """Why files of a valid description can not be read: test tensors, weights, their code."""
    files = [ref for name in weights_refs(description) for ref in _files_of(description, name)]
    reads: list[Callable[[], Any]] = [partial(_check_sizes, description)]
    reads += [partial(local_file, ref) for ref in files]
    for read in reads:
        try:
            read()
        except BioimageioFnError as error:
            yield problem_of(error)


def _check_sizes(description: Any) -> None:
    """Refuse test inputs of sizes that the description does not allow.

    Raises:
        SizeError: if one has such a size; what of fixed sizes is wrong, others say.
        MissingFileError, FileReadError, HashMismatchError: as of `expectation`.
    """
    contract = model_contract(description)
    for member, tensor in expectation(description, "").inputs.members.items():
        for axis, size in tensor.sizes.items():
            rule = contract.tensor(member, "input").axis(axis).size
            if isinstance(rule, ParameterizedSize) and not admits(rule, size):
                raise SizeError(
                    "a test tensor has a size that its description does not allow",
                    tensor=member,
                    axis=axis,
                    expected=rule,
                    got=size,
                )


def _files_of(description: Any, weights_format: str) -> Iterator[FileRef]:
    yield weights_refs(description)[weights_format]
    yield from external_data(description, weights_format)
    if weights_format == "pytorch_state_dict":
        code = architecture_of(description).file
        if code is not None:
            yield code


def _likeliest(pipeline: Pipeline, case: Expectation) -> tuple[Convention, Trial, Sample]:
    """The convention that the test tensors keep, and what comes of it."""
    tries: list[tuple[Convention, Trial, Sample]] = []
    errors: list[Exception] = []
    runs: dict[Any, Trial] = {}
    for convention in conventions(pipeline.contract, case.inputs):
        try:
            if convention.pads not in runs:
                runs[convention.pads] = run_as(pipeline, case.inputs, convention)
        except BioimageioFnError as error:
            errors.append(error)
            continue
        trial = runs[convention.pads]
        outputs = cropped(trial.outputs, convention)
        if all(agreed.passed for agreed in _agreements(outputs, case)):
            return convention, trial, outputs
        tries.append((convention, trial, outputs))
    if not tries:
        raise errors[0]
    return next((t for t in tries if _same_sizes(t[2], case.expected)), tries[0])


def _agreements(outputs: Sample, case: Expectation) -> Iterator[Agreement]:
    for member, expected in case.expected.members.items():
        yield agreement(member, outputs[member], expected, case.tolerances[member])


def _same_sizes(outputs: Sample, expected: Sample) -> bool:
    return all(outputs[m].shape == tensor.shape for m, tensor in expected.members.items())


def _reproductions(
    pipeline: Pipeline, case: Expectation, outputs: Sample, convention: Convention
) -> Iterator[Reproduction]:
    agreements = {agreed.output: agreed for agreed in _agreements(outputs, case)}
    from_raw: Mapping[MemberId, Tensor] = {}
    if not all(agreed.passed for agreed in agreements.values()):
        from_raw = _from_raw_statistics(pipeline, case, convention)
    for member, expected in case.expected.members.items():
        others = {m: t for m, t in case.expected.members.items() if m != member}
        yield Reproduction(
            weights_format=case.weights_format,
            output=member,
            expected=expected,
            produced=outputs[member],
            agreement=agreements[member],
            diagnosis=diagnose(
                outputs[member],
                expected,
                case.tolerances[member],
                described=pipeline.contract.tensor(member, "output"),
                others=others,
                from_raw_statistics=from_raw.get(member),
            ),
        )


def _from_raw_statistics(
    pipeline: Pipeline, case: Expectation, convention: Convention
) -> Mapping[MemberId, Tensor]:
    """The outputs that would come of statistics of the raw inputs; none if these are the same."""
    sample = with_raw_statistics(pipeline, case.inputs)
    if sample is None:
        return {}
    return cropped(run_as(pipeline, sample, convention).outputs, convention).members


def _problem(result: Reproduction) -> Problem:
    text = explained(result.diagnosis, result.agreement)
    return Problem(result.diagnosis.cause, f"output '{result.output}': {text}")


def _note(result: Reproduction) -> Note:
    text = f"output '{result.output}' is reproduced: {result.diagnosis.text}"
    if not result.agreement.mismatched:
        return Note("info", text)
    return Note("warning", f"{text} ({result.agreement})")


def _not_compared(pipeline: Pipeline, compared: Mapping[MemberId, Any]) -> Iterator[str]:
    for tensor in pipeline.contract.outputs:
        if tensor.id not in compared:
            yield f"output '{tensor.id}' has no test tensor, so that it is not compared"


def _without_numbers(results: tuple[Reproduction, ...]) -> Iterator[Problem]:
    """Test outputs of nothing but NaN or infinities, with which nothing can be tested."""
    for result in results:
        if not np.isfinite(to_numpy(result.expected.data)).any():
            text = f"the test tensor of output '{result.output}' has no finite value"
            yield Problem("not finite", text)
