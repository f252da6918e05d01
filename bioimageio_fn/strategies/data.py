"""Strategies for axes, arrays, tensors and samples.

What holds here: values are moderate (from -1000 to 1000, exact in float16) unless more is asked
for; every data type and every layout of memory that is allowed occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from immutabledict import immutabledict

from ..arrays import DTYPES
from ..axes import AxisId, MemberId, as_axes
from ..sample import Sample
from ..tensor import Tensor

__all__ = ["IDS", "LAYOUTS", "arrays", "axes", "samples", "tensors"]

NumPyArray: TypeAlias = np.ndarray[Any, Any]
Layout: TypeAlias = Callable[[NumPyArray], NumPyArray]

IDS = as_axes("bctzyx")
"""The axes that are drawn by default."""

_BATCH = AxisId("batch")


def _gaps(array: NumPyArray) -> NumPyArray:
    wide = np.zeros([2 * n for n in array.shape], array.dtype)
    # the ellipsis makes it a view also where there is no axis
    every_second: tuple[Any, ...] = (..., *[slice(None, None, 2)] * array.ndim)
    view: NumPyArray = wide[every_second]
    view[...] = array
    return view


def _read_only(array: NumPyArray) -> NumPyArray:
    copy = np.array(array)
    copy.flags.writeable = False
    return copy


def _unaligned(array: NumPyArray) -> NumPyArray:
    # as in a memory-mapped file whose header has an odd length
    memory = np.zeros(array.nbytes + 1, "uint8")
    view: NumPyArray = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


LAYOUTS: Mapping[str, Layout] = immutabledict(
    {
        "plain": np.array,
        "Fortran order": lambda a: np.array(a, order="F"),
        "negative strides": lambda a: np.asarray(np.flip(np.array(np.flip(a)))),
        "gaps": _gaps,
        "big-endian": lambda a: np.array(a).astype(a.dtype.newbyteorder(">")),
        "read-only": _read_only,
        "unaligned": _unaligned,
    }
)
"""Ways to hold an array in memory, by name: functions from an array to an equal one.

    >>> LAYOUTS["big-endian"](np.array([1, 2], "uint16")).dtype
    dtype('>u2')
