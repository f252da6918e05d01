"""Keywords of processing operations, as both formats and our records have them.

What holds here: what is drawn is valid for the tensor; each keyword that has a default is left out
at times; a list of values is as long as the axis that it lies along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from hypothesis import strategies as st

from ..arrays import DTYPES
from ..axes import AxisId

__all__ = [
    "BOUND",
    "EPS",
    "KEYWORDS",
    "NUMBER",
    "STD",
    "Keywords",
    "ListPlace",
    "Place",
    "linear",
    "listed",
    "some_percentiles",
    "subsets",
]

Keywords: TypeAlias = dict[str, Any]
Strategy: TypeAlias = st.SearchStrategy[Keywords]

NUMBER = st.integers(-10, 10) | st.floats(-10, 10, width=16)
BOUND = st.integers(-300, 300) | st.floats(-300, 300, width=16)
STD = st.integers(1, 10) | st.floats(0.125, 10, width=16) | st.just(1e-6)
EPS = st.sampled_from((1e-6, 1e-3, 0.1)) | st.floats(1e-9, 0.1)


class ListPlace(NamedTuple):
    """Where a list of values may lie: the keywords that say so, and how long it is then."""

    keywords: Mapping[str, st.SearchStrategy[Any]]
    length: int


class Place(NamedTuple):
    """Where an operation stands.

    Args:
        axes: axes of the tensor.
        along: those that the keyword `axis` may name.
        lists: where lists of values may lie.
        reference: id of an input tensor with the same axes, if there is one.
    """

    axes: tuple[AxisId, ...]
    along: tuple[AxisId, ...]
    lists: tuple[ListPlace, ...]
    reference: str | None


def subsets(axes: tuple[AxisId, ...]) -> st.SearchStrategy[list[AxisId]]:
    """Some of the axes, in any order; all and none too."""
    # not unique lists, in which more than two axes are rare
    return st.tuples(st.permutations(axes), st.integers(0, len(axes))).map(lambda t: t[0][: t[1]])


def _reduced(at: Place) -> st.SearchStrategy[list[AxisId] | None]:
    return st.none() | subsets(at.axes)


def _references(at: Place) -> st.SearchStrategy[str | None]:
    return st.none() if at.reference is None else st.sampled_from((None, at.reference))


def listed(values: st.SearchStrategy[Any], length: int) -> st.SearchStrategy[list[Any]]:
    """Lists of exactly that length."""
    return st.lists(values, min_size=length, max_size=length)


@st.composite
def _percentiles(draw: st.DrawFn) -> tuple[float, float]:
    """Two percentiles, the lower one first, as whole numbers or tenths."""
    # the higher one is above 1, which keeps fractions from being taken for percentiles
    high = draw(st.just(1000) | st.integers(11, 1000))
    low = draw(st.integers(0, high - 1))
    whole = draw(st.booleans()) and low // 10 < high // 10 > 1
    return (low // 10, high // 10) if whole else (low / 10, high / 10)


def some_percentiles() -> Strategy:
    """None, one or both of the keywords `min_percentile` and `max_percentile`."""
    return _percentiles().flatmap(
        lambda pair: st.fixed_dictionaries(
            {}, optional={"min_percentile": st.just(pair[0]), "max_percentile": st.just(pair[1])}
        )
    )


def _numbers_or_lists(at: Place, **values: st.SearchStrategy[Any]) -> Strategy:
    """One number for each keyword, or one list for each, all along one axis."""
    lists = [
        st.fixed_dictionaries({**keywords, **{k: listed(v, n) for k, v in values.items()}})
        for keywords, n in at.lists
    ]
    return st.one_of(st.fixed_dictionaries(values), *lists)


def linear(at: Place, **anywhere: st.SearchStrategy[Any]) -> Strategy:
    """Gain and offset, as numbers or lists.

    Args:
        at: where it stands.
        anywhere: more keywords that may stand beside single numbers.
    """
    numbers = st.fixed_dictionaries({}, optional={"gain": NUMBER, "offset": NUMBER, **anywhere})
    lists: list[Strategy] = []
    for keywords, n in at.lists:
        each = listed(NUMBER, n)
        lists += [
            st.fixed_dictionaries({**keywords, "gain": each}, optional={"offset": NUMBER | each}),
            st.fixed_dictionaries({**keywords, "offset": each}, optional={"gain": NUMBER}),
        ]
    return st.one_of(numbers, *lists).filter(_does_something)


def _does_something(keywords: Keywords) -> bool:
    """Whether it is not `x * 1 + 0`, which both formats refuse."""
    gain, offset = keywords.get("gain", 1), keywords.get("offset", 0)
    gains = gain if isinstance(gain, list) else [gain]
    offsets = offset if isinstance(offset, list) else [offset]
    return any(g != 1 for g in gains) or any(o != 0 for o in offsets)


@st.composite
def _clip(draw: st.DrawFn, at: Place) -> Keywords:
    low, high = sorted((draw(BOUND), draw(BOUND)))
    p, q = draw(_percentiles())
    lower = ({"min": low}, {"min_percentile": p})
    upper = ({"max": high}, {"max_percentile": q})
    one_side = st.sampled_from((*lower, *upper))
    both_sides = st.tuples(st.sampled_from(lower), st.sampled_from(upper)).map(
        lambda t: t[0] | t[1]
    )
    bounds: Keywords = draw(one_side | both_sides)
    if any("percentile" in name for name in bounds):
        bounds = {**bounds, **draw(st.fixed_dictionaries({}, optional={"axes": _reduced(at)}))}
    return bounds


@st.composite
def _scale_range(draw: st.DrawFn, at: Place) -> Keywords:
    some = {"axes": _reduced(at), "eps": EPS, "reference_tensor": _references(at)}
    rest = draw(st.fixed_dictionaries({}, optional=some))
    return {**draw(some_percentiles()), **rest}


def _softmax(at: Place) -> Strategy | None:
    if not at.along:
        return None
    axis = st.fixed_dictionaries({"axis": st.sampled_from(at.along)})
    return st.just({}) | axis if "channel" in at.along else axis


def _scale_mean_variance(at: Place) -> Strategy | None:
    if at.reference is None:
        return None
    return st.fixed_dictionaries(
        {"reference_tensor": st.just(at.reference)}, optional={"axes": _reduced(at), "eps": EPS}
    )


KEYWORDS: Mapping[str, Callable[[Place], Strategy | None]] = {
    "binarize": lambda at: _numbers_or_lists(at, threshold=NUMBER),
    "clip": _clip,
    "ensure_dtype": lambda _: st.fixed_dictionaries(
        # the format has no float16
        {"dtype": st.sampled_from([d for d in DTYPES if d != "float16"])}
    ),
    "fixed_zero_mean_unit_variance": lambda at: _numbers_or_lists(at, mean=NUMBER, std=STD),
    "scale_linear": linear,
    "scale_mean_variance": _scale_mean_variance,
    "scale_range": _scale_range,
    "sigmoid": lambda _: st.just({}),
    "softmax": _softmax,
    "zero_mean_unit_variance": lambda at: st.fixed_dictionaries(
        {}, optional={"axes": _reduced(at), "eps": EPS}
    ),
}
"""The keywords of each operation of format 0.5; None where it does not fit."""
