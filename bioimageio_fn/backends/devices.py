"""Names of devices, spelled alike for every backend.

What holds here: no framework is imported; a name says one device, never "all of them".
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Sequence

from ..errors import DeviceError

__all__ = ["count_of_gpus", "cuda_index", "kind_of", "place", "spelled"]


def spelled(device: str | None) -> str | None:
    """The one spelling of a device; None, which is for any, stays None.

    Raises:
        DeviceError: if it is the name of none.

    Examples:
        >>> spelled("cuda"), spelled("cuda:1"), spelled("cpu")
        ('cuda:0', 'cuda:1', 'cpu')
    """
    if device is not None and not re.fullmatch(r"cpu|mps|cuda(:\d+)?", str(device)):
        raise DeviceError("no such device", expected="cpu, cuda, cuda:N or mps", got=device)
    return "cuda:0" if device == "cuda" else device


def kind_of(device: str) -> str:
    """What a device is: `cpu`, `cuda` or `mps`."""
    return device.partition(":")[0]


def cuda_index(device: str) -> int:
    """Number of a CUDA device.

    Examples:
        >>> cuda_index("cuda:1")
        1
    """
    return int(device.partition(":")[2])


def count_of_gpus() -> int:
    """How many GPUs the driver of CUDA shows to this process; 0 without that driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value


def place(
    device: str | None, available: Sequence[str], framework: str, *, remedy: str | None = None
) -> str:
    """The device to run on: the one that is wanted, else one GPU if there is one, else the CPU.

    Args:
        device: as of `spelled`.
        available: what the framework can use.
        framework: its name, for the error.
        remedy: what to do where a GPU is wanted that the framework can not use.

    Raises:
        DeviceError: if the one that is wanted is not there.

    Examples:
        >>> place(None, ["cpu", "cuda:0", "cuda:1"], "torch")
        'cuda:0'
    """
    if device is None:
        return next((d for d in available if d != "cpu"), "cpu")
    if device not in available:
        raise DeviceError(
            f"{framework} does not have this device",
            expected=" or ".join(available),
            got=device,
            remedy=remedy,
        )
    return device
