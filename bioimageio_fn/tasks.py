"""`Task`: what stands between an image as it is and a model: its planes, and its pixel size.

What holds here: with neither, a task is `pipeline.run`; what can be refused is refused when a task
is made, and nothing is read for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias

import attrs
from immutabledict import immutabledict

from .axes import AxisId, MemberId
from .blocks.records import BlockPlan
from .calibration import Calibration
from .contract.calibrating import output_calibrations
from .contract.records import AxisContract, FixedSize, ModelContract, ReferencedSize
from .errors import OperationError
from .planes import Stack, placed, planes, run_planes, stack_of, stacked
from .reading import as_sample
from .rescaling import Sizes, rescaled, rescaled_sizes, run_rescaled, warn_of_pixel_sizes
from .sample import Sample

__all__ = [
    "Rescale",
    "Task",
    "check_rescale",
    "final_calibrations",
    "final_sizes",
    "run_task",
    "samples_of",
    "task_of",
]

Rescale: TypeAlias = Literal["auto"] | None
"""Whether an image is brought to the pixel size of the model."""


@attrs.frozen
class Task:
    """A sample, and what is done with it around the model.

    Args:
        sample: tensors by input id, with whatever axes they have.
        contract: of the model.
        stack: the planes that are predicted one by one.
        sizes: the sizes that inputs get before; empty if they are taken as they are.
    """

    sample: Sample
    contract: ModelContract
    stack: Stack
    sizes: Sizes = attrs.field(factory=immutabledict)


def check_rescale(rescale: Rescale) -> None:
    """Refuse what is no way to rescale.

    Raises:
        OperationError: if so.
    """
    if rescale not in (None, "auto"):
        raise OperationError(
            "no such way to rescale", expected="'auto', or None for not at all", got=repr(rescale)
        )


def task_of(sample: Sample, contract: ModelContract, *, rescale: Rescale = None) -> Task:
    """What is to be done with a sample.

    Args:
        sample: tensors by input id, with whatever axes they have.
        contract: of the model.
        rescale: `auto` resamples the image to the pixel size of the model, and the outputs back.

    Raises:
        AxesError, SizeError: if planes of the sample are not what the model takes, or it is not
            known how large pixels are.

    Warns:
        DataWarning: if pixels are not as large as those of the model, and nothing is done about it.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> sample = Sample({"raw": fn.Tensor(np.zeros((3, 70, 80), "uint16"), "tyx")})
        >>> task = task_of(sample, pipeline.contract)
        >>> run_task(partial(fn.run, pipeline), task)
        Sample(probability=Tensor(batch=1, channel=1, time=3, y=70, x=80, dtype=float32))
    """
    task = Task(sample, contract, stack_of(sample, contract))
    next(samples_of(task))
    if rescale is None:
        warn_of_pixel_sizes(sample, contract)
        return task
    return attrs.evolve(task, sizes=rescaled_sizes(sample, contract))


def samples_of(task: Task) -> Iterator[Sample]:
    """The samples that the model gets, one for each plane; of what is on disk nothing is read.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> contract = fn.create_prediction_pipeline(fn.demo_model()).contract
        >>> task = task_of(Sample({"raw": fn.Tensor(np.zeros((2, 70, 80)), "zyx")}), contract)
        >>> [sample["raw"].shape for sample in samples_of(task)]
        [(1, 1, 70, 80), (1, 1, 70, 80)]
    """
    for _, plane in planes(task.sample, task.stack):
        yield as_sample(rescaled(plane, task.sizes), task.contract)


def final_sizes(task: Task, plan: BlockPlan) -> dict[MemberId, dict[AxisId, int | None]]:
    """The size of each axis of each output, in order; None where only the network knows it.

    Args:
        plan: the blocks of one of `samples_of(task)`.
    """
    found = {}
    for tensor in task.contract.outputs:
        planned = plan.sizes.get(tensor.id, {})
        own = {axis.id: _size(axis, task.sample, planned) for axis in tensor.axes}
        sizes = own | dict(task.stack.sizes)
        found[tensor.id] = {axis: sizes[axis] for axis in placed(tensor.axis_ids, task.stack)}
    return found


def _size(axis: AxisContract, sample: Sample, planned: Mapping[AxisId, int | None]) -> int | None:
    if isinstance(axis.size, ReferencedSize) and axis.size.tensor in sample.members:
        return axis.size.of(sample[axis.size.tensor].sizes.get(axis.size.axis, 1))
    return axis.size.size if isinstance(axis.size, FixedSize) else planned.get(axis.id)


def final_calibrations(task: Task) -> dict[MemberId, Calibration]:
    """What will be known of the pixels of each output."""
    inputs = {name: tensor.calibration for name, tensor in task.sample.members.items()}
    known = output_calibrations(task.contract, inputs)
    return {name: stacked(calibration, task.stack) for name, calibration in known.items()}


def run_task(run_one: Callable[..., Sample], task: Task, **options: Any) -> Sample:
    """Predict a sample, plane by plane and at other sizes as the task says.

    Args:
        run_one: predicts one sample: `pipeline.run` of a pipeline.
        task: what is to be done.
        options: `create`, `scratch` and `on_progress`, as of `pipeline.run`, and others for
            `run_one`.
    """
    if task.sizes:
        run_one = partial(run_rescaled, run_one, sizes=task.sizes, contract=task.contract)
    if task.stack.count == 1:
        return run_one(task.sample, **options)
    return run_planes(run_one, task.sample, task.stack, **options)
