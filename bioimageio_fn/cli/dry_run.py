"""`planned`: what a prediction would read, write and take; nothing is written.

What holds here: images are opened and cut as they would be; memory and time are measured by running
the network on a few small blocks, and grow with the pixels that are computed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from .answering import Answer, Say, note, one_line
from .images import Item
from .results import Results
from .samples import Asked

if TYPE_CHECKING:
    from ..blocks.choose import MemoryModel
    from ..blocks.records import BlockPlan
    from ..pipeline import Pipeline
    from ..sample import Sample
    from ..tasks import Task

__all__ = ["planned"]

_PIXELS = 2**16
"""Of the block that is timed, at most, if the model takes such."""


@attrs.frozen
class _Cost:
    """What running a model takes, as measured.

    Args:
        memory: of a block.
        seconds: for each pixel that is computed.
        block: what was timed, in words.
    """

    memory: MemoryModel
    seconds: float
    block: str


@attrs.frozen
class _Planned:
    """What would be done with a sample.

    Args:
        item: the sample.
        reads: its tensors, by input id.
        writes: paths of its outputs, by output id.
        plan: its blocks.
        times: how often the blocks are run: once for each plane, if the model takes planes.
        error: why it would fail.
    """

    item: Item
    reads: Mapping[str, str] = attrs.field(factory=dict)
    writes: Mapping[str, str] = attrs.field(factory=dict)
    plan: BlockPlan | None = None
    times: int = 1
    error: Exception | None = None

    @property
    def pixels(self) -> int:
        """Pixels that are computed, overlap and padding counted."""
        return 0 if self.plan is None else self.times * self.plan.count * self.plan.pixels


def planned(
    say: Say,
    pipeline: Pipeline,
    asked: Asked,
    results: Results,
    *,
    cutting: Mapping[str, Any],
    memory_limit: str | None,
) -> Answer:
    """Say what would be done.

    Args:
        cutting: what a user asks of blocks, as arguments of `default_plan`.
        memory_limit: what a prediction may take.
    """
    from ..naming import check_sizes
    from ..tasks import final_sizes

    how = {name: value for name, value in cutting.items() if value is not None}
    cost: _Cost | None = None
    seen = []
    for item in asked.items:
        try:
            task = asked.task(item, pipeline.contract)
            if cost is None:
                cost = _measured(pipeline, _first(task), memory_limit)
            plan = _plan(pipeline, _first(task), how, cost.memory if memory_limit else None)
            check_sizes(results.of(item), pipeline.contract, final_sizes(task, plan))
            plan = attrs.evolve(plan, memory=cost.memory.of(plan.pixels))
            writes = {name: str(path) for name, path in results.paths(item, task.contract).items()}
            seen.append(_Planned(item, _reads(task), writes, plan, task.stack.count))
        except Exception as error:  # noqa: BLE001
            seen.append(_Planned(item, error=error))
        _show(say, seen[-1])
    return _summed_up(say, pipeline, seen, cost)


def _first(task: Task) -> Sample:
    """The first of the samples that the model gets of an image."""
    from ..tasks import samples_of

    return next(samples_of(task))


def _plan(
    pipeline: Pipeline, sample: Sample, how: Mapping[str, Any], memory: MemoryModel | None
) -> BlockPlan:
    from ..pipeline import default_plan

    return default_plan(pipeline, sample, memory=memory, **how)


def _measured(pipeline: Pipeline, sample: Sample, memory_limit: str | None) -> _Cost:
    """What the network takes on small blocks; the first run, which is slower, is not timed."""
    import psutil

    from ..memory import limit_of, measured_memory
    from ..pipeline import run

    most = psutil.virtual_memory().available if memory_limit is None else memory_limit
    limit = limit_of(pipeline, most)
    small = _small_block(pipeline, sample)
    run(pipeline, small)
    start = time.perf_counter()
    run(pipeline, small)
    seconds = time.perf_counter() - start
    plan = _plan(pipeline, small, {}, None)
    sizes = ", ".join(f"{axis.name}={axis.grid.size}" for axis in plan.axes)
    memory = measured_memory(pipeline, sample, limit)
    return _Cost(memory, seconds / (plan.count * plan.pixels), sizes)


def _small_block(pipeline: Pipeline, sample: Sample) -> Sample:
    from ..blocks.choose import MemoryModel
    from ..blocks.split import split
    from ..errors import BlockError

    within = MemoryModel(fixed=0, per_pixel=1, limit=_PIXELS)
    try:
        plan = _plan(pipeline, sample, {}, within)
    except BlockError:  # the model takes no blocks so small
        plan = _plan(pipeline, sample, {}, None)
    return next(iter(split(sample, plan))).sample


def _reads(task: Task) -> dict[str, str]:
    return {
        name: f"{', '.join(f'{axis}={n}' for axis, n in tensor.sizes.items())}; {tensor.dtype}"
        for name, tensor in task.sample.members.items()
    }


def _show(say: Say, one: _Planned) -> None:
    say(", ".join(one.item.files))
    if one.error is not None:
        say("  would fail")
        note(f"failed: {', '.join(one.item.files)}: {one_line(one.error)}")
    for name, text in one.reads.items():
        say(f"  reads  {name} ({text})")
    for name, path in one.writes.items():
        say(f"  writes {name}: {path}")
    if one.plan is not None:
        say(f"  {f'{one.times} times ' if one.times > 1 else ''}{one.plan}")


def _summed_up(
    say: Say, pipeline: Pipeline, seen: Sequence[_Planned], cost: _Cost | None
) -> Answer:
    plans = [one.plan for one in seen if one.plan is not None]
    failed = sum(one.error is not None for one in seen)
    document: dict[str, Any] = {"model": pipeline.contract.name, "failed": failed}
    document["samples"] = [_document(one) for one in seen]
    if cost is not None and plans:
        seconds = cost.seconds * sum(one.pixels for one in seen)
        memory = max(cost.memory.of(plan.pixels) for plan in plans)
        document |= {"seconds": seconds, "memory": memory}
        blocks = sum(one.times * one.plan.count for one in seen if one.plan is not None)
        say(
            f"{_count(len(plans), 'image')}, {_count(blocks, 'block')};"
            f" {_duration(seconds)} and {memory / 1e9:.2g} GB, as measured on blocks of"
            f" {cost.block} and less; nothing is written"
        )
    return Answer(document, failed=failed > 0)


def _document(one: _Planned) -> dict[str, Any]:
    said: dict[str, Any] = {"id": one.item.id, "inputs": one.item.inputs}
    if one.plan is None:
        return said | {"error": {"type": type(one.error).__name__, "text": str(one.error)}}
    blocks = {axis.name: axis.grid.block for axis in one.plan.axes}
    return said | {
        "reads": one.reads,
        "writes": one.writes,
        "blocks": one.times * one.plan.count,
        "block": blocks,
    }


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _duration(seconds: float) -> str:
    """A time that is estimated, in one unit.

    Examples:
        >>> _duration(0.2), _duration(95), _duration(7200)
        ('less than a second', 'about 95 seconds', 'about 2 hours')
    """
    if seconds < 1:
        return "less than a second"
    if seconds < 120:
        return f"about {seconds:.0f} seconds"
    if seconds < 7200:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.0f} hours"
