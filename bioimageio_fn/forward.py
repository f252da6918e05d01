"""Blocks through the network, several at a time where that is planned.

What holds here: forward runs once for each stack of blocks, in the thread of the caller unless the
backend runs several calls side by side; order is kept; what the network gives is held against its
description; that there is too little memory is said in one way, however a framework says it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import attrs
from toolz import concat

from .arrays import as_array, namespace
from .axes import MemberId
from .backends.choose import Backend
from .contract.records import ModelContract, TensorContract
from .errors import BackendError, BioimageioFnWarning, OutOfMemoryError
from .overlap import closed_behind, side_by_side
from .sample import Sample, SampleBlock
from .tensor import Tensor, slice_axes

__all__ = ["forward_blocks", "forwarded"]


def forward_blocks(
    backend: Backend, contract: ModelContract, blocks: Iterable[SampleBlock], *, stack: int = 1
) -> Iterator[SampleBlock]:
    """What the network makes of each block.

    Args:
        backend: the network.
        contract: what it is described to take and give.
        blocks: of preprocessed inputs.
        stack: how many of them the network gets at a time, along its batch axis.

    Raises:
        BackendError: if the network fails, or gives what its description does not say.
        OutOfMemoryError: if there is too little memory for a stack of blocks.
    """
    coming = iter(blocks)
    stacks = iter(lambda: tuple(islice(coming, stack)), ())
    through = partial(_through, backend, contract)
    parallel = getattr(backend, "parallel", 1)
    done = side_by_side(through, stacks, threads=parallel) if parallel > 1 else map(through, stacks)
    with closed_behind(done):
        yield from concat(done)


def _through(
    backend: Backend, contract: ModelContract, blocks: Sequence[SampleBlock]
) -> list[SampleBlock]:
    """What the network makes of blocks that it gets at a time."""
    if len(blocks) == 1:
        outputs = _forward(backend, contract, blocks[0].sample)
        return [SampleBlock(outputs, blocks[0].meta)]
    outputs = _forward(backend, contract, _stacked([block.sample for block in blocks]))
    parts = [_layer(outputs, i, len(blocks)) for i in range(len(blocks))]
    return [
        attrs.evolve(block, sample=attrs.evolve(part, id=block.sample.id))
        for block, part in zip(blocks, parts, strict=True)
    ]


def _stacked(samples: Sequence[Sample]) -> Sample:
    """Samples behind one another along the batch axis, which each of their tensors has."""
    members = {}
    for name, first in samples[0].members.items():
        arrays = [as_array(sample.members[name].data) for sample in samples]
        joined = namespace(arrays[0]).concat(arrays, axis=first.axes.index("batch"))
        members[name] = Tensor(joined, first.axes)
    return Sample(members)


def _layer(stacked: Sample, i: int, n: int) -> Sample:
    """The i-th of n samples that were stacked."""
    members = {}
    for name, tensor in stacked.members.items():
        size = tensor.sizes[tensor.axes[tensor.axes.index("batch")]] // n
        members[name] = slice_axes(tensor, {"batch": (i * size, (i + 1) * size)})
    return Sample(members)


def _forward(backend: Backend, contract: ModelContract, sample: Sample) -> Sample:
    members = [sample.members.get(t.id) for t in contract.inputs]
    results = forwarded(backend, [None if m is None else m.data for m in members])
    if not isinstance(results, tuple):
        raise BackendError("a backend gives a tuple of arrays", got=type(results).__name__)
    expected = contract.raw_outputs
    if len(results) < len(expected):
        raise BackendError(
            "the network gave too few outputs",
            expected=", ".join(t.id for t in expected),
            got=f"{len(results)} arrays",
        )
    if len(results) > len(expected):
        warnings.warn(
            f"the network gave {len(results)} outputs, its description has {len(expected)};"
            " the rest is dropped",
            BioimageioFnWarning,
            stacklevel=2,
        )
    named = {t.id: _raw_tensor(r, t) for t, r in zip(expected, results, strict=False)}
    return Sample(named, id=sample.id)


def forwarded(backend: Backend, arrays: Sequence[Any]) -> Any:
    """What a network gives for one array for each input; None for one that is absent.

    Raises:
        OutOfMemoryError: if there is too little memory for it.
    """
    try:
        return backend(*arrays)
    except OutOfMemoryError:
        raise
    except Exception as error:
        if not any(_is_of_memory(cause) for cause in _causes(error)):
            raise
        shapes = ", ".join(str(tuple(a.shape)) for a in arrays if a is not None)
        raise OutOfMemoryError(
            "there is too little memory for a block",
            got=f"arrays of shape {shapes}: {error}",
            remedy="take smaller blocks",
        ) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _is_of_memory(error: BaseException) -> bool:
    """Whether an error is a framework's word for too little memory; no framework is asked."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ in _MEMORY_ERRORS
        or any(words in str(error) for words in _MEMORY_WORDS)
    )


_MEMORY_ERRORS = ("OutOfMemoryError", "ResourceExhaustedError")
"""Of PyTorch and TensorFlow."""
_MEMORY_WORDS = (
    "Failed to allocate memory",  # onnxruntime
    "bad allocation",
    "std::bad_alloc",
    "not enough memory",  # PyTorch on the CPU
    "can't allocate memory",
    "out of memory",
)


def _raw_tensor(array: Any, contract: TensorContract) -> Tensor:
    shape = tuple(array.shape)
    if len(shape) != len(contract.axes):
        raise BackendError(
            "the network gave an output with other axes than described",
            tensor=MemberId(contract.id),
            expected=contract,
            got=f"shape {shape}",
        )
    return Tensor(array, contract.axis_ids)
