"""The public strategies, and what only the tests of this package need beside them."""

import array_api_strict
import dask.array
import numpy as np
import torch
from hypothesis import strategies as st

from bioimageio_fn.strategies import (
    IDS,
    LAYOUTS,
    arrays,
    axes,
    chains,
    descriptions,
    measures,
    operations,
    samples,
    tensors,
)

__all__ = [
    "IDS",
    "LAYOUTS",
    "LAZY_TOO",
    "LIBRARIES",
    "arrays",
    "axes",
    "chains",
    "descriptions",
    "measures",
    "native",
    "operations",
    "samples",
    "tensors",
    "widths",
]

LIBRARIES = {
    "numpy": np.asarray,
    "torch": lambda array: torch.from_numpy(native(array)),
    "array_api_strict": lambda array: array_api_strict.asarray(native(array)),
}


LAZY_TOO = {
    **LIBRARIES,
    "dask": lambda array: dask.array.from_array(native(array), chunks=2),
}
"""Dask casts, and warns of what that costs, only when it is asked for values."""


def native(array):
    """A plain copy, which every library takes."""
    return np.array(array, np.asarray(array).dtype.newbyteorder("="), order="C")


@st.composite
def widths(draw, of, largest=7):
    """For some of the axes of a tensor, a width before and after it."""
    sides = st.tuples(st.integers(0, largest), st.integers(0, largest))
    return {axis: draw(sides) for axis in of.axes if draw(st.booleans())}
