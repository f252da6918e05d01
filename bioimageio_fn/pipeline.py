"""`Pipeline`: a model as a function from sample to sample, and `run`, the one way to run it.

What holds here: a pipeline is data (frozen, comparable, picklable) and remembers nothing; what has
to go on from one sample to the next (`Carried`) is handed in and handed back; statistics are taken
of unpadded data, each of the tensor that reaches its step; forward runs once for each block.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import attrs
from immutabledict import immutabledict

from .arrays import is_lazy, warn_of_loss
from .axes import MemberId
from .backends.choose import Backend
from .blocks.join import Join, crop
from .blocks.merge import merge
from .blocks.plan import plan_blocks
from .blocks.records import BlockPlan
from .blocks.split import split
from .contract.records import ModelContract, ReferencedSize
from .forward import forward_blocks
from .ops.chain import (
    Chain,
    apply,
    bind_known,
    block_safe_from,
    cut_chain,
)
from .ops.chain import plan as plan_chain
from .ops.fitting import Running, fit, processed
from .ops.fitting import carried as carried_on
from .ops.instance_records import ToLabels
from .ops.kernels import Cast, Mapped
from .ops.records import Pointwise
from .ops.transform import Step, Transform
from .reading import as_sample
from .sample import BlockMeta, Sample, SampleBlock
from .spec import sample_spec
from .tensor import Tensor, astype, holds, slice_axes

__all__ = [
    "Carried",
    "Pipeline",
    "default_plan",
    "predict_blocks",
    "predict_sample_with_blocking",
    "predict_sample_with_fixed_blocking",
    "predict_sample_without_blocking",
    "run",
    "run_carrying",
]

OnProgress = Callable[[int, int], None]


def _stat(values: Mapping[Hashable, Any]) -> immutabledict[Hashable, Any]:
    return immutabledict(values)


@attrs.frozen
class Carried:
    """What is known of the samples so far: one fold for each step that measures a data set.

    Args:
        before: of preprocessing.
        after: of postprocessing.
    """

    before: Running = attrs.field(factory=immutabledict)
    after: Running = attrs.field(factory=immutabledict)


@attrs.frozen(repr=False)
class Pipeline:
    """A model, ready to run: what it takes, and the functions that make its outputs of it.

    Call it with anything that can be read as the model's inputs: a `Sample`, a mapping of tensors
    or arrays, or one array for a model of one input. As a context manager it frees its backend at
    the end.

    Args:
        contract: what the model takes and gives.
        preprocess: chain from described inputs to what the network takes.
        backend: the network, `forward(*arrays) -> tuple of arrays`.
        postprocess: chain from what the network gives to the described outputs.
        statistics: values of measures that are known up front.
        carried: what is known of a data set, to be joined by every sample that is processed; None
            if data set statistics are bound, or are those of each sample.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> pipeline(np.zeros((40, 50), "uint16"))
        Sample(probability=Tensor(batch=1, channel=1, y=40, x=50, dtype=float32))
    """

    contract: ModelContract
    preprocess: Chain
    backend: Backend
    postprocess: Chain
    statistics: Mapping[Hashable, Any] = attrs.field(factory=immutabledict, converter=_stat)
    carried: Carried | None = None

    def __repr__(self) -> str:
        inputs = ", ".join(tensor.id for tensor in self.contract.inputs)
        outputs = ", ".join(tensor.id for tensor in self.contract.outputs)
        steps = f"{len(self.preprocess)} steps, {self.backend!r}, {len(self.postprocess)} steps"
        return f"Pipeline({self.contract.name!r}: {inputs} -> {steps} -> {outputs})"

    def __call__(self, inputs: Any) -> Sample:
        """Predict a sample; see `run`."""
        return run(self, inputs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the backend's memory; it is opened again when it is needed."""
        close = getattr(self.backend, "close", None)
        if close is not None:
            close()


