"""Hypothesis strategies: small tensors of every kind, operations that fit them, and chains."""

import array_api_strict
import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bioimageio_fn.arrays import DTYPES
from bioimageio_fn.axes import MemberId
from bioimageio_fn.ops.records import (
    Binarize,
    Clip,
    EnsureDtype,
    FixedZeroMeanUnitVariance,
    ScaleLinear,
    ScaleRange,
    Sigmoid,
    ZeroMeanUnitVariance,
)
from bioimageio_fn.ops.transform import Transform
from bioimageio_fn.tensor import Tensor

IDS = ("batch", "channel", "time", "z", "y", "x")
FLOATS = tuple(d for d in DTYPES if "float" in d)
INTS = tuple(d for d in DTYPES if "int" in d)
LIBRARIES = {
    "numpy": np.asarray,
    "torch": lambda array: torch.from_numpy(native(array)),
    "array_api_strict": lambda array: array_api_strict.asarray(native(array)),
}
LAYOUTS = {
    "plain": np.array,
    "Fortran order": lambda a: np.array(a, order="F"),
    "negative strides": lambda a: np.asarray(np.flip(np.array(np.flip(a)))),
    "big-endian": lambda a: np.array(a).astype(a.dtype.newbyteorder(">")),
}


def native(array):
    """A plain copy, which every library takes."""
    return np.array(array, np.asarray(array).dtype.newbyteorder("="), order="C")


layouts = st.sampled_from(sorted(LAYOUTS)).map(LAYOUTS.__getitem__)


def axes(min_size=0, max_size=3):
    """Different axis ids in any order."""
    return st.lists(st.sampled_from(IDS), unique=True, min_size=min_size, max_size=max_size)


def elements(dtype, nan=False, inf=False):
    """Moderate values of a data type, which float16 can hold too."""
    if dtype == "bool":
        return st.booleans()
    if "int" in dtype:
        info = np.iinfo(dtype)
        return st.integers(max(int(info.min), -1000), min(int(info.max), 1000))
    special = [np.nan] * nan + [np.inf, -np.inf] * inf
    values = st.floats(-1000, 1000, width=16)
    return values | st.sampled_from(special) if special else values


@st.composite
def arrays(draw, dtypes=DTYPES, shape=None, nan=False, inf=False):
    """NumPy arrays in any layout of memory."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(hnp.array_shapes(max_dims=3, max_side=5)) if shape is None else shape
    array = draw(hnp.arrays(dtype, shape, elements=elements(dtype, nan, inf)))
    return draw(layouts)(array)


@st.composite
def tensors(draw, dtypes=DTYPES, min_dims=0, max_dims=3, nan=False, inf=False):
    """Tensors of every dtype and layout, with each side from 1 to 5."""
    ids = draw(axes(min_dims, max_dims))
    shape = tuple(draw(st.integers(1, 5)) for _ in ids)
    return Tensor(draw(arrays(dtypes, shape, nan, inf)), ids)


@st.composite
def widths(draw, of, largest=7):
    """For some of the axes of a tensor, a width before and after it."""
    sides = st.tuples(st.integers(0, largest), st.integers(0, largest))
    return {axis: draw(sides) for axis in of.axes if draw(st.booleans())}


def _parameters(draw, axes_, sizes, values):
    """A number and no axis, or one number for each index of an axis."""
    axis = draw(st.none() | st.sampled_from(axes_)) if axes_ else None
    if axis is None:
        return draw(values), None
    n = sizes[axis]
    return draw(st.lists(values, min_size=n, max_size=n)), axis


def _reduced(draw, axes_):
    return draw(st.none() | st.lists(st.sampled_from(axes_), unique=True)) if axes_ else None


def _scale_linear(draw, axes_, sizes):
    gain, axis = _parameters(draw, axes_, sizes, st.floats(-10, 10, width=16))
    offset = [1.0] * len(gain) if isinstance(gain, list) else draw(st.floats(-10, 10, width=16))
    return ScaleLinear(gain, offset, axis)


def _fixed(draw, axes_, sizes):
    std, axis = _parameters(draw, axes_, sizes, st.floats(0.125, 10, width=16))
    mean = [3.0] * len(std) if isinstance(std, list) else draw(st.floats(-10, 10, width=16))
    return FixedZeroMeanUnitVariance(mean, std, axis)


def _clip(draw, axes_, sizes):
    del sizes
    bounds = st.one_of(st.integers(-300, 300), st.floats(-300, 300, width=16))
    low, high = sorted((draw(bounds), draw(bounds)))
    p, q = sorted(draw(st.lists(st.integers(0, 100), min_size=2, max_size=2, unique=True)))
    kept = {"axes": _reduced(draw, axes_)}
    return draw(
        st.sampled_from(
            [
                Clip(low, high),
                Clip(min=low),
                Clip(max=high),
                Clip(min_percentile=p, max_percentile=q, **kept),
                Clip(min_percentile=p, **kept),
                Clip(min=low, max_percentile=q, **kept),
            ]
        )
    )


def _scale_range(draw, axes_, sizes):
    del sizes
    p, q = sorted(draw(st.lists(st.integers(0, 100), min_size=2, max_size=2, unique=True)))
    eps = draw(st.sampled_from([1e-6, 0.1]))
    return ScaleRange(p, q, eps=eps, axes=_reduced(draw, axes_))


_MAKE = {
    "sigmoid": lambda draw, axes_, sizes: Sigmoid(),
    "binarize": lambda draw, axes_, sizes: Binarize(
        *_parameters(draw, axes_, sizes, st.floats(-10, 10, width=16))
    ),
    "ensure_dtype": lambda draw, axes_, sizes: EnsureDtype(
        draw(st.sampled_from(["bool", "uint8", "int16", "uint32", "float32", "float64"]))
    ),
    "scale_linear": _scale_linear,
    "fixed_zero_mean_unit_variance": _fixed,
    "zero_mean_unit_variance": lambda draw, axes_, sizes: ZeroMeanUnitVariance(
        axes=_reduced(draw, axes_), eps=draw(st.sampled_from([1e-6, 0.1]))
    ),
    "scale_range": _scale_range,
    "clip": _clip,
}


@st.composite
def operations(draw, of, names=tuple(_MAKE)):
    """Operations whose parameters are valid for a tensor."""
    return _MAKE[draw(st.sampled_from(names))](draw, of.axes, of.sizes)


@st.composite
def chains(draw, of, member="raw", max_size=3, names=tuple(_MAKE)):
    """Chains of unbound transforms whose parameters are valid for a tensor."""
    ops = draw(st.lists(operations(of, names), max_size=max_size))
    return tuple(Transform(op, MemberId(member)) for op in ops)
