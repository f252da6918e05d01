"""ONNX weights, run by onnxruntime.

What holds here: the recipe is a value that pickles; the session is opened on first use, when the
file has the sha256 that the description gives.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from ..arrays import cast, to_numpy
from ..errors import BackendError, DeviceError
from .devices import cuda_index
from .recipe import Recipe
from .sessions import open_session
from .signature import Port, Signature, bound

__all__ = ["OnnxBackend"]

_DTYPES = {"float": "float32", "double": "float64"}


@attrs.frozen
class OnnxBackend(Recipe):
    """An ONNX file as a function of arrays; see `Recipe` for its arguments."""

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

    def _open(self) -> tuple[Any, Signature]:
        import onnxruntime

        path, providers = self.checked_file(), _providers(self.device)
        try:
            session = onnxruntime.InferenceSession(path, providers=providers)
        except Exception as error:
            raise BackendError(f"onnxruntime can not open {path.name}: {error}") from error
        return session, Signature(
            bound(self.input_ids, [_port(node) for node in session.get_inputs()]),
            bound(self.output_ids, [_port(node) for node in session.get_outputs()]),
        )


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
            remedy=None if index is None else "install onnxruntime-gpu for CUDA",
        )
    return [("CUDAExecutionProvider", {"device_id": index}), "CPUExecutionProvider"]