def default_plan(pipeline: Pipeline, inputs: Any, **options: Any) -> BlockPlan:
    """The plan by which a pipeline runs a sample if none is given.

    Args:
        inputs: a `Sample`, a mapping of tensors or arrays, or one array.
        options: those of `plan_blocks`, such as `block_shape` and `halo`.

    Raises:
        BlockError, SizeError: if the sample can not be brought to sizes that the model takes.
    """
    sample = as_sample(inputs, pipeline.contract)
    signature = getattr(pipeline.backend, "signature", None)
    fixed = {}
    if signature is not None:
        ids = [t.id for t in pipeline.contract.inputs]
        fixed = {i: port.shape or () for i, port in zip(ids, signature.inputs, strict=False)}
    shapes = {name: tensor.sizes for name, tensor in sample.members.items()}
    return plan_blocks(pipeline.contract, shapes, signature=fixed, **options)


def run(
    pipeline: Pipeline,
    inputs: Any,
    plan: BlockPlan | None = None,
    *,
    on_progress: OnProgress | None = None,
    join: Join = crop,
) -> Sample:
    """Predict a sample, block by block as planned.

    Args:
        pipeline: the model.
        inputs: a `Sample`, a mapping of tensors or arrays, or one array.
        plan: how the sample is cut; by default as little as the model allows.
        on_progress: called with (blocks done, blocks in all), first with none done.
        join: what two blocks say of the pixels that both have; see `bioimageio_fn.blocks.join`.
            Unless it is `crop`, postprocessing waits for the whole.

    Returns:
        The outputs as described, of the size that the inputs have.

    Raises:
        AxesError, SizeError, MissingMemberError, UnknownMemberError: if the inputs are not those
            of the model; before anything runs.
        BackendError: if the network fails, or gives what its description does not say.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> image = np.random.default_rng(0).random((100, 150))
        >>> whole = run(pipeline, image)
        >>> sample = fn.as_sample(image, pipeline.contract)
        >>> blocks = run(pipeline, sample, default_plan(pipeline, sample, block_shape={"x": 128}))
        >>> bool(np.allclose(whole, blocks, atol=1e-5))
        True
    """
    return _run(pipeline, inputs, pipeline.carried, plan, on_progress=on_progress, join=join)[0]


