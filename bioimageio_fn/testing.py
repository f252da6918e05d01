"""A contract suite for backends: what every one of them must do, yours too.

    from bioimageio_fn.testing import check_backend

    def test_my_backend():
        check_backend(my_backend, inputs=[image], outputs=[expected])

What holds here: plain functions that return nothing and raise an `AssertionError` that says which
promise is broken; no test runner is needed. `check_function` is for anything that can be called,
such as a lambda or a wrapped `torch.nn.Module`; `check_recipe` is for what `load_backend` gives:
values that open a network, and take arrays of every layout.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import array_api_compat
import numpy as np

from .arrays import to_numpy

__all__ = [
    "check_backend",
    "check_batches",
    "check_closes",
    "check_function",
    "check_inputs_unchanged",
    "check_layouts",
    "check_outputs",
    "check_pickles",
    "check_recipe",
    "check_threads",
    "check_torch",
]

Arrays = Sequence[Any]
Function = Callable[..., Any]


def check_backend(
    backend: Any, inputs: Arrays, outputs: Arrays | None = None, *, tolerance: float = 1e-5
) -> None:
    """All that applies: `check_function`, and `check_recipe` if it has a `close`.

    Args:
        backend: what is to be checked.
        inputs: NumPy arrays in the order of its inputs, the batch along their first axis; None for
            an optional one that is left out.
        outputs: what it has to give for them; by default whatever it gives at first.
        tolerance: by how much results may differ.

    Raises:
        AssertionError: if a promise is broken.

    Examples:
        >>> image = np.zeros((1, 1, 8, 8), "float32")
        >>> check_backend(lambda x: (x + 1,), [image], [image + 1])
        >>> check_backend(lambda x: x + 1, [image])
        Traceback (most recent call last):
        AssertionError: a backend gives a tuple of arrays: got ndarray
    """
    check_function(backend, inputs, outputs, tolerance=tolerance)
    if hasattr(backend, "close"):
        check_recipe(backend, inputs, tolerance=tolerance)


def check_function(
    backend: Function, inputs: Arrays, outputs: Arrays | None = None, *, tolerance: float = 1e-5
) -> None:
    """What everything that is called as a backend must do; see `check_backend`."""
    check_inputs_unchanged(backend, inputs)  # first, as the others hand out the arrays themselves
    check_outputs(backend, inputs, outputs, tolerance=tolerance)
    check_batches(backend, inputs, tolerance=tolerance)
    check_threads(backend, inputs, tolerance=tolerance)


def check_recipe(backend: Any, inputs: Arrays, *, tolerance: float = 1e-5) -> None:
    """What a backend that opens a network must do besides; see `check_backend`."""
    check_layouts(backend, inputs, tolerance=tolerance)
    check_torch(backend, inputs, tolerance=tolerance)
    check_pickles(backend, inputs, tolerance=tolerance)
    check_closes(backend, inputs, tolerance=tolerance)


def check_outputs(
    backend: Function, inputs: Arrays, outputs: Arrays | None = None, *, tolerance: float = 1e-5
) -> None:
    """It gives a tuple of arrays: those that are expected, and the same ones twice."""
    given = backend(*inputs)
    _check(isinstance(given, tuple), "a backend gives a tuple of arrays", type(given).__name__)
    for output in given:
        is_array = hasattr(output, "shape") and hasattr(output, "dtype")
        _check(is_array, "what a backend gives has a shape and a type", type(output).__name__)
    if outputs is not None:
        _close(given, outputs, tolerance, "the outputs are those that are expected")
    _close(backend(*inputs), given, tolerance, "the same inputs give the same outputs")


def check_inputs_unchanged(backend: Function, inputs: Arrays) -> None:
    """It does not write to its inputs, and takes those that can not be written to."""
    for writeable in (True, False):
        arrays = [None if a is None else np.array(a) for a in inputs]
        for array in (a for a in arrays if a is not None):
            array.flags.writeable = writeable
        backend(*arrays)
        pairs = zip(arrays, inputs, strict=True)
        same = all(a is None or np.array_equal(a, b, equal_nan=True) for a, b in pairs)
        _check(same, "a backend does not write to its inputs", "other values in them")


def check_batches(backend: Function, inputs: Arrays, *, tolerance: float = 1e-5) -> None:
    """A batch of two samples gives what each of them gives alone."""
    others = [None if a is None else a[..., ::-1].copy() for a in inputs]
    stacked = [
        None if a is None else np.concatenate([a, b]) for a, b in zip(inputs, others, strict=True)
    ]
    alone = zip(backend(*inputs), backend(*others), strict=True)
    expected = [np.concatenate([to_numpy(a), to_numpy(b)]) for a, b in alone]
    _close(backend(*stacked), expected, tolerance, "a batch of two is two of one")


def check_threads(backend: Function, inputs: Arrays, *, tolerance: float = 1e-5) -> None:
    """Eight threads that call it at the same time get the outputs of their own inputs."""
    calls = [[None if a is None else np.roll(a, i, -1) for a in inputs] for i in range(8)]
    expected = [backend(*arrays) for arrays in calls]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda arrays: backend(*arrays), calls))
    for result, right in zip(results, expected, strict=True):
        _close(result, right, tolerance, "each thread gets the outputs of its own inputs")


def check_layouts(backend: Function, inputs: Arrays, *, tolerance: float = 1e-5) -> None:
    """Neither the order of an array in memory nor that of its bytes matters."""
    expected = backend(*inputs)
    for name, layout in _LAYOUTS.items():
        arrays = [None if a is None else layout(np.asarray(a)) for a in inputs]
        _close(backend(*arrays), expected, tolerance, f"arrays may be {name}")


_LAYOUTS: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "in the order of Fortran": np.asfortranarray,
    "every second value of another": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "the reverse of another": lambda a: a[..., ::-1].copy()[..., ::-1],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "little-endian": lambda a: a.astype(a.dtype.newbyteorder("<")),
}


def check_torch(backend: Function, inputs: Arrays, *, tolerance: float = 1e-5) -> None:
    """PyTorch tensors in give PyTorch tensors out, on their device; left out without PyTorch."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    tensors = [None if a is None else torch.from_numpy(np.array(a)) for a in inputs]
    results = backend(*tensors)
    for result in results:
        is_tensor = array_api_compat.is_torch_array(result) and result.device.type == "cpu"
        _check(is_tensor, "PyTorch tensors in give PyTorch tensors out", type(result).__name__)
    _close(results, backend(*inputs), tolerance, "PyTorch tensors give what NumPy arrays give")


