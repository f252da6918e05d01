"""TorchScript weights, run by PyTorch."""

from __future__ import annotations

import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import attrs

from ..archives import check_sizes, most_of
from .modules import free_memory, network_of, torch_devices
from .recipe import Network, Recipe
from .signature import Port

__all__ = ["TorchscriptBackend"]


@attrs.frozen
class TorchscriptBackend(Recipe):
    """A TorchScript file as a function of arrays; see `Recipe` for its arguments."""

    framework: ClassVar[str] = "torch"

    def available(self) -> tuple[str, ...]:
        """The devices of PyTorch."""
        return torch_devices()

    def open(self, path: Path, device: str) -> Network:
        """The module as a network; it says the names of its inputs, not their sizes."""
        module = self.module(path, device)
        inputs = [
            Port(argument.name, optional=argument.type.kind() == "OptionalType")
            for argument in module.forward.schema.arguments[1:]
        ]
        faster = device == "cpu" and _takes_channels_last(module)
        return network_of(module, inputs, device, channels_last=faster)

    def module(self, path: Path, device: str) -> Any:
        """The `torch.jit.ScriptModule`.

        Raises:
            UnsafePackageError: if more would be unpacked than the file can honestly hold.
        """
        import torch

        _check_sizes(path)
        with warnings.catch_warnings():
            # the models are published in this format; there is no other way to read them
            warnings.filterwarnings("ignore", ".*torch.jit.load.*", DeprecationWarning)
            return torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Free the network, on a GPU too; it is opened again when it is needed."""
        super().close()
        free_memory()


def _check_sizes(path: Path) -> None:
    # PyTorch packs the code of a module, not its tensors, and unpacks what an archive says
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        sizes = [member.file_size for member in archive.infolist()]
        check_sizes(sizes, most_of(path.stat().st_size), path.name)


# what fails, is slower, or gives something else where the channels of an image lie side by side
_NEED_PLANES = (
    *("aten::view", "aten::view_as", "aten::as_strided", "aten::instance_norm"),
    *("aten::is_contiguous", "aten::stride", "aten::set_", "aten::resize_"),
)


def _takes_channels_last(module: Any) -> bool:
    """Whether nothing in a module needs the channels of an image one after the other."""
    graph = module.inlined_graph
    return not any(graph.findNode(kind, recurse=True) for kind in _NEED_PLANES)
