"""`merged`: blocks run and put together, with smaller ones where memory runs out.

What holds here: what is finished is not run again, unless a smaller block overlaps what is not; the
result does not depend on where blocks became smaller, but for what the halo does not cover. Where
what is written would be another thing, all starts anew: if blocks are blended, and if a step that
ran on blocks has to wait for the whole of smaller ones.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import attrs
import numpy as np

from .axes import AxisId, MemberId
from .blocks.join import Join, crop
from .blocks.merge import Create, written
from .blocks.records import BlockPlan, block_metas
from .calibration import Calibration
from .overlap import closed_behind
from .sample import BlockMeta, Sample
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
        OutOfMemoryError: if memory runs out, and there are no smaller blocks, or it runs out for
            the whole.
        BlockError, BackendError: as `merge`, and as the network raises.
    """
    targets: dict[MemberId, Any] = {}
    labels: dict[MemberId, tuple[tuple[AxisId, ...], Calibration]] = {}
    done: set[int] = set()
    while True:
        count, skip = work.plan.count, frozenset(done)
        tell(on_progress, len(done), count)
        made_by = create if work.ends_on_blocks else scratch
        finished = finished_blocks(work, lost, skip=skip)
        blocks = written(finished, work.plan, targets, join=join, create=made_by, before=skip)
        try:
            with closed_behind(finished, blocks):
                for block in blocks:
                    done.add(block.meta.index)
                    labels |= {n: (t.axes, t.calibration) for n, t in block.sample.members.items()}
                    tell(on_progress, len(done), count)
            break
        except MemoryError as error:
            if smaller is None or getattr(error, "step", None) == "merge":
                raise
            other = attrs.evolve(work, plan=smaller(work.plan, error))
            if join is not crop or other.on_blocks != work.on_blocks:
                targets, done = {}, set()
            done = _finished_already(work, done, other.plan)
            work = other
        gc.collect()  # frames of the error hold what was too large
    members = {n: Tensor(target, *labels[n]) for n, target in targets.items()}
    return Sample(members, id=work.sample.id), work


def tell(on_progress: OnProgress | None, done: int, total: int) -> None:
    """Say how many blocks are done, if somebody wants to know."""
    if on_progress is not None:
        on_progress(done, total)


def _finished_already(work: Work, done: Collection[int], plan: BlockPlan) -> set[int]:
    """The blocks of another plan of which nothing is left to be computed when some are done."""
    if not done:
        return set()
    axes = work.plan.axes
    is_done = np.zeros([len(axis.grid.starts) for axis in axes], np.bool_)
    is_done.flat[list(done)] = True  # blocks are numbered in this order
    edges = [
        {key: ([p.start for p in places], [p.stop for p in places]) for key, places in of.items()}
        for of in (axis.places for axis in axes)
    ]
    outputs = [tensor.id for tensor in work.contract.raw_outputs]

    def is_covered(meta: BlockMeta, name: MemberId) -> bool:
        """Whether all blocks are done that wrote to the region of an output."""
        place = [slice(None)] * len(axes)
        for n, of in enumerate(edges):
            for axis, block in meta.regions.get(name, {}).items():
                if (name, axis) in of:
                    starts, stops = of[name, axis]
                    first = np.searchsorted(stops, block.start, "right")
                    place[n] = slice(first, np.searchsorted(starts, block.stop, "left"))
        return bool(is_done[tuple(place)].all())

    metas = block_metas(plan)
    return {meta.index for meta in metas if all(is_covered(meta, name) for name in outputs)}
