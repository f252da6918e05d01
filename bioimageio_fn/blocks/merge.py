"""`merge`: a whole sample from its blocks.

What holds here: every pixel is written once, by the block whose own it is; blocks may come in any
order; a missing block is an error, never a hole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import array_api_compat

from ..arrays import as_array, namespace
from ..axes import AxisId, MemberId
from ..errors import BackendError, BlockError
from ..sample import AxisBlock, Region, Sample, SampleBlock
from ..tensor import Tensor, slice_axes
from .records import BlockPlan

__all__ = ["merge"]


def merge(blocks: Iterable[SampleBlock], plan: BlockPlan) -> Sample:
    """Put the blocks of a plan together.

    Args:
        blocks: every block of the plan once, in any order. They may hold the inputs (`merge` then
            undoes `split`) or the outputs of the model.

    Raises:
        BlockError: if a block is missing or comes twice.
        BackendError: if a block has not the size that the plan says.
    """
    arrays: dict[MemberId, Any] = {}
    axes: dict[MemberId, tuple[AxisId, ...]] = {}
    seen: set[int] = set()
    sample_id: str | None = None
    for block in blocks:
        _check_block(block, seen, set(arrays), plan)
        seen.add(block.meta.index)
        sample_id = block.sample.id
        for name, tensor in block.sample.members.items():
            region = block.meta.regions.get(name, {})
            own = _own(name, tensor, region, plan)
            axes[name] = tensor.axes
            if plan.count == 1:
                arrays[name] = own.data
            else:
                _write(arrays, name, own, region, plan)
    if len(seen) != plan.count:
        missing = sorted(set(range(plan.count)) - seen)
        raise BlockError(
            "blocks are missing", expected=f"{plan.count} blocks", got=f"no {missing[:5]}"
        )
    return Sample({name: Tensor(array, axes[name]) for name, array in arrays.items()}, id=sample_id)


def _check_block(
    block: SampleBlock, seen: Collection[int], members: Collection[str], plan: BlockPlan
) -> None:
    index = block.meta.index
    if index in seen:
        raise BlockError("a block came twice", got=f"block {index}")
    if index >= plan.count or block.meta.count != plan.count:
        raise BlockError(
            "a block is not one of this plan",
            expected=f"one of {plan.count} blocks",
            got=f"block {index} of {block.meta.count}",
        )
    for name in block.sample.members:
        if name not in plan.sizes:
            raise BlockError("the plan does not say where this tensor belongs", tensor=name)
    if seen and set(block.sample.members) != set(members):
        raise BlockError(
            f"block {index} has other tensors than the blocks before it",
            expected=", ".join(members),
            got=", ".join(block.sample.members) or "none",
        )


def _own(name: MemberId, tensor: Tensor, region: Region, plan: BlockPlan) -> Tensor:
    """The part of a block's tensor that is its own: without halo and padding."""
    for axis, known in plan.sizes.get(name, {}).items():
        expected = region[axis].size if axis in region else known
        if expected is not None and tensor.sizes.get(axis) != expected:
            raise BackendError(
                "the network gave an output of a size that its description does not say",
                tensor=name,
                axis=axis,
                expected=expected,
                got=tensor.sizes.get(axis),
            )
    return slice_axes(
        tensor,
        {a: (b.start - b.outer_start, b.stop - b.outer_start) for a, b in region.items()},
    )


def _write(
    arrays: dict[MemberId, Any],
    name: MemberId,
    own: Tensor,
    region: Mapping[AxisId, AxisBlock],
    plan: BlockPlan,
) -> None:
    data = as_array(own.data)
    if name not in arrays:
        shape = tuple(plan.sizes[name][a] if a in region else own.sizes[a] for a in own.axes)
        xp = namespace(data)
        arrays[name] = xp.empty(shape, dtype=data.dtype, device=array_api_compat.device(data))
    where = tuple(
        slice(region[a].start, region[a].stop) if a in region else slice(None) for a in own.axes
    )
    arrays[name][where] = data
