"""A SavedModel or ONNX of a model of Keras.

What holds here: a model is exported as it predicts: dropout is off, batch norm keeps what it knows.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..backends.keras import called
from ..backends.keras_framework import keras_framework
from ..backends.recipe import checked
from ..errors import UnsupportedError
from .records import Made, Task
from .tensorflow import described_function, to_onnx

__all__ = ["onnx", "saved_model"]


def saved_model(task: Task) -> Made:
    """A SavedModel, by Keras' own export, as a zip archive."""
    import keras
    import tensorflow as tf

    model, call = _model(task)
    archive = keras.export.ExportArchive()
    archive.track(model)
    function = described_function(task, call)
    function.get_concrete_function()
    archive.add_endpoint("serving_default", function)
    folder = task.folder / "saved_model"
    archive.write_out(folder, verbose=task.verbose)
    path = shutil.make_archive(str(task.folder / "weights_saved_model"), "zip", folder)
    shutil.rmtree(folder)
    version = str(tf.__version__)
    tool = f"keras {keras.__version__} (ExportArchive, tensorflow {version})"
    return Made(task.folder / path, tool, {"tensorflow_version": version})


def onnx(task: Task) -> Made:
    """ONNX, by tf2onnx."""
    return to_onnx(task, _model(task)[1])


def _model(task: Task) -> tuple[Any, Callable[..., Sequence[Any]]]:
    """The model, and what it gives for tensors, both in the order of the description."""
    if (framework := keras_framework()) != "tensorflow":
        raise UnsupportedError(
            "Keras exports models with TensorFlow below it",
            expected="tensorflow",
            got=framework,
            remedy="set KERAS_BACKEND=tensorflow",
        )
    path = checked(task.backend.source, task.backend.sha256)
    model = task.backend.model(path)
    inputs = [port.name for port in task.signature.inputs]
    wanted = [port.name for port in task.signature.outputs]

    def call(*tensors: Any) -> Sequence[Any]:
        arrays = dict(zip(inputs, tensors, strict=True))
        return called(model, arrays, wanted, call=partial(model, training=False))

    return model, call
