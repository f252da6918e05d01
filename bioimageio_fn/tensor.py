"""`Tensor`: an array with named axes, and the pure functions on it.

What holds here:

- a tensor never changes: NumPy data are held as a read-only view, also after pickling;
- data are not copied by making a tensor, slicing, cropping, transposing, or adding single axes;
- slicing a lazy source (memmap, Zarr, h5py) reads only that region, and transposing it or adding
  and dropping single axes reads nothing;
- axes are always named, never counted;
- what is known of the pixels (`calibration`) goes with them: functions that keep pixels keep it.

A read-only view still shows what its owner writes to the array later: do not write to an array
that a tensor was made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import array_api_compat
import attrs
import numpy as np

from .arrays import DTYPES, Array, as_array, cast, dtype_name, is_lazy, namespace, to_numpy
from .axes import AxisId, as_axes, permutation
from .calibration import UNKNOWN, Calibration
from .errors import ArrayError, AxesError, OperationError, SizeError
from .lazy import Rearranged

__all__ = [
    "PadMode",
    "Tensor",
    "astype",
    "crop",
    "drop_axes",
    "insert_axes",
    "pad",
    "slice_axes",
    "stack",
    "transpose",
]

Id = TypeVar("Id", bound=str)
PadMode = Literal["constant", "edge", "reflect", "symmetric"]
_DTYPES = frozenset(DTYPES)
PAD_MODES: tuple[PadMode, ...] = ("constant", "edge", "reflect", "symmetric")


def _read_only(data: Any) -> Array:
    """Check that something is an array of real numbers; NumPy data become a read-only view."""
    if type(data) is not np.ndarray:
        data = _array_like(data)
    if dtype_name(data.dtype) not in _DTYPES:
        raise ArrayError(
            "a tensor holds real numbers or truth values",
            expected="a boolean, integer or floating point array",
            got=f"{data.dtype} array of shape {tuple(data.shape)}",
        )
    if not isinstance(data, np.ndarray) or not data.flags.writeable:
        return data
    view = data.view()
    view.flags.writeable = False
    return view


def _array_like(data: Any) -> Array:
    if isinstance(data, np.ma.MaskedArray):
        raise ArrayError("a masked array would lose its mask", remedy="fill it: array.filled(...)")
    if isinstance(data, np.generic) or not (hasattr(data, "shape") and hasattr(data, "dtype")):
        try:
            return np.asarray(data)
        except (TypeError, ValueError) as error:
            raise ArrayError(
                "not an array of numbers", got=type(data).__name__, remedy=str(error)
            ) from error
    return data


@attrs.frozen(eq=False, repr=False)
class Tensor:
    """A named view on an array.

    Tensors are equal if axes, data type, shape, calibration and every value are equal (NaN equals
    NaN). They have no hash, as they hold arrays.

    Args:
        data: anything with shape, dtype and basic slicing: NumPy, PyTorch, Dask, Zarr, h5py,
            memmap; or numbers in (nested) lists. Not copied.
        axes: one id for each dimension, as letters or ids.
        calibration: pixel sizes and channel names, where they are known.

    Raises:
        AxesError: if the number of axes is not that of the dimensions.
        ArrayError: if the data are not real numbers.

    Examples:
        >>> t = Tensor(np.zeros((2, 3), "uint8"), "yx")
        >>> t
        Tensor(y=2, x=3, dtype=uint8)
        >>> t.sizes["x"], np.asarray(t).flags.writeable
        (3, False)
    """

    data: Array = attrs.field(converter=_read_only)
    axes: tuple[AxisId, ...] = attrs.field(converter=as_axes)
    calibration: Calibration = UNKNOWN

    @axes.validator
    def _one_for_each_dimension(self, _: object, axes: tuple[AxisId, ...]) -> None:
        if len(axes) != len(self.data.shape):
            raise AxesError(
                "the number of axes is not the number of dimensions",
                expected=f"{len(self.data.shape)} axes for shape {tuple(self.data.shape)}",
                got=f"{len(axes)} {axes}",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes in the order of the axes."""
        if isinstance(self.data, np.ndarray):
            sizes: tuple[int, ...] = self.data.shape
            return sizes
        return tuple(int(s) for s in self.data.shape)

    @property
    def sizes(self) -> dict[AxisId, int]:
        """Size of each axis."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def dtype(self) -> str:
        """Name of the data type, the same for every array library."""
        return dtype_name(self.data.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = to_numpy(self.data)
        return np.array(array, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        sizes = "".join(f"{axis}={size}, " for axis, size in self.sizes.items())
        kind = type(self.data)
        library = "" if kind is np.ndarray else f", {kind.__module__}.{kind.__qualname__}"
        return f"Tensor({sizes}dtype={self.dtype}{library})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tensor):
            return NotImplemented
        mine = (self.axes, self.shape, self.dtype, self.calibration)
        if mine != (other.axes, other.shape, other.dtype, other.calibration):
            return False
        return np.array_equal(np.asarray(self), np.asarray(other), equal_nan="float" in self.dtype)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        # through the constructor: unpickled NumPy arrays are writable
        return type(self), (self.data, tuple(map(str, self.axes)), self.calibration)


def _check_axes(tensor: Tensor, axes: Iterable[str]) -> None:
    for axis in axes:
        if AxisId(axis) not in tensor.axes:
            raise AxesError("no such axis", axis=axis, expected=f"one of {', '.join(tensor.axes)}")


def slice_axes(tensor: Tensor, regions: Mapping[Id, tuple[int, int]]) -> Tensor:
    """Take the region from start to stop along some axes; all of the others.

    Args:
        regions: for each axis (start, stop), with 0 <= start <= stop <= size.

    Raises:
        AxesError: if an axis is not there.
        SizeError: if a region leaves the tensor (NumPy would cut it silently).

    Examples:
        >>> slice_axes(Tensor(np.arange(6).reshape(2, 3), "yx"), {"x": (1, 3)}).data.tolist()
        [[1, 2], [4, 5]]
    """
    _check_axes(tensor, regions)
    by_id = {AxisId(axis): region for axis, region in regions.items()}
    key = []
    for axis, size in zip(tensor.axes, tensor.shape, strict=True):
        start, stop = by_id.get(axis, (0, size))
        if not 0 <= start <= stop <= size:
            raise SizeError(
                "this region is not within the tensor",
                axis=axis,
                expected=f"0 <= start <= stop <= {size}",
                got=f"({start}, {stop})",
            )
        key.append(slice(start, stop) if axis in by_id else slice(None))
    return Tensor(tensor.data[tuple(key)], tensor.axes, tensor.calibration) if by_id else tensor


def crop(tensor: Tensor, widths: Mapping[Id, tuple[int, int]]) -> Tensor:
    """Take away pixels at both ends of some axes: the inverse of `pad`.

    Args:
        widths: for each axis, how many pixels to take away (before, after).

    Examples:
        >>> crop(Tensor(np.arange(5), "x"), {"x": (1, 2)}).data.tolist()
        [1, 2]
    """
    _check_axes(tensor, widths)
    return slice_axes(
        tensor,
        {axis: (b, tensor.sizes[AxisId(axis)] - a) for axis, (b, a) in widths.items()},
    )


def pad(
    tensor: Tensor,
    widths: Mapping[Id, tuple[int, int]],
    *,
    mode: PadMode = "symmetric",
    value: float = 0,
) -> Tensor:
    """Add pixels at both ends of some axes; `crop` with the same widths takes them away.

    A width may be larger than the tensor: reflections are then repeated, as by `numpy.pad`.

    Args:
        widths: for each axis, how many pixels to add (before, after).
        mode: `constant`, `edge` (the last pixel again), `reflect` (mirrored at the last pixel),
            or `symmetric` (mirrored at its outer edge).
        value: what `constant` adds.

    Raises:
        SizeError: if an axis of size 0 would have to be continued, or a width is negative.
        ArrayError: if the value is not one that the data type can hold.

    Examples:
        >>> pad(Tensor(np.arange(3), "x"), {"x": (0, 4)}, mode="reflect").data.tolist()
        [0, 1, 2, 1, 0, 1, 2]
    """
    _check_axes(tensor, widths)
    if mode not in PAD_MODES:
        raise OperationError(
            "no such pad mode", expected=f"one of {', '.join(PAD_MODES)}", got=mode
        )
    added = any(before or after for before, after in widths.values())
    if added and mode == "constant" and not holds(tensor.dtype, value):
        raise ArrayError(
            "this data type can not hold the pad value", expected=tensor.dtype, got=value
        )
    data = as_array(tensor.data)
    xp = namespace(data)
    for axis, (before, after) in widths.items():
        if not before and not after:
            continue
        position, size = tensor.axes.index(AxisId(axis)), tensor.sizes[AxisId(axis)]
        if min(before, after) < 0:
            raise SizeError("a pad width is negative", axis=axis, got=(before, after))
        if size == 0 and mode != "constant":
            raise SizeError("nothing is there to continue", axis=axis, expected="size >= 1", got=0)
        parts = [data]
        if before:
            parts.insert(0, _border(data, position, range(-before, 0), mode, value))
        if after:
            parts.append(_border(data, position, range(size, size + after), mode, value))
        data = xp.concat(parts, axis=position)
    return Tensor(data, tensor.axes, tensor.calibration)


def holds(dtype: str, value: float) -> bool:
    """Whether a data type can hold a value exactly (floats: within rounding).

    Examples:
        >>> holds("uint8", 255), holds("uint8", 0.5), holds("float32", 0.1)
        (True, False, True)
    """
    if "float" in dtype:
        return True
    if dtype == "bool":
        return value in (0, 1)
    info = np.iinfo(dtype)
    return float(value).is_integer() and bool(info.min <= value <= info.max)


def _border(data: Array, axis: int, index: range, mode: PadMode, value: float) -> Array:
    """The part of an array at positions outside of it, as the mode continues it."""
    xp = namespace(data)
    if mode == "constant":
        shape = tuple(len(index) if i == axis else s for i, s in enumerate(data.shape))
        return xp.full(shape, value, dtype=data.dtype, device=array_api_compat.device(data))
    where = np.array([_source(i, data.shape[axis], mode) for i in index])
    if array_api_compat.is_torch_array(data) and (signed := _SIGNED.get(dtype_name(data.dtype))):
        # torch can not index the wide unsigned types: same bits, signed
        signed_type = getattr(xp, signed)
        return _border(data.view(signed_type), axis, index, mode, value).view(data.dtype)
    if not array_api_compat.is_dask_array(data):  # which miscounts a lazy index
        where = xp.asarray(where, device=array_api_compat.device(data))
    return xp.take(data, where, axis=axis)


_SIGNED = {"uint16": "int16", "uint32": "int32", "uint64": "int64"}


def _source(i: int, size: int, mode: PadMode) -> int:
    """The position within 0..size-1 that shows at position i of the endless continuation."""
    if mode == "edge" or size == 1:
        return min(max(i, 0), size - 1)
    if mode == "symmetric":
        i %= 2 * size
        return min(i, 2 * size - 1 - i)
    i %= 2 * size - 2
    return min(i, 2 * size - 2 - i)


def transpose(tensor: Tensor, axes: str | Iterable[str]) -> Tensor:
    """Bring the axes into another order.

    Raises:
        AxesError: if these are not the same axes.

    Examples:
        >>> transpose(Tensor(np.zeros((2, 3, 1)), "yxc"), "cyx")
        Tensor(channel=1, y=2, x=3, dtype=float64)
    """
    wanted = as_axes(axes)
    order = permutation(tensor.axes, wanted)
    if order == tuple(range(len(order))):
        return tensor
    if is_lazy(tensor.data):
        return Tensor(Rearranged(tensor.data, order), wanted, tensor.calibration)
    data = tensor.data
    return Tensor(namespace(data).permute_dims(data, order), wanted, tensor.calibration)


def insert_axes(tensor: Tensor, axes: Iterable[str]) -> Tensor:
    """Add axes of size 1 in front.

    Examples:
        >>> insert_axes(Tensor(np.zeros((2, 3)), "yx"), "bc")
        Tensor(batch=1, channel=1, y=2, x=3, dtype=float64)
    """
    new = as_axes(axes)
    if not new:
        return tensor
    axes = (*new, *tensor.axes)
    if is_lazy(tensor.data):
        order = (*(None,) * len(new), *range(len(tensor.axes)))
        return Tensor(Rearranged(tensor.data, order), axes, tensor.calibration)
    return Tensor(tensor.data[(*(None,) * len(new), ...)], axes, tensor.calibration)


def drop_axes(tensor: Tensor, axes: Iterable[str]) -> Tensor:
    """Take away axes of size 1.

    Raises:
        SizeError: if one of them has another size.

    Examples:
        >>> drop_axes(Tensor(np.zeros((1, 3)), "yx"), "y")
        Tensor(x=3, dtype=float64)
    """
    dropped = as_axes(axes)
    if not dropped:
        return tensor
    _check_axes(tensor, dropped)
    for axis in dropped:
        if tensor.sizes[axis] != 1:
            raise SizeError(
                "only an axis of size 1 can be dropped",
                axis=axis,
                expected=1,
                got=tensor.sizes[axis],
            )
    kept = [i for i, axis in enumerate(tensor.axes) if axis not in dropped]
    axes = [tensor.axes[i] for i in kept]
    if is_lazy(tensor.data):
        return Tensor(Rearranged(tensor.data, kept), axes, tensor.calibration)
    key = tuple(slice(None) if i in kept else 0 for i in range(len(tensor.axes)))
    return Tensor(tensor.data[key], axes, tensor.calibration)


def astype(tensor: Tensor, dtype: str) -> Tensor:
    """Cast without wrapping; see `bioimageio_fn.arrays.cast`.

    Examples:
        >>> astype(Tensor(np.array([1.9]), "x"), "uint8").data.tolist()
        [1]
    """
    data = as_array(tensor.data)
    result = cast(data, dtype)
    return tensor if result is tensor.data else Tensor(result, tensor.axes, tensor.calibration)


def stack(tensors: Sequence[Tensor], axis: str) -> Tensor:
    """Put tensors of the same axes and sizes behind one another along a new first axis.

    Raises:
        SizeError: if there are none, or they differ in axes, sizes or data type.

    Examples:
        >>> stack([Tensor(np.zeros((2, 3)), "yx")] * 5, "b")
        Tensor(batch=5, y=2, x=3, dtype=float64)
    """
    if not tensors:
        raise SizeError("there is nothing to stack", expected="at least one tensor", got=0)
    first = tensors[0]
    for other in tensors[1:]:
        if (other.axes, other.shape, other.dtype) != (first.axes, first.shape, first.dtype):
            raise SizeError(
                "tensors of different form can not be stacked", expected=first, got=other
            )
    arrays = [as_array(t.data) for t in tensors]
    data = namespace(arrays[0]).stack(arrays, axis=0)
    return Tensor(data, (AxisId(axis), *first.axes), first.calibration)
