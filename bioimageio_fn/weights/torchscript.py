"""TorchScript of a PyTorch state dict: scripted, or traced where that can not be.

What holds here: what is saved is in evaluation mode, and stays so.
"""

from __future__ import annotations

from typing import Any

from .records import Made, Task
from .torch_modules import described_module, examples, module_of, quiet, torch_version

__all__ = ["scripted", "traced"]


def scripted(task: Task) -> Made:
    """The module compiled, with its decisions and loops: it holds for every size."""
    import torch

    with quiet(task):
        script = torch.jit.script(module_of(task))
        return _saved(task, script, "torch.jit.script")


def traced(task: Task) -> Made:
    """The steps that the module takes for the example, for any decision that it takes there."""
    import torch

    with quiet(task), torch.inference_mode():
        # what the trace gives is checked later, at more sizes than it would check
        script = torch.jit.trace(  # type: ignore[no-untyped-call]
            described_module(task), examples(task), check_trace=False, strict=False
        )
        return _saved(task, script, "torch.jit.trace")


def _saved(task: Task, script: Any, how: str) -> Made:
    import torch

    path = task.folder / "weights_torchscript.pt"
    torch.jit.save(script, str(path))
    version = torch_version()
    return Made(path, f"torch {version} ({how})", {"pytorch_version": version})
