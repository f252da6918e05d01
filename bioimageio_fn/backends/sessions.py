"""Open networks of this process.

What holds here: each recipe is opened once for each process, also when threads ask at the same
time; threads that open different recipes do not wait for one another; a child process opens its
own, also one that was forked, whose runtime has lost its threads. That does not make every runtime
run there: PyTorch waits for ever in a child that was forked after it had run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeAlias, TypeVar, cast
from weakref import WeakValueDictionary

__all__ = ["close_session", "open_session"]

T = TypeVar("T")
Key: TypeAlias = tuple[int, Hashable]

_MISSING = object()
_sessions: dict[Key, object] = {}
_opening: WeakValueDictionary[Key, Any] = WeakValueDictionary()  # a lock for each that is opened
_lock = Lock()


def open_session(recipe: Hashable, opener: Callable[[], T]) -> T:
    """The open network of a recipe; opened now if it is not yet."""
    key = (os.getpid(), recipe)
    session = _sessions.get(key, _MISSING)
    if session is _MISSING:
        with _lock:
            opening = _opening.setdefault(key, Lock())
        with opening:
            session = _sessions.get(key, _MISSING)
            if session is _MISSING:
                session = _sessions[key] = opener()
    return cast(T, session)


def close_session(recipe: Hashable) -> None:
    """Let go of an open network; nothing happens if it is not open."""
    _sessions.pop((os.getpid(), recipe), None)


def _unlock() -> None:
    # a thread that held the lock when the process was forked is not there to give it back
    global _lock  # noqa: PLW0603
    _lock = Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_unlock)
