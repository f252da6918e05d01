"""How much memory a prediction takes, measured, and a limit that is kept.

What holds here: memory is that of the process (its resident set), beyond what it had when somebody
began to count; what a block takes is measured by running the network on blocks of two sizes, and
never assumed; a block that takes more than it may is the last one of its size.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import array_api_compat
import attrs
import numpy as np

from .arrays import is_lazy, namespace
from .backends.choose import Backend
from .blocks.choose import MemoryModel
from .blocks.records import BlockPlan, block_metas
from .errors import BlockError, OutOfMemoryError
from .forward import forwarded
from .ops.chain import plan as plan_chain
from .overlap import AHEAD
from .pipeline import Pipeline, concerns, default_plan
from .sample import Region, Sample
from .spec import TensorSpec, sample_spec

__all__ = ["Limit", "Peak", "bytes_of", "kept_within", "limit_of", "measured_memory", "metered"]

INTERVAL = 0.002
"""Seconds between two looks at the memory of the process."""
MARGIN = 1.25
"""An allocator grows in steps, and what holds at one size is not exact at another."""
PLANNED, KEPT = 0.65, 0.85
"""Parts of a limit: what blocks are planned for, and that beyond which they get smaller."""
PROBES = (2**14, 2**16, 2**18)
"""Pixels of the blocks that are measured, at most; or one of the smallest that the model takes."""

Peak: TypeAlias = Callable[[], int]
"""Gives the most memory that the process had since it was last asked, in bytes."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def bytes_of(text: int | str) -> int:
    """A number of bytes, as people write it.

    Raises:
        BlockError: if it is none.

    Examples:
        >>> bytes_of("2GB"), bytes_of("512 MiB"), bytes_of("1.5g"), bytes_of(100)
        (2000000000, 536870912, 1500000000, 100)
    """
    found = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)\s*([kmgt]i?)?b?", str(text).strip().lower())
    number = 0 if found is None else float(found[1]) * (_UNITS | _BINARY)[found[2] or ""]
    if isinstance(text, bool) or number < 1:
        raise BlockError("not an amount of memory", expected="such as 2GB or 500MB", got=text)
    return int(number)


@attrs.frozen
class Limit:
    """What the process may take.

    Args:
        size: bytes beyond those that it had before.
        before: bytes that it had.
    """

    size: int
    before: int

    @property
    def most(self) -> int:
        """Bytes that it may have, up to where blocks get smaller."""
        return self.before + int(KEPT * self.size)


def limit_of(pipeline: Pipeline, size: int | str) -> Limit:
    """A limit beyond what the process has when a model is open, which it then is.

    Raises:
        BlockError: if the size is none.
    """
    number = bytes_of(size)
    getattr(pipeline.backend, "signature", None)  # which opens the network
    return Limit(number, _resident())


def _resident() -> int:
    import psutil

    size: int = psutil.Process().memory_info().rss
    return size


