"""Modules of PyTorch as functions of arrays, wherever they come from.

What holds here: a module runs in evaluation mode, without gradients, and never on memory of the
caller, which it could write to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import array_api_compat
import numpy as np

from ..errors import BackendError, DeviceError
from .devices import cuda_index

__all__ = ["check_device", "run_module"]


def check_device(device: str) -> None:
    """Look whether PyTorch has a device.

    Raises:
        DeviceError: if it has not; with those that it has.
    """
    import torch

    index = cuda_index(device)
    available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    available += ["mps"] if torch.backends.mps.is_available() else []
    if (device if index is None else f"cuda:{index}") not in available:
        raise DeviceError(
            "torch does not have this device", expected=" or ".join(available), got=device
        )


def run_module(
    module: Any, arrays: Mapping[str, Any], output_ids: Sequence[str], *, device: str, name: str
) -> tuple[np.ndarray[Any, Any], ...]:
    """Run a module in evaluation mode on arrays.

    Args:
        module: a `torch.nn.Module`, or one of TorchScript, on its device.
        arrays: one for each argument of its `forward`, None for one that is absent.
        output_ids: what is wanted of a module that gives its outputs by name.
        device: the device of the module.
        name: of the module, for errors.

    Raises:
        BackendError: if the module fails or gives something else than tensors.
    """
    import torch

    named = {n: None if a is None else _as_torch(a, device) for n, a in arrays.items()}
    try:
        with torch.inference_mode():
            result = module(**named)
    except Exception as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise BackendError(f"torch can not run {name}: {reason}") from error
    outputs = _in_order(result, output_ids)
    if not all(isinstance(o, torch.Tensor) for o in outputs):
        raise BackendError(f"{name} does not give tensors", got=[type(o).__name__ for o in outputs])
    return tuple(o.cpu().numpy() for o in outputs)


def _in_order(result: Any, output_ids: Sequence[str]) -> tuple[Any, ...]:
    if isinstance(result, Mapping):
        by_name = output_ids and all(name in result for name in output_ids)
        return tuple(result[n] for n in output_ids) if by_name else tuple(result.values())
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def _as_torch(array: Any, device: str) -> Any:
    """A copy of an array as a torch tensor: a network may write to its input."""
    import torch

    if array_api_compat.is_torch_array(array):
        return array.to(device, copy=True)
    # torch takes neither foreign byte order nor negative strides
    native = np.asarray(array).dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, native, order="C")).to(device)
