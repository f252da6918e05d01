"""`add_weights`: a model with weights in other formats too.

What holds here: a package is written whole or not at all, and only if something was added; nothing
is added that was not proved; the model that was given stays as it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ..contract.files import check_has, weights_refs
from ..contract.read import model_contract
from ..descriptions import built_description, save_bioimageio_package_as_folder
from ..errors import DescriptionError, UntrustedCodeError, WeightsFormatError
from ..files import check_new
from ..making import create_prediction_pipeline
from ..package import as_model, described, load_model, test_inputs, test_outputs
from ..pipeline import Pipeline
from ..trusted import TrustCode
from .convert import Evidence, converted, why_not
from .describing import comment_of, with_weights
from .graph import CONVERTERS, Converter, shortest_path
from .proof import network_inputs, proof_cases
from .records import AddedWeights, Attempt, Made

__all__ = ["add_weights"]


def add_weights(
    model: Any,
    output_path: str | Path,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    verbose: bool = False,
    trust_code: TrustCode = False,
) -> AddedWeights:
    """Convert weights to other formats, and write a package that has them too.

    Use it to give a model to people who do not have the framework that it was trained with. What
    is converted has to reproduce the test tensors, and to agree with the weights it was made of, at
    up to three sizes and two batch sizes that the description allows; else it is not added.

    Args:
        model: a source or a model description, of format 0.4 or 0.5.
        output_path: a folder that is new or empty.
        source_format: the weights to convert; by default any that can be run here.
        target_format: the format to add; by default every one that can be made.
        verbose: whether frameworks may print what they do.
        trust_code: as of `load_backend`; a `pytorch_state_dict` needs it.

    Returns:
        The description as written, what was added, and what was tried: at which sizes it was
        proved, or by how much it missed. Nothing is written if nothing could be added.

    Raises:
        WeightsFormatError: if the model has no such weights, has the wanted ones already, or if
            there is no way from the one to the other.
        MissingDependencyError: if the wanted ones need a package that is not installed.
        UntrustedCodeError: if the only weights need code that may not run.
        FileWriteError: if the folder is not empty, or can not be written.
        DescriptionError, MissingFileError: if test tensors are missing, or hold nothing but NaN:
            nothing could be proved.

    Examples:
        >>> import bioimageio_fn as fn
        >>> add_weights(fn.demo_model(), "with-onnx", target_format="onnx")
        Traceback (most recent call last):
            ...
        bioimageio_fn.errors.WeightsFormatError: the model has weights of this format: got onnx
    """
    place = check_new(Path(output_path))
    description = described(model)
    way = _way(description, source_format, target_format)
    evidence = _evidence(description, way.sources, trust_code)
    with tempfile.TemporaryDirectory(prefix="bioimageio_fn.") as work:
        convert = partial(converted, evidence=evidence, trust_code=trust_code, verbose=verbose)
        begin = _State(description, way.sources, Path(work))
        end = reduce(partial(_towards, way, convert), way.targets, begin)
        attempts = (*end.attempts, *_not_tried(way, end))
        if end.description is description:
            return AddedWeights(description, None, attempts)
        save_bioimageio_package_as_folder(end.description, output_path=place)
    return AddedWeights(load_model(place, perform_io_checks=False), place, attempts)


@attrs.frozen
class _Way:
    """From which formats to which, and by which converters that can be used here."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    converters: tuple[Converter, ...]


def _way(description: Any, source: str | None, target: str | None) -> _Way:
    """What is asked for, if it can be done.

    Raises:
        WeightsFormatError, MissingDependencyError: if not; says why.
    """
    refs = weights_refs(description)
    there = tuple(refs)
    if source is not None:
        check_has(refs, source)
    if target in there:
        raise WeightsFormatError("the model has weights of this format", got=target)
    sources = there if source is None else (source,)
    wanted = tuple(dict.fromkeys(c.target for c in CONVERTERS)) if target is None else (target,)
    targets = tuple(name for name in wanted if name not in there)
    usable = tuple(c for c in CONVERTERS if why_not(c) is None)
    # only those that lead somewhere: others may not even run
    starts = tuple(s for s in sources if any(shortest_path(usable, (s,), t) for t in targets))
    if not starts:
        raise _no_way(sources, targets, target)
    return _Way(starts, targets, usable)


