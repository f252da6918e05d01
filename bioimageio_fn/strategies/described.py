"""Strategies for processing operations as the formats describe them.

What holds here: what is drawn is plain YAML (dicts, lists, strings, numbers, null) that
`bioimageio.spec` accepts and that makes sense for the tensor; every keyword that has a default is
left out at times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from hypothesis import strategies as st
from immutabledict import immutabledict

from ..axes import AxisId
from ..errors import AxesError
from ..spec import TensorSpec
from ..tensor import Tensor
from .keywords import (
    BOUND,
    EPS,
    KEYWORDS,
    NUMBER,
    STD,
    Keywords,
    ListPlace,
    Place,
    linear,
    listed,
    some_percentiles,
    subsets,
)
from .steps import choose

__all__ = ["DESCRIBED", "descriptions"]

Version = Literal["0.5", "0.4"]
Where = Literal["preprocessing", "postprocessing"]
Strategy = st.SearchStrategy[Keywords]

_BATCH = AxisId("batch")
_ONLY_POSTPROCESSING = ("scale_mean_variance",)
# `axes` of a step of format 0.4 has these letters alone; a tensor also b, t and i
_LETTERS = {"channel": "c", "z": "z", "y": "y", "x": "x"}
_LETTERLESS = ("batch", "time", "index")
_MODES = st.sampled_from(("per_sample", "per_dataset"))


def descriptions(
    of: Tensor | TensorSpec,
    version: Version = "0.5",
    where: Where = "preprocessing",
    *,
    names: Iterable[str] | None = None,
    reference: str | None = None,
) -> st.SearchStrategy[dict[str, Any]]:
    """Descriptions of single processing operations, in the form that they have in YAML.

    For whoever reads or writes descriptions of models. Operations that need a program of others
    (StarDist, Cellpose, custom code) are not drawn.

    Args:
        of: the tensor that is processed, or its spec.
        version: the format: `0.5` (`{"id": ..., "kwargs": ...}`) or `0.4` (`{"name": ..., ...}`).
        where: `preprocessing` of an input or `postprocessing` of an output.
        names: names of the operations to draw, of `DESCRIBED[version]`; by default all.
        reference: id of an input tensor with the same axes and sizes, which operations may refer
            to; None if there is none.

    Raises:
        OperationError: if a name is not known, or none of them fits the tensor here.
        AxesError: if format 0.4 has no letter for an axis of the tensor.

    Examples:
        >>> from bioimageio.spec.model.v0_5 import BinarizeDescr
        >>> from hypothesis import given
        >>> spec = TensorSpec("bcyx", (None, 2, None, None), "uint8")
        >>> @given(descriptions(spec, names=["binarize"]))
        ... def test_thresholds_are_as_many_as_channels(descr):
        ...     kwargs = BinarizeDescr.model_validate(descr).kwargs
        ...     assert isinstance(kwargs.threshold, float) or len(kwargs.threshold) == 2
        >>> test_thresholds_are_as_many_as_channels()
    """
    at = _place_0_5(of, reference) if version == "0.5" else _place_0_4(of, reference)
    key = "id" if version == "0.5" else "name"
    kinds = {
        name: None if (kwargs := make(at)) is None else _described(key, name, kwargs)
        for name, make in _MAKE[version].items()
    }
    if where == "preprocessing":
        kinds |= dict.fromkeys(_ONLY_POSTPROCESSING)
    return choose(kinds, DESCRIBED[version] if names is None else names)


@st.composite
def _described(draw: st.DrawFn, key: str, name: str, keywords: Strategy) -> dict[str, Any]:
    kwargs = draw(keywords)
    # the steps that need no keyword may have none, or an empty mapping of them
    if not kwargs and (name == "sigmoid" or draw(st.booleans())):
        return {key: name}
    # YAML has no class for the ids of axes
    return {key: name, "kwargs": json.loads(json.dumps(kwargs))}


def _place_0_5(of: Tensor | TensorSpec, reference: str | None) -> Place:
    along = tuple(a for a in of.axes if a != _BATCH)
    lists = [ListPlace({"axis": st.just(a)}, n) for a in along if (n := of.sizes[a])]
    return Place(of.axes, along, tuple(lists), reference)


# ---------------------------------------------------------------- format 0.4


def _place_0_4(of: Tensor | TensorSpec, reference: str | None) -> Place:
    for axis in of.axes:
        if axis not in _LETTERS and axis not in _LETTERLESS:
            raise AxesError(
                "format 0.4 has no letter for this axis",
                axis=axis,
                expected=f"one of {', '.join((*_LETTERS, *_LETTERLESS))}",
            )
    along = tuple(a for a in of.axes if a != _BATCH)
    lists = []
    for axis in along:
        rest = [a for a in along if a != axis]
        # a list lies along the one axis that `axes` leaves out, so it has to name all others
        if (n := of.sizes[axis]) and all(a in _LETTERS for a in rest):
            lists.append(ListPlace({"axes": st.permutations(rest).map(_letters)}, n))
    return Place(tuple(a for a in along if a in _LETTERS), along, tuple(lists), reference)


def _letters(axes: Iterable[str]) -> str:
    return "".join(_LETTERS[a] for a in axes)


def _some_letters(at: Place) -> st.SearchStrategy[str]:
    return subsets(at.axes).map(_letters)


def _merged(*parts: Strategy) -> Strategy:
    return st.tuples(*parts).map(lambda drawn: {k: v for part in drawn for k, v in part.items()})


def _clip_0_4(_: Place) -> Strategy:
    bounds = st.tuples(BOUND, BOUND).map(sorted)
    return bounds.map(lambda pair: {"min": pair[0], "max": pair[1]})


def _scale_range_0_4(at: Place) -> Strategy:
    references = st.none() if at.reference is None else st.sampled_from((None, at.reference))
    return _merged(
        st.fixed_dictionaries(
            {"mode": _MODES, "axes": _some_letters(at)},
            optional={"eps": EPS, "reference_tensor": references},
        ),
        some_percentiles(),
    )


def _zero_mean_unit_variance_0_4(at: Place) -> Strategy:
    none = {"mean": st.none(), "std": st.none(), "eps": EPS}
    measured = st.fixed_dictionaries({"mode": _MODES, "axes": _some_letters(at)}, optional=none)
    numbers = st.fixed_dictionaries({"axes": _some_letters(at), "mean": NUMBER, "std": _STD_0_4})
    lists = [
        kind
        for keywords, n in at.lists
        for means, stds in [(listed(NUMBER, n), listed(_STD_0_4, n))]
        for kind in (
            st.fixed_dictionaries({**keywords, "mean": means, "std": stds | _STD_0_4}),
            st.fixed_dictionaries({**keywords, "mean": NUMBER, "std": stds}),
        )
    ]
    # "fixed" is the default
    rest = st.fixed_dictionaries({}, optional={"mode": st.just("fixed"), "eps": EPS})
    return st.booleans().flatmap(
        lambda fixed: _merged(st.one_of(numbers, *lists), rest) if fixed else measured
    )


def _scale_mean_variance_0_4(at: Place) -> Strategy | None:
    if at.reference is None:
        return None
    return st.fixed_dictionaries(
        {"mode": _MODES, "reference_tensor": st.just(at.reference)},
        optional={"axes": st.none() | _some_letters(at), "eps": EPS},
    )


_STD_0_4 = STD | st.just(0)  # eps stands beside it

_KEYWORDS_0_4: Mapping[str, Callable[[Place], Strategy | None]] = {
    "binarize": lambda _: st.fixed_dictionaries({"threshold": NUMBER}),
    "clip": _clip_0_4,
    "scale_linear": lambda at: linear(at, axes=st.none() | _some_letters(at)),
    "scale_mean_variance": _scale_mean_variance_0_4,
    "scale_range": _scale_range_0_4,
    "sigmoid": lambda _: st.just({}),
    "zero_mean_unit_variance": _zero_mean_unit_variance_0_4,
}

_MAKE = {"0.5": KEYWORDS, "0.4": _KEYWORDS_0_4}

DESCRIBED: Mapping[str, tuple[str, ...]] = immutabledict(
    {version: tuple(make) for version, make in _MAKE.items()}
)
"""Names of the operations that `descriptions` draws, by format."""