@contextmanager
def metered() -> Iterator[Peak]:
    """A meter of the process's memory, which runs in a thread of its own.

    Examples:
        >>> with metered() as peak:
        ...     block = np.ones(1000)
        ...     peak() > block.nbytes
        True
    """
    import psutil

    process, done, most = psutil.Process(), threading.Event(), [0]
    one_at_a_time = threading.Lock()

    def look(*, reset: bool = False) -> int:
        with one_at_a_time:
            seen: int = max(most[0], process.memory_info().rss)
            most[0] = 0 if reset else seen
            return seen

    def keep_looking() -> None:
        while not done.wait(INTERVAL):
            look()

    def peak() -> int:
        return look(reset=True)

    thread = threading.Thread(target=keep_looking, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def measured_memory(
    pipeline: Pipeline, sample: Sample, limit: Limit, *, held: int = 0
) -> MemoryModel:
    """What blocks of a sample take, measured by running the network on a few small ones.

    Each is four times as large as the one before, if that is sure to stay within the limit. The
    network is closed behind them, so that their memory is free again.

    Args:
        held: bytes that will be held all the time beside blocks, such as outputs in memory.
    """
    plans = _plans(pipeline, sample)
    probes = [_Probe(0, _resident() - limit.before, 0)]
    with metered() as peak:
        for plan in plans:
            expected = probes[-1].memory + _slope(probes) * (plan.pixels - probes[-1].pixels)
            if len(probes) > 1 and held + expected * MARGIN > PLANNED * limit.size:
                break
            peak()
            arrays = _run_on_zeros(pipeline, sample, plan)
            probes.append(_Probe(plan.pixels, peak() - limit.before, arrays))
    _given_back(pipeline)
    waiting = (AHEAD + 1) * probes[-1].arrays / probes[-1].pixels
    per_pixel = MARGIN * (_slope(probes) + waiting)
    fixed = max(0.0, probes[-1].memory - _slope(probes) * probes[-1].pixels)
    return MemoryModel(fixed=held + fixed, per_pixel=per_pixel, limit=PLANNED * limit.size)


@attrs.frozen
class _Probe:
    """What a run of the network on one block took.

    Args:
        pixels: of the block.
        memory: the most that the process had, beyond what it had at first, in bytes.
        arrays: bytes of what went in and came out.
    """

    pixels: int
    memory: int
    arrays: int


def _slope(probes: Sequence[_Probe]) -> float:
    """Bytes for each pixel more, no less than those of the arrays that go in and come out."""
    if len(probes) < 2:
        return 0.0
    small, large = probes[-2:]
    measured = (large.memory - small.memory) / (large.pixels - small.pixels)
    return max(measured, large.arrays / large.pixels)


def _plans(pipeline: Pipeline, sample: Sample) -> Iterator[BlockPlan]:
    """Plans of blocks, from the smallest that are worth measuring; at least one."""
    last = 0
    for pixels in PROBES:
        within = MemoryModel(fixed=0, per_pixel=1, limit=pixels)
        try:
            plan = default_plan(pipeline, sample, memory=within)
        except BlockError:  # the model takes no blocks so small
            continue
        if plan.pixels >= 2 * last:
            yield plan
            last = plan.pixels
    if not last:
        yield default_plan(pipeline, sample)


def _run_on_zeros(pipeline: Pipeline, sample: Sample, plan: BlockPlan) -> int:
    """Bytes of what goes in and comes out when the network runs on a block of zeros."""
    chain = [step for step in pipeline.preprocess if concerns(step, sample)]
    specs = plan_chain(chain, sample_spec(sample)).members
    regions = next(block_metas(plan)).regions
    arrays = [
        _zeros(specs[t.id], regions.get(t.id, {}), plan.stack, sample[t.id].data)
        if t.id in specs
        else None
        for t in pipeline.contract.inputs
    ]
    given = [a for a in arrays if a is not None]
    return sum(int(a.nbytes) for a in (*given, *forwarded(pipeline.backend, arrays)))


def _zeros(spec: TensorSpec, region: Region, stack: int, like: Any) -> Any:
    """A block of zeros, of the library and on the device of the sample."""
    sizes = {axis: region[axis].size if axis in region else n for axis, n in spec.sizes.items()}
    shape = [(size or 1) * (stack if axis == "batch" else 1) for axis, size in sizes.items()]
    if is_lazy(like):
        return np.zeros(shape, spec.dtype)
    xp = namespace(like)
    device = array_api_compat.device(like)
    return xp.zeros(tuple(shape), dtype=getattr(xp, spec.dtype), device=device)


def _given_back(opened: Any) -> None:
    """Free what a network keeps for its next run, and what the process keeps of it.

    Otherwise smaller blocks would be held against memory that larger ones have left behind.
    """
    getattr(opened, "close", lambda: None)()
    gc.collect()
    _trimmed()


def _trimmed() -> None:
    """Give freed memory back to the system, which the C library of Linux keeps in part."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


@attrs.frozen
class _Kept:
    """A backend whose runs are held against a limit.

    Args:
        backend: the network.
        limit: what the process may take.
        peak: the most that it had.
    """

    backend: Backend
    limit: Limit
    peak: Peak

    @property
    def signature(self) -> Any:
        return getattr(self.backend, "signature", None)

    @property
    def parallel(self) -> int:
        return getattr(self.backend, "parallel", 1)

    def close(self) -> None:
        getattr(self.backend, "close", lambda: None)()

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        if _resident() > self.limit.before + self.limit.size // 4:
            _trimmed()  # pieces that earlier blocks left behind add up
        results = self.backend(*arrays)
        if (seen := self.peak()) > self.limit.most:
            del results
            _given_back(self)
            raise OutOfMemoryError(
                "the memory limit is as good as reached",
                expected=f"at most {self.limit.most / 1e6:.0f} MB of the process",
                got=f"{seen / 1e6:.0f} MB",
                remedy="take smaller blocks, or allow more",
            )
        return results


@contextmanager
def kept_within(pipeline: Pipeline, limit: Limit) -> Iterator[Pipeline]:
    """A pipeline whose network raises an `OutOfMemoryError` as soon as it comes near a limit."""
    with metered() as peak:
        yield attrs.evolve(pipeline, backend=_Kept(pipeline.backend, limit, peak))
