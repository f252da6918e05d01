"""Random chains of processing steps, step by step, as they stand in model descriptions.

What holds here: every step is valid by the format's text. What is roughly known of the tensor at
the end of a chain makes parameters that meet its values. Only NumPy is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["DTYPES", "LETTERS", "Draft", "Step", "holds", "range_of", "steps_for"]

Step = dict[str, Any]

LETTERS = {"batch": "b", "index": "i", "time": "t", "channel": "c", "z": "z", "y": "y", "x": "x"}
INTS = [f"{sign}int{bits}" for sign in ("u", "") for bits in (8, 16, 32, 64)]
DTYPES = ["float32", "float64", "bool", *INTS]
MEASURED = ("scale_mean_variance", "scale_range", "zero_mean_unit_variance")


@dataclass
class Draft:
    """A chain in the making: what is known of the tensor at its end.

    `low` and `high` are rough: they only make parameters meet the values.
    """

    rng: np.random.Generator
    wild: bool
    format: str
    stage: str
    axes: list[str]
    shape: list[int]
    low: float
    high: float
    floating: bool
    same: bool = True  # nothing has changed the values yet

    def number(self, low: float, high: float) -> float:
        """A number between two others, short to read."""
        return round(float(self.rng.uniform(low, high)), 4)

    def pick(self, options: Sequence[Any]) -> Any:
        """One of several."""
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return bool(self.rng.random() < probability)

    def within(self) -> float:
        """A number among the values of the tensor."""
        return self.number(self.low, self.high)

    def size(self, axis: str) -> int:
        """Size of an axis."""
        return self.shape[self.axes.index(axis)]

    def inner_axes(self) -> list[str]:
        """The axes besides batch."""
        return [a for a in self.axes if a != "batch"]

    def joint_axes(self) -> list[str]:
        """The axes that `axes` may name: format 0.4 knows only these four there."""
        return [a for a in self.inner_axes() if self.format == "0.5" or LETTERS[a] in "czyx"]

    def become(self, low: float, high: float, *, floating: bool = True) -> None:
        """The values have changed, and now lie about here."""
        self.low, self.high = min(low, high), max(low, high)
        self.floating, self.same = floating, False


def _measured_axes(draft: Draft) -> dict[str, Any]:
    """Keywords that say over which axes to measure, and over samples or one sample."""
    if draft.format == "0.4":
        inner = draft.joint_axes()
        axes = [a for a in inner if draft.chance(0.6)] or [draft.pick(inner)]
        # "mode" tells it; "per_dataset" needs a batch axis in the reference, as in any sense
        modes = ["per_sample", "per_dataset"] if "batch" in draft.axes else ["per_sample"]
        return {"axes": "".join(LETTERS[a] for a in axes), "mode": draft.pick(modes)}
    if draft.chance(0.2):
        return {}
    axes = [a for a in draft.axes if draft.chance(0.6)] or [draft.pick(draft.axes)]
    return {"axes": axes}


def _eps(draft: Draft) -> dict[str, float]:
    return {"eps": draft.pick([1e-3, 0.1])} if draft.wild and draft.chance(0.25) else {}


def _percentiles(draft: Draft) -> dict[str, float]:
    low, high = draft.pick([(0, 100), (1, 99), (5.0, 99.8), (0.0, 90.0), (25, 75), (10, 100)])
    return {"min_percentile": low, "max_percentile": high}


def _parameters(draft: Draft, **ranges: tuple[float, float]) -> dict[str, Any]:
    """One number for each parameter, or one for each index of an axis."""
    if draft.format == "0.4" or draft.chance(0.5):
        return {name: draft.number(*r) for name, r in ranges.items()}
    axis = draft.pick(draft.inner_axes())
    lists = {n: [draft.number(*r) for _ in range(draft.size(axis))] for n, r in ranges.items()}
    return {"axis": axis, **lists}


def _binarize(draft: Draft) -> dict[str, Any]:
    by_axis = draft.format == "0.5" and draft.wild and draft.chance(0.4)
    if by_axis:
        axis = draft.pick(draft.inner_axes())
        kwargs = {"threshold": [draft.within() for _ in range(draft.size(axis))], "axis": axis}
    else:
        kwargs = {"threshold": draft.within()}
    draft.become(0, 1, floating=False)
    return kwargs


def _clip(draft: Draft) -> dict[str, Any]:
    if draft.format == "0.5" and draft.chance(0.5):
        return _clip_percentiles(draft)
    low, high = sorted((draft.within(), draft.within()))
    if draft.wild and draft.chance(0.1):
        high = low
    elif low == high:
        high = low + 1.0
    kwargs = {"min": low, "max": high}
    if draft.format == "0.5" and draft.chance(0.3):
        del kwargs[draft.pick(["min", "max"])]
    # the reference gives float64 for integers
    draft.become(kwargs.get("min", draft.low), kwargs.get("max", draft.high))
    return kwargs


def _clip_percentiles(draft: Draft) -> dict[str, Any]:
    kwargs = _percentiles(draft) | _measured_axes(draft)
    if not draft.wild:
        # within one sample: over samples, the reference interpolates
        kwargs["axes"] = [a for a in kwargs.get("axes", ()) if a != "batch"] or [
            draft.pick(draft.inner_axes())
        ]
    if draft.chance(0.2):
        del kwargs[draft.pick(["min_percentile", "max_percentile"])]
    draft.become(draft.low, draft.high, floating=draft.floating)
    return kwargs


def _ensure_dtype(draft: Draft) -> dict[str, Any]:
    dtypes = DTYPES if draft.wild else [d for d in DTYPES if holds(d, draft.low, draft.high)]
    dtype = draft.pick(dtypes)
    floating = "float" in dtype
    draft.become(*range_of(dtype, draft.low, draft.high), floating=floating)
    return {"dtype": dtype}


def range_of(dtype: str, low: float, high: float) -> tuple[float, float]:
    """Where values lie behind a cast, if it saturates."""
    if "float" in dtype:
        return low, high
    if dtype == "bool":
        return 0, 1
    info = np.iinfo(dtype)
    clipped = (min(max(v, float(info.min)), float(info.max)) for v in (low, high))
    a, b = (float(int(v)) for v in clipped)
    return a, b


def holds(dtype: str, low: float, high: float) -> bool:
    """Whether a cast keeps what lies between two numbers, apart from fractions."""
    if "float" in dtype:
        return True
    return dtype != "bool" and np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max


def _fixed(draft: Draft) -> dict[str, Any]:
    width = max(draft.high - draft.low, 1e-3)
    smallest = max(width / 5, 0.1)
    if draft.wild and draft.chance(0.3):
        smallest = 2e-4
        kwargs = _parameters(draft, mean=(draft.low, draft.high), std=(2e-4, 1e-2))
    else:
        ranges = {"mean": (draft.low, draft.high), "std": (smallest, width + 1)}
        kwargs = _parameters(draft, **ranges)
    if draft.format == "0.4":
        kwargs |= _fixed_along(draft, kwargs) | {"mode": "fixed"} | _eps(draft)
    draft.become(-width / smallest, width / smallest)
    return kwargs


def _fixed_along(draft: Draft, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The axes to scale jointly; a list of values lies along the one that is left."""
    inner = draft.inner_axes()
    joint = draft.joint_axes()
    if draft.chance(0.6 if len(joint) > 1 else 0):
        joint.remove(draft.pick(joint))
    axes = "".join(LETTERS[a] for a in joint)
    left = [a for a in inner if a not in joint]
    if len(left) == 1 and not (draft.wild and draft.chance(0.3)):
        size = draft.size(left[0])
        return {"axes": axes} | {
            name: [round(value * (1 + i / 4), 6) for i in range(size)]
            for name, value in kwargs.items()
        }
    return {"axes": axes}