def check_pickles(backend: Any, inputs: Arrays, *, tolerance: float = 1e-5) -> None:
    """It is a value that pickles, open or not: equal, of the same hash, and it runs."""
    expected = backend(*inputs)
    again = pickle.loads(pickle.dumps(backend))  # noqa: S301
    same = again == backend and hash(again) == hash(backend)
    _check(same, "a backend that was pickled is equal to itself", repr(again))
    _close(again(*inputs), expected, tolerance, "a backend that was pickled gives the same")


def check_closes(backend: Any, inputs: Arrays, *, tolerance: float = 1e-5) -> None:
    """It closes twice, and opens again when it is needed; a `with` block closes it."""
    expected = backend(*inputs)
    backend.close()
    backend.close()
    _close(backend(*inputs), expected, tolerance, "a closed backend opens again")
    with backend as opened:
        _close(opened(*inputs), expected, tolerance, "a backend runs in a with block")
    _close(backend(*inputs), expected, tolerance, "a backend opens again behind a with block")
    backend.close()


def _check(holds: bool, promise: str, got: object) -> None:
    if not holds:
        raise AssertionError(f"{promise}: got {got}")


def _close(results: Arrays, expected: Arrays, tolerance: float, promise: str) -> None:
    _check(len(results) == len(expected), promise, f"{len(results)} for {len(expected)} arrays")
    for i, (result, right) in enumerate(zip(results, expected, strict=True)):
        a, b = to_numpy(result), to_numpy(right)
        _check(a.shape == b.shape, promise, f"shape {a.shape} for {b.shape} as output {i}")
        near = np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        _check(near, promise, f"other values in output {i}")
