"""`predict` and `predict_many`: from what users have, arrays or files, to predictions, or files.

What holds here: everything about the call is checked before anything runs; the model is loaded
once, however many samples follow; no file that was there before is replaced unasked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from .contract.records import ModelContract
from .errors import AxesError, DeviceError, FileWriteError, OperationError
from .inputs import Axes, Channels, paths_in, read_sample
from .making import create_prediction_pipeline
from .memory import bytes_of, limit_of
from .naming import PathLike, check_paths, check_places, new_paths
from .pipeline import Carried, OnProgress, Pipeline, run, run_carrying
from .predicting import Options, predicted
from .progress import shown
from .sample import Sample
from .tasks import Rescale, Task, check_rescale, task_of
from .tensor import Tensor
from .trusted import TrustCode

__all__ = ["predict", "predict_many"]


def predict(
    *,
    model: Any,
    inputs: Any,
    sample_id: str | None = None,
    axes: Axes = None,
    channels: Channels = None,
    rescale: Rescale = None,
    save_output_path: PathLike | None = None,
    overwrite: bool = False,
    weights_format: str | None = None,
    devices: str | Sequence[str] | None = None,
    blocksize_parameter: int | Mapping[Any, Any] | None = None,
    input_block_shape: Mapping[str, Any] | None = None,
    skip_preprocessing: bool = False,
    skip_postprocessing: bool = False,
    memory_limit: int | str | None = None,
    on_progress: OnProgress | None = None,
    progressbar: bool | None = None,
    trust_code: TrustCode = False,
) -> Sample:
    """Run a model on one sample.

    Args:
        model: a source (folder, `bioimageio.yaml`, zip archive, URL, id), a model description, or
            a `Pipeline`.
        inputs: a `Sample`; a mapping of tensors, arrays or paths by input id; or one of these for
            a model with one required input. Tensors, `xarray.DataArray`s and files that name their
            axes may have them in any order, and may have more axes than the model: each plane is
            then predicted by itself, and the results are put together again. Arrays without axes
            are read in the described order, see `bioimageio_fn.reading`. Images may have any size.
        sample_id: id of the sample; by default the stem of the image file, or `sample`.
        axes: names of the axes of the image, such as `"tcyx"`; they count more than those of a
            file. For several inputs a mapping by input id.
        channels: the channels that are taken, in this order: numbers from 0, or names that the
            file gives. For several inputs a mapping by input id.
        rescale: `"auto"` resamples the image to the pixel size that the model was made for, and the
            outputs back to the pixels of the image; both sizes have to be known. Without it, a
            pixel size that differs by more than 10 % is a warning.
        save_output_path: where to write the outputs: a `.zarr`, `.h5`, `.npy`, `.tif` or `.png`
            file. `{output_id}` (or `{member_id}`) and `{sample_id}` in it are filled in; a model
            with several outputs needs the former. Outputs of several blocks are written while they
            are made (but not as PNG), and are never held in memory.
        overwrite: whether files may be replaced that are there already.
        weights_format: which weights to run; by default the first that can be run here.
        devices: where the network runs: `cpu`, `cuda`, `cuda:N` or `mps`; by default one GPU, if
            there is one that the framework can use, else the CPU. Several devices run blocks side
            by side.
        blocksize_parameter: size of the blocks as n of the sizes `min + n * step` that the
            description allows; for all axes, by axis, or by input and axis. By default blocks are
            those that compute the fewest pixels, see `plan_blocks`.
        input_block_shape: or their size in pixels, by axis, or by input and axis; `{}` for the
            whole image in one block.
        skip_preprocessing: whether the network gets the images as they are.
        skip_postprocessing: whether outputs are what the network gives.
        memory_limit: what the process may take beyond what it has when model and image are open,
            such as `"2GB"`. What blocks take is then measured first, on small ones; where more is
            taken all the same, blocks get smaller, and what is finished is kept. Outputs that are
            not saved count, too.
        on_progress: called with (blocks done, blocks in all).
        progressbar: whether progress is shown on stderr; by default if that is a terminal.
        trust_code: whether Python code that comes with the model may run; or a set of sha256
            values: those of the files that may.

    Returns:
        The outputs; `np.asarray(result)` is the array of a single output.

    Raises:
        MissingFileError, FileReadError: if the model or an image is not there, or is damaged.
        AxesError, SizeError, MissingMemberError, UnknownMemberError: if the inputs are not those
            of the model, or pixel sizes are not known.
        BlockError: if the model does not take such blocks, or not within the memory limit.
        OutOfMemoryError: if there is too little memory, also for the smallest blocks.
        FileWriteError: if the outputs can not be written there, or something is there already;
            where it can be told, before anything runs.

    Warns:
        DataWarning: if the pixels of the image are not as large as those of the model.

    Examples:
        >>> import bioimageio_fn as fn
        >>> predict(model=fn.demo_model(), inputs=fn.demo_image())
        Sample(probability=Tensor(batch=1, channel=1, y=300, x=417, dtype=float32), id='image')
    """
    loaded = _pipeline(model, weights_format, devices, trust_code=trust_code)
    loaded = _without(loaded, before=skip_preprocessing, after=skip_postprocessing)
    _check_call(loaded.contract, rescale, save_output_path)
    options = Options(_blocks_asked_for(blocksize_parameter, input_block_shape), save_output_path)
    if memory_limit is not None:
        bytes_of(memory_limit)
    sample = read_sample(inputs, loaded.contract, sample_id=sample_id, axes=axes, channels=channels)
    if save_output_path is not None:
        read = paths_in(inputs)
        check_places(save_output_path, sample, loaded.contract, read, overwrite=overwrite)
    task = task_of(sample, loaded.contract, rescale=rescale)
    if memory_limit is not None:
        # packages that read and write files are large, too, and are loaded by now
        options = attrs.evolve(options, limit=limit_of(loaded, memory_limit))
    with shown(sample.id or "sample", on_progress, progressbar=progressbar) as told:
        return predicted(run, loaded, task, options, told)


def predict_many(
    *,
    model: Any,
    inputs: Iterable[Any],
    sample_id: str = "sample{i:03}",
    axes: Axes = None,
    channels: Channels = None,
    rescale: Rescale = None,
    save_output_path: PathLike | None = None,
    overwrite: bool = False,
    weights_format: str | None = None,
    devices: str | Sequence[str] | None = None,
    blocksize_parameter: int | Mapping[Any, Any] | None = None,
    input_block_shape: Mapping[str, Any] | None = None,
    skip_preprocessing: bool = False,
    skip_postprocessing: bool = False,
    on_progress: OnProgress | None = None,
    progressbar: bool | None = None,
    trust_code: TrustCode = False,
) -> Iterator[Sample]:
    """Run a model on many samples, one after the other; the model is loaded once.

    Steps that measure a data set measure the samples so far, this one included, so that the order
    of samples matters; each plane of an image that has more axes than the model is a sample of its
    own. Where the order must not matter, give the data set when the pipeline is made:
    `create_prediction_pipeline(model, dataset_for_initial_statistics=...)`.

    Args:
        model, weights_format, devices: as of `predict`.
        axes, channels, rescale, overwrite: as of `predict`, for each sample.
        blocksize_parameter, input_block_shape: as of `predict`, for each sample.
        skip_preprocessing, skip_postprocessing: as of `predict`.
        on_progress, progressbar, trust_code: as of `predict`.
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
    if isinstance(inputs, (Mapping, str, os.PathLike, Sample, Tensor)) or not _has_items(inputs):
        raise AxesError(
            "predict_many takes many samples",
            expected="a list or generator with one item for each sample",
            got=type(inputs).__name__,
            remedy="put it in a list, or call predict",
        )
    loaded = _pipeline(model, weights_format, devices, trust_code=trust_code)
    loaded = _without(loaded, before=skip_preprocessing, after=skip_postprocessing)
    _check_call(loaded.contract, rescale, save_output_path)
    _numbered(sample_id, 0)
    if save_output_path is not None and "{sample_id}" not in os.fspath(save_output_path):
        raise FileWriteError(
            "every sample would be written to the same file",
            expected="{sample_id} in the path",
            got=str(save_output_path),
        )
    options = Options(_blocks_asked_for(blocksize_parameter, input_block_shape), save_output_path)
    read = partial(read_sample, contract=loaded.contract, axes=axes, channels=channels)
    samples: Iterator[tuple[Any, Sample]] = (
        (item, read(item, default_id=_numbered(sample_id, i))) for i, item in enumerate(inputs)
    )
    if save_output_path is not None:
        samples = _placed(samples, loaded.contract, save_output_path, overwrite=overwrite)
    tasks = (task_of(sample, loaded.contract, rescale=rescale) for _, sample in samples)
    told = partial(shown, on_progress=on_progress, progressbar=progressbar)
    return _predict_each(loaded, tasks, options, told)