def _no_way(sources: Sequence[str], targets: Sequence[str], target: str | None) -> Exception:
    """Why nothing can be done: for want of a package, or as there is no converter."""
    for name in targets:
        for converter in shortest_path(CONVERTERS, sources, name) or ():
            if (problem := why_not(converter)) is not None:
                problem.what = f"{converter} can not be done here: {problem.what}"
                return problem
    return WeightsFormatError(
        f"there is no way to {target or 'any format that the model does not have'}",
        expected=", ".join(sorted({f"{c.source} -> {c.target}" for c in CONVERTERS})),
        got=", ".join(sources),
    )


def _evidence(description: Any, sources: Sequence[str], trust_code: TrustCode) -> Evidence:
    contract = model_contract(description)
    inputs, outputs = test_inputs(description), test_outputs(description)
    missing = [t.id for t in contract.outputs if t.id not in outputs.members]
    if missing:
        raise DescriptionError(
            "there is no test tensor to hold converted weights against", tensor=missing[0]
        )
    for member, tensor in outputs.members.items():
        if not np.isfinite(np.asarray(tensor)).any():
            raise DescriptionError(
                "a test tensor has no finite value, so that it proves nothing", tensor=member
            )
    with _pipeline(description, sources, trust_code) as pipeline:
        cases = proof_cases(contract, network_inputs(pipeline, inputs))
    return Evidence(contract, cases)


def _pipeline(description: Any, sources: Sequence[str], trust_code: TrustCode) -> Pipeline:
    """The model with the first of some weights that may run.

    Raises:
        UntrustedCodeError: if all of them need code that may not.
    """
    first, *others = sources
    try:
        return create_prediction_pipeline(
            description, weights_format=first, devices="cpu", trust_code=trust_code
        )
    except UntrustedCodeError:
        if not others:
            raise
    return _pipeline(description, others, trust_code)


@attrs.frozen
class _State:
    """What there is so far.

    Args:
        description: with what was added.
        formats: what can be converted.
        work: a folder for what is made.
        attempts: what was tried.
    """

    description: Any
    formats: tuple[str, ...]
    work: Path
    attempts: tuple[Attempt, ...] = ()

    @property
    def failed(self) -> set[Converter]:
        return {attempt.converter for attempt in self.attempts if not attempt.passed}


def _towards(way: _Way, convert: Any, state: _State, target: str) -> _State:
    """Try the shortest way to a format; where a converter fails, the shortest without it."""
    while True:
        converters = [c for c in way.converters if c not in state.failed]
        path = shortest_path(converters, state.formats, target)
        if not path:
            return state
        state = _step(convert, state, path[0])


def _step(convert: Any, state: _State, converter: Converter) -> _State:
    """One converter, tried; the state with its weights if they are proved."""
    folder = state.work / str(len(state.attempts))
    folder.mkdir()
    candidate = partial(_candidate, state.description, converter)
    attempt, made = convert(converter, state.description, folder=folder, candidate=candidate)
    attempts = (*state.attempts, attempt)
    if made is None:
        return attrs.evolve(state, attempts=attempts)
    return _State(
        candidate(made, attempt.proven), (*state.formats, converter.target), state.work, attempts
    )


def _candidate(
    description: Any, converter: Converter, made: Made, proven: tuple[str, ...] = ()
) -> Any:
    """The description with weights that were made, where they lie now."""
    comment = comment_of(converter, made, proven)
    return as_model(
        built_description(
            description, partial(with_weights, converter=converter, made=made, comment=comment)
        )
    )


def _not_tried(way: _Way, end: _State) -> Iterator[Attempt]:
    """Converters of what there is to what is still not there, that can not be used here."""
    for converter in CONVERTERS:
        wanted = converter.target in way.targets and converter.target not in end.formats
        if wanted and converter.source in end.formats and converter not in way.converters:
            yield Attempt(converter, problem=str(why_not(converter)))
