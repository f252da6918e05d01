"""The operations that make objects of what a network says of each pixel, as records.

They keep the protocol `Operation` of `records.py`, and change what no other operation does: the
number of channels, and sizes: `channels` and `scale` say what the network must have given.

What holds here: a record that could be made has parameters that make sense together; `plan`
checks them against the tensor; `plan` and `apply` agree; axes may stand in any order, and stay
where they are.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, ClassVar

import array_api_compat
import attrs
import numpy as np

from ..arrays import Array, as_array, namespace, to_numpy
from ..axes import AxisId, MemberId, as_axes, permutation
from ..errors import AxesError, OperationError, SizeError
from ..spec import TensorSpec, tensor_spec
from ..stats.measure import Measure
from ..tensor import Tensor
from .instances import Border, LabelDtype, cellpose_flow_dynamics, stardist_postprocessing
from .parameters import check, number

__all__ = ["CellposeFlowDynamics", "StardistPostprocessing", "ToLabels"]

_BATCH, _CHANNEL = AxisId("batch"), AxisId("channel")


def _integer(value: Any) -> int:
    """A parameter that is a whole number; not a truth value, and not a float that looks whole."""
    try:
        result = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        result = None
    if result is None:
        raise OperationError("not an integer", expected="an integer", got=repr(value))
    return result


def _items(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise OperationError("not a list", expected="a list", got=repr(value))
    return tuple(value)


def _integers(value: Any) -> tuple[int, ...]:
    return tuple(map(_integer, _items(value)))


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(map(number, _items(value)))


def _border(value: Any) -> Border:
    """One width, or a pair of widths for each axis."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return _integer(value)
    pairs = tuple(map(_integers, _items(value)))
    if any(len(pair) != 2 for pair in pairs):
        raise OperationError(
            "not a border", expected="an integer, or a pair of them for each axis", got=repr(value)
        )
    return tuple((before, after) for before, after in pairs)


class ToLabels:
    """Base: from one image with many channels to one with labels, for each index of the batch."""

    __slots__ = ()
    name: ClassVar[str]
    references: ClassVar[tuple[Measure, ...]] = ()

    @property
    def _image_axes(self) -> tuple[AxisId, ...]:
        """The axes of one image, in the order of the array function."""
        raise NotImplementedError

    @property
    def channels(self) -> int:
        """How many channels the network gives."""
        raise NotImplementedError

    @property
    def _label_dtype(self) -> str:
        raise NotImplementedError

    def scale(self, axis: AxisId) -> int:
        """Pixels of the labels for one that the network gives."""
        raise NotImplementedError

    def _labels(self, image: Any) -> Any:
        """Labels of one image, without the channel axis."""
        raise NotImplementedError

    @property
    def whole_axes(self) -> tuple[AxisId, ...]:
        return self._image_axes

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        del member
        return ()

    def plan(self, spec: TensorSpec) -> TensorSpec:
        self._check(spec, self.channels)
        shape = [
            1 if axis == _CHANNEL else size if size is None else size * self.scale(axis)
            for axis, size in spec.sizes.items()
        ]
        return TensorSpec(spec.axes, shape, self._label_dtype)

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        self._check(tensor_spec(tensor), self.channels)
        data = as_array(tensor.data)
        single = _BATCH not in tensor.axes
        have = (_BATCH, *tensor.axes) if single else tensor.axes
        axes = as_axes([_BATCH, *self._image_axes])
        array = to_numpy(data)
        images = (array[None] if single else array).transpose(permutation(have, axes))
        sizes = zip(axes, images.shape, strict=True)
        shape = [size * self.scale(axis) for axis, size in sizes if axis != _CHANNEL]
        labels = np.zeros(shape, self._label_dtype)
        for image, result in zip(images, labels, strict=True):
            result[...] = self._labels(image)
        labels = np.expand_dims(labels, axes.index(_CHANNEL)).transpose(permutation(axes, have))
        return Tensor(_like(labels[0] if single else labels, data), tensor.axes)

    def _check(self, spec: TensorSpec, channels: int) -> None:
        """Refuse other axes than one image has, besides batch, and other channels."""
        for axis in self._image_axes:
            if axis not in spec.axes:
                raise AxesError(
                    "an axis is missing",
                    axis=axis,
                    step=self.name,
                    expected=f"axes {', '.join(self._image_axes)}",
                    got=f"axes {', '.join(spec.axes)}",
                )
        for axis in spec.axes:
            if axis not in (_BATCH, *self._image_axes):
                raise AxesError(
                    "this axis can not be there",
                    axis=axis,
                    step=self.name,
                    expected=f"axes {', '.join(self._image_axes)}, and batch",
                    got=f"axes {', '.join(spec.axes)}",
                )
        if (size := spec.sizes[_CHANNEL]) not in (None, channels):
            raise SizeError(
                "wrong number of channels",
                axis=_CHANNEL,
                step=self.name,
                expected=channels,
                got=size,
            )


def _like(labels: np.ndarray[Any, Any], data: Array) -> Array:
    """Labels in the library and on the device of other data, if it has their type."""
    xp = namespace(data)
    dtype = getattr(xp, labels.dtype.name, None)
    if isinstance(data, np.ndarray) or dtype is None:  # torch before 2.3 has no uint16
        return labels
    plain = np.ascontiguousarray(labels)
    return xp.asarray(plain, dtype=dtype, device=array_api_compat.device(data))


