"""One task predicted: in what blocks, within what memory, and into which files.

What holds here: what can be told of blocks, memory and files is told before the network runs; files
are in their places when all outputs of a sample are there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs

from .blocks.choose import MemoryModel
from .blocks.records import BlockPlan
from .errors import BlockError
from .memory import Limit, kept_within, measured_memory
from .naming import PathLike, check_sizes
from .pipeline import OnProgress, Pipeline, default_plan
from .sample import Sample
from .saving import save_sample, saved_while_made, written_in_regions
from .streaming import makes_labels
from .tasks import Task, final_calibrations, final_sizes, run_task, samples_of

__all__ = ["Options", "predicted"]


@attrs.frozen
class Options:
    """How samples are predicted.

    Args:
        blocks: arguments of `plan_blocks`; empty for blocks that are chosen, and may get smaller.
        path: pattern of the files that outputs are written to; None if they stay in memory.
        limit: of memory; None if there is none.
    """

    blocks: Mapping[str, Any]
    path: PathLike | None = None
    limit: Limit | None = None


def predicted(
    run_one: Callable[..., Sample],
    pipeline: Pipeline,
    task: Task,
    options: Options,
    on_progress: OnProgress,
) -> Sample:
    """A task predicted, and saved if asked for.

    Args:
        run_one: `pipeline.run`, or what takes and does the same.
        on_progress: is told of all blocks of all planes.

    Raises:
        BlockError: if the model does not take such blocks, or not within the limit.
        FileWriteError: if the files can not hold the outputs, or can not be written.
    """
    limit, path = options.limit, options.path
    example = next(samples_of(task))
    plan = default_plan(pipeline, example, **options.blocks)
    if path is not None:
        check_sizes(path, task.contract, final_sizes(task, plan))
    in_regions = path is not None and written_in_regions(path)
    in_memory = not in_regions or makes_labels(task.contract)
    held = _held(task, plan, limit) if limit is not None and in_memory else 0
    with _limited(pipeline, example, options, held) as (kept, memory):

        def run_plane(sample: Sample, **targets: Any) -> Sample:
            # without a plan, blocks may get smaller
            given = plan if options.blocks else None
            return run_one(kept, sample, plan=given, memory=memory, **targets)

        def run_all(**targets: Any) -> Sample:
            return run_task(run_plane, task, on_progress=on_progress, **targets)

        if path is None:
            return run_all()
        if in_regions and (task.stack.count * plan.count > 1 or limit is not None):
            known = final_calibrations(task)
            return saved_while_made(run_all, path, task.sample.id, task.contract, known)
        result = run_all()
    save_sample(result, path, contract=task.contract)
    return result


@contextmanager
def _limited(
    pipeline: Pipeline, example: Sample, options: Options, held: int
) -> Iterator[tuple[Pipeline, MemoryModel | None]]:
    """A pipeline that keeps a limit, and what blocks may take; measured once, for all planes.

    Raises:
        BlockError: if blocks that are asked for, or the smallest ones, take more.
    """
    if options.limit is None:
        yield pipeline, None
        return
    memory = measured_memory(pipeline, example, options.limit, held=held)
    default_plan(pipeline, example, memory=memory, **options.blocks)
    with kept_within(pipeline, options.limit) as kept:
        yield kept, memory


def _held(task: Task, plan: BlockPlan, limit: Limit) -> int:
    """Bytes of the outputs, which will be held in memory.

    Raises:
        BlockError: if they alone are more than there may be.
    """
    contract = task.contract
    # what waits for the whole of it is there twice: as it was, and as it will be
    waits = any(tensor.operations for tensor in contract.outputs)
    beside = waits + bool(task.sizes)
    raw = [plan.sizes[t.id].values() for t in contract.raw_outputs]
    final = [sizes.values() for sizes in final_sizes(task, plan).values()]
    held = sum(4 * math.prod(n or 1 for n in sizes) for sizes in (*raw * beside, *final))
    if held > limit.size:
        raise BlockError(
            "the outputs alone take more memory than may be taken",
            expected=f"at most {limit.size / 1e6:.3g} MB",
            got=f"{held / 1e6:.3g} MB",
            remedy="allow more: objects are found in memory"
            if makes_labels(contract)
            else "save them: save_output_path='out.zarr', or .h5, .npy, .tif",
        )
    return held
