"""ONNX of networks of TensorFlow, and how such a network is called as it is described.

What holds here: sizes that the network leaves free stay free; inputs and outputs have the names of
the description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from ..backends.recipe import checked
from ..errors import WeightsFormatError
from .records import Made, Task

__all__ = ["described_function", "input_specs", "onnx", "to_onnx"]

OPSET = 18
"""The newest set of operators of ONNX that tf2onnx makes."""
_UNSOUND = "optimize_transpose"
"""A step of tf2onnx 1.17 that gives images of one channel an axis more, in about every third
process: what it does depends on the order of sets. onnxruntime does its work when it loads."""
_LOCK = Lock()


def onnx(task: Task) -> Made:
    """A SavedModel, by tf2onnx."""
    path = checked(task.backend.source, task.backend.sha256)
    model, name = task.backend.model(path)
    signature = task.signature
    inputs = [port.name for port in signature.inputs]
    outputs = [port.name for port in signature.outputs]

    def call(*tensors: Any) -> list[Any]:
        results = model.signatures[name](**dict(zip(inputs, tensors, strict=True)))
        return [results[output] for output in outputs]

    return to_onnx(task, call)


def to_onnx(task: Task, call: Callable[..., Sequence[Any]]) -> Made:
    """A function of tensors, in the order of the description, as an ONNX file."""
    import tf2onnx

    path = task.folder / "weights.onnx"
    with _sound_optimizers():
        graph, _ = tf2onnx.convert.from_function(
            described_function(task, call), input_specs(task), opset=OPSET
        )
    path.write_bytes(graph.SerializeToString())
    tool = f"tf2onnx {tf2onnx.__version__} (opset {OPSET})"
    return Made(path, tool, {"opset_version": OPSET})


@contextmanager
def _sound_optimizers() -> Iterator[None]:
    """tf2onnx without the step that is not sound; its list is the same for a whole process."""
    from tf2onnx import optimizer

    steps = optimizer._optimizers  # noqa: SLF001
    with _LOCK:
        all_of_them = dict(steps)
        steps.pop(_UNSOUND, None)
        try:
            yield
        finally:
            steps.clear()  # the order counts
            steps.update(all_of_them)


def described_function(task: Task, call: Callable[..., Sequence[Any]]) -> Any:
    """A `tf.function` whose inputs and outputs have the names of the description."""
    import tensorflow as tf

    ids = [tensor.id for tensor in task.contract.raw_outputs]

    def described(*tensors: Any) -> dict[str, Any]:
        # an output that is an input as it came could not have a name of its own
        return dict(zip(ids, map(tf.identity, call(*tensors)), strict=False))

    return tf.function(described, input_signature=input_specs(task))


def input_specs(task: Task) -> list[Any]:
    """Name, sizes and type of each input, as TensorFlow writes them.

    Raises:
        WeightsFormatError: if an input may be left out: a graph of TensorFlow needs every one.
    """
    import tensorflow as tf

    for tensor in task.contract.inputs:
        if tensor.optional:
            raise WeightsFormatError(
                "this format has no inputs that may be left out", tensor=tensor.id
            )
    return [
        tf.TensorSpec(port.shape or (None,) * array.ndim, port.dtype or str(array.dtype), tensor.id)
        for tensor, port, array in zip(
            task.contract.inputs, task.signature.inputs, task.arrays, strict=True
        )
    ]
