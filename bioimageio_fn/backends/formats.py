"""Which weights can be run, by what, and where: one table.

What holds here: the table is text, so that looking into it imports no framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import attrs

from ..errors import (
    BioimageioFnError,
    DeviceError,
    MissingDependencyError,
    WeightsFormatError,
)
from .devices import kind_of
from .keras_framework import keras_framework, old_keras
from .versions import installed_version

__all__ = ["FORMATS", "WeightsFormat", "obstacle", "recipe_class"]


@attrs.frozen
class WeightsFormat:
    """How weights of a format are run.

    Args:
        recipe: where the class of their recipe stands, as `module:class` in this folder.
        packages: what has to be installed.
        extra: the extra of this package that installs it.
        devices: the kinds of devices that it may run on, if the framework finds them.
        made_with: the package whose version the description names, if it names one.
    """

    recipe: str
    packages: tuple[str, ...]
    extra: str
    devices: tuple[str, ...] = ("cpu", "cuda")
    made_with: str | None = None


FORMATS = {
    "onnx": WeightsFormat("onnx:OnnxBackend", ("onnxruntime",), "onnx"),
    "torchscript": WeightsFormat(
        "torchscript:TorchscriptBackend",
        ("torch",),
        "torch",
        ("cpu", "cuda", "mps"),
        "torch",
    ),
    "keras_v3": WeightsFormat("keras:KerasBackend", ("keras",), "tensorflow", made_with="keras"),
    "keras_hdf5": WeightsFormat(
        "keras:KerasBackend", ("keras",), "tensorflow", made_with="tensorflow"
    ),
    "tensorflow_saved_model_bundle": WeightsFormat(
        "tensorflow:TensorflowBackend", ("tensorflow",), "tensorflow", made_with="tensorflow"
    ),
    "pytorch_state_dict": WeightsFormat(
        "pytorch:PytorchBackend",
        ("torch",),
        "torch",
        ("cpu", "cuda", "mps"),
        "torch",
    ),
}
"""The formats that can be run, the one to prefer first: the fastest that is safe. What needs code
comes last."""


def recipe_class(name: str) -> Any:
    """The class that runs a format; its framework is still not imported."""
    module, _, kind = FORMATS[name].recipe.partition(":")
    return getattr(import_module(f".{module}", __package__), kind)


def obstacle(name: str, devices: Sequence[str | None] = (None,)) -> BioimageioFnError | None:
    """Why weights of a format can not be run here, with what to do; None if they can.

    Args:
        name: the format.
        devices: where they are to run.
    """
    if name == "tensorflow_js":
        return WeightsFormatError("TensorFlow.js runs in browsers, not in Python")
    if name not in FORMATS:
        return WeightsFormatError("can not be run yet")
    entry = FORMATS[name]
    for package in _needed(entry):
        if find_spec(package) is None:
            return MissingDependencyError(
                f"the package {package} is not installed",
                remedy=_how_to_install(package, entry),
            )
    if "keras" in entry.packages and (version := installed_version("keras")) is not None:
        problem = old_keras(version)
        if problem is not None:
            return problem
    for device in devices:
        if device is not None and kind_of(device) not in entry.devices:
            return DeviceError(
                "does not run on this device", expected=" or ".join(entry.devices), got=device
            )
    return None


def _needed(entry: WeightsFormat) -> tuple[str, ...]:
    # Keras runs on another framework, and which one is up to the user
    return (*entry.packages, keras_framework()) if "keras" in entry.packages else entry.packages


def _how_to_install(package: str, entry: WeightsFormat) -> str:
    if package in {*entry.packages, entry.extra}:
        return f"pip install 'bioimageio_fn[{entry.extra}]'"
    return f"install {package}, or set Keras to another framework (KERAS_BACKEND)"
