"""From operation records back to the processing steps of a description, for both format versions.

What holds here: a description that is read and written again is the same description, but for
keywords of format 0.4 that have no effect (`axes` beside a single gain, for example). A record that
a format version has no words for is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..axes import AxisId, MemberId
from ..errors import OperationError
from ..ops.custom import Custom, plain
from ..ops.instance_records import CellposeFlowDynamics, StardistPostprocessing
from ..ops.records import (
    Binarize,
    Clip,
    EnsureDtype,
    FixedZeroMeanUnitVariance,
    ScaleLinear,
    ScaleMeanVariance,
    ScaleRange,
    Sigmoid,
    Softmax,
    ZeroMeanUnitVariance,
)
from .records import Step

__all__ = ["describe_0_4", "describe_0_5"]

Kwargs = dict[str, Any]


def describe_0_5(step: Step) -> dict[str, Any]:
    """A step as format 0.5 writes it.

    Args:
        step: an operation record.

    Returns:
        What stands in a `bioimageio.yaml`: `{"id": ..., "kwargs": ...}`.

    Raises:
        OperationError: if the format has no words for it.

    Examples:
        >>> describe_0_5(Binarize(0.5))
        {'id': 'binarize', 'kwargs': {'threshold': 0.5}}
        >>> describe_0_5(ScaleRange(1, 99.8, axes="yx"))["kwargs"]["axes"]
        ['y', 'x']
    """
    if isinstance(step, Custom):
        return _custom(step)
    if (write := _KWARGS_0_5.get(type(step))) is None:
        raise _no_words(step, "0.5")
    kwargs = write(step)
    for m in (*step.measures(MemberId("self")), *step.references):
        if (m.scope == "dataset") != (m.axes is None or "batch" in m.axes):
            raise _no_words(step, "0.5", f"scope {m.scope} over {m.axes}")
    described = {"id": step.name, "kwargs": kwargs} if kwargs else {"id": step.name}
    return _valid(described, step, "0.5")


def describe_0_4(step: Step, axes: Sequence[AxisId]) -> dict[str, Any]:
    """A step as format 0.4 writes it.

    Args:
        step: an operation record.
        axes: axes of the tensor that it belongs to.

    Returns:
        What stands in a `bioimageio.yaml`: `{"name": ..., "kwargs": ...}`.

    Raises:
        OperationError: if the format has no words for it.

    Examples:
        >>> describe_0_4(ScaleLinear([2, 3], 0, "channel"), ("batch", "channel", "y", "x"))
        {'name': 'scale_linear', 'kwargs': {'gain': [2.0, 3.0], 'offset': 0.0, 'axes': 'yx'}}
    """
    if (write := _KWARGS_0_4.get(type(step))) is None:
        raise _no_words(step, "0.4")
    kwargs = write(step, axes)
    name = _NAMES_0_4.get(step.name, step.name)
    described = {"name": name, "kwargs": kwargs} if kwargs else {"name": name}
    return _valid(described, step, "0.4")


def _no_words(step: Step, version: str, what: str | None = None) -> OperationError:
    return OperationError(
        f"format {version} can not describe this step", step=step.name, got=what or step
    )


def _valid(described: dict[str, Any], step: Step, version: str) -> dict[str, Any]:
    """What the format's own classes take: its limits on numbers are narrower than ours."""
    from bioimageio.spec.model import v0_4, v0_5
    from pydantic import TypeAdapter, ValidationError

    kinds: Any = {"0.4": v0_4.PostprocessingDescr, "0.5": v0_5.PostprocessingDescr}[version]
    try:
        TypeAdapter(kinds).validate_python(described)
    except ValidationError as error:
        reason = "; ".join(e["msg"] for e in error.errors())
        raise _no_words(step, version, f"{step}: {reason}") from error
    return described


def _number_or_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _given(**kwargs: Any) -> Kwargs:
    return {k: _number_or_list(v) for k, v in kwargs.items() if v is not None}


def _list(axes: Sequence[AxisId] | None) -> list[str] | None:
    return None if axes is None else list(map(str, axes))


# ---------------------------------------------------------------- format 0.5


def _custom(step: Custom) -> dict[str, Any]:
    described = {"id": step.name, "callable": step.callable, "source": step.source}
    described |= {} if step.sha256 is None else {"sha256": step.sha256}
    return described | {"kwargs": plain(step.kwargs)}


def _fixed_0_5(step: FixedZeroMeanUnitVariance) -> Kwargs:
    if step.eps:
        raise _no_words(step, "0.5", f"eps={step.eps}")
    return _given(mean=step.mean, std=step.std, axis=step.axis)


def _clip_0_5(step: Clip) -> Kwargs:
    bounds = _given(
        min=step.min,
        max=step.max,
        min_percentile=step.min_percentile,
        max_percentile=step.max_percentile,
    )
    return bounds | _given(axes=_list(step.axes))


def _scale_range_0_5(step: ScaleRange) -> Kwargs:
    return _given(
        min_percentile=step.min_percentile,
        max_percentile=step.max_percentile,
        eps=step.eps,
        axes=_list(step.axes),
        reference_tensor=step.reference,
    )


