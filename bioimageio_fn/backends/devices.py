"""Names of devices, spelled alike for every backend."""

from __future__ import annotations

from ..errors import DeviceError

__all__ = ["cuda_index"]


def cuda_index(device: str) -> int | None:
    """Number of a CUDA device; None for a device of another kind.

    Raises:
        DeviceError: if the number is none.

    Examples:
        >>> cuda_index("cuda"), cuda_index("cuda:1"), cuda_index("cpu")
        (0, 1, None)
    """
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return None
    if index and not index.isdecimal():
        raise DeviceError("no such device", expected="cpu, cuda or cuda:N", got=device)
    return int(index or 0)
