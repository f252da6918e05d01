"""`merge`: a whole sample from its blocks.

What holds here: every pixel is written, by the block whose own it is or as a blend of all that have
it; blocks may come in any order; a missing block is an error, never a hole; no more than a few
groups of blocks are held beside what is written to.

What `create` made (a file, as a rule) is written to in a thread of its own, one block at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import array_api_compat

from ..arrays import as_array, namespace, to_numpy
from ..axes import AxisId, MemberId
from ..calibration import Calibration
from ..errors import BackendError, BlockError, OutOfMemoryError
from ..overlap import behind
from ..sample import Region, Sample, SampleBlock
from ..spec import TensorSpec
from ..stats.walk import parts
from ..tensor import Tensor, slice_axes
from .join import Join, Weights, crop, join_weights
from .records import BlockPlan

__all__ = ["Create", "merge", "written"]

Create: TypeAlias = Callable[[MemberId, TensorSpec], Any]
"""Gives what a whole tensor of that name and form is written to: anything with item assignment."""


def merge(
    blocks: Iterable[SampleBlock],
    plan: BlockPlan,
    *,
    join: Join = crop,
    create: Create | None = None,
) -> Sample:
    """Put the blocks of a plan together.

    Args:
        blocks: every block of the plan once, in any order. They may hold the inputs (`merge` then
            undoes `split`) or the outputs of the model.
        join: what two blocks say of the pixels that both have; see `bioimageio_fn.blocks.join`.
        create: makes what the tensors are written to (a memmap, a Zarr array); by default arrays in
            memory, of the library and on the device of the blocks.

    Returns:
        The whole tensors: what `create` made, with axes.

    Raises:
        BlockError: if a block is missing or comes twice.
        BackendError: if a block has not the size that the plan says.

    Examples:
        >>> import bioimageio_fn as fn
        >>> import numpy as np
        >>> from bioimageio_fn.blocks.split import split
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> sample = fn.as_sample(np.arange(6000).reshape(60, 100), pipeline.contract)
        >>> plan = fn.default_plan(pipeline, sample, block_shape={"x": 64})
        >>> disk = np.empty((1, 1, 60, 100), int)
        >>> again = merge(split(sample, plan), plan, create=lambda name, spec: disk)
        >>> plan.count, again["raw"] == sample["raw"], int(disk[0, 0, 59, 99])
        (6, True, 5999)
    """
    targets: dict[MemberId, Any] = {}
    labels: dict[MemberId, tuple[tuple[AxisId, ...], Calibration]] = {}
    sample_id = None
    for block in written(blocks, plan, targets, join=join, create=create):
        sample_id = block.sample.id
        labels |= {n: (t.axes, t.calibration) for n, t in block.sample.members.items()}
    members = {n: Tensor(target, *labels[n]) for n, target in targets.items()}
    return Sample(members, id=sample_id)


def written(
    blocks: Iterable[SampleBlock],
    plan: BlockPlan,
    targets: dict[MemberId, Any],
    *,
    join: Join = crop,
    create: Create | None = None,
    before: Collection[int] = frozenset(),
) -> Iterator[SampleBlock]:
    """Write blocks one after the other, and pass each on behind that.

    Args:
        targets: takes what is written to, by name, when the first block comes.
        blocks, plan, join, create: as of `merge`.
        before: numbers of blocks whose pixels are there already, and which do not come.

    Raises:
        BlockError, BackendError: as `merge`; for missing blocks when all others are through.
    """
    seen, count = set(before), plan.count
    weights = {} if join is crop else join_weights(plan, join)

    def write(block: SampleBlock) -> None:
        _check_block(block, seen, targets, plan.sizes, count)
        seen.add(block.meta.index)
        for name, tensor in block.sample.members.items():
            region = block.meta.regions.get(name, {})
            _check_size(name, tensor, region, plan)
            if count == 1 and create is None:
                targets[name] = _own(tensor, region).data
                continue
            if name not in targets:
                targets[name] = _target(name, tensor, region, plan, create, blend=bool(weights))
            _write(targets[name], name, tensor, region, weights)

    if create is not None and count > plan.group:
        yield from behind(blocks, write, group=plan.group)
    else:
        for block in blocks:
            write(block)
            yield block
    if len(seen) != count:
        missing = sorted(set(range(count)) - seen)
        raise BlockError("blocks are missing", expected=f"{count} blocks", got=f"no {missing[:5]}")


def _check_block(
    block: SampleBlock,
    seen: Collection[int],
    members: Collection[str],
    known: Collection[str],
    count: int,
) -> None:
    index = block.meta.index
    if index in seen:
        raise BlockError("a block came twice", got=f"block {index}")
    if index >= count or block.meta.count != count:
        raise BlockError(
            "a block is not one of this plan",
            expected=f"one of {count} blocks",
            got=f"block {index} of {block.meta.count}",
        )
    for name in block.sample.members:
        if name not in known:
            raise BlockError("the plan does not say where this tensor belongs", tensor=name)
    if seen and set(block.sample.members) != set(members):
        raise BlockError(
            f"block {index} has other tensors than the blocks before it",
            expected=", ".join(members),
            got=", ".join(block.sample.members) or "none",
        )


def _check_size(name: MemberId, tensor: Tensor, region: Region, plan: BlockPlan) -> None:
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


def _own(tensor: Tensor, region: Region) -> Tensor:
    """The part of a block's tensor that is its own: without halo and padding."""
    return slice_axes(
        tensor,
        {a: (b.start - b.outer_start, b.stop - b.outer_start) for a, b in region.items()},
    )


