"""Operations as records: the parameters of a description, checked, with all that is known of them.

Each record has three pure halves: `measures` (which statistics it needs), `plan` (what it does to
a spec) and `apply` (what it does to a tensor, given those statistics in the order of `measures`).

What holds here: a record that could be made has parameters that make sense by themselves; `plan`
checks them against the tensor; `plan` and `apply` agree; records are values (equal, hashable,
picklable).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import attrs
import numpy as np

from ..arrays import DTYPES, as_array
from ..axes import AxisId, MemberId
from ..spec import TensorSpec
from ..stats.measure import Measure, QuantileMethod
from ..tensor import Tensor
from . import functions
from .parameters import (
    Numbers,
    aligned,
    along_axis,
    check,
    check_axes,
    check_axis,
    check_lists,
    number,
    numbers,
    optional_axes,
    optional_axis,
)

__all__ = [
    "Binarize",
    "Clip",
    "EnsureDtype",
    "FixedZeroMeanUnitVariance",
    "Operation",
    "ScaleLinear",
    "ScaleRange",
    "Sigmoid",
    "ZeroMeanUnitVariance",
]

Scope = Literal["sample", "dataset"]


@runtime_checkable
class Operation(Protocol):
    """What a transform asks of an operation."""

    name: ClassVar[str]
    """Its id in the format."""

    @property
    def reference(self) -> MemberId | None:
        """The unprocessed input tensor that is measured instead of the tensor itself."""
        ...

    @property
    def whole_axes(self) -> tuple[AxisId, ...]:
        """Axes along which it can not run on a part of the tensor."""
        ...

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        """The statistics it needs when it runs on that tensor."""
        ...

    def plan(self, spec: TensorSpec) -> TensorSpec:
        """The spec of the result; raises where the operation does not fit the tensor."""
        ...

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        """The result, given the values of its measures."""
        ...


def _floating(spec: TensorSpec) -> TensorSpec:
    return attrs.evolve(spec, dtype=functions.float_dtype(spec.dtype))


class _Elementwise:
    """Base of operations that measure nothing and need no axis whole."""

    __slots__ = ()
    reference: ClassVar[MemberId | None] = None
    whole_axes: ClassVar[tuple[AxisId, ...]] = ()

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        del member
        return ()


class _AlongAxis:
    """Base of operations whose parameters may lie along an axis."""

    __slots__ = ()
    axis: AxisId | None
    reference: ClassVar[MemberId | None] = None

    @property
    def whole_axes(self) -> tuple[AxisId, ...]:
        # the list says which value belongs to which index of the whole axis
        return () if self.axis is None else (self.axis,)

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        del member
        return ()


@attrs.frozen
class EnsureDtype(_Elementwise):
    """Cast to a data type; see `functions.ensure_dtype`."""

    name: ClassVar[str] = "ensure_dtype"
    dtype: str = attrs.field()

    @dtype.validator
    def _known(self, _: object, dtype: str) -> None:
        check(dtype in DTYPES, self.name, "no such data type", f"one of {DTYPES}", dtype)

    def plan(self, spec: TensorSpec) -> TensorSpec:
        return attrs.evolve(spec, dtype=self.dtype)

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        data = functions.ensure_dtype(as_array(tensor.data), dtype=self.dtype)
        return tensor if data is tensor.data else Tensor(data, tensor.axes)


@attrs.frozen
class Sigmoid(_Elementwise):
    """The logistic function; see `functions.sigmoid`."""

    name: ClassVar[str] = "sigmoid"

    def plan(self, spec: TensorSpec) -> TensorSpec:
        return _floating(spec)

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        return Tensor(functions.sigmoid(as_array(tensor.data)), tensor.axes)


@attrs.frozen
class ScaleLinear(_AlongAxis):
    """`x * gain + offset`, with numbers or with one value for each index of an axis."""

    name: ClassVar[str] = "scale_linear"
    gain: Numbers = attrs.field(default=1.0, converter=numbers)
    offset: Numbers = attrs.field(default=0.0, converter=numbers)
    axis: AxisId | None = attrs.field(default=None, converter=optional_axis)

    def __attrs_post_init__(self) -> None:
        check_lists(self.name, self.axis, gain=self.gain, offset=self.offset)

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axis(spec, self.axis, (self.gain, self.offset), self.name)
        return _floating(spec)

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        gain, offset = (along_axis(v, self.axis, tensor) for v in (self.gain, self.offset))
        data = functions.scale_linear(as_array(tensor.data), gain=gain, offset=offset)
        return Tensor(data, tensor.axes)


@attrs.frozen
class Binarize(_AlongAxis):
    """True above a threshold, or above one threshold for each index of an axis."""

    name: ClassVar[str] = "binarize"
    threshold: Numbers = attrs.field(converter=numbers)
    axis: AxisId | None = attrs.field(default=None, converter=optional_axis)

    def __attrs_post_init__(self) -> None:
        check_lists(self.name, self.axis, threshold=self.threshold)

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axis(spec, self.axis, (self.threshold,), self.name)
        return attrs.evolve(spec, dtype="bool")

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        threshold = along_axis(self.threshold, self.axis, tensor)
        return Tensor(functions.binarize(as_array(tensor.data), threshold=threshold), tensor.axes)


@attrs.frozen
class FixedZeroMeanUnitVariance(_AlongAxis):
    """`(x - mean) / (std + eps)` with given values; format 0.5 has no eps here, 0.4 has one."""

    name: ClassVar[str] = "fixed_zero_mean_unit_variance"
    mean: Numbers = attrs.field(converter=numbers)
    std: Numbers = attrs.field(converter=numbers)
    axis: AxisId | None = attrs.field(default=None, converter=optional_axis)
    eps: float = attrs.field(default=0.0, converter=number)

    def __attrs_post_init__(self) -> None:
        check_lists(self.name, self.axis, mean=self.mean, std=self.std)
        lowest = float(np.min(self.std)) + self.eps
        check(lowest > 0, self.name, "std is a divisor", "std > 0", self.std)

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axis(spec, self.axis, (self.mean, self.std), self.name)
        return _floating(spec)

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        mean, std = (along_axis(v, self.axis, tensor) for v in (self.mean, self.std))
        data = functions.center_and_scale(
            as_array(tensor.data), center=mean, scale=np.asarray(std) + self.eps
        )
        return Tensor(data, tensor.axes)


@attrs.frozen
class _Measured:
    """Base of operations whose statistics are taken over `axes` of a sample or of a dataset."""

    axes: tuple[AxisId, ...] | None = attrs.field(
        default=None, converter=optional_axes, kw_only=True
    )
    scope: Scope = attrs.field(default="sample", kw_only=True)

    @scope.validator
    def _known(self, _: object, scope: str) -> None:
        check(scope in ("sample", "dataset"), "scope", "no such scope", "sample, dataset", scope)

    whole_axes: ClassVar[tuple[AxisId, ...]] = ()


def _check_percentiles(step: str, low: float | None, high: float | None) -> None:
    for value in (low, high):
        check(value is None or 0 <= value <= 100, step, "no percentile", "0 to 100", value)
    if low is not None and high is not None:
        check(low < high, step, "percentiles are in the wrong order", f"low < high={high}", low)


def _quantile(
    percentile: float, member: MemberId, axes: Any, scope: Scope, method: QuantileMethod
) -> Measure:
    return Measure("quantile", member, axes, scope, q=percentile / 100, method=method)


@attrs.frozen
class ZeroMeanUnitVariance(_Measured):
    """`(x - mean) / (std + eps)` with the mean and standard deviation of the tensor over `axes`."""

    name: ClassVar[str] = "zero_mean_unit_variance"
    reference: ClassVar[MemberId | None] = None
    eps: float = attrs.field(default=1e-6, converter=number)

    def __attrs_post_init__(self) -> None:
        check(self.eps > 0, self.name, "eps keeps the divisor from 0", "eps > 0", self.eps)

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        return (
            Measure("mean", member, self.axes, self.scope),
            Measure("std", member, self.axes, self.scope),
        )

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axes(spec, self.axes, self.name)
        return _floating(spec)

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        mean, std = (aligned(v, tensor) for v in values)
        data = functions.center_and_scale(as_array(tensor.data), center=mean, scale=std + self.eps)
        return Tensor(data, tensor.axes)


@attrs.frozen
class ScaleRange(_Measured):
    """`(x - low) / (high - low + eps)` with two percentiles of the tensor over `axes`.

    Percentiles between two values are interpolated. With `reference` they are those of an
    unprocessed input tensor.
    """

    name: ClassVar[str] = "scale_range"
    min_percentile: float = attrs.field(default=0.0, converter=number)
    max_percentile: float = attrs.field(default=100.0, converter=number)
    eps: float = attrs.field(default=1e-6, converter=number)
    reference: MemberId | None = attrs.field(
        default=None, converter=attrs.converters.optional(MemberId)
    )

    def __attrs_post_init__(self) -> None:
        _check_percentiles(self.name, self.min_percentile, self.max_percentile)
        check(self.eps > 0, self.name, "eps keeps the divisor from 0", "eps > 0", self.eps)

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        measured = self.reference or member
        return tuple(
            _quantile(p, measured, self.axes, self.scope, "linear")
            for p in (self.min_percentile, self.max_percentile)
        )

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axes(spec, self.axes, self.name)
        return _floating(spec)

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        low, high = (aligned(v, tensor) for v in values)
        data = functions.center_and_scale(
            as_array(tensor.data), center=low, scale=high - low + self.eps
        )
        return Tensor(data, tensor.axes)


@attrs.frozen
class Clip(_Measured):
    """Clip to given bounds, or to percentiles of the tensor over `axes`.

    A percentile is a value that occurs in the tensor, so that clipped integers stay integers.
    """

    name: ClassVar[str] = "clip"
    reference: ClassVar[MemberId | None] = None
    min: float | None = attrs.field(default=None, converter=attrs.converters.optional(number))
    max: float | None = attrs.field(default=None, converter=attrs.converters.optional(number))
    min_percentile: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number)
    )
    max_percentile: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number)
    )

    def __attrs_post_init__(self) -> None:
        for bound, percentile in ((self.min, self.min_percentile), (self.max, self.max_percentile)):
            check(
                bound is None or percentile is None,
                self.name,
                "a bound is either a value or a percentile",
                "one of them",
                (bound, percentile),
            )
        bounds = (self.min, self.max, self.min_percentile, self.max_percentile)
        check(any(b is not None for b in bounds), self.name, "nothing to clip", "a bound", None)
        _check_percentiles(self.name, self.min_percentile, self.max_percentile)
        if self.min is not None and self.max is not None:
            check(self.min <= self.max, self.name, "min is above max", f"<= {self.max}", self.min)

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        return tuple(
            _quantile(p, member, self.axes, self.scope, "inverted_cdf")
            for p in (self.min_percentile, self.max_percentile)
            if p is not None
        )

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axes(spec, self.axes, self.name)
        return attrs.evolve(spec, dtype=functions.clip_dtype(spec.dtype, self.min, self.max))

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        data = as_array(tensor.data)
        planned = functions.clip_dtype(tensor.dtype, self.min, self.max)
        given = iter([_nearest(aligned(v, tensor), planned) for v in values])
        low = self.min if self.min_percentile is None else next(given)
        high = self.max if self.max_percentile is None else next(given)
        return Tensor(functions.clip(data, low=low, high=high), tensor.axes)


def _nearest(values: Any, dtype: str) -> Any:
    """Percentiles given from outside may lie between or beyond integers; take the nearest one."""
    if "float" in dtype:
        return values
    # limits are met in `clip`, in exact integers
    return np.clip(np.rint(values), 0, 1) if dtype == "bool" else np.rint(values)
