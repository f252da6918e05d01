"""`split`: the blocks of a sample, one at a time.

What holds here: a block reads only its own region of a lazy source, and only when it is asked for;
padding is added at the border of the sample only, to the right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..contract.records import Padding
from ..errors import BlockError
from ..sample import BlockMeta, Sample, SampleBlock, part_of
from .records import BlockPlan, block_metas

__all__ = ["cut_block", "split"]

_PADDING = Padding()


def split(
    sample: Sample, plan: BlockPlan, *, skip: Collection[int] = frozenset()
) -> Iterator[SampleBlock]:
    """Cut a sample into the blocks of a plan, lazily and in order.

    Args:
        sample: the sample that the plan was made for.
        skip: numbers of blocks that are left out.

    Raises:
        BlockError: if the plan was made for a sample of other sizes.

    Returns:
        A generator; each block's data are a sample that the model takes.
    """
    check_planned(sample, plan)
    metas = (meta for meta in block_metas(plan) if meta.index not in skip)
    return (cut_block(sample, meta, plan) for meta in metas)


def check_planned(sample: Sample, plan: BlockPlan) -> None:
    """Refuse a plan that was made for a sample of other sizes.

    Raises:
        BlockError: if an axis has another size than the plan says.
    """
    for name in plan.padding:
        if name not in sample.members:
            raise BlockError(
                "this plan was made for a sample with more tensors", tensor=name, got=sample
            )
    for name, tensor in sample.members.items():
        for axis, size in tensor.sizes.items():
            planned = plan.sizes.get(name, {}).get(axis)
            if planned != size:
                raise BlockError(
                    "this plan was made for another sample",
                    tensor=name,
                    axis=axis,
                    expected=planned,
                    got=size,
                    remedy="make a plan for this one",
                )


def cut_block(sample: Sample, meta: BlockMeta, plan: BlockPlan) -> SampleBlock:
    """One block of a sample."""
    members = {}
    for name, tensor in sample.members.items():
        padding, region = plan.padding.get(name, _PADDING), meta.regions.get(name, {})
        members[name] = part_of(tensor, region, mode=padding.mode, value=padding.value)
    return SampleBlock(Sample(members, id=sample.id), meta)