@attrs.frozen(kw_only=True)
class StardistPostprocessing(ToLabels):
    """Objects from probabilities and ray lengths; see `instances.stardist_postprocessing`.

    It is 2D or 3D as `grid` has two or three entries; 3D needs `anisotropy`.

    Examples:
        >>> op = StardistPostprocessing(
        ...     prob_threshold=0.5, nms_threshold=0.3, n_rays=32, grid=(2, 2), b=2)
        >>> op.plan(TensorSpec("byxc", (1, 64, None, 33), "float32")).shape
        (1, 128, None, 1)
    """

    name: ClassVar[str] = "stardist_postprocessing"
    prob_threshold: float = attrs.field(converter=number)
    nms_threshold: float = attrs.field(converter=number)
    n_rays: int = attrs.field(converter=_integer)
    grid: tuple[int, ...] = attrs.field(converter=_integers)
    b: Border = attrs.field(converter=_border)
    anisotropy: tuple[float, ...] | None = attrs.field(
        default=None, converter=attrs.converters.optional(_numbers)
    )
    overlap_label: int | None = attrs.field(
        default=None, converter=attrs.converters.optional(_integer)
    )

    def __attrs_post_init__(self) -> None:
        for what in ("prob_threshold", "nms_threshold"):
            value = getattr(self, what)
            check(0 <= value <= 1, self.name, f"{what} is a fraction", "0 to 1", value)
        check(
            len(self.grid) in (2, 3) and min(self.grid) >= 1,
            self.name,
            "grid has a step for each space axis",
            "2 or 3 integers >= 1",
            self.grid,
        )
        least = len(self.grid) + 1  # corners of a triangle, of a tetrahedron
        check(self.n_rays >= least, self.name, "too few n_rays", f">= {least}", self.n_rays)
        self._check_border()
        self._check_3d()

    def _check_border(self) -> None:
        pairs = ((self.b, self.b),) if isinstance(self.b, int) else self.b
        check(
            isinstance(self.b, int) or len(self.b) == len(self.grid),
            self.name,
            "b is one border, or one for each space axis",
            f"{len(self.grid)} pairs",
            self.b,
        )
        check(min(map(min, pairs)) >= 0, self.name, "b is negative", ">= 0", self.b)

    def _check_3d(self) -> None:
        if len(self.grid) == 2:
            for what in ("anisotropy", "overlap_label"):
                value = getattr(self, what)
                check(value is None, self.name, f"{what} is for 3D", "none in 2D", value)
            return
        sizes = self.anisotropy or ()
        check(
            len(sizes) == 3 and all(0 < size < math.inf for size in sizes),
            self.name,
            "anisotropy has the size of a voxel along each space axis",
            "3 numbers > 0",
            self.anisotropy,
        )
        label, info = self.overlap_label, np.iinfo("int32")
        check(
            label is None or info.min <= label <= info.max,
            self.name,
            "overlap_label is no label",
            "an integer of 32 bits",
            label,
        )

    @property
    def _image_axes(self) -> tuple[AxisId, ...]:
        return as_axes("yxc" if len(self.grid) == 2 else "zyxc")

    @property
    def channels(self) -> int:
        return self.n_rays + 1

    @property
    def _label_dtype(self) -> str:
        return "int32"

    def scale(self, axis: AxisId) -> int:
        return dict(zip(self._image_axes, self.grid, strict=False)).get(axis, 1)

    def _labels(self, image: Any) -> Any:
        fields: dict[str, Any] = attrs.asdict(self, recurse=False)
        return stardist_postprocessing(image, **fields)


@attrs.frozen(kw_only=True)
class CellposeFlowDynamics(ToLabels):
    """Objects from flows to their centres; see `instances.cellpose_flow_dynamics`.

    Examples:
        >>> op = CellposeFlowDynamics(cellprob_threshold=0, flow_threshold=0.4, do_3D=False)
        >>> op.plan(TensorSpec("bcyx", (1, 3, 64, None), "float32"))
        TensorSpec(axes=('batch', 'channel', 'y', 'x'), shape=(1, 1, 64, None), dtype='uint16')
    """

    name: ClassVar[str] = "cellpose_flow_dynamics"
    cellprob_threshold: float = attrs.field(converter=number)
    flow_threshold: float = attrs.field(converter=number)
    do_3D: bool = attrs.field()
    min_size: int = attrs.field(default=15, converter=_integer)
    output_dtype: LabelDtype = attrs.field(default="uint16")

    def __attrs_post_init__(self) -> None:
        check(
            math.isfinite(self.cellprob_threshold),
            self.name,
            "cellprob_threshold is a logit",
            "a finite number",
            self.cellprob_threshold,
        )
        check(
            self.flow_threshold >= 0,
            self.name,
            "flow_threshold is a squared error",
            ">= 0",
            self.flow_threshold,
        )
        check(isinstance(self.do_3D, bool), self.name, "do_3D is yes or no", "a bool", self.do_3D)
        check(self.min_size >= 0, self.name, "min_size is negative", ">= 0", self.min_size)
        check(
            self.output_dtype in ("uint16", "uint32"),
            self.name,
            "output_dtype is no type of labels",
            "uint16 or uint32",
            self.output_dtype,
        )

    @property
    def _image_axes(self) -> tuple[AxisId, ...]:
        return as_axes("czyx" if self.do_3D else "cyx")

    @property
    def channels(self) -> int:
        return len(self._image_axes)

    @property
    def _label_dtype(self) -> str:
        return self.output_dtype

    def scale(self, axis: AxisId) -> int:
        del axis
        return 1

    def _labels(self, image: Any) -> Any:
        fields: dict[str, Any] = attrs.asdict(self, recurse=False)
        return cellpose_flow_dynamics(image, **fields)
