"""Random processing chains as they stand in model descriptions, and arrays to run them on.

What holds here: a case follows from its seed and number alone, so that both sides, each in an
environment of its own, and a later run are given the same; every case is valid by the format's
text. Only NumPy is imported.

About two thirds of the cases are *plain*: they stay clear of what the reference is known to do
differently, so that values are really compared. The others are *wild*: anything that is valid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from chains import DTYPES, LETTERS, Draft, Step, holds, range_of, steps_for
from numpy.typing import NDArray

__all__ = ["Case", "arrays_of", "describe", "make_case", "read_cases", "write_cases"]

Array = NDArray[Any]

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


# ---------------------------------------------------------------- a case


def make_case(seed: int, number: int) -> Case:
    """The case of that number."""
    rng = np.random.default_rng([seed, number])
    wild = bool(rng.random() < WILD_SHARE)
    format_, stage = str(rng.choice(["0.4", "0.5", "0.5"])), str(rng.choice(["pre", "post"]))
    axes, shape = _axes(rng, more=wild or format_ == "0.5")
    dtype, given = _dtypes(rng, format_, stage, wild=wild)
    data, center, spread = _values(rng, given, wild=wild)
    low, high = range_of(given, center - 2 * spread, center + 2 * spread)
    floating = "float" in (dtype if stage == "pre" else given)
    draft = Draft(rng, wild, format_, stage, axes, shape, low, high, floating)
    none = 0.2 if wild and format_ == "0.4" else 0.05
    lengths = [none, 0.4 - none, 0.3, 0.2, 0.1]
    steps = steps_for(draft, int(rng.choice(len(lengths), p=lengths)))
    if format_ == "0.5" and not wild and not holds(dtype, draft.low, draft.high):
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
