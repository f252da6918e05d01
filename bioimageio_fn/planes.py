"""Axes that a model does not have: the planes of an image are samples, one after the other.

What holds here: `unplaned(planes(sample, stack), stack)` is the sample; a plane of what is on disk
is read where it is asked for, and each plane of a result is written where it belongs, so that
neither is ever held as a whole.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np
from immutabledict import immutabledict

from .arrays import is_lazy, to_numpy
from .axes import AxisId, MemberId
from .blocks.merge import Create
from .calibration import Calibration, PixelSize
from .contract.records import ModelContract, TensorContract
from .errors import AxesError, OutOfMemoryError, SizeError
from .lazy import At
from .reading import check_axes
from .resuming import OnProgress, tell
from .sample import Sample
from .spec import TensorSpec, tensor_spec
from .tensor import Tensor

__all__ = ["Index", "Stack", "planes", "run_planes", "stack_of", "stacked", "unplaned"]

Index: TypeAlias = Mapping[AxisId, int]
"""Which plane: its place along each axis that is looped over."""


def _by_axis(values: Mapping[Any, Any]) -> immutabledict[AxisId, Any]:
    return immutabledict({AxisId(axis): value for axis, value in values.items()})


@attrs.frozen
class Stack:
    """How the planes of a sample lie in it.

    Args:
        sizes: of the axes that are looped over, in their order, the last one fastest.
        behind: for each of these, the axes that come behind it in the image.
        pixel_sizes: what is known of their pixels.

    Examples:
        >>> raw = Tensor(np.zeros((3, 8, 9)), "zyx")
        >>> import bioimageio_fn as fn
        >>> contract = fn.create_prediction_pipeline(fn.demo_model()).contract
        >>> stack = stack_of(Sample({"raw": raw}), contract)
        >>> dict(stack.sizes), stack.count
        ({'z': 3}, 3)
        >>> placed(("batch", "channel", "y", "x"), stack)
        ('batch', 'channel', 'z', 'y', 'x')
    """

    sizes: Mapping[AxisId, int] = attrs.field(converter=_by_axis)
    behind: Mapping[AxisId, Iterable[str]] = attrs.field(converter=_by_axis)
    pixel_sizes: Mapping[AxisId, PixelSize] = attrs.field(converter=_by_axis, factory=immutabledict)

    @property
    def count(self) -> int:
        """Number of planes; 1 if there is nothing to loop over."""
        return math.prod(self.sizes.values())


def stack_of(sample: Sample, contract: ModelContract) -> Stack:
    """The planes of a sample: one for each place along the axes that the model does not have.

    Axes of size 1 are none of these: they are dropped. A tensor without one of these axes is the
    same in every plane.

    Args:
        sample: tensors by input id, with any axes.

    Raises:
        AxesError: if a tensor has channels and the model takes an image without, or lacks an axis.
        SizeError: if two tensors differ in the size of an axis that is looped over, or it is 0.
    """
    stack = Stack({}, {})
    for name, tensor in sample.members.items():
        described = contract.tensor(name, "input")
        check_axes(tensor, described)
        stack = _joined(stack, name, tensor, described)
    return stack


def _joined(stack: Stack, name: str, tensor: Tensor, contract: TensorContract) -> Stack:
    sizes, behind, pixels = dict(stack.sizes), dict(stack.behind), dict(stack.pixel_sizes)
    for n, (axis, size) in enumerate(tensor.sizes.items()):
        if size == 1 or axis in contract.axis_ids:
            continue
        if axis == "channel":
            raise _channels(name, tensor)
        if size == 0:
            raise SizeError("there are no planes", tensor=name, axis=axis, expected=">= 1", got=0)
        if sizes.setdefault(axis, size) != size:
            raise SizeError(
                "two inputs do not have the same number of planes",
                tensor=name,
                axis=axis,
                expected=sizes[axis],
                got=size,
            )
        behind.setdefault(axis, tensor.axes[n + 1 :])
        if axis in tensor.calibration.pixel_sizes:
            pixels.setdefault(axis, tensor.calibration.pixel_sizes[axis])
    return Stack(sizes, behind, pixels)


def _channels(name: str, tensor: Tensor) -> AxesError:
    names = tensor.calibration.channel_names
    return AxesError(
        "the model takes an image without channels",
        tensor=name,
        axis="channel",
        got=f"{tensor.sizes[AxisId('channel')]} channels"
        + (f" ({', '.join(names)})" * bool(names)),
        remedy="select one: predict(..., channels=0)",
    )


def planes(sample: Sample, stack: Stack) -> Iterator[tuple[Index, Sample]]:
    """Each plane with its place, in order; of what is on disk nothing is read.

    Examples:
        >>> stack = Stack({"z": 2}, {"z": ("x",)})
        >>> sample = Sample({"raw": Tensor([[1, 2], [3, 4]], "zx")})
        >>> [(dict(at), plane["raw"].data.tolist()) for at, plane in planes(sample, stack)]
        [({'z': 0}, [1, 2]), ({'z': 1}, [3, 4])]
    """
    for position in itertools.product(*map(range, stack.sizes.values())):
        index = immutabledict(zip(stack.sizes, position, strict=True))
        members = {name: _at(tensor, index) for name, tensor in sample.members.items()}
        yield index, attrs.evolve(sample, members=members)


def _at(tensor: Tensor, index: Index) -> Tensor:
    """A tensor at one place of the axes that it has of these."""
    kept = [axis for axis in tensor.axes if axis not in index]
    if len(kept) == len(tensor.axes):
        return tensor
    return Tensor(_view(tensor.data, tensor.axes, index), kept, tensor.calibration)


def _view(data: Any, axes: Sequence[AxisId], index: Index) -> Any:
    """Data at one place, with nothing read; what is written to it is written to the data."""
    if is_lazy(data):
        return At(data, {n: index[axis] for n, axis in enumerate(axes) if axis in index})
    # the ellipsis makes it a view also where no axis is left
    return data[(*(index.get(axis, slice(None)) for axis in axes), ...)]


def placed(axes: Sequence[AxisId], stack: Stack) -> tuple[AxisId, ...]:
    """The axes of a plane with those that are looped over in their places.

    Each stands before the first of the axes that came behind it in the image, or at the end.
    """
    result = list(axes)
    for axis in reversed(tuple(stack.sizes)):
        behind = [result.index(AxisId(a)) for a in stack.behind[axis] if AxisId(a) in result]
        result.insert(min(behind, default=len(result)), axis)
    return tuple(result)


def stacked(calibration: Calibration, stack: Stack) -> Calibration:
    """What is known of the pixels of a stack of planes."""
    return attrs.evolve(calibration, pixel_sizes={**calibration.pixel_sizes, **stack.pixel_sizes})


def unplaned(parts: Iterable[tuple[Index, Sample]], stack: Stack) -> Sample:
    """The sample whose planes these are, in memory: the inverse of `planes`.

    Args:
        parts: all planes, in any order.

    Raises:
        SizeError: if planes differ in axes, sizes or type.

    Examples:
        >>> stack = Stack({"z": 2}, {"z": ("x",)})
        >>> sample = Sample({"raw": Tensor([[1, 2], [3, 4]], "zx")})
        >>> unplaned(planes(sample, stack), stack) == sample
        True
    """
    wholes: dict[MemberId, _Whole] = {}
    plane = Sample({})
    for index, plane in parts:
        for name, tensor in plane.members.items():
            whole = _whole(wholes, stack, None, name, tensor_spec(tensor))
            _view(whole.data, whole.spec.axes, index)[...] = to_numpy(tensor.data)
    return _stacked(plane, wholes, stack)


def run_planes(
    run_one: Callable[..., Sample],
    sample: Sample,
    stack: Stack,
    *,
    create: Create | None = None,
    scratch: Create | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Sample:
    """Predict each plane of a sample, and put what comes out in its place.

    Statistics are those of each plane, as a plane is a sample.

    Args:
        run_one: predicts a plane; takes `create`, `scratch` and `on_progress` as `pipeline.run`.
        sample: tensors by input id, with the axes that are looped over.
        stack: its planes.
        create: makes what whole outputs are written to; by default arrays in memory.
        scratch: makes what is needed for a while; each plane writes over what the one before left.
        on_progress: called with (blocks done, blocks in all), of all planes.
        options: for `run_one`.

    Raises:
        SizeError: if the outputs of two planes differ in size.
        OutOfMemoryError: if there is too little memory for the whole of an output.
    """
    wholes: dict[MemberId, _Whole] = {}
    kept: dict[Any, Any] = {}
    before, last, plane = 0, 0, Sample({})
    for n, (index, part) in enumerate(planes(sample, stack)):

        def create_part(name: MemberId, spec: TensorSpec, index: Index = index) -> Any:
            whole = _whole(wholes, stack, create, name, spec)
            return _view(whole.data, whole.spec.axes, index)

        def say(done: int, count: int, n: int = n, before: int = before) -> None:
            nonlocal last
            last = count
            tell(on_progress, before + done, before + count * (stack.count - n))

        space = None if scratch is None else _again(scratch, kept)
        plane = run_one(part, create=create_part, scratch=space, on_progress=say, **options)
        before += last
    return _stacked(plane, wholes, stack)


def _again(create: Create, kept: dict[Any, Any]) -> Create:
    """Makes what another call made for the plane before, and was asked for in the same order."""
    numbers = itertools.count()

    def create_again(name: MemberId, spec: TensorSpec) -> Any:
        key = next(numbers), name, spec
        if key not in kept:
            kept[key] = create(name, spec)
        return kept[key]

    return create_again


@attrs.frozen
class _Whole:
    """What all planes of an output are written to, and its form."""

    data: Any
    spec: TensorSpec


def _whole(
    wholes: dict[MemberId, _Whole],
    stack: Stack,
    create: Create | None,
    name: MemberId,
    spec: TensorSpec,
) -> _Whole:
    """What planes of this form are written to; it is made for the first of them."""
    axes = placed(spec.axes, stack)
    sizes = {**spec.sizes, **stack.sizes}
    whole = TensorSpec(axes, [sizes[axis] for axis in axes], spec.dtype)
    if name not in wholes:
        wholes[name] = _Whole((create or _in_memory)(name, whole), whole)
    elif wholes[name].spec != whole:
        raise SizeError(
            "planes of different form can not be stacked",
            tensor=name,
            expected=wholes[name].spec,
            got=whole,
        )
    return wholes[name]


def _in_memory(name: MemberId, spec: TensorSpec) -> np.ndarray[Any, Any]:
    try:
        return np.empty([size or 0 for size in spec.shape], spec.dtype)
    except MemoryError as error:
        raise OutOfMemoryError(
            "there is too little memory for all planes of an output",
            tensor=name,
            expected=f"memory for {spec.dtype} of shape {spec.shape}",
            got=str(error),
            remedy="let it be written to disk: save it as .zarr, .h5, .npy or .tif",
        ) from error


def _stacked(plane: Sample, wholes: Mapping[MemberId, _Whole], stack: Stack) -> Sample:
    """All planes together; what else is known of them is known of one of them."""
    members = {
        name: Tensor(whole.data, whole.spec.axes, stacked(plane[name].calibration, stack))
        for name, whole in wholes.items()
    }
    return attrs.evolve(plane, members=members)
