"""`Pipeline`: a model as a function from sample to sample, and `run`, the one way to run it.

What holds here: a pipeline is data (frozen, comparable, picklable) and remembers nothing; what has
to go on from one sample to the next (`Carried`) is handed in and handed back; statistics are taken
of unpadded data, each of the tensor that reaches its step; forward runs once for each block.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import attrs
from immutabledict import immutabledict

from .arrays import warn_of_loss
from .axes import MemberId
from .backends.choose import Backend
from .blocks.choose import MemoryModel
from .blocks.join import Join, crop
from .blocks.merge import Create
from .blocks.plan import plan_blocks
from .blocks.records import BlockPlan
from .calibration import Calibration
from .contract.calibrating import calibrated, output_calibrations
from .contract.records import ModelContract
from .ending import ended
from .errors import BlockError, OutOfMemoryError
from .ops.chain import Chain, bind_known
from .ops.chain import plan as plan_chain
from .ops.fitting import Running, fit, processed
from .ops.fitting import carried as carried_on
from .ops.transform import Step, Transform
from .overlap import closed_behind
from .reading import as_sample
from .resuming import OnProgress, Smaller, merged, tell
from .sample import BlockMeta, Sample, SampleBlock
from .spec import sample_spec
from .streaming import Work, finished_blocks

__all__ = [
    "Carried",
    "OnProgress",
    "Pipeline",
    "concerns",
    "default_plan",
    "predict_blocks",
    "run",
    "run_carrying",
]


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
    memory: MemoryModel | None = None,
    on_progress: OnProgress | None = None,
    join: Join = crop,
    create: Create | None = None,
    scratch: Create | None = None,
) -> Sample:
    """Predict a sample, block by block as planned.

    Args:
        pipeline: the model.
        inputs: a `Sample`, a mapping of tensors or arrays, or one array.
        plan: how the sample is cut. Without one it is cut as little as the model and `memory`
            allow, and where memory runs out all the same, blocks get smaller, and what is finished
            is kept.
        memory: what a block takes and may take.
        on_progress: called with (blocks done, blocks in all), first with none done.
        join: what two blocks say of the pixels that both have; see `bioimageio_fn.blocks.join`.
            Unless it is `crop`, postprocessing waits for the whole.
        create: makes what the outputs are written to, `(name, spec) -> anything with item
            assignment`; by default arrays in memory. It may be asked twice for an output.
        scratch: likewise for what the network gives, where postprocessing needs the whole of it.

    Returns:
        The outputs as described, of the size that the inputs have; with pixel sizes, if the inputs
        have them.

    Raises:
        AxesError, SizeError, MissingMemberError, UnknownMemberError: if the inputs are not those
            of the model; before anything runs.
        BackendError: if the network fails, or gives what its description does not say.
        OutOfMemoryError: if there is too little memory, also for the smallest blocks.

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
    options = {"on_progress": on_progress, "join": join, "create": create, "scratch": scratch}
    return _run(pipeline, inputs, pipeline.carried, plan, memory, **options)[0]


def run_carrying(
    pipeline: Pipeline,
    inputs: Any,
    carried: Carried,
    plan: BlockPlan | None = None,
    **options: Any,
) -> tuple[Sample, Carried]:
    """Predict a sample, and say what is known of it and the samples before it.

    This is the fold that `predict_many` runs over its samples.

    Args:
        carried: what is known of the samples before this one; `Carried()` for the first.
        pipeline, inputs, plan, options: as of `run`.
    """
    memory = options.pop("memory", None)
    result, seen = _run(pipeline, inputs, carried, plan, memory, **options)
    return result, carried if seen is None else seen


def _run(
    pipeline: Pipeline,
    inputs: Any,
    carried: Carried | None,
    plan: BlockPlan | None,
    memory: MemoryModel | None,
    **options: Any,
) -> tuple[Sample, Carried | None]:
    ready = _ready(pipeline, inputs, plan, carried, memory=memory)
    smaller = partial(_smaller, pipeline, ready.work.sample, memory) if plan is None else None
    return _completed(ready, carried, smaller=smaller, **options)


@attrs.frozen
class _Ready:
    """A sample, and all that is done with it.

    Args:
        work: up to where its blocks are merged.
        present: numbers of the steps of preprocessing that have something to do.
        seen: what preprocessing knows of the data set now.
    """

    work: Work
    present: Sequence[int]
    seen: Running


