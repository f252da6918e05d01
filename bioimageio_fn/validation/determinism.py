"""Seeds and flags of frameworks, so that a model gives the same each time.

What holds here: only frameworks that run the weights asked for are imported, and of those only
what is installed; `deterministic` leaves everything as it was.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import numpy as np

from ..backends.formats import FORMATS
from ..backends.keras_framework import keras_framework
from ..errors import OperationError, WeightsFormatError

__all__ = ["Mode", "check_mode", "deterministic", "enable_determinism"]

Mode: TypeAlias = Literal["seed_only", "full"]
Undo: TypeAlias = Callable[[], Any]

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


def enable_determinism(mode: Mode = "full", weight_formats: Collection[str] | None = None) -> None:
    """Seed the frameworks, and ask them for algorithms that give the same each time.

    For tests of reproducibility, before what is to be reproduced: it makes things slower, and
    frameworks may refuse what they can not do so. It lasts; `test_model` itself leaves seeds and
    flags as they were.

    Args:
        mode: `seed_only`, or `full` for algorithms, too.
        weight_formats: the weights that are to be run; other frameworks are then not imported.
            By default all that are installed.

    Raises:
        OperationError: if this is no mode.
        WeightsFormatError: if this is no format.

    Examples:
        >>> enable_determinism("seed_only", weight_formats=["onnx"])
        >>> first = np.random.random()
        >>> enable_determinism("seed_only", weight_formats=["onnx"])
        >>> first == np.random.random()
        True
    """
    for enable in _enablers(mode, weight_formats):
        enable(mode)


@contextmanager
def deterministic(mode: Mode, weight_formats: Collection[str]) -> Iterator[None]:
    """What `enable_determinism` does, undone at the end."""
    with ExitStack() as undone:
        for enable in _enablers(mode, weight_formats):
            undone.callback(enable(mode))
        yield


def check_mode(mode: str) -> None:
    """Refuse what is no mode of determinism.

    Raises:
        OperationError: if it is none.
    """
    if mode not in {"seed_only", "full"}:
        raise OperationError(
            "no such mode of determinism", expected="seed_only or full", got=repr(mode)
        )


def _enablers(mode: str, weight_formats: Collection[str] | None) -> list[Callable[[Mode], Undo]]:
    check_mode(mode)
    formats = tuple(FORMATS) if weight_formats is None else tuple(weight_formats)
    for name in formats:
        if name not in FORMATS:
            raise WeightsFormatError(
                "no such weights format", expected=f"one of {', '.join(FORMATS)}", got=repr(name)
            )
    packages = {package for name in formats for package in FORMATS[name].packages}
    if "keras" in packages:
        packages.add(keras_framework())
    known = {"torch": _torch, "tensorflow": _tensorflow}
    there = [enable for name, enable in known.items() if name in packages and find_spec(name)]
    return [_python, *there]


def _python(_: Mode) -> Undo:
    """Python's own generator, of which Keras seeds its layers, and NumPy's."""
    state, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 # layers use it
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002

    def undo() -> None:
        random.setstate(state)
        np.random.set_state(legacy)  # noqa: NPY002

    return undo


def _torch(mode: Mode) -> Undo:
    import torch

    state = torch.get_rng_state()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    strict, only_warn = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    workspace = os.environ.get(_CUBLAS)
    torch.manual_seed(0)
    if mode == "full":
        os.environ.setdefault(_CUBLAS, ":4096:8")  # without it cuBLAS is refused
        torch.use_deterministic_algorithms(mode=True)

    def undo() -> None:
        torch.set_rng_state(state)
        if on_gpus:
            torch.cuda.set_rng_state_all(on_gpus)
        torch.use_deterministic_algorithms(strict, warn_only=only_warn)
        if workspace is None:
            os.environ.pop(_CUBLAS, None)

    return undo


def _tensorflow(mode: Mode) -> Undo:
    import tensorflow as tf

    # TensorFlow gives back neither its seed nor its flag but here
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config

    held = context.context()
    seed, generator = held._seed, getattr(held, "_rng", None)  # noqa: SLF001
    strict = config.is_op_determinism_enabled()
    tf.random.set_seed(0)
    if mode == "full":
        tf.config.experimental.enable_op_determinism()

    def undo() -> None:
        held._seed, held._rng = seed, generator  # noqa: SLF001
        if not strict:
            config.disable_op_determinism()

    return undo
