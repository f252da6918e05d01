"""`predict` and `predict_many`: from what users have, arrays or files, to predictions, or files.

What holds here: everything about the call is checked before anything runs; the model is loaded
once, however many samples follow; nothing is written until all outputs of a sample are there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .blocks.records import BlockPlan
from .contract.records import ModelContract
from .errors import AxesError, DeviceError, FileWriteError
from .io.images import check_writable, read_image, write_image
from .making import create_prediction_pipeline
from .pipeline import (
    Carried,
    OnProgress,
    Pipeline,
    default_plan,
    run,
    run_carrying,
)
from .reading import as_sample
from .sample import Sample

__all__ = ["predict", "predict_many", "save_sample"]

Path_ = str | os.PathLike[str]


def predict(
    *,
    model: Any,
    inputs: Any,
    sample_id: str | None = None,
    save_output_path: Path_ | None = None,
    weights_format: str | None = None,
    devices: str | None = None,
    blocksize_parameter: int | Mapping[Any, Any] | None = None,
    input_block_shape: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
    trust_code: bool = False,
) -> Sample:
    """Run a model on one sample.

    Args:
        model: a source (folder, `bioimageio.yaml`, zip archive, URL, id), a model description, or
            a `Pipeline`.
        inputs: a `Sample`; a mapping of tensors, arrays or paths by input id; or one of these for
            a model with one required input. Arrays without axes are read in the described order,
            see `bioimageio_fn.reading`. Images may have any size.
        sample_id: id of the sample; by default the stem of the image file, or `sample`.
        save_output_path: where to write the outputs: a `.tif`, `.png` or `.npy` file. `{output_id}`
            (or `{member_id}`) and `{sample_id}` in it are filled in; a model with several outputs
            needs the former.
        weights_format: which weights to run; by default the first that can be run here.
        devices: where the network runs: `cpu` (the default), `cuda`, `cuda:N` or `mps`.
        blocksize_parameter: size of the blocks as n of the sizes `min + n * step` that the
            description allows; for all axes, by axis, or by input and axis. By default blocks are
            those that compute the fewest pixels, see `plan_blocks`.
        input_block_shape: or their size in pixels, by axis, or by input and axis; `{}` for the
            whole image in one block.
        on_progress: called with (blocks done, blocks in all).
        trust_code: whether Python code that comes with the model may run.

    Returns:
        The outputs; `np.asarray(result)` is the array of a single output.

    Raises:
        MissingFileError, FileReadError: if the model or an image is not there, or is damaged.
        AxesError, SizeError, MissingMemberError, UnknownMemberError: if the inputs are not those
            of the model.
        FileWriteError: if the outputs can not be written there; where it can be told, before
            anything runs.

    Examples:
        >>> import bioimageio_fn as fn
        >>> predict(model=fn.demo_model(), inputs=fn.demo_image())
        Sample(probability=Tensor(batch=1, channel=1, y=300, x=417, dtype=float32), id='image')
    """
    loaded = _pipeline(model, weights_format, devices, trust_code=trust_code)
    if save_output_path is not None:
        _check_paths(save_output_path, loaded.contract)
    sample = _read(inputs, loaded.contract, sample_id or "sample", named=sample_id is not None)
    plan = _planned(loaded, sample, blocksize_parameter, input_block_shape)
    result = run(loaded, sample, plan, on_progress=on_progress)
    if save_output_path is not None:
        save_sample(result, save_output_path)
    return result


def predict_many(
    *,
    model: Any,
    inputs: Iterable[Any],
    sample_id: str = "sample{i:03}",
    save_output_path: Path_ | None = None,
    weights_format: str | None = None,
    devices: str | None = None,
    blocksize_parameter: int | Mapping[Any, Any] | None = None,
    input_block_shape: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
    trust_code: bool = False,
) -> Iterator[Sample]:
    """Run a model on many samples, one after the other; the model is loaded once.

    Steps that measure a data set measure the samples so far, this one included, so that the order
    of samples matters. Where it must not, give the data set when the pipeline is made:
    `create_prediction_pipeline(model, dataset_for_initial_statistics=...)`.

    Args:
        model, weights_format, devices: as of `predict`.
        blocksize_parameter, input_block_shape: as of `predict`, for each sample.
        on_progress, trust_code: as of `predict`.
        inputs: one item for each sample, as of `predict`; may be a generator.
        sample_id: id of each sample that brings none and is not read from a file; `{i}` is its
            number, also with a format, as in `{i:03}`.
        save_output_path: as of `predict`, with `{sample_id}` in it.

    Returns:
        A generator of the outputs. The call itself is checked at once, not on the first `next`.

    Raises:
        AxesError: if the inputs are one sample; for all else as `predict`.

    Examples:
        >>> import bioimageio_fn as fn
        >>> results = predict_many(model=fn.demo_model(), inputs=[fn.demo_image()] * 2)
        >>> [result.id for result in results]
        ['image', 'image']
    """
    if isinstance(inputs, (Mapping, str, os.PathLike, Sample)):
        raise AxesError(
            "predict_many takes many samples",
            expected="a list or generator with one item for each sample",
            got=type(inputs).__name__,
            remedy="put it in a list, or call predict",
        )
    loaded = _pipeline(model, weights_format, devices, trust_code=trust_code)
    if save_output_path is not None:
        _check_paths(save_output_path, loaded.contract)
        if "{sample_id}" not in os.fspath(save_output_path):
            raise FileWriteError(
                "every sample would be written to the same file",
                expected="{sample_id} in the path",
                got=str(save_output_path),
            )
    samples = _samples(loaded, inputs, sample_id, save_output_path)

    def planned(sample: Sample) -> BlockPlan:
        return _planned(loaded, sample, blocksize_parameter, input_block_shape)

    return _predict_each(loaded, samples, planned, save_output_path, on_progress)


def _planned(
    pipeline: Pipeline,
    sample: Sample,
    blocksize_parameter: int | Mapping[Any, Any] | None,
    block_shape: Mapping[str, Any] | None,
) -> BlockPlan:
    return default_plan(
        pipeline, sample, blocksize_parameter=blocksize_parameter, block_shape=block_shape
    )


def _samples(
    pipeline: Pipeline, inputs: Iterable[Any], sample_id: str, save_output_path: Path_ | None
) -> Iterator[Sample]:
    """The samples, read one after the other, each of which can be written."""
    written: set[Path] = set()
    for i, item in enumerate(inputs):
        sample = _read(item, pipeline.contract, _numbered(sample_id, i), named=False)
        if save_output_path is not None:
            written |= _new_paths(save_output_path, sample, pipeline.contract, written)
        yield sample


def _predict_each(
    pipeline: Pipeline,
    samples: Iterable[Sample],
    planned: Callable[[Sample], BlockPlan],
    save_output_path: Path_ | None,
    on_progress: OnProgress | None,
) -> Iterator[Sample]:
    known = Carried() if pipeline.carried is None else pipeline.carried
    for sample in samples:
        plan = planned(sample)
        result, known = run_carrying(pipeline, sample, known, plan, on_progress=on_progress)
        if save_output_path is not None:
            save_sample(result, save_output_path)
        yield result


def _new_paths(
    pattern: Path_, sample: Sample, contract: ModelContract, written: set[Path]
) -> set[Path]:
    """The paths of a sample's outputs; refused if one of them was written for another sample."""
    paths = {
        output_path(pattern, sample_id=sample.id or "sample", output_id=tensor.id)
        for tensor in contract.outputs
    }
    for path in paths & written:
        raise FileWriteError(
            f"this would overwrite the prediction of another sample: {path}",
            got=f"a second sample named {sample.id}",
            remedy="give samples different names",
        )
    return paths


