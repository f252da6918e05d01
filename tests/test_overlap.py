"""Work in a thread beside the caller's: order, bounds, errors, and stopping."""

import contextvars
import itertools
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.overlap import AHEAD, ahead, behind

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


@stages
def test_the_thread_ends_when_the_caller_stops(stage):
    before = threading.active_count()
    coming = stage(itertools.count(), 3)

    assert next(coming) == 0
    coming.close()
    assert threading.active_count() == before


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
