"""Operations as records: the parameters of a description, checked, with all that is known of them.

Each record says three things: `measures` (which statistics it needs), `plan` (what it does to a
spec) and `apply` (what it does to a tensor, given those statistics). A pointwise one also says by
which `kernel`, so that neighbours can be run together.

What holds here: a record that could be made has parameters that make sense by themselves; `plan`
checks them against the tensor; `plan` and `apply` agree; records are values (equal, hashable,
picklable).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol, TypeGuard, runtime_checkable

import attrs
import numpy as np

from ..arrays import DTYPES
from ..axes import AxisId, MemberId
from ..errors import SizeError
from ..spec import TensorSpec, tensor_spec
from ..stats.measure import Measure, QuantileMethod
from ..tensor import Tensor
from . import pointwise
from .kernels import Kernel, float_dtype, run
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
    "Pointwise",
    "ScaleLinear",
    "ScaleMeanVariance",
    "ScaleRange",
    "Sigmoid",
    "Softmax",
    "ZeroMeanUnitVariance",
    "is_pointwise",
]

Scope = Literal["sample", "dataset"]


@runtime_checkable
class Operation(Protocol):
    """What a transform asks of an operation."""

    name: ClassVar[str]
    """Its id in the format."""

    @property
    def whole_axes(self) -> tuple[AxisId, ...]:
        """Axes along which it can not run on a part of the tensor."""
        ...

    @property
    def references(self) -> tuple[Measure, ...]:
        """The statistics it needs of an unprocessed input tensor."""
        ...

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        """The statistics it needs of the tensor that it runs on, as it reaches it."""
        ...

    def plan(self, spec: TensorSpec) -> TensorSpec:
        """The spec of the result; raises where the operation does not fit the tensor."""
        ...

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        """The result, given the values of its measures, then those of its references."""
        ...


class Pointwise(Operation, Protocol):
    """An operation that keeps the shape, and runs as a kernel."""

    affine: ClassVar[bool]
    """Whether its kernel is an affine map with factors above 0, but for a gain that is not."""

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        """The kernel for a tensor of that spec; values as of `apply`."""
        ...


def is_pointwise(op: Operation) -> TypeGuard[Pointwise]:
    """Whether an operation keeps the shape, and runs as a kernel.

    This is asked for every step of every sample, where `isinstance` of a protocol is slow.
    """
    return hasattr(op, "kernel") and hasattr(op, "affine")


def _floating(spec: TensorSpec) -> TensorSpec:
    return attrs.evolve(spec, dtype=float_dtype(spec.dtype))


class _Pointwise:
    """Base of operations that run as a kernel; by default they measure nothing."""

    __slots__ = ()
    affine: ClassVar[bool] = False
    references: ClassVar[tuple[Measure, ...]] = ()
    whole_axes: ClassVar[tuple[AxisId, ...]] = ()

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        del member
        return ()

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        raise NotImplementedError

    def apply(self, tensor: Tensor, *values: Tensor) -> Tensor:
        data = run([self.kernel(tensor_spec(tensor), *values)], tensor.data)
        return tensor if data is tensor.data else Tensor(data, tensor.axes, tensor.calibration)


class _AlongAxis(_Pointwise):
    """Base of operations whose parameters may lie along an axis."""

    __slots__ = ()
    axis: AxisId | None

    @property
    def whole_axes(self) -> tuple[AxisId, ...]:  # type: ignore[override]
        # the list says which value belongs to which index of the whole axis
        return () if self.axis is None else (self.axis,)


@attrs.frozen
class EnsureDtype(_Pointwise):
    """Cast to a data type; see `functions.ensure_dtype`."""

    name: ClassVar[str] = "ensure_dtype"
    dtype: str = attrs.field()

    @dtype.validator
    def _known(self, _: object, dtype: str) -> None:
        check(dtype in DTYPES, self.name, "no such data type", f"one of {DTYPES}", dtype)

    def plan(self, spec: TensorSpec) -> TensorSpec:
        return attrs.evolve(spec, dtype=self.dtype)

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        return pointwise.ensure_dtype(self.dtype)


@attrs.frozen
class Sigmoid(_Pointwise):
    """The logistic function; see `functions.sigmoid`."""

    name: ClassVar[str] = "sigmoid"

    def plan(self, spec: TensorSpec) -> TensorSpec:
        return _floating(spec)

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        return pointwise.sigmoid()


@attrs.frozen
class Softmax(_Pointwise):
    """`exp(x) / sum(exp(x))` along an axis; see `functions.softmax`."""

    name: ClassVar[str] = "softmax"
    axis: AxisId = attrs.field(default=AxisId("channel"), converter=AxisId)

    @property
    def whole_axes(self) -> tuple[AxisId, ...]:  # type: ignore[override]
        return (self.axis,)

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axes(spec, [self.axis], self.name)
        if spec.sizes[self.axis] == 0:
            raise SizeError("nothing is there to sum up", axis=self.axis, step=self.name, got=0)
        return _floating(spec)

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        return pointwise.softmax(spec.axes.index(self.axis))


@attrs.frozen
class ScaleLinear(_AlongAxis):
    """`x * gain + offset`, with numbers or with one value for each index of an axis."""

    name: ClassVar[str] = "scale_linear"
    affine: ClassVar[bool] = True
    gain: Numbers = attrs.field(default=1.0, converter=numbers)
    offset: Numbers = attrs.field(default=0.0, converter=numbers)
    axis: AxisId | None = attrs.field(default=None, converter=optional_axis)

    def __attrs_post_init__(self) -> None:
        check_lists(self.name, self.axis, gain=self.gain, offset=self.offset)

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axis(spec, self.axis, (self.gain, self.offset), self.name)
        return _floating(spec)

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        gain, offset = (along_axis(v, self.axis, spec) for v in (self.gain, self.offset))
        return pointwise.scale_linear(gain, offset)


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

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        return pointwise.binarize(along_axis(self.threshold, self.axis, spec))


@attrs.frozen
class FixedZeroMeanUnitVariance(_AlongAxis):
    """`(x - mean) / (std + eps)` with given values; format 0.5 has no eps here, 0.4 has one."""

    name: ClassVar[str] = "fixed_zero_mean_unit_variance"
    affine: ClassVar[bool] = True
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

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        mean, std = (along_axis(v, self.axis, spec) for v in (self.mean, self.std))
        return pointwise.zero_mean_unit_variance(mean, std, self.eps)


@attrs.frozen
class _Measured(_Pointwise):
    """Base of operations whose statistics are taken over `axes` of a sample or of a dataset."""

    axes: tuple[AxisId, ...] | None = attrs.field(
        default=None, converter=optional_axes, kw_only=True
    )
    scope: Scope = attrs.field(default="sample", kw_only=True)

    @scope.validator
    def _known(self, _: object, scope: str) -> None:
        check(scope in ("sample", "dataset"), "scope", "no such scope", "sample, dataset", scope)


def _check_percentiles(step: str, low: float | None, high: float | None) -> None:
    for value in (low, high):
        check(value is None or 0 <= value <= 100, step, "no percentile", "0 to 100", value)
    if low is not None and high is not None:
        check(low < high, step, "percentiles are in the wrong order", f"low < high={high}", low)


def _quantile(
    percentile: float, member: MemberId, axes: Any, scope: Scope, method: QuantileMethod
) -> Measure:
    return Measure("quantile", member, axes, scope, q=percentile / 100, method=method)


def _mean_and_std(
    member: MemberId, axes: tuple[AxisId, ...] | None, scope: Scope
) -> tuple[Measure, ...]:
    return Measure("mean", member, axes, scope), Measure("std", member, axes, scope)


@attrs.frozen
class ZeroMeanUnitVariance(_Measured):
    """`(x - mean) / (std + eps)` with the mean and standard deviation of the tensor over `axes`."""

    name: ClassVar[str] = "zero_mean_unit_variance"
    affine: ClassVar[bool] = True
    eps: float = attrs.field(default=1e-6, converter=number)

    def __attrs_post_init__(self) -> None:
        check(self.eps > 0, self.name, "eps keeps the divisor from 0", "eps > 0", self.eps)

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        return _mean_and_std(member, self.axes, self.scope)

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axes(spec, self.axes, self.name)
        return _floating(spec)

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        mean, std = (aligned(v, spec) for v in values)
        return pointwise.zero_mean_unit_variance(mean, std, self.eps)


@attrs.frozen
class ScaleRange(_Measured):
    """`(x - low) / (high - low + eps)` with two percentiles of the tensor over `axes`.

    Percentiles between two values are interpolated. With `reference` they are those of an
    unprocessed input tensor.
    """

    name: ClassVar[str] = "scale_range"
    affine: ClassVar[bool] = True
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
        return self._of(member) if self.reference is None else ()

    @property
    def references(self) -> tuple[Measure, ...]:  # type: ignore[override]
        return () if self.reference is None else self._of(self.reference)

    def _of(self, member: MemberId) -> tuple[Measure, ...]:
        return tuple(
            _quantile(p, member, self.axes, self.scope, "linear")
            for p in (self.min_percentile, self.max_percentile)
        )

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axes(spec, self.axes, self.name)
        return _floating(spec)

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        low, high = (aligned(v, spec) for v in values)
        return pointwise.scale_range(low, high, self.eps)


@attrs.frozen
class ScaleMeanVariance(_Measured):
    """`(x - mean) / (std + eps) * (reference std + eps) + reference mean`, all of them over `axes`.

    Args:
        reference: an unprocessed input tensor.
    """

    name: ClassVar[str] = "scale_mean_variance"
    affine: ClassVar[bool] = True
    reference: MemberId = attrs.field(converter=MemberId)
    eps: float = attrs.field(default=1e-6, converter=number)

    def __attrs_post_init__(self) -> None:
        check(self.eps > 0, self.name, "eps keeps the divisor from 0", "eps > 0", self.eps)

    def measures(self, member: MemberId) -> tuple[Measure, ...]:
        return _mean_and_std(member, self.axes, self.scope)

    @property
    def references(self) -> tuple[Measure, ...]:  # type: ignore[override]
        return _mean_and_std(self.reference, self.axes, self.scope)

    def plan(self, spec: TensorSpec) -> TensorSpec:
        check_axes(spec, self.axes, self.name)
        return _floating(spec)

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        mean, std, reference_mean, reference_std = (aligned(v, spec) for v in values)
        return pointwise.scale_mean_variance(mean, std, reference_mean, reference_std, self.eps)


@attrs.frozen
class Clip(_Measured):
    """Clip to given bounds, or to percentiles of the tensor over `axes`.

    A percentile is a value that occurs in the tensor, so that clipped integers stay integers.
    """

    name: ClassVar[str] = "clip"
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
        return attrs.evolve(spec, dtype=pointwise.clip_dtype(spec.dtype, self.min, self.max))

    def kernel(self, spec: TensorSpec, *values: Tensor) -> Kernel:
        planned = pointwise.clip_dtype(spec.dtype, self.min, self.max)
        given = iter([_nearest(aligned(v, spec), planned) for v in values])
        low = self.min if self.min_percentile is None else next(given)
        high = self.max if self.max_percentile is None else next(given)
        return pointwise.clip(low, high)


def _nearest(values: Any, dtype: str) -> Any:
    """Percentiles given from outside may lie between or beyond integers; take the nearest one."""
    if "float" in dtype:
        return values
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return np.clip(np.rint(values), low, high)
