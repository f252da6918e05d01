"""The few questions that every array library must be asked in the same way.

What holds here: no array library but NumPy is imported (whoever holds a torch tensor has imported
torch); no function changes its argument; casts never wrap: they saturate, NaN becomes 0, with one
`CastWarning`.
"""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any, TypeAlias

import array_api_compat
import numpy as np

from .errors import ArrayError, CastWarning

__all__ = [
    "Array",
    "as_array",
    "cast",
    "comparable",
    "dtype_name",
    "is_lazy",
    "is_native",
    "namespace",
    "saturated",
    "to_numpy",
    "warn_of_loss",
]

Array: TypeAlias = Any
"""Anything with shape, dtype and basic slicing; after `as_array`, a member of the array API."""

DTYPES = (
    "bool",
    *(f"{sign}int{bits}" for sign in ("u", "") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64"),
)


_NAMES = {np.dtype(name): name for name in DTYPES}


def dtype_name(dtype: object) -> str:
    """The library-free name of a data type.

    Examples:
        >>> dtype_name(np.dtype(">u2")), dtype_name(np.float32)
        ('uint16', 'float32')
    """
    if isinstance(dtype, np.dtype) and dtype in _NAMES:
        return _NAMES[dtype]  # NumPy puts the name together each time
    if isinstance(dtype, type) and issubclass(dtype, np.generic):
        return np.dtype(dtype).name
    name = getattr(dtype, "name", None)
    # torch and array-api-strict say "torch.float32", "array_api_strict.float32"
    return name if isinstance(name, str) else str(dtype).rpartition(".")[2]


def is_lazy(data: Array) -> bool:
    """Whether something is no array of a library, but a source that is read by slicing."""
    return not array_api_compat.is_array_api_obj(data)


def as_array(data: Array) -> Array:
    """The array behind a lazy source (Zarr, h5py), read whole; an array of a library as it is."""
    if not is_lazy(data):
        return data
    # not every lazy source can be made an array as a whole, but each can be sliced
    return np.asarray(data[(slice(None),) * len(data.shape)] if hasattr(data, "shape") else data)


def namespace(array: Array) -> ModuleType:
    """The array API namespace that an array belongs to."""
    return array_api_compat.array_namespace(array)


def is_native(array: Array) -> bool:
    """Whether the bytes of an array stand in this machine's order."""
    return not isinstance(array, np.ndarray) or array.dtype.isnative


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """The array as NumPy, from any device; not copied where it need not be."""
    if array_api_compat.is_torch_array(array):
        array = array.detach().cpu()
    if array_api_compat.is_cupy_array(array):
        array = array.get()
    result: np.ndarray[Any, Any] = np.asarray(array)
    return result


def cast(array: Array, dtype: str) -> Array:
    """Cast without wrapping: what does not fit saturates, NaN becomes 0 (False).

    From float to integer the fraction is dropped, as by every cast. Costs one pass to look for
    values that do not fit, unless every value of the source type fits.

    Args:
        array: any real array.
        dtype: name of the type wanted.

    Returns:
        The array itself if it has that type, else a new one.

    Warns:
        CastWarning: if a value was changed by more than the loss of its fraction.

    Examples:
        >>> cast(np.array([-3.7, 2.9, 300.0]), "float32").dtype
        dtype('float32')
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     cast(np.array([-3.7, 2.9, 300.0, np.nan]), "uint8")
        array([  0,   2, 255,   0], dtype=uint8)
    """
    result, lost = saturated(array, dtype)
    if lost:
        warn_of_loss(dtype)
    return result


def warn_of_loss(dtype: str) -> None:
    """Say once that a cast changed values."""
    warnings.warn(
        f"cast to {dtype}: values outside of its range were clipped to it, NaN became 0",
        CastWarning,
        stacklevel=4,
    )


def saturated(array: Array, dtype: str) -> tuple[Array, bool]:
    """The array as of `cast`, and whether a value was changed, without a warning.

    A Dask array stays lazy: its parts warn when they are computed.
    """
    if dtype not in DTYPES:
        raise ArrayError("no such data type", expected=f"one of {', '.join(DTYPES)}", got=dtype)
    source = dtype_name(array.dtype)
    if source == dtype:
        return (array if is_native(array) else array.astype(array.dtype.newbyteorder("="))), False
    xp = namespace(array)
    if dtype == "bool":
        return ((array == array) & (array != 0) if "float" in source else array != 0), False
    if _fits(source, dtype):
        with np.errstate(over="ignore"):
            return xp.astype(array, getattr(xp, dtype)), False
    if array_api_compat.is_dask_array(array):
        return _lazily(array, dtype), False
    if source == "uint64" and array_api_compat.is_torch_array(array):
        return _torch_uint64(array, dtype, xp)
    array = comparable(array)
    above, below, lost = _outside(array, dtype, xp)
    return _within(array, dtype, above, below, lost)


def _lazily(array: Any, dtype: str) -> Any:
    return array.map_blocks(lambda part: cast(part, dtype), dtype=np.dtype(dtype))


def _fits(source: str, dtype: str) -> bool:
    """Whether no value of the source type leaves the range of the target type."""
    if "float" in dtype or source == "bool":
        return True
    if "float" in source:
        return False
    have, want = np.iinfo(source), np.iinfo(dtype)
    return bool(want.min <= have.min and have.max <= want.max)


def comparable(array: Array) -> Array:
    """The array in a type in which its values can be compared with the bounds of any type."""
    xp = namespace(array)
    name = dtype_name(array.dtype)
    if name == "float16":
        # the bounds of wide integers are infinite in float16, as is what lies beyond them
        return xp.astype(array, xp.float32)
    # torch stores these, but can not compare them
    if array_api_compat.is_torch_array(array) and name in ("uint16", "uint32"):
        return xp.astype(array, xp.int64)
    if array_api_compat.is_torch_array(array) and name == "uint64":
        raise ArrayError("torch can not compare uint64", remedy="cast it to int64 first")
    return array


def _torch_uint64(array: Array, dtype: str, xp: ModuleType) -> tuple[Array, bool]:
    # as int64, what is beyond 2**63 is negative
    signed = xp.astype(array, xp.int64)
    above = (signed < 0) | (signed > min(int(np.iinfo(dtype).max), 2**63 - 1))
    return _within(signed, dtype, above, xp.zeros_like(above), above)


def _outside(array: Array, dtype: str, xp: ModuleType) -> tuple[Array, Array, Array]:
    """Where values are above the range of an integer type, below it, or have no value in it."""
    info = np.iinfo(dtype)
    if "float" in dtype_name(array.dtype):
        # 2**bits is exact in every float type, the largest integer is not
        above = array >= _scalar(array, float(info.max) + 1, xp)
        # the fraction is dropped: -128.5 becomes -128 in int8, which is no loss but of that
        with np.errstate(invalid="ignore"):  # signalling NaN
            below = xp.trunc(array) < _scalar(array, float(info.min), xp)
        return above, below, above | below | (array != array)
    have = np.iinfo(dtype_name(array.dtype))
    none = xp.zeros_like(array, dtype=xp.bool)
    above = array > _scalar(array, int(info.max), xp) if have.max > info.max else none
    below = array < _scalar(array, int(info.min), xp) if have.min < info.min else none
    return above, below, above | below


def _within(
    array: Array, dtype: str, above: Array, below: Array, lost: Array
) -> tuple[Array, bool]:
    xp, info = namespace(array), np.iinfo(dtype)
    if not bool(xp.any(lost)):
        return xp.astype(array, getattr(xp, dtype)), False
    result = xp.astype(xp.where(lost, xp.zeros_like(array), array), getattr(xp, dtype))
    result = xp.where(above, _scalar(result, int(info.max), xp), result)
    return xp.where(below, _scalar(result, int(info.min), xp), result), True


def _scalar(like: Array, value: float, xp: ModuleType) -> Array:
    """A 0-d array of the type and on the device of another array: libraries promote these alike."""
    with np.errstate(over="ignore"):
        return xp.asarray(value, dtype=like.dtype, device=array_api_compat.device(like))