def _has_items(value: Any) -> bool:
    # data sets for training have items by number, and no more
    return hasattr(value, "__iter__") or hasattr(value, "__getitem__")


def _check_call(contract: ModelContract, rescale: Rescale, path: PathLike | None) -> None:
    check_rescale(rescale)
    if path is not None:
        check_paths(path, contract)


def _blocks_asked_for(
    parameter: int | Mapping[Any, Any] | None, shape: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """What a caller says of blocks, as arguments of `plan_blocks`."""
    asked = {"blocksize_parameter": parameter, "block_shape": shape}
    return {name: value for name, value in asked.items() if value is not None}


def _placed(
    samples: Iterable[tuple[Any, Sample]],
    contract: ModelContract,
    path: PathLike,
    *,
    overwrite: bool,
) -> Iterator[tuple[Any, Sample]]:
    """The samples with what they were read from, each of which can be written."""
    written: set[Path] = set()
    for item, sample in samples:
        written |= new_paths(path, sample, contract, written)
        check_places(path, sample, contract, paths_in(item), overwrite=overwrite)
        yield item, sample


def _predict_each(
    pipeline: Pipeline,
    tasks: Iterable[Task],
    options: Options,
    told: Callable[[str], AbstractContextManager[OnProgress]],
) -> Iterator[Sample]:
    known = Carried() if pipeline.carried is None else pipeline.carried

    def run_next(pipeline: Pipeline, sample: Sample, **targets: Any) -> Sample:
        nonlocal known
        result, known = run_carrying(pipeline, sample, known, **targets)
        return result

    for task in tasks:
        with told(task.sample.id or "sample") as on_progress:
            result = predicted(run_next, pipeline, task, options, on_progress)
        yield result


def _numbered(pattern: str, i: int) -> str:
    """The pattern with `{i}` (and `{i:03}`, ...) filled in; other braces stay."""
    try:
        return re.sub(r"\{i(:[^{}]*)?\}", lambda m: format(i, (m.group(1) or ":")[1:]), pattern)
    except ValueError as error:
        raise OperationError("no such format of a number", got=pattern) from error


def _pipeline(
    model: Any,
    weights_format: str | None,
    devices: str | Sequence[str] | None,
    *,
    trust_code: TrustCode,
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


def _without(pipeline: Pipeline, *, before: bool, after: bool) -> Pipeline:
    """A pipeline without steps before the network, or behind it."""
    if before:
        pipeline = attrs.evolve(pipeline, preprocess=())
    if after:
        # the range that is described is that of the outputs behind all steps
        raw = [
            attrs.evolve(t, data_range=(None, None)) if pipeline.postprocess else t
            for t in pipeline.contract.raw_outputs
        ]
        contract = attrs.evolve(pipeline.contract, outputs=tuple(raw))
        pipeline = attrs.evolve(pipeline, contract=contract, postprocess=())
    return pipeline
