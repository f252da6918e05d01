"""Work in a thread beside the caller's: order, bounds, errors, and stopping."""

import contextvars
import gc
import itertools
import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.overlap import AHEAD, ahead, behind, side_by_side

STAGES = {
    "ahead": lambda items, group: ahead(items, group=group),
    "behind": lambda items, group: behind(items, lambda item: None, group=group),
}
stages = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)


def failing(n):
    """The numbers below n, and then an error."""
    yield from range(n)
    raise KeyError("the end")


def received(items):
    """What came, and whether an error came behind it."""
    came = []
    try:
        came.extend(items)
    except KeyError:
        return came, True
    return came, False


@stages
@given(n=st.integers(0, 20), group=st.integers(1, 7), fails=st.booleans())
def test_what_comes_is_what_comes_without_a_thread(stage, n, group, fails):
    def items():
        return failing(n) if fails else iter(range(n))

    assert received(stage(items(), group)) == received(items())


@given(n=st.integers(0, 20), group=st.integers(1, 7), at=st.integers(0, 25))
def test_an_item_that_can_not_be_used_is_not_passed_on(n, group, at):
    used = []

    def use(item):
        if item == at:
            raise KeyError(item)
        used.append(item)

    came, failed = received(behind(range(n), use, group=group))

    assert failed == (at < n)
    assert came == used[: len(came)] == list(range(min(at, n)))


@given(group=st.integers(1, 5), asked=st.integers(1, 20))
def test_what_is_made_ahead_is_bounded(group, asked):
    made = itertools.count()
    coming = ahead((next(made) for _ in range(1000)), group=group)
    list(itertools.islice(coming, asked))
    coming.close()

    assert next(made) <= (-(-asked // group) + AHEAD) * group


@given(group=st.integers(1, 5), asked=st.integers(1, 20))
def test_what_waits_to_be_used_is_bounded(group, asked):
    made = itertools.count()
    passed = behind((next(made) for _ in range(1000)), lambda item: None, group=group)
    list(itertools.islice(passed, asked))
    passed.close()

    assert next(made) <= (-(-asked // group) + AHEAD) * group


def ours():
    return [t for t in threading.enumerate() if t.name.startswith("bioimageio_fn")]


@stages
def test_the_thread_ends_when_the_caller_stops(stage):
    coming = stage(itertools.count(), 3)

    assert next(coming) == 0
    coming.close()
    assert not ours()


@stages
def test_an_error_keeps_no_items_alive(stage):
    class Item:
        pass

    alive = weakref.WeakSet()

    def made():
        for _ in range(5):
            item = Item()
            alive.add(item)
            yield item
        raise KeyError("the end")

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(KeyError):
            list(stage(made(), 2))
        assert not alive
    finally:
        gc.enable()


def test_an_error_of_what_uses_items_stops_what_makes_them():
    made = itertools.count()

    def use(item):
        raise KeyError(item)

    def slowly():
        for i in made:
            time.sleep(0.01)
            yield i

    with pytest.raises(KeyError):
        list(behind(slowly(), use, group=1))
    assert next(made) <= AHEAD + 3


def test_both_sides_work_at_the_same_time():
    both = threading.Barrier(2, timeout=10)

    def made():
        yield 0
        for i in range(1, 4):
            both.wait()  # passes only while the caller waits, too
            yield i

    coming = ahead(made(), group=1)
    came = [next(coming)]
    for _ in range(3):
        both.wait()
        came.append(next(coming))

    assert came == [0, 1, 2, 3]


def test_items_are_made_in_one_thread_and_used_in_one():
    names = {"made": set(), "used": set()}

    def made():
        for i in range(20):
            names["made"].add(threading.current_thread().name)
            time.sleep(0)
            yield i

    def use(item):
        names["used"].add(threading.current_thread().name)

    list(behind(ahead(made(), group=2), use, group=2))

    assert len(names["made"]) == len(names["used"]) == 1
    assert threading.current_thread().name not in names["made"] | names["used"]


def test_what_a_caller_has_set_is_set_there_too():
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(7)

    with np.errstate(divide="raise"):
        seen = list(ahead(((variable.get(), np.geterr()["divide"]) for _ in "a"), group=1))

    assert seen == [(7, "raise")]


# ---------------------------------------------------------------- several at a time


@given(n=st.integers(0, 20), threads=st.integers(1, 4), fails=st.booleans(), at=st.integers(0, 25))
def test_what_is_made_side_by_side_comes_in_order(n, threads, fails, at):
    def use(item):
        if item == at:
            raise KeyError(item)
        return 2 * item

    expected = received(map(use, failing(n) if fails else range(n)))
    came, failed = received(side_by_side(use, failing(n) if fails else range(n), threads=threads))

    assert failed == expected[1]
    assert came == expected[0][: len(came)]
    assert failed or came == expected[0]


def test_as_many_run_at_a_time_as_there_are_threads():
    both = threading.Barrier(3, timeout=10)

    def use(item):
        both.wait()  # passes only if three are here
        return item

    assert list(side_by_side(use, range(6), threads=3)) == list(range(6))


def test_what_was_not_begun_is_not_done_when_the_caller_stops():
    used = []

    def use(item):
        used.append(item)
        return item

    coming = side_by_side(use, range(1000), threads=2)
    next(coming)
    coming.close()

    assert len(used) <= 4
