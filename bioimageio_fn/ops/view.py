"""`View`: a tensor behind the steps of a chain, of which no more is computed than is asked for.

What holds here: its statistics are those of the tensor that `apply` would give, and are had with as
few walks through the data as that allows:

- statistics of `a * x + b` follow from those of x, so affine steps (and casts that change nothing)
  are looked through;
- of 8- and 16-bit integers a histogram tells all, also what comes out of pointwise steps;
- in all other cases the steps are run on the fly, part by part, and nothing is stored.

What is looked through is also run as one step (see `kernels.joined`), so that numbers and pixels
agree: a constant image is normalised to 0 behind any affine steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np
from immutabledict import immutabledict

from ..axes import AxisId
from ..sample import Sample
from ..spec import TensorSpec
from ..stats.compute import compute_sample_measures
from ..stats.fold import distributions, init, update
from ..stats.histogram import Distribution, distribution_from, quantile
from ..stats.measure import Measure
from ..stats.moments import moments_of_distribution, variance
from ..stats.quantiles import MANY_CELLS
from ..tensor import Tensor
from .affine import Affine
from .kernels import (
    SMALL,
    Cast,
    Function,
    Kernel,
    Mapped,
    cut_kernel,
    joined,
    result_dtype,
    run,
    run_into,
)
from .records import Operation, is_pointwise

__all__ = ["View", "computed", "lazy_tensor", "measured", "pushed", "spec_of", "stored"]

_FEW_VALUES = ("bool", "uint8", "int8", "uint16", "int16")
_EXACT_IN_FLOAT64 = (*SMALL, "uint32", "int32")

Axes: TypeAlias = tuple[AxisId, ...] | None


@attrs.frozen(eq=False)
class View:
    """A tensor behind bound steps, and what is known of it.

    Args:
        base: the tensor in front of them.
        kernels: those that make what was measured.
        tail: those behind them: together no more than one affine map.
        known: measures of what is between the two.
        counted: of a base of few possible values, how often each occurs, by reduced axes.
    """

    base: Tensor
    kernels: tuple[Kernel, ...] = ()
    tail: tuple[Kernel, ...] = ()
    known: Mapping[Measure, Tensor] = immutabledict()
    counted: Mapping[Axes, Any] = immutabledict()


def spec_of(view: View) -> TensorSpec:
    """The spec of the tensor that is seen."""
    dtype = result_dtype((*view.kernels, *view.tail), view.base.dtype)
    return TensorSpec(view.base.axes, view.base.shape, dtype)


def lazy_tensor(view: View) -> Tensor:
    """The tensor that is seen; it is computed where it is read."""
    kernels = (*view.kernels, *view.tail)
    if not kernels:
        return view.base
    return attrs.evolve(view.base, data=Mapped(view.base.data, kernels))


def computed(view: View, *, lost: set[str] | None) -> View:
    """The same view with all its steps run.

    Args:
        lost: as of `kernels.run`.
    """
    data = run((*view.kernels, *view.tail), view.base.data, lost=lost)
    return View(attrs.evolve(view.base, data=data))


def stored(view: View, target: Any, *, lost: set[str]) -> View:
    """The same view with all its steps run, part by part, into a target.

    Args:
        target: of the shape of the tensor that is seen: anything with item assignment.
        lost: as of `kernels.run_into`.
    """
    run_into(target, (*view.kernels, *view.tail), view.base.data, lost=lost)
    return View(attrs.evolve(view.base, data=target))


def pushed(view: View, op: Operation, values: Iterable[Tensor], *, lost: set[str] | None) -> View:
    """The view behind one more step; `lost` as of `kernels.run`."""
    if not is_pointwise(op):
        return View(op.apply(computed(view, lost=lost).base, *values))
    kernel = op.kernel(spec_of(view), *values)
    before = result_dtype(view.kernels, view.base.dtype)
    tail = joined((*view.tail, kernel), before)
    if all(_is_transparent(k, before) for k in tail) and len(tail) <= 1:
        return attrs.evolve(view, tail=tail)
    return _settled(attrs.evolve(view, tail=(*view.tail, kernel)))


def _is_transparent(kernel: Kernel, dtype: str) -> bool:
    if isinstance(kernel, Affine):
        return dtype in SMALL
    return isinstance(kernel, Cast) and (
        (kernel.dtype == "float32" and dtype in SMALL)
        or (kernel.dtype == "float64" and dtype in _EXACT_IN_FLOAT64)
    )


def _settled(view: View) -> View:
    """The tail joins what has to be run before anything can be measured."""
    return View(view.base, (*view.kernels, *view.tail), counted=view.counted)


# ---------------------------------------------------------------- statistics


def measured(
    view: View,
    wanted: Sequence[Measure],
    ahead: Sequence[Measure] = (),
    beyond: Sequence[Measure] = (),
) -> tuple[list[Tensor], View]:
    """The values of measures, and the view that knows them.

    Args:
        ahead: measures that coming steps will ask for behind affine steps alone; they are taken in
            the same walk through the data.
        beyond: those that they will ask for behind other pointwise steps; if the base has few
            possible values, counts of these will tell them too.
    """
    if not all(_is_seen_through(view, m) for m in wanted):
        view = _settled(view)
    if any(m not in view.known for m in wanted):
        view = _learned(view, [*wanted, *ahead], beyond)
    return [_behind_tail(view, m) for m in wanted], view


def _map(view: View) -> Affine | None:
    """The affine map that the tail is, if it is not the identity."""
    return next((k for k in view.tail if isinstance(k, Affine)), None)


def _is_seen_through(view: View, measure: Measure) -> bool:
    """Whether a measure follows from that of the tensor before the tail."""
    tail = _map(view)
    if tail is None:
        return True
    # a negative factor turns quantiles around
    turned = measure.name == "quantile" and not (tail.factor >= 0).all()
    return not turned and not _varies(tail, view.base, measure.axes)


def _needs_whole(kernel: Kernel) -> bool:
    return isinstance(kernel, Function) and bool(kernel.whole)


def _parameters(kernel: Kernel) -> list[Any]:
    if isinstance(kernel, Affine):
        return [kernel.center, kernel.factor, kernel.shift]
    return list(kernel.parameters.values()) if isinstance(kernel, Function) else []


def _varies(kernel: Kernel, tensor: Tensor, axes: Axes) -> bool:
    """Whether a kernel is another one for other indices of some axes (None: of any)."""
    return any(
        size > 1 and (axes is None or axis in axes)
        for parameter in _parameters(kernel)
        if np.ndim(parameter)
        for axis, size in zip(tensor.axes, parameter.shape, strict=True)
    )


def _behind_tail(view: View, measure: Measure) -> Tensor:
    value, tail = view.known[measure], _map(view)
    if tail is None:
        return value
    center, factor, shift = (
        np.reshape(p, [n for a, n in zip(view.base.axes, p.shape, strict=True) if a in value.axes])
        if np.ndim(p)
        else p
        for p in (tail.center, tail.factor, tail.shift)
    )
    with np.errstate(invalid="ignore", over="ignore"):
        if measure.name == "std":
            result = value.data * np.abs(factor)
        elif measure.name == "var":
            result = value.data * factor**2
        else:
            result = (value.data - center) * factor + shift
    return Tensor(result, value.axes)


def _learned(view: View, wanted: Sequence[Measure], beyond: Sequence[Measure]) -> View:
    """The view with measures known of the tensor before its tail."""
    wanted = [m for m in dict.fromkeys(wanted) if m not in view.known]
    countable = [m for m in wanted if _is_countable(view, m)]
    beyond = [m for m in beyond if _is_countable(view, m)]
    if not view.kernels and not beyond and all(m.name != "quantile" for m in countable):
        countable = []  # sums alone are had faster
    view = _counted(view, [*countable, *beyond])
    known = {m: _of_counts(view, m) for m in countable}
    rest = [m for m in wanted if m not in known]
    if rest:
        between = lazy_tensor(attrs.evolve(view, tail=()))
        known |= compute_sample_measures(rest, Sample({rest[0].member: between}))
    return attrs.evolve(view, known=immutabledict({**view.known, **known}))


def _is_countable(view: View, measure: Measure) -> bool:
    """Whether counts of the few values of the base tell a measure behind the kernels."""
    base = view.base
    kept = [a for a in base.axes if measure.axes is not None and a not in measure.axes]
    return (
        base.dtype in _FEW_VALUES
        and bool(base.shape)
        and 0 not in base.shape
        and not any(_needs_whole(k) or _varies(k, base, measure.axes) for k in view.kernels)
        and math.prod(base.sizes[a] for a in kept) <= MANY_CELLS
        and set(measure.axes or ()) <= set(base.axes)
    )


def _counted(view: View, wanted: Sequence[Measure]) -> View:
    """The view with values counted over the axes of measures, in one walk."""
    missing = [m for m in wanted if m.axes not in view.counted]
    if not missing:
        return view
    # any quantile lets the fold count
    asked = [
        Measure("quantile", m.member, m.axes, m.scope, q=0.0, method="linear") for m in missing
    ]
    found = update(init(asked), Sample({missing[0].member: view.base}))
    counted = {m.axes: distributions(found, m.member, m.axes) for m in asked}
    return attrs.evolve(view, counted=immutabledict({**view.counted, **counted}))


def _of_counts(view: View, measure: Measure) -> Tensor:
    """A measure from the counts of the base's values, which the kernels map."""
    cells = view.counted[measure.axes]
    axes = view.base.axes
    kept = [a for a in axes if measure.axes is not None and a not in measure.axes]
    result = np.empty(cells.shape)
    for cell in np.ndindex(cells.shape):
        at = dict(zip(kept, cell, strict=True))
        key = tuple(slice(at[a], at[a] + 1) if a in at else slice(None) for a in axes)
        result[cell] = _of_distribution(_mapped(view, cells[cell], key), measure)
    return Tensor(result, kept)


def _mapped(view: View, counts: Distribution, key: tuple[slice, ...]) -> Distribution:
    if not view.kernels:
        return counts
    shape = (1,) * (len(view.base.axes) - 1) + (-1,)
    values = counts.values.astype(view.base.dtype).reshape(shape)
    mapped = run([cut_kernel(k, key) for k in view.kernels], values, to_measure=True, lost=set())
    return distribution_from(mapped.astype(np.float64).ravel(), counts.counts)


def _of_distribution(distribution: Distribution, measure: Measure) -> float:
    if measure.name == "quantile":
        return quantile(distribution, *measure.quantile)
    moments = moments_of_distribution(distribution.values, distribution.counts)
    if measure.name == "mean":
        return float(moments.mean) if moments.count else np.nan
    var = float(variance(moments))
    return var if measure.name == "var" else float(np.sqrt(var))
