"""ONNX weights, run by onnxruntime.

What holds here: the recipe is a value that pickles; the session is opened on first use, when the
file has the sha256 that the description gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ..arrays import cast, to_numpy
from ..errors import BackendError, DeviceError, HashMismatchError
from ..files import existing_path, sha256_of
from .devices import cuda_index
from .sessions import close_session, open_session
from .signature import Port, Signature, bind_order

__all__ = ["OnnxBackend"]

_DTYPES = {"float": "float32", "double": "float64"}


@attrs.frozen
class OnnxBackend:
    """An ONNX file as a function of arrays.

    Args:
        source: the file.
        sha256: what it has to hash to; None for anything.
        device: `cpu`, `cuda` or `cuda:N`.
        input_ids: the inputs in the order in which they are given; bound to those of the graph
            by name where the names match, else by order.
        output_ids: likewise for the outputs.
    """

    source: Path = attrs.field(converter=Path)
    sha256: str | None = None
    device: str = "cpu"
    input_ids: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    output_ids: tuple[str, ...] = attrs.field(default=(), converter=tuple)

    @property
    def signature(self) -> Signature:
        """What the graph says of its inputs and outputs, in the order of the ids."""
        return open_session(self, self._open)[1]

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        """Run the network on one array for each input; None for an optional one that is absent.

        Raises:
            BackendError: if onnxruntime refuses to run.
        """
        session, signature = open_session(self, self._open)
        feed = {
            port.name: _as_port(array, port)
            for port, array in zip(signature.inputs, arrays, strict=True)
            if array is not None
        }
        try:
            return tuple(session.run([port.name for port in signature.outputs], feed))
        except Exception as error:
            raise BackendError(f"onnxruntime can not run {self.source.name}: {error}") from error

    def close(self) -> None:
        """Free the session; it is opened again when it is needed."""
        close_session(self)

    def _open(self) -> tuple[Any, Signature]:
        import onnxruntime

        path = existing_path(self.source)
        if self.sha256 is not None and (digest := sha256_of(path)) != self.sha256:
            raise HashMismatchError(f"{path.name} was changed", expected=self.sha256, got=digest)
        try:
            session = onnxruntime.InferenceSession(path, providers=_providers(self.device))
        except DeviceError:
            raise
        except Exception as error:
            raise BackendError(f"onnxruntime can not open {path.name}: {error}") from error
        return session, Signature(
            _ordered(self.input_ids, [_port(node) for node in session.get_inputs()]),
            _ordered(self.output_ids, [_port(node) for node in session.get_outputs()]),
        )


def _ordered(ids: Sequence[str], ports: Sequence[Port]) -> tuple[Port, ...]:
    """The ports in the order of the ids; without ids in that of the graph."""
    return tuple(ports[i] for i in bind_order(ids or [port.name for port in ports], ports))


def _port(node: Any) -> Port:
    # "tensor(float)" -> float32, "tensor(uint8)" -> uint8
    kind = str(node.type).removeprefix("tensor(").removesuffix(")")
    shape = (
        None if node.shape is None else tuple(d if isinstance(d, int) else None for d in node.shape)
    )
    return Port(node.name, shape, _DTYPES.get(kind, kind))


def _as_port(array: Any, port: Port) -> np.ndarray[Any, Any]:
    data = to_numpy(array)
    # onnxruntime takes neither foreign byte order nor strides
    return np.ascontiguousarray(data if port.dtype is None else cast(data, port.dtype))


def _providers(device: str) -> list[Any]:
    import onnxruntime

    if device == "cpu":
        return ["CPUExecutionProvider"]
    index = cuda_index(device)
    available = onnxruntime.get_available_providers()
    if index is None or "CUDAExecutionProvider" not in available:
        raise DeviceError(
            "onnxruntime does not have this device",
            expected=f"cpu{' or cuda:N' if 'CUDAExecutionProvider' in available else ''}",
            got=device,
            remedy="install onnxruntime-gpu for CUDA",
        )
    return [("CUDAExecutionProvider", {"device_id": index}), "CPUExecutionProvider"]
