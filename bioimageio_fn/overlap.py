"""`ahead`, `behind` and `side_by_side`: work in threads beside that of the caller.

What holds here: order is kept; what is made but not yet used is bounded (`AHEAD` groups); an error
comes behind all items that were made before it, as it would without a thread; when the caller
stops, the threads do. An error keeps no items alive.

Items change hands in groups, as waking a thread costs more than a small block.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeAlias, TypeVar

__all__ = ["AHEAD", "ahead", "behind", "closed_behind", "side_by_side"]

AHEAD = 2
"""Groups that wait between two threads: one that is used next, and one that is being made."""

R = TypeVar("R")
T = TypeVar("T")
Group: TypeAlias = tuple[list[T], list[Exception]]
"""Items that change hands together, and the error that came behind them, if there was one.

The error is in a list, from which it is taken to be raised: as a variable, it and the frame that it
is raised from would hold each other, and all items.
"""
Pending: TypeAlias = deque[Future[Any]]
Submit: TypeAlias = Callable[..., Future[Any]]


def ahead(items: Iterable[T], *, group: int) -> Iterator[T]:
    """Items that are made in a thread of their own, before they are asked for.

    Args:
        items: an iterator that nobody else asks.
        group: how many items change hands at a time.

    Examples:
        >>> list(ahead((2 * i for i in range(5)), group=2))
        [0, 2, 4, 6, 8]
    """
    coming = iter(items)

    def some() -> Group[T]:
        return _group(islice(coming, group))

    with _threads(1) as (submit, pending):
        pending.extend(submit(some) for _ in range(AHEAD))
        while True:
            made, errors = pending.popleft().result()
            if not made and not errors:
                return
            pending.append(submit(some))
            yield from made
            del made
            _raise(errors)


def behind(items: Iterable[T], use: Callable[[T], object], *, group: int) -> Iterator[T]:
    """Items that are used in a thread of its own, and passed on behind that.

    Args:
        items: made in the thread of the caller.
        use: called with one item after the other, in order.
        group: how many items change hands at a time.

    Examples:
        >>> seen = []
        >>> list(behind(range(5), seen.append, group=2)), seen
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    """
    coming = iter(items)
    with _threads(1) as (submit, pending):
        while True:
            made, errors = _group(islice(coming, group))
            pending.append(submit(partial(_all_used, use, made)))
            is_last = bool(errors) or not made
            del made
            # what is done is passed on at once, so that an error stops what comes
            while pending and (is_last or len(pending) > AHEAD or pending[0].done()):
                used, failed = pending.popleft().result()
                yield from used
                del used
                _raise(failed)
            _raise(errors)
            if is_last:
                return


def side_by_side(use: Callable[[T], R], items: Iterable[T], *, threads: int) -> Iterator[R]:
    """What a function makes of items, several at a time, in the order of the items.

    Args:
        use: may be called from several threads.
        items: made in the thread of the caller, at most one more than there are threads.
        threads: how many items are worked on at a time.

    Examples:
        >>> list(side_by_side(lambda i: 2 * i, range(5), threads=3))
        [0, 2, 4, 6, 8]
    """
    with _threads(threads) as (submit, pending):
        for item in items:
            pending.append(submit(partial(use, item)))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@contextmanager
def closed_behind(*iterators: Iterator[Any]) -> Iterator[None]:
    """Close generators, the last one first, when the block ends, however it ends.

    One that is left alone goes on working in its thread for as long as somebody holds the error.
    """
    try:
        yield
    finally:
        for iterator in reversed(iterators):
            getattr(iterator, "close", lambda: None)()


def _group(items: Iterable[T]) -> Group[T]:
    made: list[T] = []
    try:
        made.extend(items)
    except Exception as error:  # noqa: BLE001 # it is raised behind the items
        return made, [error]
    return made, []


def _all_used(use: Callable[[T], object], items: Iterable[T]) -> Group[T]:
    def used(item: T) -> T:
        use(item)
        return item

    return _group(map(used, items))


def _raise(errors: list[Exception]) -> None:
    if errors:
        raise errors.pop()


@contextmanager
def _threads(count: int) -> Iterator[tuple[Submit, Pending]]:
    """A way to give work to threads, and what was given to them.

    What they have not begun at the end is not done.
    """
    pending: Pending = deque()
    mine: set[int] = set()
    pool = ThreadPoolExecutor(
        count,
        thread_name_prefix="bioimageio_fn",
        initializer=lambda: mine.add(threading.get_ident()),
    )

    def submit(work: Callable[[], Any]) -> Future[Any]:
        # NumPy's errstate, and what else a caller may have set
        return pool.submit(contextvars.copy_context().run, work)

    try:
        yield submit, pending
    finally:
        for future in pending:
            future.cancel()
        # a generator that nobody wants any more may be collected in its own thread
        pool.shutdown(wait=threading.get_ident() not in mine)
