"""ONNX of networks of PyTorch.

What holds here: every axis that the description lets vary is free in the graph; inputs and outputs
have the names of the description. Numbers lie in the graph, or beside it where they are too many
for one file of ONNX.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .records import Made, Task
from .sizes import axes_that_vary
from .torch_modules import described_module, examples, quiet, torch_version

__all__ = ["exported", "traced"]

LARGEST = 2**31 - 2**24
"""Bytes that a file of ONNX may have, with room for the graph."""


def exported(task: Task) -> Made:
    """A module, by `torch.export`."""
    import torch

    module = described_module(task)
    path = task.folder / "weights.onnx"
    size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    beside = size > LARGEST
    with quiet(task):
        torch.onnx.export(
            module,
            examples(task),
            path,
            dynamo=True,
            external_data=beside,
            dynamic_shapes=(tuple(_free_axes(task)),),
            verbose=task.verbose,
            **_names(task),
        )
    return _made(path, "torch.export", path.with_name("weights.onnx.data") if beside else None)


def traced(task: Task) -> Made:
    """A TorchScript module, by the exporter that takes such: that of `torch.export` does not."""
    import torch

    path = task.folder / "weights.onnx"
    with quiet(task), torch.inference_mode():
        # traced first: the exporter takes a script, but none that lies in a module
        script = torch.jit.trace(  # type: ignore[no-untyped-call]
            described_module(task), examples(task), check_trace=False
        )
        torch.onnx.export(
            script,
            examples(task),
            str(path),
            dynamo=False,
            dynamic_axes=_all_axes(task),
            verbose=task.verbose,
            **_names(task),
        )
    return _made(path, "TorchScript exporter", None)


def _names(task: Task) -> dict[str, Any]:
    return {
        "input_names": [tensor.id for tensor in task.contract.inputs],
        "output_names": [tensor.id for tensor in task.contract.raw_outputs],
    }


def _free_axes(task: Task) -> list[dict[int, str]]:
    """Of each input the places of the axes that may vary, with a name for each."""
    vary = axes_that_vary(task.contract)
    return [
        {
            place: f"{tensor.id}_{axis.id}"
            for place, axis in enumerate(tensor.axes)
            if axis.id in vary[tensor.id]
        }
        for tensor in task.contract.inputs
    ]


def _all_axes(task: Task) -> dict[str, dict[int, str]]:
    """Of each tensor the places of all axes but channels.

    Where no axis of an image varies, the exporter loses the types of what is resized.
    """
    return {
        str(tensor.id): {
            place: f"{tensor.id}_{axis.id}"
            for place, axis in enumerate(tensor.axes)
            if axis.type != "channel"
        }
        for tensor in (*task.contract.inputs, *task.contract.raw_outputs)
    }


def _made(path: Path, how: str, external: Path | None) -> Made:
    import onnx

    opsets = onnx.load(path, load_external_data=False).opset_import
    opset = next(entry.version for entry in opsets if entry.domain in {"", "ai.onnx"})
    tool = f"torch {torch_version()} ({how}, opset {opset})"
    return Made(path, tool, {"opset_version": opset}, external)
