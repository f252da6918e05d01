"""Strategies for measures, operation records, and chains of transforms.

What holds here: whatever is drawn fits the tensor that it is drawn for; no operation that is drawn
changes the axes or sizes of a tensor, so that each fits behind every other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from ..axes import MemberId
from ..errors import OperationError
from ..ops.records import (
    Binarize,
    Clip,
    EnsureDtype,
    FixedZeroMeanUnitVariance,
    Operation,
    ScaleLinear,
    ScaleMeanVariance,
    ScaleRange,
    Sigmoid,
    Softmax,
    ZeroMeanUnitVariance,
)
from ..ops.transform import Transform
from ..spec import TensorSpec
from ..stats.measure import Measure
from ..tensor import Tensor
from .keywords import EPS, KEYWORDS, Keywords, ListPlace, Place, subsets

__all__ = ["OPERATIONS", "chains", "choose", "measures", "operations"]

_SCOPES = st.sampled_from(("sample", "dataset"))

# the record of each operation, and the parameters that it has beyond the keywords of format 0.5
_RECORDS: Mapping[str, tuple[Callable[..., Operation], Mapping[str, st.SearchStrategy[Any]]]] = {
    "binarize": (Binarize, {}),
    "clip": (Clip, {"scope": _SCOPES}),
    "ensure_dtype": (EnsureDtype, {}),
    "fixed_zero_mean_unit_variance": (FixedZeroMeanUnitVariance, {"eps": st.just(0) | EPS}),
    "scale_linear": (ScaleLinear, {}),
    "scale_mean_variance": (ScaleMeanVariance, {"scope": _SCOPES}),
    "scale_range": (ScaleRange, {"scope": _SCOPES}),
    "sigmoid": (Sigmoid, {}),
    "softmax": (Softmax, {}),
    "zero_mean_unit_variance": (ZeroMeanUnitVariance, {"scope": _SCOPES}),
}

OPERATIONS = tuple(_RECORDS)
"""Names of the operations that `operations` and `chains` draw."""


def choose(
    kinds: Mapping[str, st.SearchStrategy[Any] | None], names: Iterable[str]
) -> st.SearchStrategy[Any]:
    """One of the named strategies, each as often as any other; None stands for what does not fit.

    Raises:
        OperationError: if one is not known, or if nothing can be drawn.
    """
    wanted = tuple(names)
    for name in wanted:
        if name not in kinds:
            raise OperationError(
                "no such operation", step=name, expected=f"one of {', '.join(kinds)}"
            )
    possible = [kind for name in wanted if (kind := kinds[name]) is not None]
    if not possible:
        raise OperationError(
            "none of these operations fits this tensor here",
            got=", ".join(wanted),
            remedy="softmax needs an axis, scale_mean_variance a reference",
        )
    # not `one_of`, which draws a strategy of many branches more often
    return st.sampled_from(range(len(possible))).flatmap(possible.__getitem__)


@st.composite
def measures(draw: st.DrawFn, of: Tensor | TensorSpec, member: str = "raw") -> Measure:
    """Measures that can be taken of a tensor.

    Args:
        of: the tensor, or its spec.
        member: id of the tensor.

    Examples:
        >>> import numpy as np
        >>> from hypothesis import given
        >>> from bioimageio_fn.stats.compute import measure
        >>> tensor = Tensor([[1.0, 2.0], [3.0, 6.0]], "yx")
        >>> @given(measures(tensor))
        ... def test_no_measure_is_beyond_the_largest_value(wanted):
        ...     assert np.asarray(measure(tensor, wanted)).max() <= 6
        >>> test_no_measure_is_beyond_the_largest_value()
    """
    name: Any = draw(st.sampled_from(("mean", "std", "var", "quantile")))
    reduced = draw(st.none() | subsets(of.axes))
    scope: Any = draw(_SCOPES)
    if name != "quantile":
        return Measure(name, MemberId(member), reduced, scope)
    q = draw(st.sampled_from((0.0, 0.5, 1.0)) | st.floats(0, 1))
    method: Any = draw(st.sampled_from(("linear", "inverted_cdf")))
    return Measure(name, MemberId(member), reduced, scope, q=q, method=method)


def operations(
    of: Tensor | TensorSpec,
    names: Iterable[str] = OPERATIONS,
    *,
    reference: str | None = None,
) -> st.SearchStrategy[Operation]:
    """Operation records whose parameters are valid for a tensor.

    Args:
        of: the tensor, or its spec.
        names: names of the operations to draw, as in the format.
        reference: id of an input tensor with the same axes and sizes, which operations may refer
            to; None if there is none.

    Raises:
        OperationError: if a name is not known, or none of them fits the tensor.

    Examples:
        >>> from hypothesis import given
        >>> spec = TensorSpec("cyx", (2, None, None), "uint8")
        >>> @given(operations(spec, ["scale_linear", "binarize"]))
        ... def test_plan_keeps_sizes(op):
        ...     assert op.plan(spec).sizes == spec.sizes
        >>> test_plan_keeps_sizes()
    """
    lists = [ListPlace({"axis": st.just(a)}, n) for a, n in of.sizes.items() if n]
    along = tuple(a for a in of.axes if a != "batch")
    at = Place(of.axes, along, tuple(lists), reference)
    return choose({name: _record(name, at) for name in _RECORDS}, names)


def _record(name: str, at: Place) -> st.SearchStrategy[Operation] | None:
    make, more = _RECORDS[name]
    keywords = KEYWORDS[name](at)

    def record(parts: tuple[Keywords, Keywords]) -> Operation:
        parameters = {**parts[0], **parts[1]}
        if "reference_tensor" in parameters:
            parameters["reference"] = parameters.pop("reference_tensor")
        return make(**parameters)

    extra = st.fixed_dictionaries({}, optional=dict(more))
    return None if keywords is None else st.tuples(keywords, extra).map(record)


def chains(
    of: Tensor | TensorSpec,
    member: str = "raw",
    max_size: int = 3,
    names: Iterable[str] = OPERATIONS,
    *,
    min_size: int = 0,
    ops: st.SearchStrategy[Operation] | None = None,
) -> st.SearchStrategy[tuple[Transform, ...]]:
    """Chains of unbound transforms whose parameters are valid for a tensor.

    Args:
        of: the tensor, or its spec.
        member: id of the tensor.
        max_size: the most steps.
        names: names of the operations to draw.
        min_size: the fewest steps.
        ops: operations to draw from instead, such as `operations(tensor) | st.just(MyOwn())`. They
            have to keep axes and sizes.

    Raises:
        OperationError: if a name is not known, or none of them fits the tensor.

    Examples:
        >>> from hypothesis import given
        >>> import bioimageio_fn as fn
        >>> sample = fn.Sample({"raw": Tensor([[1.0, 2.0], [3.0, 6.0]], "yx")})
        >>> @given(chains(sample["raw"], names=["clip", "scale_range"]))
        ... def test_a_chain_keeps_sizes(chain):
        ...     result = fn.apply(fn.fit(chain, sample), sample)
        ...     assert result["raw"].sizes == sample["raw"].sizes
        >>> test_a_chain_keeps_sizes()
    """
    each = operations(of, names) if ops is None else ops
    steps = each.map(lambda op: Transform(op, MemberId(member)))
    return st.lists(steps, min_size=min_size, max_size=max_size).map(tuple)
