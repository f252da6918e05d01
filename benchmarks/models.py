"""Small described models for the benchmarks, that both libraries load.

What holds here: a model is a folder of format 0.5 with ONNX weights and test tensors of the
smallest size; batch and channel have size 1; outputs have the size of the input.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Step = dict[str, Any]

KERNEL = np.outer([1, 2, 1], [1, 2, 1])
"""Of the network `smooth`; sums to 16."""


def write_model(
    folder: Path,
    network: bytes,
    *,
    space: str = "yx",
    smallest: int = 16,
    step: int = 16,
    halo: int = 0,
    dtypes: tuple[str, str] = ("float32", "float32"),
    before: Sequence[Step] = (),
    after: Sequence[Step] = (),
) -> Path:
    """A model of one image in and one image out.

    Args:
        folder: where to; made if it is not there.
        network: content of the ONNX file.
        space: its axes behind batch and channel, of sizes `smallest + n * step`.
        halo: of the output, along each of them.
        dtypes: as described, of the input and the output.
        before: preprocessing, in the words of the format.
        after: postprocessing.

    Returns:
        The path of its `bioimageio.yaml`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    test = np.ones((1, 1, *[smallest] * len(space)))
    trusted = {"halo": halo} if halo else {}
    follow = [{"size": {"tensor_id": "raw", "axis_id": a}, **trusted} for a in space]
    sized = [{"size": {"min": smallest, "step": step}} for _ in space]
    description = {
        "type": "model",
        "format_version": "0.5.4",
        "name": "benchmark",
        "description": "A small network for a benchmark.",
        "authors": [{"name": "bioimageio_fn developers"}],
        "cite": [{"text": "none", "url": "https://example.com"}],
        "license": "MIT",
        "documentation": _saved(folder, "README.md", b"# A small network for a benchmark\n"),
        "inputs": [
            _tensor(folder, "raw", test.astype(dtypes[0]), space, sized)
            | {"preprocessing": list(before)}
        ],
        "outputs": [
            _tensor(folder, "out", test.astype(dtypes[1]), space, follow)
            | {"postprocessing": list(after)}
        ],
        "weights": {"onnx": {**_saved(folder, "weights.onnx", network), "opset_version": 17}},
    }
    path = folder / "bioimageio.yaml"
    path.write_text(json.dumps(description), encoding="utf-8")  # JSON is YAML
    return path


def _tensor(
    folder: Path, name: str, test: np.ndarray[Any, Any], space: str, fields: list[dict[str, Any]]
) -> dict[str, Any]:
    np.save(folder / f"{name}.npy", test)
    axes = [{"type": "space", "id": a, **f} for a, f in zip(space, fields, strict=True)]
    return {
        "id": name,
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["one"]}, *axes],
        "data": {"type": str(test.dtype)},
        "test_tensor": _hashed(folder / f"{name}.npy"),
    }


def _saved(folder: Path, name: str, content: bytes) -> dict[str, str]:
    (folder / name).write_bytes(content)
    return _hashed(folder / name)


def _hashed(path: Path) -> dict[str, str]:
    return {"source": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def identity(rank: int = 2) -> bytes:
    """A network that gives what it gets, with so many axes in space."""
    from onnx import helper

    return _network([helper.make_node("Identity", ["raw"], ["out"])], [], rank)


def smooth() -> bytes:
    """A network that sums up 3 x 3 pixels with the weights `KERNEL`; beyond the border lies 0."""
    from onnx import helper, numpy_helper

    weights = numpy_helper.from_array(KERNEL[None, None].astype(np.float32), "weights")
    node = helper.make_node("Conv", ["raw", "weights"], ["out"], pads=[1, 1, 1, 1])
    return _network([node], [weights], 2)


def _network(nodes: list[Any], weights: list[Any], rank: int) -> bytes:
    from onnx import TensorProto, helper

    shape = ["batch", 1, *"zyx"[-rank:]]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("raw", "out")]
    graph = helper.make_graph(nodes, "benchmark", ports[:1], ports[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content
