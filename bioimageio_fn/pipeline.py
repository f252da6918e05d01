"""`Pipeline`: a model as a function from sample to sample, and `run`, the one way to run it.

What holds here: a pipeline is data (frozen, comparable, picklable) and remembers nothing;
statistics are taken of unpadded data, each of the tensor that reaches its step; forward runs once
for each block.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import attrs
from immutabledict import immutabledict

from .axes import MemberId
from .backends.choose import Backend, load_backend
from .blocks.merge import merge
from .blocks.plan import BlockPlan, plan_blocks
from .blocks.split import split
from .contract.read import model_contract
from .contract.records import FixedSize, ModelContract, TensorContract
from .errors import BackendError, BioimageioFnWarning, DeviceError, OperationError
from .ops.chain import (
    Chain,
    apply,
    bind_known,
    block_safe_from,
    compose,
    cut_chain,
    members_of,
)
from .ops.chain import plan as plan_chain
from .ops.fitting import fit
from .ops.transform import Transform
from .package import described
from .reading import as_sample
from .sample import Sample, SampleBlock
from .spec import SampleSpec, TensorSpec, sample_spec
from .tensor import Tensor, astype, holds

__all__ = ["Pipeline", "create_prediction_pipeline", "default_plan", "run"]

OnProgress = Callable[[int, int], None]


def _stat(values: Mapping[Hashable, Any]) -> immutabledict[Hashable, Any]:
    return immutabledict(values)


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


def create_prediction_pipeline(
    bioimageio_model: Any,
    *,
    devices: str | None = None,
    weights_format: str | None = None,
    fixed_dataset_statistics: Mapping[Hashable, Any] = immutabledict(),
    backend: Backend | None = None,
) -> Pipeline:
    """A model as a pipeline, with everything about it checked but its data.

    Args:
        bioimageio_model: a source (folder, `bioimageio.yaml`, zip archive, URL, id) or a model
            description.
        devices: where the network runs: `cpu` (the default), `cuda`, `cuda:N` or `mps`.
        weights_format: which weights to run; by default the first that can be run here.
        fixed_dataset_statistics: values of measures that are known up front; steps that ask for
            one of these take it instead of measuring.
        backend: any callable `forward(*arrays) -> tuple of arrays` instead of the model's weights.

    Raises:
        MissingFileError: if the model, or a file of it, is not there.
        DescriptionError: if its description is invalid.
        UnsupportedError: if it asks for a processing step that is not supported yet.
        OperationError: if a step has a keyword that makes no sense, or a statistic is given that
            no step asks for.
        WeightsFormatError, MissingDependencyError: if no weights can be run.

    Examples:
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> [step.op.name for step in pipeline.postprocess]
        ['sigmoid', 'ensure_dtype']
    """
    description = described(bioimageio_model)
    contract = model_contract(description)
    if backend is None:
        backend = load_backend(description, weights_format=weights_format, device=devices)
    elif devices is not None or weights_format is not None:
        raise DeviceError(
            "a backend that is given brings its own weights and device",
            expected="no devices and no weights_format beside a backend",
            got=f"devices={devices}, weights_format={weights_format}",
        )
    preprocess, postprocess = (_chain(ts) for ts in (contract.inputs, contract.outputs))
    _check(preprocess, contract.inputs)
    _check(postprocess, contract.outputs)
    _check_statistics(fixed_dataset_statistics, (*preprocess, *postprocess))
    return Pipeline(contract, preprocess, backend, postprocess, fixed_dataset_statistics)


def _chain(tensors: tuple[TensorContract, ...]) -> Chain:
    return compose(*(Transform(op, tensor.id) for tensor in tensors for op in tensor.operations))


def _check(chain: Chain, tensors: tuple[TensorContract, ...]) -> None:
    """Plan a chain on the described tensors, so that a wrong keyword is found now."""
    plan_chain(chain, SampleSpec({t.id: _described_spec(t) for t in tensors}))


def _check_statistics(statistics: Mapping[Hashable, Any], chain: Chain) -> None:
    wanted = {m for step in chain if isinstance(step, Transform) for m in step.measures}
    for measure in statistics:
        if measure not in wanted:
            raise OperationError(
                "no step of this model asks for this measure",
                expected="; ".join(map(str, wanted)) or "no statistics",
                got=measure,
            )


def _described_spec(tensor: TensorContract) -> TensorSpec:
    sizes = [axis.size.size if isinstance(axis.size, FixedSize) else None for axis in tensor.axes]
    return TensorSpec(tensor.axis_ids, sizes, tensor.dtype or "float32")


def default_plan(pipeline: Pipeline, inputs: Any, **options: Any) -> BlockPlan:
    """The plan by which a pipeline runs a sample if none is given.

    Args:
        inputs: a `Sample`, a mapping of tensors or arrays, or one array.
        options: `block_shape` and `halo`, as of `plan_blocks`.

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
) -> Sample:
    """Predict a sample, block by block as planned.

    Args:
        pipeline: the model.
        inputs: a `Sample`, a mapping of tensors or arrays, or one array.
        plan: how the sample is cut; by default as little as the model allows.
        on_progress: called with (blocks done, blocks in all), first with none done.

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
    sample = as_sample(inputs, pipeline.contract)
    plan = default_plan(pipeline, sample) if plan is None else plan
    known = attrs.evolve(sample, stat={**pipeline.statistics, **sample.stat})
    before = members_of(pipeline.preprocess, sample.members)
    plan_chain(before, sample_spec(sample))
    before = fit(before, known)
    after = bind_known(pipeline.postprocess, unprocessed=known, stat=known.stat)
    head = block_safe_from(before, plan.split)
    tail = _blockwise_steps(after, plan)
    prepared = _paddable(apply(before[:head], sample), pipeline.contract, plan)
    raw = _forward_blocks(pipeline, before[head:], prepared, plan, on_progress)
    done = (_on_block(after[:tail], block, plan) for block in raw)
    merged = attrs.evolve(merge(done, plan), stat=known.stat)
    rest = fit(after[tail:], merged, unprocessed=known)
    return attrs.evolve(apply(rest, merged), stat={}, id=sample.id)


def _blockwise_steps(chain: Chain, plan: BlockPlan) -> int:
    """How many leading steps may run on blocks of the raw outputs."""
    safe = (block_safe_from(chain[:n], plan.split) == 0 for n in range(1, len(chain) + 1))
    return next((n for n, ok in enumerate(safe) if not ok), len(chain))


def _paddable(sample: Sample, contract: ModelContract, plan: BlockPlan) -> Sample:
    """Cast a member whose type can not hold its pad value to the described type, which can."""
    members = {
        name: astype(tensor, contract.tensor(name).dtype or "float32")
        if plan.padding[name].mode == "constant"
        and not holds(tensor.dtype, plan.padding[name].value)
        else tensor
        for name, tensor in sample.members.items()
    }
    return attrs.evolve(sample, members=members)


def _on_block(chain: Chain, block: SampleBlock, plan: BlockPlan) -> SampleBlock:
    modes = {name: padding.mode for name, padding in plan.padding.items()}
    cut = cut_chain(chain, block.meta.regions, modes)
    return attrs.evolve(block, sample=apply(cut, block.sample))


def _forward_blocks(
    pipeline: Pipeline,
    chain: Chain,
    sample: Sample,
    plan: BlockPlan,
    on_progress: OnProgress | None,
) -> Iterator[SampleBlock]:
    """Preprocess each block and run the network on it."""
    for block in split(sample, plan):
        if on_progress is not None and block.meta.index == 0:
            on_progress(0, block.meta.count)
        ready = _on_block(chain, block, plan)
        outputs = _forward(pipeline, ready.sample)
        yield attrs.evolve(block, sample=outputs)
        if on_progress is not None:
            on_progress(block.meta.index + 1, block.meta.count)


def _forward(pipeline: Pipeline, sample: Sample) -> Sample:
    contract = pipeline.contract
    members = [sample.members.get(t.id) for t in contract.inputs]
    results = pipeline.backend(*(None if m is None else m.data for m in members))
    if not isinstance(results, tuple):
        raise BackendError("a backend gives a tuple of arrays", got=type(results).__name__)
    expected = contract.raw_outputs
    if len(results) < len(expected):
        raise BackendError(
            "the network gave too few outputs",
            expected=", ".join(t.id for t in expected),
            got=f"{len(results)} arrays",
        )
    if len(results) > len(expected):
        warnings.warn(
            f"the network gave {len(results)} outputs, its description has {len(expected)};"
            " the rest is dropped",
            BioimageioFnWarning,
            stacklevel=2,
        )
    named = {t.id: _raw_tensor(r, t) for t, r in zip(expected, results, strict=False)}
    return Sample(named, id=sample.id)


def _raw_tensor(array: Any, contract: TensorContract) -> Tensor:
    shape = tuple(array.shape)
    if len(shape) != len(contract.axes):
        raise BackendError(
            "the network gave an output with other axes than described",
            tensor=MemberId(contract.id),
            expected=contract,
            got=f"shape {shape}",
        )
    return Tensor(array, contract.axis_ids)
