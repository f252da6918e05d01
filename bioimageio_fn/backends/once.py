"""Warnings that are said once in a process, whatever the filters of `warnings` are.

What holds here: the same words are not said twice, also when threads meet.
"""

from __future__ import annotations

import warnings
from threading import Lock

from ..errors import BioimageioFnWarning

__all__ = ["warn_once"]

_lock = Lock()
_said: set[str] = set()


def warn_once(text: str) -> None:
    """Warn, unless this was said before."""
    with _lock:
        if text in _said:
            return
        _said.add(text)
    warnings.warn(text, BioimageioFnWarning, stacklevel=3)
