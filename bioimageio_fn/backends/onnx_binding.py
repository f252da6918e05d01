"""PyTorch tensors on a GPU through onnxruntime, without a way over the CPU.

What holds here: inputs are read where they are, and results stay on their device; both are done
with when a call returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import array_api_compat
import numpy as np

from ..arrays import DTYPES, cast
from .exchange import as_numpy

__all__ = ["is_there", "run_bound"]


def is_there(array: Any, device: str) -> bool:
    """Whether something is a PyTorch tensor on a device, with something in it."""
    there = array_api_compat.is_torch_array(array) and str(array.device) == device
    return there and array.numel() > 0


def run_bound(
    session: Any,
    feed: Mapping[str, Any],
    wanted: Sequence[str],
    *,
    dtypes: Mapping[str, str | None],
    device: str,
) -> list[Any]:
    """Run a session on arrays of which some are on its device.

    Args:
        session: of onnxruntime.
        feed: the inputs by name.
        wanted: names of the outputs.
        dtypes: of the inputs, by name.
        device: where the session runs, and the outputs are to be: `cpu` or `cuda:N`.
    """
    import torch

    binding, place = session.io_binding(), torch.device(device)
    where = (place.type, place.index or 0)
    kept = []  # what is bound is known to onnxruntime by its address only
    for name, array in feed.items():
        dtype = dtypes[name]
        if is_there(array, device) and dtype in DTYPES:
            kept.append(tensor := cast(array.detach(), dtype).contiguous())
            shape = tuple(tensor.shape)
            binding.bind_input(name, *where, np.dtype(dtype), shape, tensor.data_ptr())
        else:
            kept.append(array := as_numpy(array, dtype))
            binding.bind_cpu_input(name, array)
    for name in wanted:
        binding.bind_output(name, *where)
    if place.type == "cuda":
        # onnxruntime has a stream of its own, and does not wait for that of PyTorch
        torch.cuda.current_stream(place).synchronize()
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    return [torch.utils.dlpack.from_dlpack(value) for value in binding.get_outputs()]
