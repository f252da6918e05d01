"""Arrays in Zarr folders.

What holds here: a folder that we write holds one array of Zarr format 3, in packed chunks, with the
names of its axes; only a folder that holds one array is replaced.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np

from ..errors import FileWriteError
from ..files import writing
from ..spec import TensorSpec
from .chunks import chunk_shape
from .formats import Location, require

__all__ = ["new_zarr"]

Region: TypeAlias = tuple[slice, ...]
_THREADS = 4


@contextmanager
def new_zarr(path: Path, place: Location, spec: TensorSpec, shape: Sequence[int]) -> Iterator[Any]:
    """A new folder with one array, packed by Zstandard.

    Args:
        path: where to make it.
        place: the place that it will take.
        shape: sizes of the array, all of them known.

    Raises:
        FileWriteError: if something else would be lost, or the folder can not be written.
    """
    zarr = require(place.suffix)
    _check_replaceable(zarr, place.file)
    with writing(place.file):
        array = zarr.create_array(
            store=str(path),
            shape=tuple(shape),
            dtype=spec.dtype,
            chunks=chunk_shape(spec.axes, shape),
            compressors=zarr.codecs.ZstdCodec(),
            dimension_names=[str(axis) for axis in spec.axes],
            zarr_format=3,
        )
    with ThreadPoolExecutor(_THREADS) as threads:
        yield _Written(array, threads)
    _check_replaceable(zarr, place.file)


@attrs.frozen(eq=False)
class _Written:
    """An array that is being written, each chunk by a call of its own.

    A call for several chunks returns at its first error, or when it is interrupted, and goes on
    writing behind the back of who then removes the folder. These threads are waited for.
    """

    array: Any
    threads: Executor

    @property
    def chunks(self) -> tuple[int, ...]:
        chunks: tuple[int, ...] = self.array.chunks
        return chunks

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]

    def __setitem__(self, region: Region, values: np.ndarray[Any, Any]) -> None:
        def write(part: Region) -> None:
            within = (
                slice(p.start - r.start, p.stop - r.start)
                for p, r in zip(part, region, strict=True)
            )
            self.array[part] = values[tuple(within)]

        cuts = [_cut(span, step) for span, step in zip(region, self.chunks, strict=True)]
        for _ in self.threads.map(write, itertools.product(*cuts)):  # raises what they raised
            pass


def _cut(span: slice, step: int) -> list[slice]:
    """The parts of a span that lie in one chunk each."""
    first = span.start // step * step + step
    edges = [span.start, *range(first, span.stop, step), span.stop]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _check_replaceable(zarr: Any, folder: Path) -> None:
    """Refuse to replace what is no single array: who asks for that has mistyped."""
    if not folder.exists():
        return
    try:
        zarr.open_array(store=str(folder), mode="r")
    except Exception as error:
        raise FileWriteError(
            f"{folder} is in the way",
            expected="a Zarr array, which would be replaced, or nothing",
            got="a file or folder of another kind",
            remedy="remove it, or write to another place",
        ) from error
