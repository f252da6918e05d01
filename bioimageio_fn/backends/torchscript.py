"""TorchScript weights, run by PyTorch.

What holds here: the recipe is a value that pickles; the module is opened on first use, when the
file has the sha256 that the description gives; it runs in evaluation mode, without gradients, and
never on memory of the caller, which a network could write to.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import array_api_compat
import attrs
import numpy as np

from ..errors import BackendError, DeviceError, HashMismatchError
from ..files import existing_path, sha256_of
from .devices import cuda_index
from .sessions import close_session, open_session
from .signature import Port, Signature, bind_order

__all__ = ["TorchscriptBackend"]


@attrs.frozen
class TorchscriptBackend:
    """A TorchScript file as a function of arrays.

    Args:
        source: the file.
        sha256: what it has to hash to; None for anything.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
        input_ids: the inputs in the order in which they are given; bound to the arguments of the
            module by name where the names match, else by order.
        output_ids: the outputs, in the order in which the module gives them.
    """

    source: Path = attrs.field(converter=Path)
    sha256: str | None = None
    device: str = "cpu"
    input_ids: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    output_ids: tuple[str, ...] = attrs.field(default=(), converter=tuple)

    @property
    def signature(self) -> Signature:
        """Names of inputs and outputs; a module does not say their sizes."""
        return open_session(self, self._open)[1]

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        """Run the network on one array for each input; None for an optional one that is absent.

        Raises:
            BackendError: if the module fails or gives something else than tensors.
        """
        import torch

        module, _, order = open_session(self, self._open)
        tensors: list[Any] = [None] * len(arrays)
        for argument, array in zip(order, arrays, strict=True):
            tensors[argument] = None if array is None else _as_torch(array).to(self.device)
        try:
            with torch.inference_mode():
                result = module(*tensors)
        except Exception as error:
            reason = str(error).strip().rpartition("\n")[2]
            raise BackendError(f"torch can not run {self.source.name}: {reason}") from error
        outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        if not all(isinstance(o, torch.Tensor) for o in outputs):
            raise BackendError(
                f"{self.source.name} does not give tensors", got=[type(o).__name__ for o in outputs]
            )
        return tuple(o.cpu().numpy() for o in outputs)

    def close(self) -> None:
        """Free the module; it is opened again when it is needed."""
        close_session(self)

    def _open(self) -> tuple[Any, Signature, tuple[int, ...]]:

        path = existing_path(self.source)
        if self.sha256 is not None and (digest := sha256_of(path)) != self.sha256:
            raise HashMismatchError(f"{path.name} was changed", expected=self.sha256, got=digest)
        _check_device(self.device)
        module = _loaded(path, self.device)
        names = [i.debugName() for i in module.graph.inputs()][1:]
        ports = [Port(name.partition(".")[0]) for name in names]
        order = bind_order(self.input_ids or [port.name for port in ports], ports)
        signature = Signature(
            tuple(ports[i] for i in order), tuple(Port(name) for name in self.output_ids)
        )
        return module, signature, order


def _loaded(path: Path, device: str) -> Any:
    import torch

    with warnings.catch_warnings():
        # the models are published in this format; there is no other way to read them
        warnings.filterwarnings("ignore", ".*torch.jit.load.*", DeprecationWarning)
        try:
            return torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise BackendError(f"torch can not open {path.name}: {error}") from error


def _check_device(device: str) -> None:
    import torch

    index = cuda_index(device)
    available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    available += ["mps"] if torch.backends.mps.is_available() else []
    if (device if index is None else f"cuda:{index}") not in available:
        raise DeviceError(
            "torch does not have this device", expected=" or ".join(available), got=device
        )


def _as_torch(array: Any) -> Any:
    import torch

    if array_api_compat.is_torch_array(array):
        return array
    # torch takes neither foreign byte order nor negative strides, and shares the memory of the
    # rest: writable means that it is nobody else's
    native = np.asarray(array).dtype.newbyteorder("=")
    return torch.from_numpy(np.require(array, native, ["C", "W"]))