"""


def axes(
    min_size: int = 0, max_size: int = 3, *, ids: str | Iterable[str] = IDS
) -> st.SearchStrategy[tuple[AxisId, ...]]:
    """Tuples of different axis ids, in any order.

    For functions of axes alone; `tensors` draws its own.

    Args:
        min_size: the fewest axes.
        max_size: the most axes.
        ids: those to draw from, as letters or ids.

    Examples:
        >>> from hypothesis import given
        >>> @given(axes(max_size=4, ids="bcyx"))
        ... def test_no_axis_is_drawn_twice(drawn):
        ...     assert len(set(drawn)) == len(drawn) <= 4
        >>> test_no_axis_is_drawn_twice()
    """
    each = st.sampled_from(as_axes(ids))
    return st.lists(each, unique=True, min_size=min_size, max_size=max_size).map(tuple)


def _elements(dtype: str, *, nan: bool, inf: bool, extremes: bool) -> st.SearchStrategy[Any]:
    if dtype == "bool":
        return st.booleans()
    limits: Any = np.finfo(dtype) if "float" in dtype else np.iinfo(dtype)
    if "float" in dtype:
        usual: st.SearchStrategy[float] = st.floats(-1000, 1000, width=16)
        special = [np.nan] * nan + [np.inf, -np.inf] * inf
    else:
        usual = st.integers(max(int(limits.min), -1000), min(int(limits.max), 1000))
        special = []
    special += [limits.dtype.type(n).item() for n in (limits.min, limits.max)] * extremes
    return usual | st.sampled_from(special) if special else usual


@st.composite
def arrays(
    draw: st.DrawFn,
    dtypes: Sequence[str] = DTYPES,
    shape: Sequence[int] | None = None,
    *,
    nan: bool = False,
    inf: bool = False,
    extremes: bool = False,
    layouts: Sequence[str] = tuple(LAYOUTS),
) -> NumPyArray:
    """NumPy arrays of every data type, in any layout of memory.

    For functions that know no axes.

    Args:
        dtypes: data types to draw from.
        shape: its sizes; by default one to three, each from 1 to 5.
        nan: whether NaN may occur in floating point arrays.
        inf: whether infinities may occur in them.
        extremes: whether the smallest and the largest number of the data type may occur.
        layouts: names in `LAYOUTS` to draw from. PyTorch, for example, takes neither negative
            strides nor big-endian numbers: `("plain", "Fortran order", "gaps")`.

    Examples:
        >>> from hypothesis import given
        >>> @given(arrays(["uint8", "float32"], shape=(2, 3), nan=True))
        ... def test_turning_twice_changes_nothing(array):
        ...     assert array.T.T.tobytes() == array.tobytes()
        >>> test_turning_twice_changes_nothing()
    """
    dtype = draw(st.sampled_from(dtypes))
    sides = draw(hnp.array_shapes(max_dims=3, max_side=5)) if shape is None else tuple(shape)
    elements = _elements(dtype, nan=nan, inf=inf, extremes=extremes)
    array = draw(hnp.arrays(dtype, sides, elements=elements))
    return LAYOUTS[draw(st.sampled_from(layouts))](array)


@st.composite
def tensors(
    draw: st.DrawFn,
    dtypes: Sequence[str] = DTYPES,
    min_dims: int = 0,
    max_dims: int = 3,
    *,
    axes: str | Iterable[str] | None = None,
    min_side: int = 1,
    max_side: int = 5,
    nan: bool = False,
    inf: bool = False,
    extremes: bool = False,
    layouts: Sequence[str] = tuple(LAYOUTS),
) -> Tensor:
    """Tensors of every data type and layout, with any axes.

    Args:
        dtypes: data types to draw from.
        min_dims: the fewest axes.
        max_dims: the most axes.
        axes: the axes themselves, if they are not to be drawn.
        min_side: the least size of an axis; 0 for empty tensors too.
        max_side: the largest size of an axis.
        nan: whether NaN may occur in floating point tensors.
        inf: whether infinities may occur in them.
        extremes: whether the smallest and the largest number of the data type may occur.
        layouts: names in `LAYOUTS` to draw from.

    Examples:
        >>> from hypothesis import given
        >>> @given(tensors(axes="cyx", nan=True))
        ... def test_reading_again_gives_the_same(tensor):
        ...     assert tensor.axes == ("channel", "y", "x")
        ...     assert Tensor(np.asarray(tensor), "cyx") == tensor
        >>> test_reading_again_gives_the_same()
    """
    ids = draw(_axes(min_dims, max_dims)) if axes is None else as_axes(axes)
    shape = [draw(st.integers(min_side, max_side)) for _ in ids]
    array = arrays(dtypes, shape, nan=nan, inf=inf, extremes=extremes, layouts=layouts)
    return Tensor(draw(array), ids)


_axes = axes  # `tensors` has an argument of that name


@st.composite
def samples(
    draw: st.DrawFn,
    members: Sequence[str] | None = None,
    *,
    batch: bool | None = None,
    dtypes: Sequence[str] = DTYPES,
    max_dims: int = 3,
    nan: bool = False,
    inf: bool = False,
    layouts: Sequence[str] = tuple(LAYOUTS),
) -> Sample:
    """Samples of one or several tensors, with or without an id.

    Args:
        members: ids of the tensors; by default one to three of `raw`, `mask` and `other`, in any
            order.
        batch: whether the tensors have a batch axis, of the same size in all and at any place; by
            default some samples have one and some have none.
        dtypes: data types to draw from.
        max_dims: the most axes of a tensor, batch not counted.
        nan: whether NaN may occur in floating point tensors.
        inf: whether infinities may occur in them.
        layouts: names in `LAYOUTS` to draw from.

    Examples:
        >>> from hypothesis import given
        >>> @given(samples(["raw", "mask"], batch=True))
        ... def test_tensors_have_one_batch_size(sample):
        ...     assert list(sample.members) == ["raw", "mask"]
        ...     assert len({tensor.sizes["batch"] for tensor in sample.members.values()}) == 1
        >>> test_tensors_have_one_batch_size()
    """
    if members is None:
        known = st.sampled_from(("raw", "mask", "other"))
        members = draw(st.lists(known, unique=True, min_size=1))
    batched = draw(st.booleans()) if batch is None else batch
    n = draw(st.integers(1, 5))
    drawn = {}
    for member in members:
        ids = list(draw(axes(max_size=max_dims, ids=[a for a in IDS if a != _BATCH])))
        if batched:
            ids.insert(draw(st.integers(0, len(ids))), _BATCH)
        shape = [n if a == _BATCH else draw(st.integers(1, 5)) for a in ids]
        array = draw(arrays(dtypes, shape, nan=nan, inf=inf, layouts=layouts))
        drawn[MemberId(member)] = Tensor(array, ids)
    return Sample(drawn, id=draw(st.none() | st.sampled_from(("a", "cell 1", "Zelle-ä"))))
