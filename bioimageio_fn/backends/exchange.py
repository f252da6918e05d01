"""Arrays on their way into a network and out of it.

What holds here: what goes in is never memory of the caller that a network could write to; what
comes out is of the library that came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import array_api_compat
import numpy as np

from ..arrays import DTYPES, cast, dtype_name, to_numpy

__all__ = ["as_numpy", "as_torch", "like"]


def as_numpy(array: Any, dtype: str | None) -> np.ndarray[Any, Any]:
    """An array as frameworks take it: contiguous, in native byte order, of the type wanted.

    Args:
        array: of any library.
        dtype: the type that the network takes; None, or one that NumPy lacks, for any.
    """
    data = to_numpy(array)
    wanted = dtype if dtype in DTYPES else dtype_name(data.dtype)
    return np.asarray(cast(data, wanted), order="C")


def as_torch(array: Any, device: str, *, channels_last: bool = False) -> Any:
    """A copy of an array as a PyTorch tensor: a network may write to its input.

    Args:
        array: of any library.
        device: where the tensor is to be.
        channels_last: whether the channels of images, "bcyx", lie side by side in memory.
    """
    import torch

    channels_last = channels_last and len(array.shape) == 4
    if array_api_compat.is_torch_array(array):
        order = torch.channels_last if channels_last else torch.contiguous_format
        return array.detach().to(device, copy=True, memory_format=order)
    data = to_numpy(array)
    data = np.moveaxis(data, 1, -1) if channels_last else data
    # torch takes neither foreign byte order nor negative strides
    tensor = torch.from_numpy(np.array(data, data.dtype.newbyteorder("="), order="C"))
    return (tensor.movedim(-1, 1) if channels_last else tensor).to(device)


def like(given: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs as PyTorch tensors on the device of the first input if it is one, else as NumPy.

    Examples:
        >>> like([None, np.zeros(2)], [np.ones(3)])
        (array([1., 1., 1.]),)
    """
    first = next((array for array in given if array is not None), None)
    if not array_api_compat.is_torch_array(first):
        return tuple(to_numpy(output) for output in outputs)
    import torch

    # a copy, as a tensor that was made in inference mode can not be used in training
    return tuple(torch.asarray(o, device=first.device, copy=True) for o in outputs)