def run_carrying(
    pipeline: Pipeline,
    inputs: Any,
    carried: Carried,
    plan: BlockPlan | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> tuple[Sample, Carried]:
    """Predict a sample, and say what is known of it and the samples before it.

    This is the fold that `predict_many` runs over its samples.

    Args:
        carried: what is known of the samples before this one; `Carried()` for the first.
        pipeline, inputs, plan, on_progress: as of `run`.
    """
    result, seen = _run(pipeline, inputs, carried, plan, on_progress=on_progress)
    return result, carried if seen is None else seen


@attrs.frozen
class _Ready:
    """A sample, and all that is done with it.

    Args:
        sample: the inputs, with the statistics that are known.
        plan: its blocks.
        before: preprocessing, with its statistics.
        after: postprocessing, with those that are known before the network has run.
        tail: how many steps of it run on blocks.
        present: numbers of the steps of preprocessing that have something to do.
        seen: what preprocessing knows of the data set now.
    """

    sample: Sample
    plan: BlockPlan
    before: Chain
    after: Chain
    tail: int
    present: Sequence[int]
    seen: Running


def _ready(
    pipeline: Pipeline, inputs: Any, plan: BlockPlan | None, carried: Carried | None
) -> _Ready:
    """Everything that is done before the first block is read; data are read to be measured."""
    sample = as_sample(inputs, pipeline.contract)
    plan = default_plan(pipeline, sample) if plan is None else plan
    known = attrs.evolve(sample, stat={**pipeline.statistics, **sample.stat})
    present = [i for i, step in enumerate(pipeline.preprocess) if _concerns(step, sample)]
    chain = tuple(pipeline.preprocess[i] for i in present)
    plan_chain(chain, sample_spec(sample))
    seen: Running = {}
    if carried is None:
        before = fit(chain, known)
    else:
        before, seen = carried_on(chain, known, _mine(carried.before, present))
    scopes = ("sample", "dataset") if carried is None else ("sample",)
    after = bind_known(pipeline.postprocess, unprocessed=known, stat=known.stat, scopes=scopes)
    return _Ready(known, plan, before, after, _blockwise_steps(after, plan), present, seen)


def _run(
    pipeline: Pipeline,
    inputs: Any,
    carried: Carried | None,
    plan: BlockPlan | None,
    *,
    on_progress: OnProgress | None,
    join: Join = crop,
) -> tuple[Sample, Carried | None]:
    """As `run_carrying`; without what is carried, each sample is measured alone."""
    ready = _ready(pipeline, inputs, plan, carried)
    if join is not crop:  # a blend is made of what the network gives
        ready = attrs.evolve(ready, tail=0)
    sample, after, tail = ready.sample, ready.after, ready.tail
    lost: set[str] = set()
    merged = merge(_blocks(pipeline, ready, lost, on_progress), ready.plan, join=join)
    numbers = range(tail, len(after))
    running = None if carried is None else _mine(carried.after, numbers)
    ended, seen_after = processed(
        after[tail:],
        attrs.evolve(merged, stat=sample.stat),
        running,
        unprocessed=sample,
        lost=lost,
    )
    _say(lost)
    members = {
        name: _cropped(tensor, name, pipeline.contract, ready.plan)
        for name, tensor in ended.members.items()
    }
    result = Sample(members, id=sample.id)
    if carried is None:
        return result, None
    return result, Carried(
        _joined(carried.before, ready.seen, ready.present),
        _joined(carried.after, seen_after, numbers),
    )


def _say(lost: set[str]) -> None:
    for dtype in sorted(lost):
        warn_of_loss(dtype)


def _blocks(
    pipeline: Pipeline, ready: _Ready, lost: set[str], on_progress: OnProgress | None
) -> Iterator[SampleBlock]:
    """The blocks of a sample behind preprocessing, network and block-safe postprocessing."""
    plan, contract = ready.plan, pipeline.contract
    head = block_safe_from(ready.before, plan.touched)
    prepared = _paddable(apply(ready.before[:head], ready.sample, lost=lost), contract, plan)
    blocks = (_on_block(ready.before[head:], block, plan, lost) for block in split(prepared, plan))
    if on_progress is not None:
        on_progress(0, plan.count)
    for block in forward_blocks(pipeline.backend, contract, blocks, stack=plan.stack):
        yield _on_block(ready.after[: ready.tail], block, plan, lost)
        if on_progress is not None:
            on_progress(block.meta.index + 1, plan.count)


def predict_blocks(
    pipeline: Pipeline,
    inputs: Any,
    plan: BlockPlan | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Iterator[SampleBlock]:
    """Predict a sample, and give each block as soon as it is finished.

    For previews, and for predictions that may be stopped: just stop asking. `merge` puts the blocks
    together.

    Args:
        pipeline, inputs, plan, on_progress: as of `run`.

    Returns:
        A generator of finished blocks. Where a step of postprocessing needs the whole (it finds
        objects, or measures the output), the whole is the only block that comes.

    Raises:
        AxesError, SizeError, MissingMemberError, UnknownMemberError: as `run`, at once.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> image = np.zeros((100, 300), "uint16")
        >>> plan = default_plan(pipeline, image, block_shape={"x": 128})
        >>> first = next(predict_blocks(pipeline, image, plan))
        >>> first.meta.index, first.meta.count, first.sample["probability"].sizes["x"]
        (0, 4, 128)
    """
    ready = _ready(pipeline, inputs, plan, pipeline.carried)
    if ready.tail < len(ready.after):
        return _as_one_block(pipeline, ready, on_progress)
    return _finished(pipeline, ready, on_progress)


def _finished(
    pipeline: Pipeline, ready: _Ready, on_progress: OnProgress | None
) -> Iterator[SampleBlock]:
    lost: set[str] = set()
    yield from _blocks(pipeline, ready, lost, on_progress)
    _say(lost)


def _as_one_block(
    pipeline: Pipeline, ready: _Ready, on_progress: OnProgress | None
) -> Iterator[SampleBlock]:
    whole = run(pipeline, ready.sample, ready.plan, on_progress=on_progress)
    yield SampleBlock(whole, BlockMeta(0, 1, {}))


def predict_sample_without_blocking(pipeline: Pipeline, inputs: Any) -> Sample:
    """Predict a sample in one block, however large; the name that users know.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> predict_sample_without_blocking(pipeline, np.zeros((40, 50), "uint16"))
        Sample(probability=Tensor(batch=1, channel=1, y=40, x=50, dtype=float32))
    """
    return run(pipeline, inputs, default_plan(pipeline, inputs, block_shape={}))


def predict_sample_with_blocking(
    pipeline: Pipeline,
    inputs: Any,
    blocksize_parameter: int | Mapping[Any, Any] | None = None,
    *,
    batch_size: int | None = None,
) -> Sample:
    """Predict a sample in blocks of the sizes that the format's parameter n stands for.

    Args:
        blocksize_parameter: see `plan_blocks`; by default the blocks that compute the fewest
            pixels.
        batch_size: how many samples, or blocks of one, the network gets at a time.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> predict_sample_with_blocking(pipeline, np.zeros((40, 50), "uint16"), 1)
        Sample(probability=Tensor(batch=1, channel=1, y=40, x=50, dtype=float32))
    """
    options = {"blocksize_parameter": blocksize_parameter, "batch_size": batch_size}
    return run(pipeline, inputs, default_plan(pipeline, inputs, **options))


def predict_sample_with_fixed_blocking(
    pipeline: Pipeline, inputs: Any, input_block_shape: Mapping[str, Any]
) -> Sample:
    """Predict a sample in blocks of a given shape.

    Args:
        input_block_shape: `block_shape` of `plan_blocks`.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> predict_sample_with_fixed_blocking(pipeline, np.zeros((90, 80), "uint8"), {"x": 64})
        Sample(probability=Tensor(batch=1, channel=1, y=90, x=80, dtype=float32))
    """
    return run(pipeline, inputs, default_plan(pipeline, inputs, block_shape=input_block_shape))


def _cropped(tensor: Tensor, name: MemberId, contract: ModelContract, plan: BlockPlan) -> Tensor:
    """Labels cropped to the described size: they may be larger by less than their grid."""
    described = contract.tensor(name, "output")
    if not any(isinstance(step, ToLabels) for step in described.operations):
        return tensor
    regions = {}
    for axis in described.axes:
        if isinstance(rule := axis.size, ReferencedSize):
            size = plan.sizes[rule.tensor][rule.axis]
            regions[axis.id] = (0, min(tensor.sizes[axis.id], rule.of(size or 0)))
    return slice_axes(tensor, regions)


def _concerns(step: Step, sample: Sample) -> bool:
    """Whether a step has something to do: not if its tensor is optional and absent."""
    return not isinstance(step, Transform) or step.member in sample.members


def _mine(running: Running, numbers: Sequence[int]) -> Running:
    """What is known for a part of a chain, whose steps have these numbers in the whole."""
    return {here: running[n] for here, n in enumerate(numbers) if n in running}


def _joined(running: Running, seen: Running, numbers: Sequence[int]) -> Running:
    """What is known for the whole chain, with what a part of it has seen."""
    return immutabledict({**running, **{numbers[here]: s for here, s in seen.items()}})


def _blockwise_steps(chain: Chain, plan: BlockPlan) -> int:
    """How many leading steps may run on blocks of the raw outputs, before these are merged.

    What changes the shape, or is not known, waits until the raw outputs are whole and cropped.
    """
    safe = (
        isinstance(step, Transform)
        and isinstance(step.op, Pointwise)
        and block_safe_from([step], plan.touched) == 0
        for step in chain
    )
    return next((n for n, ok in enumerate(safe) if not ok), len(chain))


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
        return Tensor(Mapped(tensor.data, [Cast(dtype)]), tensor.axes)
    return astype(tensor, dtype)


def _on_block(chain: Chain, block: SampleBlock, plan: BlockPlan, lost: set[str]) -> SampleBlock:
    modes = {name: padding.mode for name, padding in plan.padding.items()}
    cut = cut_chain(chain, block.meta.regions, modes)
    return attrs.evolve(block, sample=apply(cut, block.sample, lost=lost))
