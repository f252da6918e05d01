"""The reference, repaired: each repair undoes one known difference, and says when it took effect.

Runs in the environment of the reference.

What holds here: apart from the repairs, it is the reference's own operators that run. A repair acts
only under its condition, on this chain and these data, and notes its key of `known_differences`.
Each can be left out, which shows whether the result depends on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import xarray as xr
from bioimageio.core import MemberId, Tensor
from bioimageio.core.proc_ops import (
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
    get_proc,
)
from bioimageio.core.sample import Sample
from bioimageio.core.stat_calculators import StatsCalculator
from bioimageio.spec.model import v0_4, v0_5
from cases import Case

__all__ = ["Repaired", "near_a_jump"]

NEAR = 1e-5
NARROW = ("bool", "uint8", "int8", "uint16", "int16", "float32")

MEASURED = (Clip, ScaleMeanVariance, ScaleRange, ZeroMeanUnitVariance)


def near_a_jump(op: Any, x: Tensor) -> int:
    """How many elements rounding may lift over a threshold, or over a whole number in a cast."""
    if "float" not in x.dtype:
        return 0
    values = x.data.astype("float64")
    width = NEAR * max(1.0, float(np.nanmax(np.abs(values.to_numpy()), initial=0)))
    if isinstance(op, EnsureDtype) and "float" not in op.dtype:
        return int((np.abs(values - np.rint(values)) <= width).sum())
    if isinstance(op, Binarize) and not isinstance(op.threshold, list):
        return int((np.abs(values - op.threshold) <= width).sum())
    return 0


class Repaired:
    """The chain of one case, run with the repairs that it needs.

    Args:
        case: the case.
        tensor: description of the tensor that the chain belongs to.
        members: the tensors of the sample; unprocessed ones are what reference tensors mean.
        without: keys of repairs that are left out.
    """

    def __init__(
        self,
        case: Case,
        tensor: Any,
        members: Mapping[str, Tensor],
        without: Collection[str] = (),
    ) -> None:
        self.case = case
        self.tensor = tensor
        self.members = dict(members)
        self.own = self.members[case.member]
        self.without = without
        self.noted: set[str] = set()
        self.near = 0
        self.narrow = self.own.dtype in NARROW

    def run(self) -> Tensor:
        """What the chain makes of the tensor."""
        x = self.own
        for op in self._operators():
            self.near += near_a_jump(op, x)
            x = self._apply(op, x)
            if isinstance(op, EnsureDtype | Binarize):
                self.narrow = x.dtype in NARROW
            elif self._repair("float32_steps", self.narrow and x.dtype == "float64"):
                x = x.astype("float32")
        return x

    def _repair(self, key: str, when: object) -> bool:
        """Whether to repair this here; notes that it was done."""
        if not when or key in self.without:
            return False
        self.noted.add(key)
        return True

    # ------------------------------------------------------------ which operators, in which order

    def _operators(self) -> list[Any]:
        member, tensor = MemberId(self.case.member), self.tensor

        def cast(dtype: str) -> EnsureDtype:
            return EnsureDtype(input=member, output=member, dtype=dtype)  # type: ignore[arg-type]

        if isinstance(tensor, v0_4.InputTensorDescr):
            steps = [self._make(s) for s in tensor.preprocessing]
            first = [cast(tensor.data_type)]
            if not steps and not self._repair("cast_alone_dropped", not steps):
                first = []
            return [*first, *steps, cast("float32")]
        if isinstance(tensor, v0_4.OutputTensorDescr):
            steps = [self._make(s) for s in tensor.postprocessing]
            types = {tensor.data_type, self.own.dtype}
            if self._repair("output_cast_first", types != {"float32"}):
                return [*steps, cast(tensor.data_type)]
            return [cast(tensor.data_type), *steps, cast("float32")]
        pre = isinstance(tensor, v0_5.InputTensorDescr)
        steps = [self._make(s) for s in (tensor.preprocessing if pre else tensor.postprocessing)]
        if self._repair(
            "cast_behind_binarize", isinstance(steps[-1], Binarize) and tensor.dtype != "bool"
        ):
            steps.append(cast(tensor.dtype))
        return steps

    def _make(self, step: Any) -> Any:
        """The reference's operator for a step, with the keywords that it drops."""
        op = self._made(step)
        eps = getattr(getattr(step, "kwargs", None), "eps", None)
        if isinstance(op, FixedZeroMeanUnitVariance):
            key = "fixed_eps" if eps is None else "eps_ignored"
            eps = 0.0 if eps is None else eps
            if self._repair(key, eps != op.eps):
                op.eps = eps
        elif eps is not None and self._repair("eps_ignored", op.eps != eps):
            op.eps = eps
        if isinstance(op, Binarize) and self._repair("binarize_axis", op.axis is not None):
            op.threshold = xr.DataArray(np.asarray(op.threshold), dims=(op.axis,))
        return op

    def _made(self, step: Any) -> Any:
        member = MemberId(self.case.member)
        k = getattr(step, "kwargs", None)
        if isinstance(k, v0_5.ClipKwargs | v0_4.ClipKwargs):
            low, high = k.min, k.max
            if self._repair("clip_to_one_value", low is not None and low == high):
                op = Clip(input=member, output=member, min=low)
                op.max = high
                return op
        if isinstance(k, v0_4.ScaleLinearKwargs) and self._repair(
            "scale_linear_axes", k.axes is not None
        ):
            gain, offset = (self._along(v, k.axes) for v in (k.gain, k.offset))
            return ScaleLinear(input=member, output=member, gain=gain, offset=offset)
        if isinstance(k, v0_4.ZeroMeanUnitVarianceKwargs) and k.mode == "fixed":
            left = len(self._left(k.axes))
            scalar = not isinstance(k.mean, list)
            if self._repair("fixed_scalar_axes", scalar and left > 0):
                mean, std = (xr.DataArray(v) for v in (k.mean, k.std))
                return FixedZeroMeanUnitVariance(input=member, output=member, mean=mean, std=std)
        return get_proc(step, self.tensor)

    def _left(self, axes: str) -> list[str]:
        """The axes besides batch that a 0.4 step does not scale jointly."""
        joint = {str(v0_5.AxisId(a)) for a in axes} | {"batch"}
        return [a for a in self.case.axes if a not in joint]

    def _along(self, value: Any, axes: str) -> Any:
        if not isinstance(value, list):
            return value
        return xr.DataArray(np.asarray(value), dims=self._left(axes))

    # ------------------------------------------------------------ one operator on one tensor

    def _apply(self, op: Any, x: Tensor) -> Tensor:
        if isinstance(op, EnsureDtype):
            return self._cast(op, x)
        discrete = "float" not in x.dtype
        if isinstance(op, Sigmoid | Softmax) and self._repair("sigmoid_of_integers", discrete):
            x = x.astype("float64")
        if not isinstance(op, MEASURED) or not op.required_measures:
            return op._apply(x, {})  # noqa: SLF001 - the only way to run one outside of a pipeline
        stat = self._statistics(op, x)
        if self._repair("statistics_of_bool", x.dtype == "bool"):
            x = x.astype("uint8")
        result = op._apply(x, stat)  # noqa: SLF001
        missing = _missing(x)
        if isinstance(op, Clip) and self._repair("missing_pixels", missing.any()):
            result = Tensor.from_xarray(result.data.where(~missing))
        return result

    def _cast(self, op: EnsureDtype, x: Tensor) -> Tensor:
        """A cast that saturates, drops the fraction, and makes NaN 0 or False."""
        if "float" in op.dtype or x.dtype == "bool":
            return x.astype(op.dtype)
        missing = _missing(x)
        if op.dtype == "bool":
            if not self._repair("casts_wrap", missing.any()):
                return x.astype(op.dtype)
            return Tensor.from_xarray((x.data != 0) & ~missing)
        above, below = _outside(x, op.dtype)
        if not self._repair("casts_wrap", (above | below | missing).any()):
            return x.astype(op.dtype)
        inside = x.data.where(~(above | below | missing), 0).astype(x.dtype).astype(op.dtype)
        info = np.iinfo(op.dtype)
        lowest, highest = np.array(info.min, op.dtype), np.array(info.max, op.dtype)
        return Tensor.from_xarray(xr.where(above, highest, xr.where(below, lowest, inside)))

    # ------------------------------------------------------------ statistics

    def _statistics(self, op: Any, x: Tensor) -> dict[Any, Tensor]:
        """Statistics of the tensor that reaches a step, in float64, without missing pixels."""
        own = [m for m in op.required_measures if m.member_id == op.input]
        source = x
        if self._refers_to_itself(op):
            source = self.own
        elif own and self.case.stage == "post" and not self.case.shown:
            if not self._repair("outputs_not_measured", own):
                raise KeyError(op.input)
        elif not self._repair("statistics_of_raw", own and not _same(x, self.own)):
            source = self.own
        sources = {**self.members, op.input: source}
        if self._repair("statistics_of_bool", sources[op.input].dtype == "bool"):
            sources[op.input] = source.astype("uint8")
        theirs = _theirs(op, sources)
        return {m: self._value(op, m, theirs[m], sources[m.member_id]) for m in theirs}

    def _refers_to_itself(self, op: Any) -> bool:
        """Whether it measures its tensor as it was, unprocessed, as its description says."""
        return isinstance(op, ScaleRange) and any(
            step.get("kwargs", {}).get("reference_tensor") == self.case.member
            and step["kwargs"]["min_percentile"] / 100 == op.lower.q
            and step["kwargs"]["max_percentile"] / 100 == op.upper.q
            for step in self.case.steps
        )

    def _value(self, op: Any, measure: Any, theirs: Tensor, source: Tensor) -> Tensor:
        exact = _exact(measure, source, "inverted_cdf" if isinstance(op, Clip) else "linear")
        if _missing(source).any():
            key = "missing_pixels"
        elif measure.name == "quantile" and measure.scope == "dataset":
            key = "dataset_clip"
        else:
            key = "float32_statistics"
        return exact if self._repair(key, _differ(theirs, exact)) else theirs


