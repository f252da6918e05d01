"""Open networks of this process.

What holds here: each recipe is opened once for each process, also when threads ask at the same
time; a forked child opens its own, as threads of a runtime do not survive a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

__all__ = ["close_session", "open_session"]

T = TypeVar("T")

_lock = threading.RLock()
_sessions: dict[tuple[int, Hashable], object] = {}


def open_session(recipe: Hashable, opener: Callable[[], T]) -> T:
    """The open network of a recipe; opened now if it is not yet."""
    key = (os.getpid(), recipe)
    with _lock:
        if key not in _sessions:
            _sessions[key] = opener()
        return _sessions[key]  # type: ignore[return-value]


def close_session(recipe: Hashable) -> None:
    """Let go of an open network; nothing happens if it is not open."""
    with _lock:
        _sessions.pop((os.getpid(), recipe), None)
