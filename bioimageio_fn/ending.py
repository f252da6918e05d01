"""`ended`: an output behind the steps that had to wait for the whole of it.

What holds here: what is pointwise is computed part by part, and written where it belongs; only
objects are found in memory.
"""

from __future__ import annotations

from .axes import MemberId
from .blocks.merge import Create
from .blocks.records import BlockPlan
from .contract.records import ModelContract, ReferencedSize
from .ops.view import View, computed, spec_of, stored
from .streaming import Work, makes_labels
from .tensor import Tensor, slice_axes

__all__ = ["ended"]


def ended(
    view: View, name: MemberId, work: Work, *, create: Create | None, lost: set[str]
) -> Tensor:
    """An output behind all of its steps.

    Args:
        view: the output as it is seen behind them.
        name: its id.
        work: the blocks that it was merged of.
        create: makes what it is written to; by default it is computed into memory.
        lost: as of `ops.kernels.run`.
    """
    labels = makes_labels(work.contract, name)
    if create is None or labels:
        view = computed(view, lost=lost)
    if labels:
        view = View(_cropped(view.base, name, work.contract, work.plan))
    if create is not None:
        view = stored(view, create(name, spec_of(view)), lost=lost)
    return view.base


def _cropped(tensor: Tensor, name: MemberId, contract: ModelContract, plan: BlockPlan) -> Tensor:
    """Labels cropped to the described size: they may be larger by less than their grid."""
    described = contract.tensor(name, "output")
    regions = {}
    for axis in described.axes:
        if isinstance(rule := axis.size, ReferencedSize):
            size = plan.sizes[rule.tensor][rule.axis]
            regions[axis.id] = (0, min(tensor.sizes[axis.id], rule.of(size or 0)))
    return slice_axes(tensor, regions)
