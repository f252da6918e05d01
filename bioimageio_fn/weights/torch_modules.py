"""Networks of PyTorch, as its exporters take them.

What holds here: a network is in evaluation mode, so that dropout is off and batch norm keeps what
it knows; its inputs and outputs are in the order of the description, whatever its own.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from ..backends.modules import called
from ..backends.pytorch import PytorchBackend, input_ports
from ..backends.recipe import checked
from .records import Task

__all__ = ["described_module", "examples", "module_of", "quiet", "torch_version"]


def module_of(task: Task) -> Any:
    """The module as its code or its file has it, in evaluation mode, on the CPU."""
    path = checked(task.backend.source, task.backend.sha256)
    return task.backend.module(path, "cpu").eval()


def described_module(task: Task) -> Any:
    """A module around it that takes and gives tensors in the order of the description."""
    import torch

    module = module_of(task)
    names = [port.name for port in task.signature.inputs]
    wanted = [tensor.id for tensor in task.contract.raw_outputs]
    places = _places(task, module)

    class Described(torch.nn.Module):
        """A network as its description has it."""

        def __init__(self) -> None:
            super().__init__()
            self.network = module

        def forward(self, *tensors: Any) -> Any:
            given = dict(zip(names, tensors, strict=True))
            outputs = tuple(called(self.network, given, places, wanted))[: len(wanted)]
            return outputs if len(outputs) > 1 else outputs[0]

    return Described().eval()


def _places(task: Task, module: Any) -> list[str]:
    """The inputs that the module takes by their place alone."""
    if not isinstance(task.backend, PytorchBackend):
        return []
    ports, by_position = input_ports(module.forward, len(task.backend.input_ids))
    return [port.name for port in ports[:by_position]]


def examples(task: Task) -> tuple[Any, ...]:
    """The arrays of a task as tensors, each with memory of its own.

    Raises:
        ValueError: if an input is left out: an exporter has nothing to follow.
    """
    import torch

    for tensor, array in zip(task.contract.inputs, task.arrays, strict=True):
        if array is None:
            raise ValueError(f"there is no test tensor for the input {tensor.id}")
    return tuple(torch.tensor(array) for array in task.arrays)


def torch_version() -> str:
    """The version of PyTorch, without the name of its build."""
    import torch

    return str(torch.__version__).partition("+")[0]


@contextmanager
def quiet(task: Task) -> Iterator[None]:
    """Keep what the exporters say of themselves from users, unless they asked for it."""
    if task.verbose:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            yield
        return
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_LOGGERS = ("torch.onnx._internal.exporter", "torch.fx.experimental.symbolic_shapes")
"""What speaks of packages that are not needed, and of what an error says once more."""
