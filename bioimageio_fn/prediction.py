"""`predict` and `predict_many`: from what users have, arrays or files, to predictions, or files.

What holds here: everything about the call is checked before anything runs; the model is loaded
once, however many samples follow; files are in their places when all outputs of a sample are there.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .blocks.choose import MemoryModel
from .blocks.records import BlockPlan
from .contract.calibrating import output_calibrations
from .contract.records import ModelContract
from .errors import AxesError, BlockError, DeviceError, FileWriteError
from .io.formats import stem
from .io.images import open_image
from .io.mapped import unmapped
from .making import create_prediction_pipeline
from .memory import Limit, bytes_of, kept_within, limit_of, measured_memory
from .naming import PathLike, check_paths, check_places, check_sizes, new_paths
from .pipeline import (
    Carried,
    OnProgress,
    Pipeline,
    default_plan,
    run,
    run_carrying,
)
from .progress import shown
from .reading import as_sample
from .sample import Sample
from .saving import save_sample, saved_while_made, written_in_regions
from .streaming import makes_labels
from .trusted import TrustCode

__all__ = ["predict", "predict_many"]


def predict(
    *,
    model: Any,
    inputs: Any,
    sample_id: str | None = None,
    save_output_path: PathLike | None = None,
    weights_format: str | None = None,
    devices: str | Sequence[str] | None = None,
    blocksize_parameter: int | Mapping[Any, Any] | None = None,
    input_block_shape: Mapping[str, Any] | None = None,
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
            a model with one required input. Arrays without axes are read in the described order,
            see `bioimageio_fn.reading`. Images may have any size.
        sample_id: id of the sample; by default the stem of the image file, or `sample`.
        save_output_path: where to write the outputs: a `.zarr`, `.h5`, `.npy`, `.tif` or `.png`
            file. `{output_id}` (or `{member_id}`) and `{sample_id}` in it are filled in; a model
            with several outputs needs the former. Outputs of several blocks are written while they
            are made (but not as PNG), and are never held in memory.
        weights_format: which weights to run; by default the first that can be run here.
        devices: where the network runs: `cpu`, `cuda`, `cuda:N` or `mps`; by default one GPU, if
            there is one that the framework can use, else the CPU. Several devices run blocks side
            by side.
        blocksize_parameter: size of the blocks as n of the sizes `min + n * step` that the
            description allows; for all axes, by axis, or by input and axis. By default blocks are
            those that compute the fewest pixels, see `plan_blocks`.
        input_block_shape: or their size in pixels, by axis, or by input and axis; `{}` for the
            whole image in one block.
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
            of the model.
        BlockError: if the model does not take such blocks, or not within the memory limit.
        OutOfMemoryError: if there is too little memory, also for the smallest blocks.
        FileWriteError: if the outputs can not be written there; where it can be told, before
            anything runs.

    Examples:
        >>> import bioimageio_fn as fn
        >>> predict(model=fn.demo_model(), inputs=fn.demo_image())
        Sample(probability=Tensor(batch=1, channel=1, y=300, x=417, dtype=float32), id='image')
    """
    loaded = _pipeline(model, weights_format, devices, trust_code=trust_code)
    if save_output_path is not None:
        check_paths(save_output_path, loaded.contract)
    blocks = _blocks_asked_for(blocksize_parameter, input_block_shape)
    if memory_limit is not None:
        bytes_of(memory_limit)
    sample = _read(inputs, loaded.contract, sample_id or "sample", named=sample_id is not None)
    if save_output_path is not None:
        check_places(save_output_path, sample, loaded.contract, _paths_in(inputs))
    # packages that read and write files are large, too, and are loaded by now
    limit = None if memory_limit is None else limit_of(loaded, memory_limit)
    with shown(sample.id or "sample", on_progress, progressbar=progressbar) as told:
        run_one = partial(run, on_progress=told)
        return _predicted(
            run_one, loaded, sample, blocks=blocks, path=save_output_path, limit=limit
        )


