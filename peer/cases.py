"""Random processing chains as they stand in model descriptions, and arrays to run them on.

What holds here: a case follows from its seed and number alone, so that both sides, each in an
environment of its own, and a later run are given the same; every case is valid by the format's
text. Only NumPy is imported.

About two thirds of the cases are *plain*: they stay clear of what the reference is known to do
differently, so that values are really compared. The others are *wild*: anything that is valid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Case", "arrays_of", "describe", "make_case", "read_cases", "write_cases"]

Step = dict[str, Any]
Array = NDArray[Any]

LETTERS = {"batch": "b", "index": "i", "time": "t", "channel": "c", "z": "z", "y": "y", "x": "x"}
INTS = [f"{sign}int{bits}" for sign in ("u", "") for bits in (8, 16, 32, 64)]
DTYPES = ["float32", "float64", "bool", *INTS]
MEASURED = ("scale_mean_variance", "scale_range", "zero_mean_unit_variance")
OFTEN = [*DTYPES, *["float32"] * 8, "uint8", "uint16"]
WILD_SHARE = 0.35


@dataclass(frozen=True)
class Case:
    """A chain of one tensor, and what it runs on.

    Args:
        number: its number.
        wild: whether it may contain what the reference is known to do differently.
        format: format version of the description, `0.4` or `0.5`.
        stage: `pre` for preprocessing, `post` for postprocessing.
        axes: ids of the axes, which all tensors of the case share.
        shape: their sizes.
        dtype: type that the tensor is described with.
        given: type of the array that the chain runs on.
        data: what kind of values the array has.
        center: about where its values lie.
        spread: about how far they lie apart.
        steps: the chain, as in the description.
        shown: of postprocessing: whether the reference is shown the output of the network before
            it takes its statistics. It never is in a pipeline of the reference, so that no step
            that measures its own tensor can run; shown, the steps themselves can be compared.
    """

    number: int
    wild: bool
    format: str
    stage: str
    axes: list[str]
    shape: list[int]
    dtype: str
    given: str
    data: str
    center: float
    spread: float
    steps: list[Step] = field(default_factory=list)
    shown: bool = True

    @property
    def member(self) -> str:
        """Id of the tensor that the chain belongs to."""
        return "raw" if self.stage == "pre" else "out"

    def name(self, step: Step) -> str:
        """Name of a step."""
        name: str = step["name" if self.format == "0.4" else "id"]
        return name


# ---------------------------------------------------------------- a chain, step by step


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
    dtypes = DTYPES if draft.wild else [d for d in DTYPES if _holds(d, draft.low, draft.high)]
    dtype = draft.pick(dtypes)
    floating = "float" in dtype
    draft.become(*_range(dtype, draft.low, draft.high), floating=floating)
    return {"dtype": dtype}


def _range(dtype: str, low: float, high: float) -> tuple[float, float]:
    """Where values lie behind a cast, if it saturates."""
    if "float" in dtype:
        return low, high
    if dtype == "bool":
        return 0, 1
    info = np.iinfo(dtype)
    clipped = (min(max(v, float(info.min)), float(info.max)) for v in (low, high))
    a, b = (float(int(v)) for v in clipped)
    return a, b


def _holds(dtype: str, low: float, high: float) -> bool:
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


def _chain(draft: Draft, length: int) -> list[Step]:
    steps = (_next_step(draft) for _ in range(length))
    return [step for step in steps if step is not None]


# ---------------------------------------------------------------- a case


def make_case(seed: int, number: int) -> Case:
    """The case of that number."""
    rng = np.random.default_rng([seed, number])
    wild = bool(rng.random() < WILD_SHARE)
    format_, stage = str(rng.choice(["0.4", "0.5", "0.5"])), str(rng.choice(["pre", "post"]))
    axes, shape = _axes(rng, more=wild or format_ == "0.5")
    dtype, given = _dtypes(rng, format_, stage, wild=wild)
    data, center, spread = _values(rng, given, wild=wild)
    low, high = _range(given, center - 2 * spread, center + 2 * spread)
    floating = "float" in (dtype if stage == "pre" else given)
    draft = Draft(rng, wild, format_, stage, axes, shape, low, high, floating)
    none = 0.2 if wild and format_ == "0.4" else 0.05
    lengths = [none, 0.4 - none, 0.3, 0.2, 0.1]
    steps = _chain(draft, int(rng.choice(len(lengths), p=lengths)))
    if format_ == "0.5" and not wild and not _holds(dtype, draft.low, draft.high):
        steps.append({"id": "ensure_dtype", "kwargs": {"dtype": "float32"}})
    return Case(
        number=number,
        wild=wild,
        format=format_,
        stage=stage,
        axes=axes,
        shape=shape,
        dtype=dtype,
        given=given,
        data=data,
        center=center,
        spread=spread,
        steps=steps,
        shown=not wild or bool(rng.random() < 0.7),
    )


def _axes(rng: np.random.Generator, *, more: bool) -> tuple[list[str], list[int]]:
    """Axes in any order, mostly the usual ones, of small sizes."""
    axes = ["batch", "channel", "y", "x"]
    axes += [a for a in ("z", "time", "index") if rng.random() < 0.15 and (more or a == "z")]
    axes = [a for a in axes if rng.random() < 0.93 or a == "x"]
    if rng.random() < 0.4:
        axes = [axes[i] for i in rng.permutation(len(axes))]
    largest = {"batch": 3, "channel": 4, "time": 3, "index": 3, "z": 4, "y": 9, "x": 9}
    smallest = {"y": 4, "x": 4}
    return axes, [int(rng.integers(smallest.get(a, 1), largest[a] + 1)) for a in axes]


def _dtypes(rng: np.random.Generator, format_: str, stage: str, *, wild: bool) -> tuple[str, str]:
    """The type that is described, and that of the array."""
    if stage == "post":
        described = str(rng.choice(OFTEN)) if wild else "float32"
        return described, str(rng.choice(OFTEN if wild else ["float32", "float32", "float64"]))
    known = ["float32", "uint8", "uint16"] if format_ == "0.4" else DTYPES
    plain = [d for d in known if d not in {"bool", "uint64", "int64"}]
    often = known if format_ == "0.4" else OFTEN
    described = str(rng.choice(often if wild else plain))
    if wild and rng.random() < 0.4:
        return described, str(rng.choice(OFTEN))
    if described == "float32" and rng.random() < 0.3:
        return described, str(rng.choice(["uint8", "uint16", "int16"]))
    return described, described


def _values(rng: np.random.Generator, given: str, *, wild: bool) -> tuple[str, float, float]:
    """What kind of values the array has, and where they lie."""
    kinds = ["normal", "normal", "uniform", "ties"]
    kinds += ["constant", "nan", "far"] * 2 if wild else []
    kind = str(rng.choice(kinds))
    if given == "bool":
        return "ties", 0.5, 0.25
    if kind == "far":
        return kind, 1000.1 if given in {"uint8", "int8"} else 60000.3, 0.5
    if "int" in given:
        low, high = max(int(np.iinfo(given).min), -3000), min(int(np.iinfo(given).max), 3000)
        center = round(float(rng.uniform(low, high)))
        return kind, center, float(max(4, min(high - center, center - low) // 3))
    if kind == "constant":
        return kind, float(rng.choice([0.1, 100.1, 1000.1, 60000.3])), 0.5
    return kind, float(rng.choice([0.0, 0.0, 100.0, -5.0])), float(rng.choice([0.5, 1.0, 10.0]))


def arrays_of(case: Case, seed: int) -> dict[str, Array]:
    """The arrays of a case: the inputs, and for postprocessing what the network gives."""
    rng = np.random.default_rng([seed, case.number, 1])
    tensor = _cast(_draw(rng, case), case.given)
    raw = rng.normal(20, 5, case.shape).astype("float32")
    if case.stage == "pre":
        return {"raw": tensor, "aux": raw}
    return {"raw": raw, "out": tensor}


def _draw(rng: np.random.Generator, case: Case) -> Array:
    shape, center, spread = case.shape, case.center, case.spread
    if case.data == "constant":
        return np.full(shape, center)
    if case.data == "ties":
        return center + spread * rng.integers(-2, 3, shape)
    if case.data == "uniform":
        return rng.uniform(center - 2 * spread, center + 2 * spread, shape)
    array = rng.normal(center, spread, shape)
    if case.data == "nan":
        array[rng.random(shape) < 0.05] = np.nan
    return array


def _cast(array: Array, dtype: str) -> Array:
    if "float" in dtype:
        return array.astype(dtype)
    if dtype == "bool":
        return np.asarray(array > 0.5)
    info = np.iinfo(dtype)
    whole = np.rint(np.nan_to_num(array))
    return np.clip(whole, max(info.min, -(2**60)), min(info.max, 2**60)).astype(dtype)


# ---------------------------------------------------------------- as a description


def describe(case: Case) -> dict[str, Any]:
    """The model description of a case: one input, or two where one is referred to; one output."""
    tensor = _tensor_0_4 if case.format == "0.4" else _tensor_0_5
    pre, post = (case.steps, []) if case.stage == "pre" else ([], case.steps)
    in_type, out_type = (case.dtype, "float32") if case.stage == "pre" else ("float32", case.dtype)
    inputs = [tensor(case, "raw", in_type, preprocessing=pre)]
    if any(step.get("kwargs", {}).get("reference_tensor") == "aux" for step in case.steps):
        inputs.append(tensor(case, "aux", "float32", preprocessing=[]))
    outputs = [tensor(case, "out", out_type, postprocessing=post)]
    return {**_common(case.format, inputs, outputs), "inputs": inputs, "outputs": outputs}


def _common(
    format_: str, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    common = {
        "type": "model",
        "name": "a random chain",
        "description": "compared with the reference",
        "authors": [{"name": "nobody"}],
        "cite": [{"text": "none", "url": "https://example.com"}],
        "license": "MIT",
        "timestamp": "2025-01-01T00:00:00+00:00",
        "weights": {"onnx": {"source": "weights.onnx", "sha256": "0" * 64, "opset_version": 17}},
    }
    if format_ == "0.5":
        # the newest that both sides know
        return {**common, "format_version": "0.5.12", "documentation": {"source": "README.md"}}
    return {
        **common,
        "format_version": "0.4.10",
        "documentation": "README.md",
        "test_inputs": [f"{t['name']}.npy" for t in inputs],
        "test_outputs": [f"{t['name']}.npy" for t in outputs],
    }


def _tensor_0_4(case: Case, name: str, dtype: str, **steps: list[Step]) -> dict[str, Any]:
    # a batch is described as 1, and may be larger
    shape = [1 if a == "batch" else n for a, n in zip(case.axes, case.shape, strict=True)]
    axes = "".join(LETTERS[a] for a in case.axes)
    return {"name": name, "axes": axes, "shape": shape, "data_type": dtype, **steps}


def _tensor_0_5(case: Case, name: str, dtype: str, **steps: list[Step]) -> dict[str, Any]:
    data: dict[str, Any] = {"type": dtype}
    if dtype == "bool":
        data["values"] = [False, True]
    axes = [_axis_0_5(a, n) for a, n in zip(case.axes, case.shape, strict=True)]
    return {"id": name, "axes": axes, "data": data, **steps}


def _axis_0_5(axis: str, size: int) -> dict[str, Any]:
    if axis == "batch":
        return {"type": "batch"}
    if axis == "channel":
        return {"type": "channel", "id": axis, "channel_names": [f"c{i}" for i in range(size)]}
    kind = axis if axis in {"time", "index"} else "space"
    return {"type": kind, "id": axis, "size": size}


# ---------------------------------------------------------------- files


def write_cases(folder: Path, *, seed: int, number: int) -> list[Case]:
    """Write that many cases: their descriptions as JSON, their arrays as one file."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = [make_case(seed, i) for i in range(number)]
    arrays = {
        f"{case.number}/{name}": array
        for case in cases
        for name, array in arrays_of(case, seed).items()
    }
    text = json.dumps([asdict(case) for case in cases], indent=1)
    (folder / "cases.json").write_text(text, encoding="utf-8")
    np.savez(folder / "inputs.npz", allow_pickle=False, **arrays)
    return cases


def read_cases(folder: Path) -> list[tuple[Case, dict[str, Array]]]:
    """The cases of a folder with their arrays."""
    cases = [Case(**c) for c in json.loads((folder / "cases.json").read_text(encoding="utf-8"))]
    names = {"pre": ("raw", "aux"), "post": ("raw", "out")}
    with np.load(folder / "inputs.npz") as stored:
        return [(c, {n: stored[f"{c.number}/{n}"] for n in names[c.stage]}) for c in cases]
