"""Keras weights, `.keras` or HDF5, run by Keras on whichever framework it is set to.

What holds here: the framework is the user's choice (`KERAS_BACKEND`) and never set here; code in a
file does not run without consent; calls of one network go one after the other, as Keras keeps
state of a call in its model.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import attrs
import numpy as np

from ..trusted import Consent, consent
from .exchange import as_numpy
from .keras_files import check_keras_file
from .keras_framework import old_keras
from .modules import torch_devices
from .recipe import Network, Recipe
from .signature import Port
from .tensorflow import tensorflow_devices

__all__ = ["KerasBackend", "called"]


@attrs.frozen
class KerasBackend(Recipe):
    """A file of Keras as a function of arrays; see `Recipe` for its other arguments.

    Args:
        said: what the caller has said about code: whether that of the file may run (`Lambda`
            layers), or the sha256 values of those that may. It is asked when the file is opened.
    """

    framework: ClassVar[str] = "Keras"

    said: Consent = attrs.field(default=False, converter=consent)

    def available(self) -> tuple[str, ...]:
        """The devices of the framework that Keras is set to."""
        keras = _keras()
        kind = keras.backend.backend()
        if kind == "tensorflow":
            return tensorflow_devices()
        if kind == "torch":
            return tuple(device for device in torch_devices() if device != "mps")
        return ("cpu", *(_gpus_of_jax() if kind == "jax" else ()))

    def open(self, path: Path, device: str) -> Network:
        """The model; its functions are compiled when it first runs."""
        keras = _keras()
        where = device.replace("cuda", "gpu") if device != "cpu" else "cpu:0"
        with keras.device(where):
            model = self.model(path)
        inputs, outputs = _inputs(model, self.input_ids), _names_of_outputs(model)
        lock = Lock()

        def run(feed: Mapping[str, Any], wanted: Sequence[str]) -> Sequence[Any]:
            arrays = {port.name: _writable(feed.get(port.name), port.dtype) for port in inputs}
            with lock, keras.device(where):
                return called(model, arrays, wanted, call=model.predict_on_batch)

        return Network(inputs, [Port(name) for name in outputs], run)

    def model(self, path: Path) -> Any:
        """The `keras.Model`.

        Raises:
            UntrustedCodeError: if it holds code that may not run.
            UnsafePackageError, FileReadError: if its file is refused, or damaged.
        """
        keras = _keras()
        may_run_code = check_keras_file(path, self.said, keras.saving.get_registered_object)
        return keras.saving.load_model(path, compile=False, safe_mode=not may_run_code)

    def close(self) -> None:
        """Free the network; it is opened again when it is needed."""
        super().close()
        gc.collect()  # the layers of a model refer to one another in circles


def _keras() -> Any:
    """Keras, if it is a release that may open files of strangers."""
    import keras

    if (problem := old_keras(keras.__version__)) is not None:
        raise problem
    return keras


def _gpus_of_jax() -> list[str]:
    import jax

    try:
        return [f"cuda:{i}" for i in range(len(jax.devices("gpu")))]
    except RuntimeError:  # there is none
        return []


def _inputs(model: Any, ids: Sequence[str]) -> list[Port]:
    """What the model takes; a model that is a class does not say."""
    if not getattr(model, "inputs", None):
        return [Port(name) for name in ids]
    structure = getattr(model, "input", None)
    named = structure if isinstance(structure, dict) else {t.name: t for t in model.inputs}
    optional = {layer.name for layer in model.layers if getattr(layer, "optional", False)}
    return [
        Port(name, tuple(tensor.shape), str(tensor.dtype), tensor.name in optional)
        for name, tensor in named.items()
    ]


def _names_of_outputs(model: Any) -> list[str]:
    """Names of the outputs, in the order in which the model gives them."""
    structure = getattr(model, "output", None) if getattr(model, "outputs", None) else None
    if isinstance(structure, dict):
        return list(structure)
    names = list(getattr(model, "output_names", ()))
    # several outputs of one layer have one name
    repeated = len(set(names)) < len(names)
    return [f"{name}:{i}" for i, name in enumerate(names)] if repeated else names


def _writable(array: Any, dtype: str | None) -> Any:
    # PyTorch, where Keras is set to it, warns of arrays that it may not write to
    return None if array is None else np.require(as_numpy(array, dtype), requirements=["C", "W"])


def _structured(model: Any, arrays: dict[str, Any]) -> Any:
    """The arrays as the model takes them: by name, as a list, or as one array."""
    structure = getattr(model, "input", None)
    if isinstance(structure, dict):
        return arrays
    alone = len(arrays) == 1 and not isinstance(structure, (list, tuple))
    return next(iter(arrays.values())) if alone else list(arrays.values())


def called(
    model: Any, arrays: dict[str, Any], wanted: Sequence[str], *, call: Callable[[Any], Any]
) -> Sequence[Any]:
    """What a model gives for arrays by the names of its inputs, in the order that is wanted.

    Args:
        model: a `keras.Model`.
        arrays: one for each of its inputs, in any order.
        wanted: names of outputs.
        call: what runs the model on arrays that have its structure.
    """
    given = {port.name: arrays[port.name] for port in _inputs(model, list(arrays))}
    return _by_name(call(_structured(model, given)), _names_of_outputs(model), wanted)


def _by_name(result: Any, names: Sequence[str], wanted: Sequence[str]) -> Sequence[Any]:
    if isinstance(result, Mapping):
        named = dict(result)
    else:
        results = result if isinstance(result, (list, tuple)) else [result]
        if not names:
            return results
        named = dict(zip(names, results, strict=True))
    return [named[name] for name in wanted]
