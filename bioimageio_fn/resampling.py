"""Tensors at other sizes: `resampled`, region by region where the data are read so.

What holds here: a region is what it is of the whole; a constant stays constant; the data type stays
(integers are rounded); along axes that keep their size and place nothing is interpolated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from .arrays import as_array, dtype_name, is_lazy, to_numpy
from .axes import AxisId
from .errors import MissingDependencyError, OutOfMemoryError
from .lazy import spelled_out
from .tensor import Tensor

__all__ = ["Resampled", "Sampling", "resampled"]

REACH = 3.0
"""Standard deviations up to which a Gaussian is computed."""


@attrs.frozen
class Sampling:
    """Where the pixels of a resampled axis are: pixel j at `start + step * j` of the source.

    Args:
        size: how many pixels there are.
        step: distance of two of them, in pixels of the source.
        start: position of the first one.

    Examples:
        >>> Sampling.fitted(8, 4)
        Sampling(size=4, step=2.0, start=0.5)
    """

    size: int
    step: float = 1.0
    start: float = 0.0

    @classmethod
    def fitted(cls, source: int, size: int) -> Sampling:
        """So many pixels over the whole extent of a source of another size."""
        step = source / size
        return cls(size, step, (step - 1) / 2)

    @property
    def is_same(self) -> bool:
        """Whether the pixels are those of the source."""
        return self.step == 1 and self.start == 0

    @property
    def sigma(self) -> float:
        """Of the Gaussian that takes away what is too fine for these pixels, in source pixels."""
        return max(0.0, (self.step - 1) / 2)

    def positions(self, region: slice) -> np.ndarray[Any, Any]:
        """Of the pixels of a region, in the source."""
        return self.start + self.step * np.arange(self.size)[region]


def resampled(tensor: Tensor, samplings: Mapping[AxisId, Sampling], *, linear: bool) -> Tensor:
    """The tensor with other pixels along some axes; a lazy source stays lazy.

    Args:
        samplings: for each of these axes, where the pixels are.
        linear: whether values are interpolated, behind a Gaussian where there are fewer pixels; or
            are those of the nearest pixel: for labels, and always for truth values.

    Raises:
        MissingDependencyError: if scipy is not installed, and values are to be interpolated.
        OutOfMemoryError: if an array in memory gets too large for it.

    Examples:
        >>> tensor = Tensor(np.array([[0.0, 4.0]]), "yx")
        >>> resampled(tensor, {"x": Sampling.fitted(2, 4)}, linear=True).data.tolist()
        [[0.0, 1.0, 3.0, 4.0]]
    """
    if all(sampling.is_same for sampling in samplings.values()):
        return tensor
    along = [samplings.get(axis, Sampling(size)) for axis, size in tensor.sizes.items()]
    linear = linear and tensor.dtype != "bool"
    if linear:
        _scipy()
    if is_lazy(tensor.data):
        return attrs.evolve(tensor, data=Resampled(tensor.data, along, linear=linear))
    source = Resampled(to_numpy(tensor.data), along, linear=linear)
    try:
        return attrs.evolve(tensor, data=as_array(source))
    except MemoryError as error:
        raise OutOfMemoryError(
            "there is too little memory for the resampled image",
            expected=f"memory for {source.dtype} of shape {source.shape}",
            got=error,
            remedy="are the pixel sizes right? if so, give a file, which is read region by region",
        ) from error


class Resampled:
    """A source with other pixels, of which only what is asked for is computed.

    Regions are given by indices and slices without steps.

    Args:
        source: anything with shape, dtype and basic slicing.
        samplings: one for each dimension.
        linear: as of `resampled`.
    """

    def __init__(self, source: Any, samplings: Sequence[Sampling], *, linear: bool) -> None:
        self.source: Any = source
        self.samplings = tuple(samplings)
        self.linear = linear
        self.dtype: np.dtype[Any] = np.dtype(dtype_name(source.dtype))
        self.shape = tuple(sampling.size for sampling in self.samplings)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        keys = spelled_out(key, len(self.shape))
        regions = [
            k if isinstance(k, slice) else slice(range(n)[k], range(n)[k] + 1)
            for k, n in zip(keys, self.shape, strict=True)
        ]
        part = self._linear(regions) if self.linear else self._nearest(regions)
        return part[tuple(slice(None) if isinstance(k, slice) else 0 for k in keys)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        del copy  # what is computed is new
        return np.asarray(self[...], dtype)

    def _nearest(self, regions: Sequence[slice]) -> np.ndarray[Any, Any]:
        indices = []
        for sampling, region, size in zip(self.samplings, regions, self.source.shape, strict=True):
            nearest = np.floor(sampling.positions(region) + 0.5).astype(int)
            indices.append(np.clip(nearest, 0, int(size) - 1))
        if any(index.size == 0 for index in indices):
            return np.empty([index.size for index in indices], self.dtype)
        read = tuple(slice(index.min(), index.max() + 1) for index in indices)
        part = np.asarray(self.source[read])
        return part[np.ix_(*(index - index.min() for index in indices))]

    def _linear(self, regions: Sequence[slice]) -> np.ndarray[Any, Any]:
        ndimage = _scipy()
        positions = [s.positions(r) for s, r in zip(self.samplings, regions, strict=True)]
        sizes = [p.size for p in positions]
        if 0 in sizes:
            return np.empty(sizes, self.dtype)
        read = tuple(map(_needed, self.samplings, positions, self.source.shape))
        part = np.asarray(self.source[read]).astype(_computed(self.dtype))
        for n, sampling in enumerate(self.samplings):
            if sampling.sigma:
                part = ndimage.gaussian_filter1d(
                    part, sampling.sigma, axis=n, mode="nearest", truncate=REACH
                )
        moved = [n for n, sampling in enumerate(self.samplings) if not sampling.is_same]
        if not moved:
            return _as_type(part, self.dtype)
        result = np.empty(sizes, part.dtype)
        # along the other dimensions there is nothing to interpolate
        places: Any = [[slice(None)] if d in moved else range(n) for d, n in enumerate(sizes)]
        for place in itertools.product(*places):
            result[place] = ndimage.affine_transform(
                part[place],
                [_step(positions[d]) for d in moved],
                [positions[d][0] - read[d].start for d in moved],
                [sizes[d] for d in moved],
                order=1,
                mode="nearest",
            )
        return _as_type(result, self.dtype)


def _needed(sampling: Sampling, positions: np.ndarray[Any, Any], size: int) -> slice:
    """The pixels of a source that values at some positions are made of."""
    if sampling.is_same:
        return slice(int(positions[0]), int(positions[-1]) + 1)
    reach = int(REACH * sampling.sigma + 0.5)
    first = math.floor(positions[0]) - reach
    last = math.ceil(positions[-1]) + reach
    start = min(max(first, 0), int(size) - 1)
    return slice(start, max(start, min(last, int(size) - 1)) + 1)


def _step(positions: np.ndarray[Any, Any]) -> float:
    return float(positions[1] - positions[0]) if positions.size > 1 else 1.0


def _computed(dtype: np.dtype[Any]) -> str:
    """A type in which values of another one lose nothing."""
    return "float32" if dtype.itemsize <= 2 or dtype == "float32" else "float64"


def _as_type(values: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if dtype.kind not in "iu":
        return values.astype(dtype, copy=False)
    info = np.iinfo(dtype)
    # the largest integers of 64 bits are no floats
    largest = np.nextafter(float(info.max) + 1, 0) if dtype.itemsize == 8 else float(info.max)
    rounded: np.ndarray[Any, Any] = np.clip(np.rint(values), float(info.min), largest)
    return rounded.astype(dtype)


def _scipy() -> Any:
    try:
        import scipy.ndimage
    except ImportError as error:
        raise MissingDependencyError(
            "images are resampled by the package scipy",
            remedy="pip install 'bioimageio_fn[rescale]'",
        ) from error
    return scipy.ndimage
