"""A model in one piece, with what its network got and gave.

What holds here: the network gets the sample as it is, with no padding but to a valid size; it runs
once; what it gets and gives is kept, so that it can be looked at.
"""

from __future__ import annotations

import time
from typing import Any

import attrs

from ..backends.choose import Backend
from ..blocks.plan import plan_blocks
from ..blocks.records import BlockPlan
from ..ops.fitting import fit
from ..ops.transform import Transform
from ..pipeline import Pipeline, concerns, run
from ..sample import Sample
from ..stats.compute import compute_sample_measures
from ..tensor import Tensor
from .conventions import Convention, padded

__all__ = ["Trial", "run_as", "run_in_one_piece", "with_raw_statistics"]


@attrs.frozen
class Trial:
    """What came of running a model.

    Args:
        inputs: what it was given.
        outputs: what it gave.
        network_inputs: what its network was given.
        network_outputs: what that gave.
        plan: how the inputs were cut.
        seconds: what it took.
    """

    inputs: Sample
    outputs: Sample
    network_inputs: Sample
    network_outputs: Sample
    plan: BlockPlan
    seconds: float


def run_in_one_piece(pipeline: Pipeline, sample: Sample) -> Trial:
    """Run a model on a sample in one block, whatever its network is fixed at.

    Weights that do not take the sizes that are described are to fail here.

    Raises:
        BackendError: if the network fails, or gives what its description does not say.
        SizeError, BlockError: if the model is not described to take such a sample.
    """
    contract = pipeline.contract
    shapes = {member: tensor.sizes for member, tensor in sample.members.items()}
    plan = plan_blocks(contract, shapes, block_shape={})
    backend, calls = _watched(pipeline.backend)
    start = time.perf_counter()
    outputs = run(attrs.evolve(pipeline, backend=backend), sample, plan)
    seconds = time.perf_counter() - start
    taken, given = calls[0]
    inputs = zip(contract.inputs, taken, strict=True)
    raw = zip(contract.raw_outputs, given, strict=False)
    return Trial(
        inputs=sample,
        outputs=outputs,
        network_inputs=Sample({t.id: Tensor(a, t.axis_ids) for t, a in inputs if a is not None}),
        network_outputs=Sample({t.id: Tensor(a, t.axis_ids) for t, a in raw}),
        plan=plan,
        seconds=seconds,
    )


def _watched(backend: Backend) -> tuple[Backend, list[tuple[tuple[Any, ...], tuple[Any, ...]]]]:
    """The same backend, and a list of what it got and gave, which grows with each call."""
    calls: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = []

    def forward(*arrays: Any) -> tuple[Any, ...]:
        outputs = backend(*arrays)
        calls.append((arrays, outputs))
        return outputs

    return forward, calls


def run_as(pipeline: Pipeline, sample: Sample, convention: Convention) -> Trial:
    """Run a model on its test inputs as a convention says; statistics are those of these inputs.

    Raises:
        BackendError, SizeError, BlockError: as of `run_in_one_piece`.
    """
    if convention.pads:
        known = attrs.evolve(sample, stat={**pipeline.statistics, **sample.stat})
        chain = tuple(step for step in pipeline.preprocess if concerns(step, sample))
        pipeline = attrs.evolve(pipeline, preprocess=fit(chain, known))
        sample = padded(sample, convention, pipeline.contract)
    return run_in_one_piece(pipeline, sample)


def with_raw_statistics(pipeline: Pipeline, sample: Sample) -> Sample | None:
    """The sample with the statistics of preprocessing, all of them taken of it as it is.

    So they are in some test tensors that were made with `bioimageio.core`: there a step that
    measures does not see what steps before it have done.

    Returns:
        None if that changes nothing, as no step measures.
    """
    measures = {
        measure
        for step in pipeline.preprocess
        if isinstance(step, Transform) and concerns(step, sample)
        for measure in step.measures
    }
    if not measures:
        return None
    values = compute_sample_measures(measures, sample)
    return attrs.evolve(sample, stat={**values, **pipeline.statistics, **sample.stat})