def _missing(x: Tensor) -> xr.DataArray:
    """Where a tensor is NaN."""
    return xr.DataArray(x.data != x.data)


def _outside(x: Tensor, dtype: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Where values lie above an integer type, and below it."""
    info = np.iinfo(dtype)
    if "float" in x.dtype:
        whole = np.trunc(x.data.astype("float64"))
        return whole >= float(info.max) + 1, whole < info.min
    have = np.iinfo(x.dtype)
    return x.data > min(info.max, have.max), x.data < max(info.min, have.min)


def _exact(measure: Any, source: Tensor, method: str) -> Tensor:
    """A measure in float64, of what is no NaN; a percentile that occurs is of the tensor's type."""
    values = source.data.astype("float64")
    axes = values.dims if measure.axes is None else measure.axes
    if measure.name == "quantile":
        kept = [d for d in values.dims if d not in axes]
        numbers = tuple(values.dims.index(d) for d in axes)
        result = np.nanquantile(values.to_numpy(), measure.q, numbers, method=method)
        dtype = source.dtype if method == "inverted_cdf" else "float64"
        return Tensor.from_xarray(xr.DataArray(np.asarray(result, dtype), dims=kept))
    mean = values.mean(axes)
    if measure.name == "mean":
        return Tensor.from_xarray(mean)
    return Tensor.from_xarray(np.sqrt(((values - mean) ** 2).mean(axes)))


def _theirs(op: Any, sources: Mapping[str, Tensor]) -> dict[Any, Tensor]:
    """What the reference measures of these tensors; all at once, for it fails on a lone mean."""
    wanted = set(op.required_measures)
    values = StatsCalculator(wanted).update_and_get_all(Sample(dict(sources), {}, None))
    return {m: values[m] for m in wanted}


def _differ(theirs: Tensor, exact: Tensor) -> bool:
    return not np.array_equal(theirs.data, exact.data.transpose(*theirs.dims), equal_nan=True)


def _same(a: Tensor, b: Tensor) -> bool:
    x, y = (t.data.astype("float64").to_numpy() for t in (a, b))
    return bool(np.array_equal(x, y, equal_nan=True))