def _fields(step: Any) -> Kwargs:
    names = (field.name for field in step.__attrs_attrs__)
    return {n: _number_or_list(v) for n in names if (v := getattr(step, n)) is not None}


_KWARGS_0_5: dict[type, Callable[[Any], Kwargs]] = {
    Binarize: lambda s: _given(threshold=s.threshold, axis=s.axis),
    CellposeFlowDynamics: _fields,
    Clip: _clip_0_5,
    EnsureDtype: lambda s: {"dtype": s.dtype},
    FixedZeroMeanUnitVariance: _fixed_0_5,
    ScaleLinear: lambda s: _given(gain=s.gain, offset=s.offset, axis=s.axis),
    ScaleMeanVariance: lambda s: _given(
        reference_tensor=s.reference, axes=_list(s.axes), eps=s.eps
    ),
    ScaleRange: _scale_range_0_5,
    Sigmoid: lambda _: {},
    Softmax: lambda s: {"axis": s.axis},
    StardistPostprocessing: _fields,
    ZeroMeanUnitVariance: lambda s: _given(axes=_list(s.axes), eps=s.eps),
}


# ---------------------------------------------------------------- format 0.4


_NAMES_0_4 = {"fixed_zero_mean_unit_variance": "zero_mean_unit_variance"}


_LETTERS = {AxisId("channel"): "c", AxisId("z"): "z", AxisId("y"): "y", AxisId("x"): "x"}
"""The axes of a tensor that a step of format 0.4 can name."""


def _letters(axes: Sequence[AxisId], step: Any) -> str:
    """Axes as letters, in the order given; batch is said by the mode."""
    named = [a for a in axes if a != "batch"]
    if any(a not in _LETTERS for a in named):
        raise _no_words(step, "0.4", f"axes {', '.join(named)}")
    return "".join(_LETTERS[a] for a in named)


def _over(step: Any, of: Sequence[AxisId]) -> Kwargs:
    of_data_set = step.scope == "dataset"
    over = of if step.axes is None else step.axes
    if "batch" in of and ("batch" in over) != of_data_set:
        raise _no_words(step, "0.4", f"scope {step.scope} over {', '.join(over)}")
    mode = "per_dataset" if of_data_set else "per_sample"
    return {"mode": mode, "axes": _letters(of if step.axes is None else step.axes, step)}


def _along(step: Any, of: Sequence[AxisId]) -> Kwargs:
    """The axes beside that of a list; those beside a single number have no effect."""
    if step.axis is None:
        return {"axes": "".join(_LETTERS[a] for a in of if a in _LETTERS)}
    return {"axes": _letters([a for a in of if a != step.axis], step)}


def _binarize_0_4(step: Binarize, axes: Sequence[AxisId]) -> Kwargs:
    del axes
    if step.axis is not None:
        raise _no_words(step, "0.4", f"axis={step.axis}")
    return {"threshold": step.threshold}


def _clip_0_4(step: Clip, axes: Sequence[AxisId]) -> Kwargs:
    del axes
    if step.min is None or step.max is None:
        raise _no_words(step, "0.4")
    return {"min": step.min, "max": step.max}


def _fixed_0_4(step: FixedZeroMeanUnitVariance, axes: Sequence[AxisId]) -> Kwargs:
    if not step.eps:
        raise _no_words(step, "0.4", "eps=0")
    return {"mode": "fixed", **_given(mean=step.mean, std=step.std, eps=step.eps)} | _along(
        step, axes
    )


def _scale_linear_0_4(step: ScaleLinear, axes: Sequence[AxisId]) -> Kwargs:
    along = {} if step.axis is None else _along(step, axes)
    return _given(gain=step.gain, offset=step.offset) | along


def _scale_mean_variance_0_4(step: ScaleMeanVariance, axes: Sequence[AxisId]) -> Kwargs:
    named = {"reference_tensor": str(step.reference), "eps": step.eps}
    rest = {a for a in axes if a != "batch"}
    if step.axes is not None and {a for a in step.axes if a != "batch"} == rest:
        # the default, which may have axes that can not be named
        return {"mode": "per_dataset" if step.scope == "dataset" else "per_sample"} | named
    return _over(step, axes) | named


def _scale_range_0_4(step: ScaleRange, axes: Sequence[AxisId]) -> Kwargs:
    return _over(step, axes) | _given(
        min_percentile=step.min_percentile,
        max_percentile=step.max_percentile,
        eps=step.eps,
        reference_tensor=step.reference,
    )


_KWARGS_0_4: dict[type, Callable[[Any, Sequence[AxisId]], Kwargs]] = {
    Binarize: _binarize_0_4,
    Clip: _clip_0_4,
    FixedZeroMeanUnitVariance: _fixed_0_4,
    ScaleLinear: _scale_linear_0_4,
    ScaleMeanVariance: _scale_mean_variance_0_4,
    ScaleRange: _scale_range_0_4,
    Sigmoid: lambda _s, _a: {},
    ZeroMeanUnitVariance: lambda s, a: _over(s, a) | {"eps": s.eps},
}
