"""From the processing steps of a description to operation records, for both format versions.

What holds here: no keyword of a step is ignored; a step that this package does not know is an error
that names it, never left out. The way back is `describing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..axes import AxisId, as_axes
from ..errors import OperationError, UnsupportedError
from ..ops.custom import Custom
from ..ops.instance_records import CellposeFlowDynamics, StardistPostprocessing
from ..ops.records import (
    Binarize,
    Clip,
    EnsureDtype,
    FixedZeroMeanUnitVariance,
    Operation,
    ScaleLinear,
    ScaleMeanVariance,
    ScaleRange,
    Sigmoid,
    Softmax,
    ZeroMeanUnitVariance,
)
from .records import Step

__all__ = ["operation_0_4", "operation_0_5"]


def operation_0_5(descr: Any) -> Step:
    """The record of a pre- or postprocessing step of format 0.5.

    Raises:
        UnsupportedError: if the operation is none of those implemented.
        OperationError: if its parameters make no sense together.
    """
    if descr.id == "custom":
        return _custom(descr)
    make = _MAKE_0_5.get(descr.id)
    if make is None:
        raise _unsupported(descr.id, _MAKE_0_5)
    return make(descr.kwargs)


def operation_0_4(descr: Any, axes: Sequence[AxisId]) -> Operation:
    """The record of a pre- or postprocessing step of format 0.4.

    Args:
        axes: axes of the tensor; a list of values in format 0.4 lies along the one that is
            neither batch nor among the step's own `axes`.

    Raises:
        UnsupportedError: if the operation is none of those implemented.
        OperationError: if it can not be told along which axis a list lies.
    """
    make = _MAKE_0_4.get(descr.name)
    if make is None:
        raise _unsupported(descr.name, _MAKE_0_4)
    return make(descr.kwargs, axes)


def _unsupported(name: str, known: dict[str, Any]) -> UnsupportedError:
    return UnsupportedError(
        "this processing step is not supported yet",
        step=name,
        expected=f"one of {', '.join(known)}",
    )


def _scope(axes: Sequence[AxisId] | None) -> Any:
    # reducing the batch axis means reducing over samples
    return "dataset" if axes is None or "batch" in axes else "sample"


def _over(kwargs: Any) -> dict[str, Any]:
    axes = None if kwargs.axes is None else as_axes([str(axis) for axis in kwargs.axes])
    return {"axes": axes, "scope": _scope(axes)}


def _custom(descr: Any) -> Custom:
    source = descr.source
    source = source.absolute() if hasattr(source, "absolute") else source
    sha256 = None if descr.sha256 is None else str(descr.sha256).lower()
    return Custom(descr.callable, source, sha256, descr.kwargs)


def _instances(make: Callable[..., Operation]) -> Callable[[Any], Operation]:
    return lambda k: make(**{name: getattr(k, name) for name in type(k).model_fields})


def _clip_0_5(k: Any) -> Clip:
    bounds = {"min": k.min, "max": k.max}
    percentiles = {"min_percentile": k.min_percentile, "max_percentile": k.max_percentile}
    measured = any(p is not None for p in percentiles.values())
    return Clip(**bounds, **percentiles, **(_over(k) if measured else {}))


def _scale_range_0_5(k: Any) -> ScaleRange:
    return ScaleRange(
        k.min_percentile,
        k.max_percentile,
        eps=k.eps,
        reference=None if k.reference_tensor is None else str(k.reference_tensor),
        **_over(k),
    )


def _axis_of(kwargs: Any) -> str | None:
    axis = getattr(kwargs, "axis", None)
    return None if axis is None else str(axis)


_MAKE_0_5: dict[str, Callable[[Any], Operation]] = {
    "binarize": lambda k: Binarize(k.threshold, axis=_axis_of(k)),
    "cellpose_flow_dynamics": _instances(CellposeFlowDynamics),
    "clip": _clip_0_5,
    "ensure_dtype": lambda k: EnsureDtype(k.dtype),
    "fixed_zero_mean_unit_variance": lambda k: FixedZeroMeanUnitVariance(
        k.mean, k.std, axis=_axis_of(k)
    ),
    "scale_linear": lambda k: ScaleLinear(k.gain, k.offset, axis=_axis_of(k)),
    "scale_mean_variance": lambda k: ScaleMeanVariance(str(k.reference_tensor), k.eps, **_over(k)),
    "scale_range": _scale_range_0_5,
    "sigmoid": lambda _: Sigmoid(),
    "softmax": lambda k: Softmax(str(k.axis)),
    "stardist_postprocessing": _instances(StardistPostprocessing),
    "zero_mean_unit_variance": lambda k: ZeroMeanUnitVariance(k.eps, **_over(k)),
}


def _over_0_4(mode: str, axes: tuple[AxisId, ...], of: Sequence[AxisId]) -> dict[str, Any]:
    if mode == "per_dataset" and "batch" in of:
        axes = (AxisId("batch"), *(a for a in axes if a != "batch"))
    return {"axes": axes, "scope": "dataset" if mode == "per_dataset" else "sample"}


def _along_0_4(kwargs: Any, axes: Sequence[AxisId], step: str, *values: Any) -> dict[str, Any]:
    """The axis along which lists of values lie, or none where there are only numbers."""
    if not any(isinstance(v, (list, tuple)) for v in values):
        return {"axis": None}
    joint = () if kwargs.axes is None else as_axes(kwargs.axes)
    rest = [a for a in axes if a != "batch" and a not in joint]
    if len(rest) != 1:
        raise OperationError(
            "it can not be told along which axis this list of values lies",
            step=step,
            expected="`axes` that leave out exactly one axis besides batch",
            got=f"axes {joint} of {tuple(axes)} leave {tuple(rest)}",
        )
    return {"axis": rest[0]}


def _scale_linear_0_4(k: Any, axes: Sequence[AxisId]) -> ScaleLinear:
    along = _along_0_4(k, axes, "scale_linear", k.gain, k.offset)
    return ScaleLinear(k.gain, k.offset, **along)


def _zero_mean_unit_variance_0_4(k: Any, axes: Sequence[AxisId]) -> Operation:
    if k.mode != "fixed":
        return ZeroMeanUnitVariance(k.eps, **_over_0_4(k.mode, as_axes(k.axes), axes))
    along = _along_0_4(k, axes, "zero_mean_unit_variance", k.mean, k.std)
    return FixedZeroMeanUnitVariance(k.mean, k.std, eps=k.eps, **along)


def _scale_range_0_4(k: Any, axes: Sequence[AxisId]) -> ScaleRange:
    reference = None if k.reference_tensor is None else str(k.reference_tensor)
    return ScaleRange(
        k.min_percentile,
        k.max_percentile,
        eps=k.eps,
        reference=reference,
        **_over_0_4(k.mode, as_axes(k.axes), axes),
    )


def _scale_mean_variance_0_4(k: Any, axes: Sequence[AxisId]) -> ScaleMeanVariance:
    # by default "all non-batch axes jointly"
    joint = as_axes(k.axes) if k.axes is not None else tuple(a for a in axes if a != "batch")
    over = _over_0_4(k.mode, joint, axes)
    return ScaleMeanVariance(str(k.reference_tensor), k.eps, **over)


_MAKE_0_4: dict[str, Callable[[Any, Sequence[AxisId]], Operation]] = {
    "binarize": lambda k, _: Binarize(k.threshold),
    "clip": lambda k, _: Clip(min=k.min, max=k.max),
    "scale_linear": _scale_linear_0_4,
    "scale_mean_variance": _scale_mean_variance_0_4,
    "scale_range": _scale_range_0_4,
    "sigmoid": lambda _k, _a: Sigmoid(),
    "zero_mean_unit_variance": _zero_mean_unit_variance_0_4,
}
