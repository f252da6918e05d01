"""Quantiles of many sets of values, by sorting one after the other.

What holds here: the same values as those of histograms; no more memory than a few of the sets. A
histogram for each of a hundred planes, or for each pixel of an image, would take far more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import to_numpy
from ..tensor import Tensor
from .histogram import ranks
from .measure import Measure
from .moments import FloatArray
from .walk import PIECE_ELEMENTS, READ_ELEMENTS, is_local, pieces

__all__ = ["are_better_sorted", "quantiles_by_sorting"]

MANY_CELLS = 16


def are_better_sorted(tensor: Tensor, kept: Sequence[str]) -> bool:
    """Whether there are many cells, none of them large, in this machine's memory."""
    cells = math.prod(size for axis, size in tensor.sizes.items() if axis in kept)
    size = math.prod(tensor.shape) // max(1, cells)
    if cells <= MANY_CELLS or size > READ_ELEMENTS:
        return False
    whole = [tensor.axes[i] for i in getattr(tensor.data, "whole", ())]
    return is_local(tensor.data) and not set(whole) & set(kept)


def quantiles_by_sorting(
    tensor: Tensor, kept: Sequence[str], wanted: Sequence[Measure]
) -> list[FloatArray]:
    """The quantiles of a tensor, with the kept axes in their order."""
    places = [i for i, axis in enumerate(tensor.axes) if axis in kept]
    order = [*places, *(i for i, axis in enumerate(tensor.axes) if axis not in kept)]
    cells = tuple(tensor.shape[i] for i in places)
    size = math.prod(tensor.shape) // max(1, math.prod(cells))
    results = [np.empty(cells) for _ in wanted]
    for key in pieces(np.broadcast_to(np.empty(()), cells), max(1, PIECE_ELEMENTS // size)):
        whole = [slice(None)] * len(tensor.shape)
        for place, where in zip(places, key, strict=True):
            whole[place] = where
        part = to_numpy(tensor.data[tuple(whole)]).transpose(order)
        rows = np.sort(part.reshape(-1, size), axis=1)
        for result, m in zip(results, wanted, strict=True):
            result[key] = _of_sorted(rows, m).reshape(part.shape[: len(kept)])
    return results


def _of_sorted(rows: np.ndarray[Any, Any], wanted: Measure) -> FloatArray:
    """The quantile of each row; NaN, which stands last, does not count."""
    floating = rows.dtype.kind == "f"
    counts = (~np.isnan(rows)).sum(axis=1) if floating else np.full(len(rows), rows.shape[1])
    result = np.full(len(rows), np.nan)
    for count in np.unique(counts[counts > 0]):
        low, high, part = ranks(int(count), *wanted.quantile)
        mine = counts == count
        a, b = (rows[mine, rank].astype(np.float64) for rank in (low, high))
        with np.errstate(invalid="ignore"):
            result[mine] = np.where((a == b) | (part == 0), a, a + (b - a) * part)
    return result
