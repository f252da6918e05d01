"""`merged`: blocks run and put together, with smaller ones where memory runs out.

What holds here: what is finished is not run again, unless a smaller block overlaps what is not; the
result does not depend on where blocks became smaller, but for what the halo does not cover. Where a
step that ran on blocks has to wait for the whole of smaller ones, all starts anew.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from .axes import AxisId, MemberId
from .blocks.join import Join, crop
from .blocks.merge import Create, written
from .blocks.records import BlockPlan, block_metas
from .sample import AxisBlock, BlockMeta, Sample
from .streaming import Work, finished_blocks
from .tensor import Tensor

__all__ = ["OnProgress", "Smaller", "merged", "tell"]

OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with (blocks done, blocks in all)."""
Smaller: TypeAlias = Callable[[BlockPlan, MemoryError], BlockPlan]
"""From a plan that takes too much memory to one of smaller blocks; raises if there is none."""


def merged(
    work: Work,
    lost: set[str],
    *,
    join: Join = crop,
    create: Create | None = None,
    scratch: Create | None = None,
    on_progress: OnProgress | None = None,
    smaller: Smaller | None = None,
) -> tuple[Sample, Work]:
    """Run the blocks of a sample and put them together.

    Args:
        work: the sample, and what is done with it.
        lost: takes the types to which casts changed values.
        join: as of `merge`.
        create: makes what outputs are written to that are finished when their blocks are; asked
            again for the same one if all starts anew.
        scratch: makes what all others are written to; of both, arrays in memory by default.
        on_progress: called first with none done, then behind each block.
        smaller: what to go on with if memory runs out; by default that is an error.

    Returns:
        The whole, and the work with the plan that it ended with.

    Raises:
        OutOfMemoryError: if memory runs out, and there are no smaller blocks.
        BlockError, BackendError: as `merge`, and as the network raises.
    """
    targets: dict[MemberId, Any] = {}
    axes: dict[MemberId, tuple[AxisId, ...]] = {}
    done: list[BlockMeta] = []
    while True:
        count, skip = work.plan.count, frozenset(meta.index for meta in done)
        tell(on_progress, len(done), count)
        made_by = create if work.ends_on_blocks else scratch
        blocks = written(
            finished_blocks(work, lost, skip=skip),
            work.plan,
            targets,
            join=join,
            create=made_by,
            before=skip,
        )
        try:
            for block in blocks:
                done.append(block.meta)
                axes |= {name: tensor.axes for name, tensor in block.sample.members.items()}
                tell(on_progress, len(done), count)
            break
        except MemoryError as error:
            if smaller is None:
                raise
            other = attrs.evolve(work, plan=smaller(work.plan, error))
            if other.on_blocks != work.on_blocks:
                targets, done = {}, []
            work, done = other, _finished_already(other, done)
        gc.collect()  # frames of the error hold what was too large
    members = {name: Tensor(target, axes[name]) for name, target in targets.items()}
    return Sample(members, id=work.sample.id), work


def tell(on_progress: OnProgress | None, done: int, total: int) -> None:
    """Say how many blocks are done, if somebody wants to know."""
    if on_progress is not None:
        on_progress(done, total)


def _finished_already(work: Work, done: Sequence[BlockMeta]) -> list[BlockMeta]:
    """The blocks of which nothing is left to be computed when blocks of another plan are done."""
    if not done:
        return []
    outputs = [tensor.id for tensor in work.contract.raw_outputs]
    boxes = {name: _boxes([_own(meta, name) for meta in done]) for name in outputs}

    def is_finished(meta: BlockMeta) -> bool:
        return all(_is_covered(_own(meta, name), boxes[name]) for name in outputs)

    return [meta for meta in block_metas(work.plan) if is_finished(meta)]


def _own(meta: BlockMeta, name: MemberId) -> list[AxisBlock]:
    return list(meta.regions.get(name, {}).values())


def _boxes(regions: Sequence[Sequence[AxisBlock]]) -> np.ndarray[Any, Any]:
    """Starts and stops of what blocks have of a tensor: block x axis x 2."""
    spans = [[(axis.start, axis.stop) for axis in region] for region in regions]
    return np.array(spans, np.int64).reshape(len(regions), -1, 2)


def _is_covered(region: Sequence[AxisBlock], boxes: np.ndarray[Any, Any]) -> bool:
    """Whether boxes that do not overlap cover a region."""
    start, stop = np.array([(axis.start, axis.stop) for axis in region]).reshape(-1, 2).T
    common = np.minimum(boxes[..., 1], stop) - np.maximum(boxes[..., 0], start)
    pixels = np.clip(common, 0, None).prod(axis=1).sum()
    return bool(pixels == math.prod(axis.stop - axis.start for axis in region))
