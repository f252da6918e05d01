"""`Custom`: a processing step whose code comes with the model, as a record.

What holds here: a record names code and never runs it; only `Ready`, which is made of code that the
caller trusts (see `bioimageio_fn.trusted`), does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs
import numpy as np
from immutabledict import immutabledict

from ..arrays import Array, to_numpy
from ..axes import AxisId, MemberId
from ..errors import OperationError
from ..sample import Sample, get_member, with_member
from ..tensor import Tensor, slice_axes

__all__ = ["Custom", "Ready", "frozen", "plain"]

_BATCH = AxisId("batch")


def frozen(value: Any) -> Any:
    """Nested lists and mappings as values that never change."""
    if isinstance(value, Mapping):
        return immutabledict({k: frozen(v) for k, v in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def plain(value: Any) -> Any:
    """The same as lists and dicts, which code from elsewhere expects."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return list(map(plain, value)) if isinstance(value, tuple) else value


@attrs.frozen
class Custom:
    """A step that is a class or a factory function in a Python file of the model's package.

    Args:
        callable: its name in the file.
        source: the file, as the description has it.
        sha256: what its content has to hash to; None if the description does not say.
        kwargs: what it is called with, once; the result is then called with arrays.
    """

    name: ClassVar[str] = "custom"
    callable: str
    source: Any
    sha256: str | None = None
    kwargs: Mapping[str, Any] = attrs.field(factory=immutabledict, converter=frozen)


@attrs.frozen
class Ready:
    """A custom step as a function of samples, to be run on whole samples.

    Its code gets every output tensor, as it is at this place in the chain, in the order of the
    description; once for each image: a batch is taken apart into images that have a batch axis of
    size 1. What it returns takes the place of the tensor that the step belongs to.

    Args:
        op: the step.
        member: the tensor that it belongs to.
        order: the output tensors in the order of the description.
        load: gives the class or factory.
    """

    op: Custom
    member: MemberId
    order: tuple[MemberId, ...]
    load: Callable[[], Callable[..., Any]]

    def __call__(self, sample: Sample) -> Sample:
        """The sample with what the code gives.

        Raises:
            OperationError: if that is no array of the described axes.
        """
        tensors = [get_member(sample, name) for name in self.order]
        run = self.load()(**plain(self.op.kwargs))
        if not callable(run):
            raise OperationError(
                "the custom step gave nothing that can be called",
                tensor=self.member,
                step=self.op.callable,
                expected="a class with __call__, or a function that returns a function",
                got=type(run).__name__,
            )
        axes = get_member(sample, self.member).axes
        batch = axes.index(_BATCH) if _BATCH in axes else None
        count = 1 if batch is None else get_member(sample, self.member).shape[batch]
        parts = [self._checked(run(*_image(tensors, i)), axes) for i in range(count)]
        if not parts:
            return sample
        if len({part.shape for part in parts}) > 1:
            raise OperationError(
                "the custom step gave images of different sizes",
                tensor=self.member,
                step=self.op.callable,
                got=", ".join(str(part.shape) for part in parts),
            )
        array = parts[0] if batch is None else np.concatenate(parts, axis=batch)
        return with_member(sample, self.member, Tensor(array, axes))

    def _checked(self, result: Array, axes: tuple[AxisId, ...]) -> np.ndarray[Any, Any]:
        shape = getattr(result, "shape", None)
        sizes = dict(zip(axes, shape or (), strict=False))
        if shape is None or len(shape) != len(axes) or sizes.get(_BATCH, 1) != 1:
            raise OperationError(
                "the custom step gave something else than an array of the described axes",
                tensor=self.member,
                step=self.op.callable,
                expected=f"an array with axes {', '.join(axes)}, of one image",
                got=type(result).__name__ if shape is None else f"shape {tuple(shape)}",
            )
        return to_numpy(result)


def _image(tensors: list[Tensor], i: int) -> list[np.ndarray[Any, Any]]:
    """Copies of one image of each tensor: code from elsewhere may write to what it gets."""
    return [
        np.array(to_numpy((slice_axes(t, {_BATCH: (i, i + 1)}) if _BATCH in t.axes else t).data))
        for t in tensors
    ]