def _target(
    name: MemberId,
    tensor: Tensor,
    region: Region,
    plan: BlockPlan,
    create: Create | None,
    *,
    blend: bool,
) -> Any:
    """What a whole tensor is written to, for blocks like this one; a blend adds to zeros."""
    if blend:
        _check_blendable(name, tensor)
    shape = tuple(plan.sizes[name][a] if a in region else tensor.sizes[a] for a in tensor.axes)
    dtype = tensor.dtype
    try:
        target = (create or partial(_empty, tensor))(name, TensorSpec(tensor.axes, shape, dtype))
        for key in parts(target) if blend else ():
            target[key] = 0
    except MemoryError as error:
        raise OutOfMemoryError(
            "there is too little memory for the whole of an output",
            tensor=name,
            step="merge",
            expected=f"memory for {dtype} of shape {shape}",
            got=str(error),
            remedy="let it be written to disk: save it as .zarr, .h5, .npy or .tif, or give create",
        ) from error
    return target


def _empty(like: Tensor, name: MemberId, spec: TensorSpec) -> Any:
    del name
    data = as_array(like.data)
    xp = namespace(data)
    return xp.empty(spec.shape, dtype=data.dtype, device=array_api_compat.device(data))


def _check_blendable(name: MemberId, tensor: Tensor) -> None:
    if "float" not in tensor.dtype:
        raise BlockError(
            "a blend has fractions, which this data type can not hold",
            tensor=name,
            expected="a floating point type",
            got=tensor.dtype,
            remedy="join blocks by `crop`, or cast behind `merge`",
        )


def _write(target: Any, name: MemberId, tensor: Tensor, region: Region, weights: Weights) -> None:
    """Write what a block says into the whole."""
    if not weights:
        # not through `_own`: a record in between costs as much as writing a small block
        blocks = [region.get(axis) for axis in tensor.axes]
        there = [slice(None) if b is None else slice(b.start, b.stop) for b in blocks]
        own = [
            slice(None) if b is None else slice(b.start - b.outer_start, b.stop - b.outer_start)
            for b in blocks
        ]
        target[tuple(there)] = _for(target, tensor.data[tuple(own)])
        return
    spans = {a: slice(b.outer_start, b.outer_stop) for a, b in region.items()}
    known = slice_axes(tensor, {a: (0, b.outer_stop - b.outer_start) for a, b in region.items()})
    data = as_array(known.data)
    for axis, block in region.items():
        if (name, axis) in weights:
            shape = tuple(-1 if a == axis else 1 for a in known.axes)
            along = weights[name, axis][block.outer_start].reshape(shape)
            data = data * namespace(data).asarray(
                along, dtype=data.dtype, device=array_api_compat.device(data)
            )
    key = _key(known.axes, spans)
    target[key] = target[key] + _for(target, data)


def _key(axes: Sequence[AxisId], spans: Mapping[AxisId, slice]) -> tuple[slice, ...]:
    return tuple(spans.get(a, slice(None)) for a in axes)


def _for(target: Any, data: Any) -> Any:
    """The data in a form that can be assigned to the target."""
    return data if isinstance(target, type(data)) else to_numpy(as_array(data))