def _scale_linear(draft: Draft) -> dict[str, Any]:
    kwargs = _parameters(draft, gain=(0.2, 4.0), offset=(-5.0, 5.0))
    # the format's own check refuses a 0.4 output whose step could have `axes` and has none
    if draft.format == "0.4" and (draft.stage == "post" or (draft.wild and draft.chance(0.3))):
        kwargs |= _fixed_along(draft, kwargs)
    draft.become(4 * min(draft.low, 0) - 5, 4 * max(draft.high, 0) + 5)
    return kwargs


def _sigmoid(draft: Draft) -> dict[str, Any]:
    draft.become(0, 1)
    return {}


def _softmax(draft: Draft) -> dict[str, Any]:
    axis = draft.pick(draft.inner_axes())
    draft.become(0, 1)
    return {} if axis == "channel" and draft.chance(0.5) else {"axis": axis}


def _zero_mean(draft: Draft) -> dict[str, Any]:
    if draft.format == "0.4" and draft.chance(0.5):
        return _fixed(draft)
    kwargs = _measured_axes(draft) | _eps(draft)
    draft.become(-3, 3)
    return kwargs


def _scale_range(draft: Draft) -> dict[str, Any]:
    kwargs = _percentiles(draft) | _measured_axes(draft) | _eps(draft)
    references = ["raw"] if draft.stage == "post" else ["aux"]
    if draft.stage == "pre" and draft.format == "0.5":
        references.append("raw")
    if draft.chance(0.2):
        kwargs["reference_tensor"] = draft.pick(references)
    draft.become(0, 1)
    return kwargs


def _scale_mean_variance(draft: Draft) -> dict[str, Any]:
    kwargs = {"reference_tensor": "raw"} | _measured_axes(draft) | _eps(draft)
    draft.become(-40, 60)
    return kwargs


MAKE: dict[str, Callable[[Draft], dict[str, Any]]] = {
    "binarize": _binarize,
    "clip": _clip,
    "ensure_dtype": _ensure_dtype,
    "fixed_zero_mean_unit_variance": _fixed,
    "scale_linear": _scale_linear,
    "scale_mean_variance": _scale_mean_variance,
    "scale_range": _scale_range,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "zero_mean_unit_variance": _zero_mean,
}
ONLY_0_5 = ("ensure_dtype", "fixed_zero_mean_unit_variance", "softmax")


def _possible(draft: Draft) -> list[str]:
    """The steps that may come next."""
    names = [
        name
        for name in MAKE
        if (draft.format == "0.5" or name not in ONLY_0_5)
        and (draft.stage == "post" or name != "scale_mean_variance")
    ]
    if draft.wild:
        measured = [n for n in names if n in MEASURED]
        return measured if draft.same and draft.chance(0.3) else names
    if draft.format == "0.4" and draft.stage == "post":
        names.remove("scale_linear")  # the reference can not, see `_scale_linear`
    if not draft.floating:
        names = [n for n in names if n not in {"sigmoid", "softmax"}]
    return names if draft.same else [n for n in names if n not in MEASURED]


def _next_step(draft: Draft) -> Step | None:
    name = draft.pick(_possible(draft))
    same = draft.same
    kwargs = MAKE[name](draft)
    if not draft.wild and not same and any("percentile" in k for k in kwargs):
        return None  # a clip to percentiles of what is no longer the raw tensor
    key = "name" if draft.format == "0.4" else "id"
    return {key: name, "kwargs": kwargs} if kwargs else {key: name}


def steps_for(draft: Draft, length: int) -> list[Step]:
    """That many steps, or fewer; the draft then is that of the tensor behind them."""
    steps = (_next_step(draft) for _ in range(length))
    return [step for step in steps if step is not None]
