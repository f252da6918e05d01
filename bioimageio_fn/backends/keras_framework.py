"""Which framework Keras runs on.

What holds here: it is told as Keras tells it, without importing anything; nothing is set.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

__all__ = ["keras_framework"]


def keras_framework() -> str:
    """The framework that Keras is set to: `tensorflow`, `jax`, `torch`, or another."""
    home = Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser())
    try:
        stored = json.loads((home / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        stored = None
    return os.environ.get("KERAS_BACKEND") or stored or "tensorflow"
