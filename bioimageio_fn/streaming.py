"""The blocks of a sample on their way: cut, preprocessed, through the network, postprocessed.

What holds here: a block is read and preprocessed ahead of the network, in a thread of its own, and
the network runs in that of the caller; so many blocks are held at a time as `overlap` says; steps
that can not run on blocks run on the whole sample, before it is cut or after it is merged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator

import attrs

from .arrays import is_lazy
from .axes import MemberId
from .backends.choose import Backend
from .blocks.records import BlockPlan
from .blocks.split import split
from .contract.records import ModelContract
from .forward import forward_blocks
from .ops.chain import Chain, apply, block_safe_from, cut_chain
from .ops.instance_records import ToLabels
from .ops.kernels import Cast, Mapped
from .ops.prepared import Prepared, applied, prepared
from .ops.records import is_pointwise
from .ops.transform import Transform
from .overlap import ahead, closed_behind
from .sample import Sample, SampleBlock
from .spec import sample_spec
from .tensor import Tensor, astype, holds

__all__ = ["Work", "finished_blocks", "makes_labels"]


@attrs.frozen
class Work:
    """A sample, and all that is done with it until its blocks are merged.

    Args:
        contract: of the model.
        backend: the network.
        sample: the inputs, with the statistics that are known.
        before: preprocessing, with its statistics.
        after: postprocessing, with those that are known before the network has run.
        plan: the blocks.
        merged_first: whether all of postprocessing waits for the whole.
    """

    contract: ModelContract
    backend: Backend
    sample: Sample
    before: Chain
    after: Chain
    plan: BlockPlan
    merged_first: bool = False

    @property
    def on_blocks(self) -> int:
        """How many leading steps of postprocessing run on blocks, before these are merged.

        What changes the shape, or is not known, waits until the raw outputs are whole and cropped.
        """
        if self.merged_first:
            return 0
        touched = self.plan.touched
        safe = (
            isinstance(step, Transform)
            and is_pointwise(step.op)
            and block_safe_from([step], touched) == 0
            for step in self.after
        )
        return next((n for n, ok in enumerate(safe) if not ok), len(self.after))

    @property
    def ends_on_blocks(self) -> bool:
        """Whether merged blocks are the outputs as described."""
        return self.on_blocks == len(self.after) and not makes_labels(self.contract)


def makes_labels(contract: ModelContract, *names: MemberId) -> bool:
    """Whether one of these outputs (of all, by default) is made into objects."""
    outputs = [t for t in contract.outputs if not names or t.id in names]
    return any(isinstance(step, ToLabels) for t in outputs for step in t.operations)


def finished_blocks(
    work: Work, lost: set[str], *, skip: Collection[int] = frozenset()
) -> Iterator[SampleBlock]:
    """The blocks behind preprocessing, network and the postprocessing that runs on blocks.

    Args:
        lost: takes the types to which casts changed values; see `ops.chain.apply`.
        skip: numbers of blocks that are left out.
    """
    plan, contract = work.plan, work.contract
    head = block_safe_from(work.before, plan.touched)
    before = _on_blocks(work.before[head:], plan, lost)
    after = _on_blocks(work.after[: work.on_blocks], plan, lost)
    whole = _paddable(apply(work.before[:head], work.sample, lost=lost), contract, plan)
    blocks = map(before, split(whole, plan, skip=skip))
    waits = _waits(whole, plan) and plan.count - len(skip) > plan.group
    coming = ahead(blocks, group=plan.group) if waits else blocks
    through = forward_blocks(work.backend, contract, coming, stack=plan.stack)
    with closed_behind(coming, through):
        yield from map(after, through)


def _waits(sample: Sample, plan: BlockPlan) -> bool:
    """Whether blocks take longer to be made than to be handed from one thread to the next.

    Small blocks of arrays in memory do not: threads would only wait for one another.
    """
    return plan.group == plan.stack or any(is_lazy(t.data) for t in sample.members.values())


def _paddable(sample: Sample, contract: ModelContract, plan: BlockPlan) -> Sample:
    """Cast a member whose type can not hold its pad value to the described type, which can."""
    members = {
        name: _cast(tensor, contract.tensor(name).dtype or "float32")
        if plan.padding[name].mode == "constant"
        and not holds(tensor.dtype, plan.padding[name].value)
        else tensor
        for name, tensor in sample.members.items()
    }
    return attrs.evolve(sample, members=members)


def _cast(tensor: Tensor, dtype: str) -> Tensor:
    """The tensor in another type; a lazy one is cast where it is read."""
    if is_lazy(tensor.data):
        return attrs.evolve(tensor, data=Mapped(tensor.data, [Cast(dtype)]))
    return astype(tensor, dtype)


def _on_blocks(
    chain: Chain, plan: BlockPlan, lost: set[str]
) -> Callable[[SampleBlock], SampleBlock]:
    """What a chain makes of each block; worked out once for all blocks of one form."""
    modes = {name: padding.mode for name, padding in plan.padding.items()}
    if _has_parts(chain, plan):
        return lambda block: attrs.evolve(
            block,
            sample=apply(cut_chain(chain, block.meta.regions, modes), block.sample, lost=lost),
        )
    of_form: dict[Hashable, Prepared | None] = {}

    def run(block: SampleBlock) -> SampleBlock:
        sample = block.sample
        form = tuple((n, t.axes, t.shape, t.data.dtype) for n, t in sample.members.items())
        if form not in of_form:
            of_form[form] = prepared(chain, sample_spec(sample))
        ready = of_form[form]
        made = apply(chain, sample, lost=lost) if ready is None else applied(ready, sample, lost)
        return block if made is sample else SampleBlock(made, block.meta)

    return run


def _has_parts(chain: Chain, plan: BlockPlan) -> bool:
    """Whether statistics of a step are other ones for other blocks."""
    transforms = [step for step in chain if isinstance(step, Transform)]
    return any(
        set(value.axes) & set(plan.touched.get(measure.member, ()))
        for step in transforms
        for value, measure in zip(step.values or (), step.measures, strict=True)
    )
