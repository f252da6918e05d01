"""`stopping`: Ctrl-C ends the program within a second, also while a network runs.

What holds here: what is being written is removed, and what stood there remains. Python handles a
signal when the C code that runs comes back, which a large block may do after minutes. So a thread
waits for the signal, gives Python a moment to end by itself, and then ends the process.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .answering import INTERRUPTED

__all__ = ["stopping"]

_SECONDS = 0.5
"""What Python gets to end by itself."""


@contextmanager
def stopping() -> Iterator[None]:
    """End the process if it does not end by itself after Ctrl-C.

    Only the main thread can enter this.
    """
    here, there = socket.socketpair()
    there.setblocking(False)  # noqa: FBT003
    ended = threading.Event()

    def wait() -> None:
        for signals in iter(lambda: here.recv(64), b""):
            if signal.SIGINT in signals and not ended.wait(_SECONDS):
                from ..files import discard_unfinished

                discard_unfinished()
                os.write(2, b"\nstopped: nothing is left half-written\n")
                os._exit(INTERRUPTED)

    before = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        there.close()
        thread.join()
        here.close()