def _ready(
    pipeline: Pipeline, inputs: Any, plan: BlockPlan | None, carried: Carried | None, **options: Any
) -> _Ready:
    """Everything that is done before the first block is read; data are read to be measured."""
    sample = as_sample(inputs, pipeline.contract)
    plan = default_plan(pipeline, sample, **options) if plan is None else plan
    known = attrs.evolve(sample, stat={**pipeline.statistics, **sample.stat})
    present = [i for i, step in enumerate(pipeline.preprocess) if concerns(step, sample)]
    chain = tuple(pipeline.preprocess[i] for i in present)
    plan_chain(chain, sample_spec(sample))
    seen: Running = {}
    if carried is None:
        before = fit(chain, known)
    else:
        before, seen = carried_on(chain, known, _mine(carried.before, present))
    scopes = ("sample", "dataset") if carried is None else ("sample",)
    after = bind_known(pipeline.postprocess, unprocessed=known, stat=known.stat, scopes=scopes)
    work = Work(pipeline.contract, pipeline.backend, known, before, after, plan)
    return _Ready(work, present, seen)


def _completed(
    ready: _Ready,
    carried: Carried | None,
    *,
    smaller: Smaller | None = None,
    on_progress: OnProgress | None = None,
    join: Join = crop,
    create: Create | None = None,
    scratch: Create | None = None,
) -> tuple[Sample, Carried | None]:
    """The outputs; without what is carried, each sample is measured alone."""
    lost: set[str] = set()
    raw, work = merged(
        # a blend is made of what the network gives
        attrs.evolve(ready.work, merged_first=join is not crop),
        lost,
        join=join,
        create=create,
        scratch=scratch,
        on_progress=on_progress,
        smaller=smaller,
    )
    numbers = range(work.on_blocks, len(work.after))
    views, seen_after = processed(
        work.after[work.on_blocks :],
        attrs.evolve(raw, stat=work.sample.stat),
        None if carried is None else _mine(carried.after, numbers),
        unprocessed=work.sample,
        lost=lost,
    )
    members = {
        name: raw[name]
        if work.ends_on_blocks
        else ended(view, name, work, create=create, lost=lost)
        for name, view in views.items()
    }
    _say(lost)
    result = calibrated(Sample(members, id=work.sample.id), _calibrations(work))
    if carried is None:
        return result, None
    return result, Carried(
        _joined(carried.before, ready.seen, ready.present),
        _joined(carried.after, seen_after, numbers),
    )


def _smaller(
    pipeline: Pipeline,
    sample: Sample,
    memory: MemoryModel | None,
    plan: BlockPlan,
    error: MemoryError,
) -> BlockPlan:
    """A plan of blocks of at most half the pixels."""
    half = MemoryModel(fixed=0, per_pixel=1, limit=plan.pixels // 2)
    try:
        found = default_plan(pipeline, sample, memory=half)
    except BlockError as none:
        raise OutOfMemoryError(
            "there is too little memory, also for the smallest blocks that the model takes",
            expected=f"memory for {plan.pixels} pixels",
            got=str(error),
            remedy="free memory, allow more of it, or take another device",
        ) from none
    return attrs.evolve(found, memory=None if memory is None else memory.of(found.pixels))


def _calibrations(work: Work) -> dict[MemberId, Calibration]:
    """Of the outputs, as the inputs are calibrated."""
    inputs = {name: tensor.calibration for name, tensor in work.sample.members.items()}
    return output_calibrations(work.contract, inputs)


def _say(lost: set[str]) -> None:
    for dtype in sorted(lost):
        warn_of_loss(dtype)


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
    if ready.work.ends_on_blocks:
        return _one_by_one(ready.work, on_progress)
    return _as_one_block(ready, pipeline.carried, on_progress)


def _one_by_one(work: Work, on_progress: OnProgress | None) -> Iterator[SampleBlock]:
    lost: set[str] = set()
    tell(on_progress, 0, work.plan.count)
    calibrations = _calibrations(work)
    finished = finished_blocks(work, lost)
    with closed_behind(finished):
        for done, block in enumerate(finished, 1):
            yield attrs.evolve(block, sample=calibrated(block.sample, calibrations))
            tell(on_progress, done, work.plan.count)
    _say(lost)


def _as_one_block(
    ready: _Ready, carried: Carried | None, on_progress: OnProgress | None
) -> Iterator[SampleBlock]:
    whole, _ = _completed(ready, carried, on_progress=on_progress)
    yield SampleBlock(whole, BlockMeta(0, 1, {}))


def concerns(step: Step, sample: Sample) -> bool:
    """Whether a step has something to do: not if its tensor is optional and absent."""
    return not isinstance(step, Transform) or step.member in sample.members


def _mine(running: Running, numbers: Sequence[int]) -> Running:
    """What is known for a part of a chain, whose steps have these numbers in the whole."""
    return {here: running[n] for here, n in enumerate(numbers) if n in running}


def _joined(running: Running, seen: Running, numbers: Sequence[int]) -> Running:
    """What is known for the whole chain, with what a part of it has seen."""
    return immutabledict({**running, **{numbers[here]: s for here, s in seen.items()}})
