"""`ahead` and `behind`: work in a thread beside that of the caller, so that the two overlap.

What holds here: order is kept; what is made but not yet used is bounded (`AHEAD` groups); an error
comes behind all items that were made before it, as it would without a thread; when the caller
stops, the thread does.

Items change hands in groups, as waking a thread costs more than a small block.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

__all__ = ["AHEAD", "ahead", "behind"]

AHEAD = 2
"""Groups that wait between two threads: one that is used next, and one that is being made."""

T = TypeVar("T")


@attrs.frozen
class _Group(Generic[T]):
    """Items that change hands together, and the error that came behind them."""

    items: tuple[T, ...]
    error: Exception | None

    def passed_on(self) -> Iterator[T]:
        yield from self.items
        if self.error is not None:
            raise self.error


Pending: TypeAlias = deque[Future[_Group[Any]]]
Submit: TypeAlias = Callable[[Callable[[], _Group[Any]]], Future[_Group[Any]]]


def _group(items: Iterable[T]) -> _Group[T]:
    made: list[T] = []
    try:
        made.extend(items)
    except Exception as error:  # noqa: BLE001 # it is raised behind the items
        return _Group(tuple(made), error)
    return _Group(tuple(made), None)


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

    def some() -> _Group[T]:
        return _group(islice(coming, group))

    with _thread() as (submit, pending):
        pending.extend(submit(some) for _ in range(AHEAD))
        while (made := pending.popleft().result()).items or made.error:
            pending.append(submit(some))
            yield from made.passed_on()


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
    with _thread() as (submit, pending):
        while True:
            made = _group(islice(coming, group))
            pending.append(submit(partial(_all_used, use, made.items)))
            is_last = made.error is not None or not made.items
            while len(pending) > (0 if is_last else AHEAD):
                yield from pending.popleft().result().passed_on()
            if made.error is not None:
                raise made.error
            if is_last:
                return


def _all_used(use: Callable[[T], object], items: Iterable[T]) -> _Group[T]:
    def used(item: T) -> T:
        use(item)
        return item

    return _group(map(used, items))


@contextmanager
def _thread() -> Iterator[tuple[Submit, Pending]]:
    """A way to give work to one thread, and what was given to it.

    What the thread has not begun at the end is not done.
    """
    context = contextvars.copy_context()  # NumPy's errstate, and what else a caller may have set
    pending: Pending = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="bioimageio_fn") as pool:
        try:
            yield lambda work: pool.submit(context.run, work), pending
        finally:
            for future in pending:
                future.cancel()