def predict_many(
    *,
    model: Any,
    inputs: Iterable[Any],
    sample_id: str = "sample{i:03}",
    save_output_path: PathLike | None = None,
    weights_format: str | None = None,
    devices: str | Sequence[str] | None = None,
    blocksize_parameter: int | Mapping[Any, Any] | None = None,
    input_block_shape: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
    progressbar: bool | None = None,
    trust_code: TrustCode = False,
) -> Iterator[Sample]:
    """Run a model on many samples, one after the other; the model is loaded once.

    Steps that measure a data set measure the samples so far, this one included, so that the order
    of samples matters. Where it must not, give the data set when the pipeline is made:
    `create_prediction_pipeline(model, dataset_for_initial_statistics=...)`.

    Args:
        model, weights_format, devices: as of `predict`.
        blocksize_parameter, input_block_shape: as of `predict`, for each sample.
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
    if isinstance(inputs, (Mapping, str, os.PathLike, Sample)):
        raise AxesError(
            "predict_many takes many samples",
            expected="a list or generator with one item for each sample",
            got=type(inputs).__name__,
            remedy="put it in a list, or call predict",
        )
    loaded = _pipeline(model, weights_format, devices, trust_code=trust_code)
    if save_output_path is not None:
        check_paths(save_output_path, loaded.contract)
        if "{sample_id}" not in os.fspath(save_output_path):
            raise FileWriteError(
                "every sample would be written to the same file",
                expected="{sample_id} in the path",
                got=str(save_output_path),
            )
    blocks = _blocks_asked_for(blocksize_parameter, input_block_shape)
    samples = _samples(loaded, inputs, sample_id, save_output_path)
    told = partial(shown, on_progress=on_progress, progressbar=progressbar)
    return _predict_each(loaded, samples, blocks, save_output_path, told)


def _blocks_asked_for(
    parameter: int | Mapping[Any, Any] | None, shape: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """What a caller says of blocks, as arguments of `plan_blocks`."""
    asked = {"blocksize_parameter": parameter, "block_shape": shape}
    return {name: value for name, value in asked.items() if value is not None}


def _predicted(
    run_one: Callable[..., Sample],
    pipeline: Pipeline,
    sample: Sample,
    *,
    blocks: Mapping[str, Any],
    path: PathLike | None,
    limit: Limit | None = None,
) -> Sample:
    """A sample predicted, and saved if asked for."""
    plan = default_plan(pipeline, sample, **blocks)
    if path is not None:
        check_sizes(path, pipeline.contract, plan.sizes)
    in_regions = path is not None and written_in_regions(path)
    in_memory = not in_regions or makes_labels(pipeline.contract)
    held = _held(pipeline.contract, plan, limit) if limit is not None and in_memory else 0
    with _limited(pipeline, sample, blocks, limit, held) as (kept, memory):
        # without a plan, blocks may get smaller
        run_it = partial(run_one, kept, sample, plan=plan if blocks else None, memory=memory)
        if path is None:
            return run_it()
        if in_regions and (plan.count > 1 or limit is not None):
            known = {name: tensor.calibration for name, tensor in sample.members.items()}
            calibrations = output_calibrations(pipeline.contract, known)
            return saved_while_made(run_it, path, sample.id, pipeline.contract, calibrations)
        result = run_it()
    save_sample(result, path, contract=pipeline.contract)
    return result


@contextmanager
def _limited(
    pipeline: Pipeline,
    sample: Sample,
    blocks: Mapping[str, Any],
    limit: Limit | None,
    held: int,
) -> Iterator[tuple[Pipeline, MemoryModel | None]]:
    """A pipeline that keeps a limit, and what blocks may take.

    Raises:
        BlockError: if blocks that are asked for, or the smallest ones, take more.
    """
    if limit is None:
        yield pipeline, None
        return
    memory = measured_memory(pipeline, sample, limit, held=held)
    default_plan(pipeline, sample, memory=memory, **blocks)
    with kept_within(pipeline, limit) as kept:
        yield kept, memory


def _held(contract: ModelContract, plan: BlockPlan, limit: Limit) -> int:
    """Bytes of the outputs, which will be held in memory.

    Raises:
        BlockError: if they alone are more than there may be.
    """
    # what waits for the whole of it is there twice: as it was, and as it will be
    copies = 1 + any(tensor.operations for tensor in contract.outputs)
    sizes = [plan.sizes[t.id].values() for t in contract.raw_outputs]
    held = sum(copies * 4 * math.prod(size or 1 for size in of) for of in sizes)
    if held > limit.size:
        raise BlockError(
            "the outputs alone take more memory than may be taken",
            expected=f"at most {limit.size / 1e6:.3g} MB",
            got=f"{held / 1e6:.3g} MB",
            remedy="allow more: objects are found in memory"
            if makes_labels(contract)
            else "save them: save_output_path='out.zarr', or .h5, .tif, .npy",
        )
    return held


def _samples(
    pipeline: Pipeline, inputs: Iterable[Any], sample_id: str, save_output_path: PathLike | None
) -> Iterator[Sample]:
    """The samples, read one after the other, each of which can be written."""
    written: set[Path] = set()
    for i, item in enumerate(inputs):
        sample = _read(item, pipeline.contract, _numbered(sample_id, i), named=False)
        if save_output_path is not None:
            written |= new_paths(save_output_path, sample, pipeline.contract, written)
            check_places(save_output_path, sample, pipeline.contract, _paths_in(item))
        yield sample


def _predict_each(
    pipeline: Pipeline,
    samples: Iterable[Sample],
    blocks: Mapping[str, Any],
    save_output_path: PathLike | None,
    told: Callable[[str], AbstractContextManager[OnProgress]],
) -> Iterator[Sample]:
    known = Carried() if pipeline.carried is None else pipeline.carried

    def run_next(pipeline: Pipeline, sample: Sample, **options: Any) -> Sample:
        nonlocal known
        result, known = run_carrying(pipeline, sample, known, **options)
        return result

    for sample in samples:
        with told(sample.id or "sample") as on_progress:
            run_one = partial(run_next, on_progress=on_progress)
            result = _predicted(run_one, pipeline, sample, blocks=blocks, path=save_output_path)
        yield result


def _numbered(pattern: str, i: int) -> str:
    """The pattern with `{i}` (and `{i:03}`, ...) filled in; other braces stay."""
    return re.sub(r"\{i(:[^{}]*)?\}", lambda m: format(i, (m.group(1) or ":")[1:]), pattern)


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


def _read(inputs: Any, contract: ModelContract, sample_id: str, *, named: bool) -> Sample:
    """The sample of the inputs, with images opened; named after the first file if it has no name.

    Raises:
        AxesError: if they are several images.
    """
    paths = _paths_in(inputs)
    if isinstance(inputs, (list, tuple)) and inputs and all(map(_is_path, inputs)):
        raise AxesError(
            "several images are several samples",
            expected="one image, or a mapping with one for each input",
            got=f"{len(inputs)} paths",
            remedy="call predict_many",
        )
    if isinstance(inputs, Mapping):
        opened: Any = {name: _opened(value) for name, value in inputs.items()}
    else:
        opened = _opened(inputs)
    return as_sample(
        opened, contract, sample_id=sample_id if named or not paths else stem(paths[0])
    )


def _opened(value: Any) -> Any:
    """An image of a path, and what is mapped as something that is mapped for each access only."""
    return open_image(value) if _is_path(value) else unmapped(value)


def _paths_in(inputs: Any) -> list[PathLike]:
    values = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    return [value for value in values if _is_path(value)]


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))
