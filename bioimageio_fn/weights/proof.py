"""Converted weights are held against the weights they were made of, and against the test tensors.

What holds here: both networks get the same arrays, which are made of the preprocessed test inputs,
so that they have the values that the network was trained on; no two samples of a batch are alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ..axes import AxisId
from ..backends.choose import Backend
from ..contract.records import ModelContract, TensorContract
from ..errors import BackendError
from ..ops.chain import apply
from ..ops.fitting import fit
from ..pipeline import Pipeline, concerns
from ..reading import as_sample
from ..sample import Sample
from ..tensor import Tensor
from ..validation.diagnosis import explained
from ..validation.reproducing import Expectation, reproduced
from .agreement import missed
from .records import Miss
from .sizes import proof_sizes

__all__ = [
    "Case",
    "misses_of_test",
    "misses_of_weights",
    "network_inputs",
    "proof_cases",
    "run_source",
]


@attrs.frozen
class Case:
    """Arrays for the network.

    Args:
        name: their sizes, in words.
        arrays: one for each input, None for an optional one that is left out.
    """

    name: str
    arrays: tuple[Any, ...] = attrs.field(repr=False)


def network_inputs(pipeline: Pipeline, inputs: Sample) -> Sample:
    """What reaches the network of a sample, in memory."""
    sample = as_sample(inputs, pipeline.contract)
    chain = tuple(step for step in pipeline.preprocess if concerns(step, sample))
    ready = apply(fit(chain, sample), sample)
    return Sample({m: Tensor(np.asarray(t), t.axes) for m, t in ready.members.items()})


def proof_cases(contract: ModelContract, inputs: Sample) -> tuple[Case, ...]:
    """The arrays that both networks are run on.

    Args:
        contract: the model's contract.
        inputs: what reaches the network of the test inputs.

    Returns:
        First those of the sizes of the test inputs; then those of other sizes and batches; then,
        for optional inputs, the same without them.
    """
    return tuple(_cases(contract, inputs)) + tuple(
        case
        for tensor in contract.inputs
        if tensor.optional and tensor.id in inputs.members
        for case in tuple(_cases(contract, _without(inputs, tensor.id)))[:1]
    )


def _without(inputs: Sample, member: str) -> Sample:
    return Sample({m: t for m, t in inputs.members.items() if m != member})


def _cases(contract: ModelContract, inputs: Sample) -> Iterator[Case]:
    start = {m: dict(tensor.sizes) for m, tensor in inputs.members.items()}
    for sizes in proof_sizes(contract, start):
        arrays = [
            _resized(inputs.members[t.id], t, sizes[t.id]) if t.id in sizes else None
            for t in contract.inputs
        ]
        shapes = [
            f"{t.id} {'x'.join(map(str, a.shape)) if a is not None else 'absent'}"
            for t, a in zip(contract.inputs, arrays, strict=True)
        ]
        yield Case(" + ".join(shapes), tuple(arrays))


def _resized(tensor: Tensor, contract: TensorContract, sizes: Mapping[AxisId, int]) -> Any:
    """The tensor in other sizes: repeated or cut, each sample of a batch from another place on."""
    array = np.asarray(tensor)
    types = [axis.type for axis in contract.axes]
    if "batch" not in types:
        return _rolled(array, types, [sizes[a] for a in tensor.axes], 0)
    batch = types.index("batch")
    shape = [1 if i == batch else sizes[a] for i, a in enumerate(tensor.axes)]
    samples = [
        _rolled(np.take(array, [n % array.shape[batch]], axis=batch), types, shape, n)
        for n in range(sizes[tensor.axes[batch]])
    ]
    return np.concatenate(samples, axis=batch)


def _rolled(array: Any, types: Sequence[str], shape: Sequence[int], number: int) -> Any:
    for axis, (kind, size) in enumerate(zip(types, shape, strict=True)):
        begin = 0 if kind in ("batch", "channel") else number * (1 + array.shape[axis] // 3)
        array = np.take(array, np.arange(begin, begin + size), axis=axis, mode="wrap")
    return array


def misses_of_weights(
    contract: ModelContract, source: Backend, converted: Backend, case: Case, *, name: str
) -> tuple[Miss, ...]:
    """Outputs of converted weights that are not those of their source.

    Args:
        contract: the model's contract.
        source, converted: both networks.
        case: what they are run on.
        name: of the format of the source.

    Raises:
        BackendError: if one of them fails; says which.
    """
    expected = run_source(source, case, name=name)
    found = _run(converted, case, "the converted weights fail")
    misses = []
    for tensor, a, b in zip(contract.raw_outputs, found, expected, strict=False):
        text = missed(Tensor(a, tensor.axis_ids), Tensor(b, tensor.axis_ids))
        if text is not None:
            misses.append(Miss(tensor.id, name, case.name, text))
    return tuple(misses)


def run_source(source: Backend, case: Case, *, name: str) -> tuple[Any, ...]:
    """What the source gives, to which converted weights are compared.

    Args:
        source: the network.
        case: what it is run on.
        name: of its format.

    Raises:
        BackendError: if it fails, so that there is nothing to compare with.
    """
    return _run(source, case, f"the source weights ({name}) fail")


def _run(backend: Backend, case: Case, what: str) -> tuple[Any, ...]:
    try:
        return backend(*case.arrays)
    except BackendError as error:
        raise BackendError(f"{what} at {case.name}: {error}") from error


def misses_of_test(pipeline: Pipeline, case: Expectation) -> tuple[Miss, ...]:
    """Outputs that are not the test tensors of the model, within the described tolerances.

    Args:
        pipeline: the model, with the converted weights.
        case: its test tensors, and the tolerances for these weights.
    """
    results = reproduced("proof", pipeline, case).reproductions
    return tuple(
        Miss(
            result.output,
            "the test tensor",
            "the test inputs",
            explained(result.diagnosis, result.agreement),
        )
        for result in results
        if not result.agreement.passed
    )
