"""TorchScript weights, run by PyTorch.

What holds here: the recipe is a value that pickles; the module is opened on first use, when the
file has the sha256 that the description gives.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import attrs

from ..errors import BackendError
from .recipe import Recipe
from .sessions import open_session
from .signature import Port, Signature, bound
from .torch_module import check_device, run_module

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
        module, signature = open_session(self, self._open)
        names = [port.name for port in signature.inputs]
        named = dict(zip(names, arrays, strict=True))
        return run_module(module, named, self.output_ids, device=self.device, name=self.source.name)

    def _open(self) -> tuple[Any, Signature]:
        path = self.checked_file()
        check_device(self.device)
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
