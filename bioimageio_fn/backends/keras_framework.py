"""Which framework Keras runs on, and which Keras may open files of strangers.

What holds here: it is told as Keras tells it, without importing anything; nothing is set.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..errors import MissingDependencyError
from .versions import older

__all__ = ["keras_framework", "old_keras"]

_OLDEST = "3.12"
"""Before it, Keras imports and calls what the config of a file names."""


def old_keras(version: str) -> MissingDependencyError | None:
    """Why this version of Keras may not open files; None if it may.

    Examples:
        >>> print(old_keras("3.8.0"))
        this release of Keras runs code that files name: expected keras>=3.12, got 3.8.0; pip ...
    """
    if not older(version, _OLDEST):
        return None
    return MissingDependencyError(
        "this release of Keras runs code that files name",
        expected=f"keras>={_OLDEST}",
        got=version,
        remedy="pip install --upgrade 'bioimageio_fn[tensorflow]'"
        f" (with PyTorch or JAX below it: 'keras>={_OLDEST}')",
    )


def keras_framework() -> str:
    """The framework that Keras is set to: `tensorflow`, `jax`, `torch`, or another."""
    home = Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser())
    try:
        stored = json.loads((home / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        stored = None
    return os.environ.get("KERAS_BACKEND") or stored or "tensorflow"
