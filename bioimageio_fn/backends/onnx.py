"""ONNX weights, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs

from ..errors import DeviceError
from .devices import count_of_gpus, cuda_index
from .exchange import as_numpy
from .once import warn_once
from .onnx_binding import is_there, run_bound
from .onnx_files import check_external_data, names_of_inputs
from .recipe import Network, Recipe, checked
from .signature import Port

__all__ = ["OnnxBackend"]

_DTYPES = {"float": "float32", "double": "float64"}


@attrs.frozen
class OnnxBackend(Recipe):
    """An ONNX file as a function of arrays; see `Recipe` for its other arguments.

    Args:
        external: the files beside it that hold its weights and are described, each with its sha256.
    """

    framework: ClassVar[str] = "onnxruntime"
    how_to_use_a_gpu: ClassVar[str] = "install onnxruntime-gpu in the place of onnxruntime for CUDA"

    external: tuple[tuple[Path, str | None], ...] = ()

    def available(self) -> tuple[str, ...]:
        """The CPU, and the GPUs if this onnxruntime is one for CUDA."""
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            return ("cpu",)
        return ("cpu", *(f"cuda:{i}" for i in range(count_of_gpus())))

    def open(self, path: Path, device: str) -> Network:
        """A session of onnxruntime."""
        import onnxruntime

        for file, sha256 in self.external:
            checked(file, sha256)
        check_external_data(path)
        session = onnxruntime.InferenceSession(path, providers=_providers(device))
        if device != "cpu" and "CUDAExecutionProvider" not in session.get_providers():
            self._without_cuda(device)
        inputs = _inputs(session)
        if len(self.input_ids) > len(session.get_inputs()):
            order = names_of_inputs(path)
            inputs.sort(key=lambda port: order.index(port.name))
        dtypes = {port.name: port.dtype for port in inputs}

        def run(feed: Mapping[str, Any], wanted: Sequence[str]) -> Sequence[Any]:
            given = {name: array for name, array in feed.items() if array is not None}
            if device != "cpu" and any(is_there(array, device) for array in given.values()):
                return run_bound(session, given, wanted, dtypes=dtypes, device=device)
            arrays = {name: as_numpy(array, dtypes[name]) for name, array in given.items()}
            outputs: Sequence[Any] = session.run(list(wanted), arrays)
            return outputs

        outputs = [_port(node) for node in session.get_outputs()]
        return Network(inputs, outputs, run)

    def _without_cuda(self, device: str) -> None:
        """A GPU is there, but onnxruntime has turned to the CPU."""
        text = "onnxruntime can not start CUDA: its libraries (CUDA, cuDNN) do not fit"
        if self.device is not None:
            raise DeviceError(text, expected="cpu", got=device)
        warn_once(f"{text}; networks run on the CPU")


def _inputs(session: Any) -> list[Port]:
    """What has to be given first: what has a value of its own may be a weight."""
    needed = [_port(node, optional=False) for node in session.get_inputs()]
    return needed + [_port(n, optional=True) for n in session.get_overridable_initializers()]


def _port(node: Any, *, optional: bool | None = None) -> Port:
    # "tensor(float)" -> float32, "optional(tensor(uint8))" -> uint8
    kind = str(node.type)
    optional = kind.startswith("optional(") or optional
    kind = kind.removeprefix("optional(").removeprefix("tensor(").rstrip(")")
    shape = (
        None if node.shape is None else tuple(d if isinstance(d, int) else None for d in node.shape)
    )
    return Port(node.name, shape, _DTYPES.get(kind, kind), optional)


def _providers(device: str) -> list[Any]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    return [("CUDAExecutionProvider", {"device_id": cuda_index(device)}), "CPUExecutionProvider"]
