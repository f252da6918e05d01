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

from ..errors import BackendError, DeviceError
from .devices import cuda_index
from .recipe import Recipe
from .sessions import open_session
from .signature import Port, Signature, bound

__all__ = ["TorchscriptBackend"]


@attrs.frozen
class TorchscriptBackend(Recipe):
    """A TorchScript file as a function of arrays; see `Recipe` for its arguments."""

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

        module, signature = open_session(self, self._open)
        named = {
            port.name: None if array is None else _as_torch(array, self.device)
            for port, array in zip(signature.inputs, arrays, strict=True)
        }
        try:
            with torch.inference_mode():
                result = module(**named)
        except Exception as error:
            reason = str(error).strip().rpartition("\n")[2]
            raise BackendError(f"torch can not run {self.source.name}: {reason}") from error
        outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        if not all(isinstance(o, torch.Tensor) for o in outputs):
            raise BackendError(
                f"{self.source.name} does not give tensors", got=[type(o).__name__ for o in outputs]
            )
        return tuple(o.cpu().numpy() for o in outputs)

    def _open(self) -> tuple[Any, Signature]:
        path = self.checked_file()
        _check_device(self.device)
        module = _loaded(path, self.device)
        ports = [Port(argument.name) for argument in module.forward.schema.arguments[1:]]
        outputs = tuple(Port(name) for name in self.output_ids)
        return module, Signature(bound(self.input_ids, ports), outputs)


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


def _as_torch(array: Any, device: str) -> Any:
    """A copy of an array as a torch tensor: a network may write to its input."""
    import torch

    if array_api_compat.is_torch_array(array):
        return array.to(device, copy=True)
    # torch takes neither foreign byte order nor negative strides
    native = np.asarray(array).dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, native, order="C")).to(device)