def _numbered(pattern: str, i: int) -> str:
    """The pattern with `{i}` (and `{i:03}`, ...) filled in; other braces stay."""
    return re.sub(r"\{i(:[^{}]*)?\}", lambda m: format(i, (m.group(1) or ":")[1:]), pattern)


def _pipeline(
    model: Any, weights_format: str | None, devices: str | None, *, trust_code: bool
) -> Pipeline:
    if isinstance(model, Pipeline):
        if weights_format is not None or devices is not None or trust_code:
            raise DeviceError(
                "a pipeline that is given has its weights, device and code",
                expected="no weights_format, devices or trust_code beside a pipeline",
                got=f"weights_format={weights_format}, devices={devices}, trust_code={trust_code}",
            )
        return model
    return create_prediction_pipeline(
        model, weights_format=weights_format, devices=devices, trust_code=trust_code
    )


def _read(inputs: Any, contract: ModelContract, sample_id: str, *, named: bool) -> Sample:
    """The sample of the inputs, with images read; named after the first file if it has no name."""
    if _is_path(inputs):
        stem = Path(inputs).stem
        return as_sample(read_image(inputs), contract, sample_id=sample_id if named else stem)
    if isinstance(inputs, Mapping) and any(_is_path(v) for v in inputs.values()):
        stem = next(Path(v).stem for v in inputs.values() if _is_path(v))
        arrays = {name: read_image(v) if _is_path(v) else v for name, v in inputs.items()}
        return as_sample(arrays, contract, sample_id=sample_id if named else stem)
    return as_sample(inputs, contract, sample_id=sample_id)


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def output_path(pattern: Path_, *, sample_id: str, output_id: str) -> Path:
    """The path of one output: the pattern with its fields filled in, other braces untouched.

    Examples:
        >>> output_path("out/{sample_id}_{output_id}.tif", sample_id="a", output_id="mask").name
        'a_mask.tif'
    """
    text = os.fspath(pattern)
    fields = {"{sample_id}": sample_id, "{output_id}": output_id, "{member_id}": output_id}
    for field, value in fields.items():
        text = text.replace(field, value)
    return Path(text).expanduser()


def _check_paths(pattern: Path_, contract: ModelContract) -> None:
    """Refuse a pattern that could not hold the outputs."""
    text = os.fspath(pattern)
    if len(contract.outputs) > 1 and "{output_id}" not in text and "{member_id}" not in text:
        raise FileWriteError(
            "several outputs would be written to the same file",
            expected="{output_id} in the path",
            got=text,
        )
    for tensor in contract.outputs:
        low, high = tensor.data_range
        unit = low is not None and high is not None and low >= 0 and high <= 1
        path = output_path(pattern, sample_id="sample", output_id=tensor.id)
        check_writable(path, tensor.dtype, unit)


def save_sample(sample: Sample, pattern: Path_) -> list[Path]:
    """Write each tensor of a sample to a file.

    Args:
        pattern: path with `{output_id}` (or `{member_id}`) and `{sample_id}` to be filled in.

    Returns:
        The paths written.

    Raises:
        FileWriteError: if a format can not hold a tensor, or a file can not be written.

    Examples:
        >>> import tempfile
        >>> from bioimageio_fn.tensor import Tensor
        >>> sample = Sample({"mask": Tensor([[0, 1]], "yx")}, id="a")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in save_sample(sample, f"{folder}/{{sample_id}}.npy")]
        ['a.npy']
    """
    return [
        write_image(output_path(pattern, sample_id=sample.id or "sample", output_id=name), tensor)
        for name, tensor in sample.members.items()
    ]
