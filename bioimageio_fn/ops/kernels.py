"""Kernels: operations on arrays with their numbers filled in, and how a sequence of them is run.

What holds here: neighbouring affine kernels are joined into one (in float32; in float64 there are
no digits to spare for that); large NumPy arrays and lazy sources are worked through in pieces that
stay near the processor, along their memory, so that nothing but the result is as large as the
array; the argument is never changed; the result stays in the library and on the device of the
argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import array_api_compat
import attrs
import numpy as np
from immutabledict import immutabledict

from ..arrays import Array, as_array, cast, dtype_name, namespace, saturated, to_numpy, warn_of_loss
from ..stats.walk import PIECE_ELEMENTS, Key, parts, pieces, reads, within
from .affine import Affine, rounded, then

__all__ = [
    "SMALL",
    "Cast",
    "Function",
    "Kernel",
    "Mapped",
    "Ready",
    "cut_kernel",
    "float_dtype",
    "floating",
    "joined",
    "made_ready",
    "parameter",
    "result_dtype",
    "run",
    "run_into",
    "run_ready",
]

SMALL = ("bool", "uint8", "int8", "uint16", "int16", "float16", "float32")


def float_dtype(dtype: str) -> str:
    """The floating point type in which values of a type are computed.

    Examples:
        >>> float_dtype("uint16"), float_dtype("int32")
        ('float32', 'float64')
    """
    return "float32" if dtype in SMALL else "float64"


def floating(x: Array) -> Array:
    """The array in the type in which it is computed."""
    return cast(x, float_dtype(dtype_name(x.dtype)))


def parameter(value: Any, like: Array) -> Array:
    """A parameter in the type and on the device of the data: libraries promote these alike."""
    xp = namespace(like)
    # a copy: torch warns of read-only arrays
    with np.errstate(over="ignore"):
        return xp.asarray(np.array(value), dtype=like.dtype, device=array_api_compat.device(like))


@attrs.frozen(eq=False)
class Function:
    """Any function of an array whose result has the same shape.

    Args:
        function: takes a part of the array, and the same part of its parameters.
        parameters: numbers, or arrays that broadcast against the array.
        result: name of the result's type, given that of the argument.
        whole: dimensions along which it needs all there is.
    """

    function: Callable[..., Array]
    parameters: Mapping[str, Any] = attrs.field(factory=immutabledict, converter=immutabledict)
    result: Callable[[str], str] = float_dtype
    whole: tuple[int, ...] = ()


@attrs.frozen
class Cast:
    """A cast that saturates; see `bioimageio_fn.arrays.cast`."""

    dtype: str


Kernel: TypeAlias = Function | Cast | Affine
Ready: TypeAlias = tuple[Function | Cast, ...]
"""Kernels with every number in the type in which it is used."""


def result_dtype(kernels: Iterable[Kernel], dtype: str) -> str:
    """Name of the type of what comes out of kernels."""
    for kernel in kernels:
        if isinstance(kernel, Cast):
            dtype = kernel.dtype
        else:
            dtype = kernel.result(dtype) if isinstance(kernel, Function) else float_dtype(dtype)
    return dtype


def joined(kernels: Iterable[Kernel], dtype: str) -> tuple[Kernel, ...]:
    """The same kernels with neighbouring affine ones as one, for an array of that type.

    Casts that change no value fall away where what follows computes in the wider type anyway.
    """
    result: list[Kernel] = []
    for kernel in kernels:
        before = result_dtype(result, dtype)
        if isinstance(kernel, Cast) and kernel.dtype == before:
            continue
        if isinstance(kernel, Affine) and before in SMALL:
            if _ends_in_widening(result, dtype):
                result.pop()
            if result and isinstance(result[-1], Affine):
                kernel = then(result.pop(), kernel)  # type: ignore[arg-type] # noqa: PLW2901
        result.append(kernel)
    return tuple(result)


def _ends_in_widening(kernels: Sequence[Kernel], dtype: str) -> bool:
    """Whether the last kernel is a cast to float32 that keeps every value."""
    last = kernels[-1] if kernels else None
    if not isinstance(last, Cast) or last.dtype != "float32":
        return False
    return result_dtype(kernels[:-1], dtype) in SMALL


def run(
    kernels: Iterable[Kernel],
    data: Array,
    *,
    to_measure: bool = False,
    lost: set[str] | None = None,
) -> Array:
    """The result of kernels, one after the other, on an array.

    Args:
        data: an array of any library, or a lazy source, which is read part by part.
        to_measure: whether only statistics are taken of the result. An affine map at its end,
            which later steps may join, is then not rounded to float32.
        lost: takes the types to which casts changed values; if it is given, nothing is said here.

    Warns:
        CastWarning: once for each type, if a cast changed values.
    """
    seen: set[str] = set() if lost is None else lost
    ready = made_ready(kernels, dtype_name(data.dtype), to_measure=to_measure)
    result = run_ready(ready, data, seen)
    for name in sorted(seen) if lost is None else ():
        warn_of_loss(name)
    return result


def run_ready(steps: Ready, data: Array, lost: set[str]) -> Array:
    """As `run`, of kernels that were made ready for the type of the array."""
    if not steps:
        return saturated(as_array(data), dtype_name(data.dtype))[0]
    if isinstance(data, np.ndarray) or not array_api_compat.is_array_api_obj(data):
        return _by_pieces(steps, data, lost)
    return _one_by_one(steps, data, lost)


def run_into(target: Any, kernels: Iterable[Kernel], data: Array, *, lost: set[str]) -> None:
    """Write the result of kernels, part by part, so that neither is ever held as a whole.

    Args:
        target: what is written to: anything with item assignment.
        kernels, data: as of `run`.
        lost: takes the types to which casts changed values.

    Examples:
        >>> target = np.zeros(3)
        >>> run_into(target, [Affine(0, 2, 0)], np.arange(3.0), lost=set())
        >>> target.tolist()
        [0.0, 2.0, 4.0]
    """
    steps = joined(kernels, dtype_name(data.dtype))
    whole = tuple({i for step in steps if isinstance(step, Function) for i in step.whole})
    # what is packed in parts is packed once if it is written part by part
    by_target = getattr(data, "chunks", None) is None and getattr(target, "chunks", None)
    for key in parts(target if by_target else data, whole):
        part = to_numpy(data[key])
        target[key] = run([cut_kernel(step, key) for step in steps], part, lost=lost)


def made_ready(kernels: Iterable[Kernel], dtype: str, *, to_measure: bool = False) -> Ready:
    """Kernels joined, and affine ones made into functions of the type in which they are computed.

    Args:
        dtype: type of the array that they will be run on.
        to_measure: as of `run`.
    """
    of = joined(kernels, dtype)
    steps: list[Function | Cast] = []
    for i, kernel in enumerate(of):
        if not isinstance(kernel, Affine):
            steps.append(kernel)
            continue
        computed = float_dtype(result_dtype(of[:i], dtype))
        computed = "float64" if to_measure and i == len(of) - 1 else computed
        values = rounded(kernel, computed)
        steps.append(Function(_multiply_add, dict(zip(_AFFINE, values, strict=True))))
    return tuple(steps)


_AFFINE = ("center", "factor", "shift")


def _multiply_add(x: Array, center: Any, factor: Any, shift: Any) -> Array:
    if isinstance(x, np.ndarray):
        result = np.asarray(np.subtract(x, center, dtype=center.dtype))
        result *= factor
        if np.any(shift):
            result += shift
        return result
    x = cast(x, center.dtype.name)
    return (x - parameter(center, x)) * parameter(factor, x) + parameter(shift, x)


def _by_pieces(steps: Sequence[Function | Cast], data: Array, lost: set[str]) -> Array:
    """Piece by piece along memory; a lazy source is read part by part."""
    if math.prod(data.shape) <= PIECE_ELEMENTS:
        return _one_by_one(steps, as_array(data), lost)
    whole = tuple({i for step in steps if isinstance(step, Function) for i in step.whole})
    result = np.empty(data.shape, result_dtype(steps, dtype_name(data.dtype)))

    for place, part in reads(data, whole):
        for piece in pieces(part, whole=whole):
            key = within(place, piece)
            mine = [cut_kernel(step, key) for step in steps]
            result[key] = _one_by_one(mine, part[piece], lost)
    return result


def _one_by_one(steps: Sequence[Function | Cast], x: Array, lost: set[str]) -> Array:
    # inf - inf is NaN and too large a product infinite, in every library; NumPy alone would say so
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for step in steps:
            if isinstance(step, Cast):
                x, changed = saturated(x, step.dtype)
                if changed:
                    lost.add(step.dtype)
            else:
                x = step.function(x, **step.parameters)
    return x


def cut_kernel(kernel: Kernel, key: Key) -> Any:
    """A kernel for a part of the array."""
    if isinstance(kernel, Cast):
        return kernel
    if isinstance(kernel, Affine):
        names = ("center", "factor", "shift", "noise")
        return attrs.evolve(kernel, **{n: _part(getattr(kernel, n), key) for n in names})
    return attrs.evolve(kernel, parameters={k: _part(v, key) for k, v in kernel.parameters.items()})


def _part(parameter_: Any, key: Key) -> Any:
    """The part of a parameter that belongs to a part of the array."""
    if np.ndim(parameter_) == 0:
        return parameter_
    sizes = zip(parameter_.shape, key, strict=True)
    return parameter_[tuple(slice(None) if n == 1 else k for n, k in sizes)]


class Mapped:
    """An array behind kernels, which computes only what is asked of it.

    An affine map at its end is computed in float64, see `run`. Along the dimensions `whole` it
    must be read whole.

    Examples:
        >>> doubled = Mapped(np.arange(6.0), [Affine(0, 2, 0)])
        >>> doubled[2:4]
        array([4., 6.])
    """

    def __init__(self, data: Array, kernels: Iterable[Kernel]) -> None:
        self.origin = data
        self._kernels = tuple(kernels)
        self.shape: tuple[int, ...] = tuple(data.shape)
        steps = joined(self._kernels, dtype_name(data.dtype))
        dtype = result_dtype(steps, dtype_name(data.dtype))
        self.dtype = np.dtype("float64" if steps and isinstance(steps[-1], Affine) else dtype)
        self.chunks = getattr(data, "chunks", None)
        self.whole = tuple({i for k in steps if isinstance(k, Function) for i in k.whole})

    def __getitem__(self, key: Any) -> Array:
        key = key if isinstance(key, tuple) else (key,)
        kernels = [cut_kernel(kernel, key) for kernel in self._kernels]
        return run(kernels, self.origin[key], to_measure=True, lost=set())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        del copy  # what is computed is new
        return np.asarray(
            to_numpy(run(self._kernels, self.origin, to_measure=True, lost=set())), dtype
        )
