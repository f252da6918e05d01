"""`create_prediction_pipeline`: from a model to a pipeline, with everything checked but the data.

What holds here: a keyword that makes no sense, a step that does not fit its tensor, a statistic
that nobody asks for: all are refused before weights are opened and before any data are read.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import attrs
from immutabledict import immutabledict

from .backends.choose import Backend, load_backend
from .contract.files import FileRef, attachments_of
from .contract.read import model_contract
from .contract.records import FixedSize, ModelContract, TensorContract
from .errors import (
    DeviceError,
    OperationError,
    SizeError,
)
from .ops.chain import (
    Chain,
    bind_known,
    compose,
    place,
)
from .ops.chain import plan as plan_chain
from .ops.custom import Custom
from .ops.fitting import Running, gathered
from .ops.parameters import check_axes
from .ops.transform import Transform
from .package import described
from .pipeline import Carried, Pipeline, run
from .reading import as_sample
from .sample import Sample
from .spec import SampleSpec, TensorSpec
from .trusted import TrustCode, ready

__all__ = ["check_chains", "create_prediction_pipeline", "with_dataset"]


def create_prediction_pipeline(
    bioimageio_model: Any,
    *,
    devices: str | Sequence[str] | None = None,
    weights_format: str | None = None,
    dataset_for_initial_statistics: Iterable[Any] = (),
    keep_updating_initial_dataset_statistics: bool = False,
    fixed_dataset_statistics: Mapping[Hashable, Any] = immutabledict(),
    backend: Backend | None = None,
    trust_code: TrustCode = False,
) -> Pipeline:
    """A model as a pipeline, with everything about it checked but its data.

    Steps that measure a data set (the batch axis is among their axes) take these values, in this
    order: `fixed_dataset_statistics`; those of `dataset_for_initial_statistics`; those of the
    sample alone, or, in `predict_many`, of the samples so far.

    Args:
        bioimageio_model: a source (folder, `bioimageio.yaml`, zip archive, URL, id) or a model
            description.
        devices: where the network runs: `cpu`, `cuda`, `cuda:N` or `mps`; by default one GPU if
            there is one, else the CPU. Several devices make a replica on each.
        weights_format: which weights to run; by default the first that can be run here.
        dataset_for_initial_statistics: samples (anything that the pipeline can be called with)
            whose joint statistics are taken. Postprocessing that measures a data set needs the
            network to be run on them.
        keep_updating_initial_dataset_statistics: whether samples that are predicted join that data
            set. Nothing is remembered by the pipeline: `predict_many` hands what is known from one
            sample to the next, and a call for one sample joins the data set with that one alone.
        fixed_dataset_statistics: values of measures that are known up front; steps that ask for
            one of these take it instead of measuring.
        backend: any callable `forward(*arrays) -> tuple of arrays` instead of the model's weights.
        trust_code: whether Python code of the model may run, such as its `custom` steps, layers of
            Keras, or what makes the network of a PyTorch state dict; or a set of sha256 values:
            those of the files that may.

    Raises:
        MissingFileError: if the model, or a file of it, is not there.
        DescriptionError: if its description is invalid.
        UnsupportedError: if it asks for a processing step that is not known.
        UntrustedCodeError: if it brings code that `trust_code` does not allow.
        OperationError: if a step has a keyword that makes no sense, or a statistic is given that
            no step asks for.
        WeightsFormatError, MissingDependencyError: if no weights can be run.
        DeviceError: if the device is not there.

    Examples:
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> [step.op.name for step in pipeline.postprocess]
        ['sigmoid', 'ensure_dtype']
    """
    description = described(bioimageio_model)
    contract = model_contract(description)
    beside = attachments_of(description)
    preprocess, postprocess = (
        _chain(tensors, beside, trust_code) for tensors in (contract.inputs, contract.outputs)
    )
    check_chains(contract, preprocess, postprocess)
    _check_statistics(fixed_dataset_statistics, (*preprocess, *postprocess))
    if backend is None:
        backend = load_backend(
            description, weights_format=weights_format, device=devices, trust_code=trust_code
        )
    elif devices is not None or weights_format is not None:
        raise DeviceError(
            "a backend that is given brings its own weights and device",
            expected="no devices and no weights_format beside a backend",
            got=f"devices={devices}, weights_format={weights_format}",
        )
    pipeline = Pipeline(contract, preprocess, backend, postprocess, fixed_dataset_statistics)
    given = dataset_for_initial_statistics
    if isinstance(given, Sized) and len(given) == 0:  # an array has no truth value
        return pipeline
    return with_dataset(
        pipeline,
        given,
        keep_updating=keep_updating_initial_dataset_statistics,
    )


def _chain(
    tensors: Sequence[TensorContract], beside: Sequence[FileRef], trust_code: TrustCode
) -> Chain:
    order = [tensor.id for tensor in tensors]
    return compose(
        *(
            ready(step, tensor.id, order, beside=beside, trust_code=trust_code)
            if isinstance(step, Custom)
            else Transform(step, tensor.id)
            for tensor in tensors
            for step in tensor.operations
        )
    )


def with_dataset(
    pipeline: Pipeline, dataset: Iterable[Any], *, keep_updating: bool = False
) -> Pipeline:
    """The pipeline with its data set statistics taken of many samples.

    Args:
        dataset: samples, or what can be read as inputs. A list may be read several times; a
            generator only once, which is enough for one step that measures.
        keep_updating: see `create_prediction_pipeline`.

    Raises:
        NotFittedError: if a generator would have to be read again.
        OperationError: if it is empty.
    """
    stat = Sample({}, stat=pipeline.statistics).stat
    data = dataset if isinstance(dataset, Iterator) else tuple(dataset)
    contract = pipeline.contract
    samples: Iterable[Sample] = (as_sample(d, contract) for d in data)
    samples = samples if isinstance(dataset, Iterator) else tuple(samples)
    preprocess, before = gathered(pipeline.preprocess, samples, stat=stat)
    fitted = attrs.evolve(pipeline, preprocess=preprocess)
    postprocess = pipeline.postprocess
    after: Running = {}
    if _measures_data_set(bind_known(postprocess, unprocessed=Sample({}), stat=stat, scopes=())):
        outputs = _RawOutputs(fitted, samples)
        postprocess, after = gathered(postprocess, outputs, unprocessed=samples, stat=stat)
    if keep_updating:
        return attrs.evolve(pipeline, carried=Carried(before, after))
    return attrs.evolve(fitted, postprocess=postprocess)


def _measures_data_set(chain: Chain) -> bool:
    open_ = (step for step in chain if isinstance(step, Transform) and step.values is None)
    return any(m.scope == "dataset" for step in open_ for m in step.measures)


@attrs.frozen
class _RawOutputs:
    """What the network gives for samples, computed each time that it is asked for."""

    pipeline: Pipeline
    samples: Iterable[Sample]

    def __iter__(self) -> Iterator[Sample]:
        without = attrs.evolve(self.pipeline, postprocess=())
        return (run(without, sample) for sample in self.samples)


def check_chains(contract: ModelContract, preprocess: Chain, postprocess: Chain) -> None:
    """Plan both chains on the described tensors, so that a wrong keyword is found now.

    Raises:
        UnknownMemberError: if a step refers to an input that is not there.
        AxesError, SizeError, OperationError: if a step does not fit its tensor.
    """
    inputs = SampleSpec({t.id: _described_spec(t) for t in contract.inputs})
    plan_chain(preprocess, inputs)
    plan_chain(postprocess, SampleSpec({t.id: _described_spec(t) for t in contract.raw_outputs}))
    for number, step in enumerate((*preprocess, *postprocess)):
        if isinstance(step, Transform) and step.op.references:
            with place(number, step):
                _check_references(step, contract, inputs)


def _check_references(step: Transform, contract: ModelContract, inputs: SampleSpec) -> None:
    """Refuse a reference tensor that is no input, or keeps axes that the tensor does not have."""
    for m in step.op.references:
        tensor = contract.tensor(m.member, "input")
        if tensor.optional and step.member != m.member:
            raise OperationError(
                "a reference tensor must be there, and this one is optional",
                tensor=m.member,
                step=step.op.name,
            )
        check_axes(inputs.members[m.member], m.axes, step.op.name)
        kept = [a for a in tensor.axis_ids if m.axes is not None and a not in m.axes]
        spec = _described_spec(contract.tensor(step.member))
        check_axes(spec, kept, step.op.name)
        for axis in kept:
            sizes = (inputs.members[m.member].sizes[axis], spec.sizes[axis])
            if None not in sizes and sizes[0] not in (1, sizes[1]):
                raise SizeError(
                    "a reference tensor that keeps an axis has another size along it",
                    tensor=m.member,
                    axis=axis,
                    step=step.op.name,
                    expected=sizes[1],
                    got=sizes[0],
                )


def _check_statistics(statistics: Mapping[Hashable, Any], chain: Chain) -> None:
    wanted = {m for step in chain if isinstance(step, Transform) for m in step.measures}
    Sample({}, stat=statistics)  # raises where a value is none
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
