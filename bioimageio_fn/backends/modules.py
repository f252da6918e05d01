"""Modules of PyTorch as networks, wherever they come from.

What holds here: a module runs in evaluation mode, without gradients, on copies of its inputs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from ..errors import BackendError
from .exchange import as_torch
from .recipe import Network
from .signature import Port

__all__ = ["called", "free_memory", "network_of", "torch_devices"]


def torch_devices() -> tuple[str, ...]:
    """The devices that PyTorch can use, the CPU first."""
    import torch

    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return ("cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else []))


def network_of(
    module: Any,
    inputs: Sequence[Port],
    device: str,
    *,
    channels_last: bool = False,
    by_position: int = 0,
) -> Network:
    """A module as a network.

    Args:
        module: a `torch.nn.Module`, or one of TorchScript, on its device.
        inputs: the arguments of its `forward`.
        device: that device.
        channels_last: whether images come to it with their channels side by side in memory.
        by_position: how many of the first arguments are given by their place, not by name.
    """
    import torch

    module.eval()
    places = [port.name for port in inputs[:by_position]]

    def run(feed: Mapping[str, Any], wanted: Sequence[str]) -> Sequence[Any]:
        given = {
            name: None if a is None else as_torch(a, device, channels_last=channels_last)
            for name, a in feed.items()
        }
        with torch.inference_mode():
            return called(module, given, places, wanted)

    return Network(inputs, (), run)


def called(
    module: Any, given: Mapping[str, Any], places: Sequence[str], wanted: Sequence[str]
) -> Sequence[Any]:
    """What a module gives for tensors by name, as tensors in order.

    Args:
        module: a `torch.nn.Module`, or one of TorchScript.
        given: the tensors.
        places: the first of them that are given by their place, not by name.
        wanted: names of outputs, for a module that gives a mapping.

    Raises:
        BackendError: if it gives something else than tensors.
    """
    first = [given[name] for name in takewhile(given.__contains__, places)]
    rest = {name: tensor for name, tensor in given.items() if name not in places[: len(first)]}
    return _tensors(module(*first, **rest), wanted)


def _tensors(result: Any, wanted: Sequence[str]) -> Sequence[Any]:
    """What a module gives, as tensors in order; those of a mapping by their names, if they fit."""
    import torch

    if isinstance(result, Mapping):
        by_name = all(name in result for name in wanted) and wanted
        outputs = [result[name] for name in wanted] if by_name else list(result.values())
    else:
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    if not all(isinstance(output, torch.Tensor) for output in outputs):
        raise BackendError(
            "the network does not give tensors", got=[type(output).__name__ for output in outputs]
        )
    return outputs


def free_memory() -> None:
    """Give the GPU's memory that nobody uses any more back to the system."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
