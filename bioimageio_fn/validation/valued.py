"""Hypotheses about wrong outputs whose values went through something, or did not.

What holds here: each is a function from a `Case` to a `Diagnosis`, or to None if it does not
explain the case; both tensors have the same shape, and are finite in the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..axes import AxisId
from ..deviation import Array, deviations
from .case import Case, figure, rounding
from .records import Diagnosis, Tolerance
from .tolerating import within

__all__ = ["activated", "affine", "cast", "clipped", "noisy", "scaled_or_shifted"]

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32")
FREE = 0.01
"""Part of the elements that a clipped tensor has to leave alone; all others fit anything."""
NOISE = 0.01
"""Root mean square of what may be called noise, as a part of the spread of what is expected."""


def cast(case: Case) -> Diagnosis | None:
    """Values were cast to a type that does not hold them."""
    if case.produced.dtype.kind in "iu" or len(np.unique(case.produced)) > 1:
        for dtype, how, candidate in _casts(case):
            tolerance = Tolerance(0, 0, max(1000, case.tolerance.mismatched_per_million))
            if within(case.produced, candidate, tolerance):
                return Diagnosis("other dtype", f"the values were cast to {dtype} ({how})")
    return None


def _casts(case: Case) -> Iterator[tuple[str, str, Array]]:
    """What the expected tensor may have become in other types."""
    own, expected = case.produced.dtype.name, case.expected.astype("float64")
    if case.expected.dtype.kind == "f" and case.expected.dtype.itemsize > 2:
        yield "float16", "rounded", case.expected.astype("float16").astype("float64")
    if not np.isfinite(expected).all() or (case.produced != np.trunc(case.produced)).any():
        return
    for dtype in sorted(INTEGERS, key=lambda name: name != own):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        for how, whole in (("cut off", np.trunc(expected)), ("rounded", np.rint(expected))):
            if dtype == own:
                yield dtype, f"{how}, within {low} and {high}", np.clip(whole, low, high)
            yield dtype, f"{how}, wrapped at {high}", (whole - low) % (high - low + 1) + low


def activated(case: Case) -> Diagnosis | None:
    """An activation is missing, or is there twice."""
    produced, expected = case.produced.astype("float64"), case.expected.astype("float64")
    if _constant(produced) or _constant(expected):
        return None
    for name, function in _activations(case):
        if case.reproduces(function(produced)):
            return Diagnosis("missing activation", f"a {name} is missing at the end")
    for name, function in _activations(case):
        if case.gives(function(expected)):
            return Diagnosis("missing activation", f"a {name} is one too many at the end")
    return None


def _activations(case: Case) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    yield "sigmoid", _sigmoid
    if "channel" in case.axes:
        channel = case.axes.index(AxisId("channel"))
        if case.expected.shape[channel] > 1:
            yield "softmax", lambda array: _softmax(array, channel)
    yield "relu", lambda array: np.maximum(array, 0)


def _sigmoid(array: Array) -> Array:
    result: Array = (1 + np.tanh(array / 2)) / 2
    return result


def _softmax(array: Array, axis: int) -> Array:
    powers = np.exp(array - array.max(axis=axis, keepdims=True))
    result: Array = powers / powers.sum(axis=axis, keepdims=True)
    return result


def _constant(array: Array) -> bool:
    return bool((array == array.flat[0]).all()) if array.size else True


def scaled_or_shifted(case: Case) -> Diagnosis | None:
    """It is the expected one times a number, or plus one; whichever fits better."""
    p, e = _pairs(case)
    square = float(e @ e)
    factor = float(p @ e) / square if square else 0.0
    offset = float(np.mean(p - e)) if e.size else 0.0
    found = []
    # one times what is expected explains nothing
    if figure(factor) != "1" and (miss := _missed(case, factor, 0.0)) is not None:
        found.append((miss, Diagnosis("scaled", f"it is {figure(factor)} times what is expected")))
    if (miss := _missed(case, 1.0, offset)) is not None:
        more = "more" if offset > 0 else "less"
        text = f"it is {figure(abs(offset))} {more} than expected everywhere"
        found.append((miss, Diagnosis("shifted", text)))
    return min(found, key=lambda one: one[0])[1] if found else None


def affine(case: Case) -> Diagnosis | None:
    """It is the expected one times a number plus another."""
    p, e = _pairs(case)
    spread = float(np.var(e)) if e.size else 0.0
    if not spread:
        return None
    factor = float(np.mean((p - p.mean()) * (e - e.mean()))) / spread
    offset = float(p.mean() - factor * e.mean())
    if _missed(case, factor, offset) is None:
        return None
    sign = "+" if offset >= 0 else "-"
    text = f"it is {figure(factor)} times what is expected {sign} {figure(abs(offset))}"
    turned = abs(factor + 1) < 1e-3 and abs(offset - 1) < 1e-3
    more = ": background for foreground" if turned else ""
    return Diagnosis("affine", text + more)


def _pairs(case: Case) -> tuple[Array, Array]:
    """The values that are finite in both."""
    p, e = case.produced.astype("float64").ravel(), case.expected.astype("float64").ravel()
    finite = np.isfinite(p) & np.isfinite(e)
    return p[finite], e[finite]


def _missed(case: Case, factor: float, offset: float) -> float | None:
    """By how much an affine map undone misses what is expected; None if it does not explain it."""
    if abs(factor) < 1e-12:
        return None
    back = (case.produced.astype("float64") - offset) / factor
    slack = rounding(case.produced, case.expected - offset / factor if offset else case.expected)
    slack = slack / abs(factor) + rounding(case.expected)
    if case.produced.dtype.kind in "iu" and case.expected.dtype.kind == "f":
        slack += 1 / abs(factor)  # it was cut off or rounded
    if not case.reproduces(back, slack=slack):
        return None
    return float(deviations(back, case.expected).max(initial=0))


def clipped(case: Case) -> Diagnosis | None:
    """Values stop at a bound, or go beyond one where they should not."""
    for narrow, wide, explains, verb in (
        (case.produced, case.expected, case.gives, "are cut off at"),
        (case.expected, case.produced, case.reproduces, "are not cut off at"),
    ):
        low, high = float(np.nanmin(narrow)), float(np.nanmax(narrow))
        free = np.mean((wide > low) & (wide < high))
        if free < FREE or not explains(np.clip(wide.astype("float64"), low, high)):
            continue
        beyond = [low] * bool((wide < low).any()) + [high] * bool((wide > high).any())
        return Diagnosis("clipped", f"values {verb} {' and '.join(map(figure, beyond))}")
    return None


def noisy(case: Case) -> Diagnosis | None:
    """It differs by as much as another device or precision makes."""
    p, e = _pairs(case)
    spread = float(np.std(e)) or float(np.abs(e).max(initial=0))
    rms = float(np.sqrt(np.mean((p - e) ** 2))) if e.size else 0.0
    if not spread or rms > NOISE * spread:
        return None
    return Diagnosis(
        "noise",
        f"it differs by noise: {figure(100 * rms / spread)} % of the spread of what is expected;"
        f" it passes with an absolute tolerance of {figure(_enough(case))}",
    )


def _enough(case: Case) -> float:
    """The absolute tolerance with which it passes, rounded up to one digit."""
    relative = case.tolerance.relative * np.abs(case.expected.astype("float64"))
    over = np.sort((deviations(case.produced, case.expected) - relative).ravel())
    allowed = int(case.tolerance.mismatched_per_million * over.size / 1e6)
    needed = float(over[max(0, over.size - 1 - allowed)])
    digit = 10.0 ** np.floor(np.log10(needed)) if needed > 0 else 1.0
    return float(np.ceil(needed / digit) * digit)
