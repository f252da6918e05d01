"""Tensors that are written region by region.

What holds here: what is created is whole in its place, or not there at all; what is made for a
while is removed at the end, whatever happens.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np
from immutabledict import immutabledict

from ..errors import FileWriteError
from ..files import beside, unfinished, writing
from ..lazy import spelled_out
from ..spec import TensorSpec
from .formats import HDF5, Location, check_writable, location
from .hdf5 import check_hdf5_replaceable, new_hdf5
from .mapped import MappedFile, new_npy
from .tiff import new_tiff
from .zarrs import check_zarr_replaceable, new_zarr

__all__ = ["Target", "check_replaceable", "created", "created_together", "scratch"]

_Maker: TypeAlias = Callable[
    [Path, Location, TensorSpec, Sequence[int]], AbstractContextManager[Any]
]


@attrs.frozen(eq=False)
class Target:
    """An array on disk that is written region by region.

    Regions are given by indices and slices without steps. Values are cast as by NumPy. Threads
    must not write at the same time, as two regions may share a chunk.

    Args:
        path: the place it will have.
        array: what is written to.
        shape: sizes.
        dtype: type of the values.
    """

    path: Path
    array: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Sizes of the parts that are packed one by one, if there are such."""
        return getattr(self.array, "chunks", None)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        with writing(self.path):
            return np.asarray(self.array[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        region = _region(key, self.shape)
        kept = [i for i, k in enumerate(spelled_out(key, len(region))) if isinstance(k, slice)]
        sizes = [span.stop - span.start for span in region]
        if 0 in sizes:
            return
        values = np.broadcast_to(
            np.asarray(value).astype(self.dtype, copy=False), [sizes[i] for i in kept]
        )
        with writing(self.path):
            self.array[region] = values.reshape(sizes)


def _region(key: Any, shape: Sequence[int]) -> tuple[slice, ...]:
    """The start and stop of a key along each dimension.

    Raises:
        IndexError: if an index is out of range, or a slice has steps.
    """
    spans = [
        range(size)[k if isinstance(k, slice) else slice(range(size)[k], range(size)[k] + 1)]
        for k, size in zip(spelled_out(key, len(shape)), shape, strict=True)
    ]
    if any(span.step != 1 for span in spans):
        raise IndexError(f"a region has no steps, but this has: {key}")
    return tuple(slice(span.start, max(span.start, span.stop)) for span in spans)


@contextmanager
def created(path: str | os.PathLike[str], spec: TensorSpec) -> Iterator[Target]:
    """A new tensor on disk that is written region by region, whole or not at all.

    Use it for results that are larger than memory. It is made beside its place, and takes it when
    the block ends well, in the place of a file, or of a Zarr array, that stood there. If the block
    does not end well, nothing is left, and what stood there remains.

    Args:
        path: a `.zarr` folder, a `.h5` or `.hdf5` file or a path in it (by default `data`), a
            `.npy` file, or a `.tif` or `.tiff` file: its pixels lie beside it unpacked until the
            block ends, and then are packed.
        spec: axes, sizes and data type.

    Returns:
        What to write to: zeros at first.

    Raises:
        FileWriteError: if the format can not hold it or be written so, if something else than an
            array of that name would be lost, or if it can not be written.
        MissingDependencyError: if a package is missing that writes the format.

    Examples:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with created(f"{folder}/a.npy", TensorSpec("yx", (2, 3), "uint8")) as target:
        ...         target[:, 1] = 7
        ...         os.path.exists(f"{folder}/a.npy")
        ...     np.load(f"{folder}/a.npy").tolist()
        False
        [[0, 7, 0], [0, 7, 0]]
    """
    with created_together() as create:
        yield create(path, spec)


@contextmanager
def created_together() -> Iterator[Callable[[str | os.PathLike[str], TensorSpec], Target]]:
    """A function that makes tensors as `created` does, all of which take their places together.

    What can fail (to pack what was written, to close a file) is done with all of them before the
    first one takes its place.

    Examples:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with created_together() as create:
        ...         for name in "ab":
        ...             create(f"{folder}/{name}.npy", TensorSpec("x", (2,), "uint8"))[:] = 1
        ...     sorted(os.listdir(folder))
        ['a.npy', 'b.npy']
    """
    with ExitStack() as places, ExitStack() as files:

        def create(path: str | os.PathLike[str], spec: TensorSpec) -> Target:
            check_writable(path, spec.dtype, unit_range=False)
            place = location(path)
            if place.suffix not in _MAKERS:
                raise FileWriteError(
                    f"{path} can not be written region by region",
                    expected=f"a file that ends in {', '.join(_MAKERS)}",
                    got=place.suffix,
                )
            shape = known_shape(place.file.name, spec)
            temporary = places.enter_context(beside(place.file))
            maker = _MAKERS[place.suffix](temporary, place, spec, shape)
            return Target(Path(path), files.enter_context(maker), shape, np.dtype(spec.dtype))

        yield create


@contextmanager
def _new_npy(
    path: Path, place: Location, spec: TensorSpec, shape: Sequence[int]
) -> Iterator[MappedFile]:
    yield new_npy(path, shape, spec.dtype, place=place.file)


_MAKERS: Mapping[str, _Maker] = immutabledict(
    {
        ".npy": _new_npy,
        ".tif": new_tiff,
        ".tiff": new_tiff,
        ".zarr": new_zarr,
        ".h5": new_hdf5,
        ".hdf5": new_hdf5,
    }
)


@contextmanager
def scratch(
    folder: str | os.PathLike[str] | None = None,
) -> Iterator[Callable[[str, TensorSpec], MappedFile]]:
    """A function that makes tensors on disk which are needed only within the block.

    Use it for what is larger than memory and is not a result: raw outputs of a network that are
    measured before they are processed, for example.

    Args:
        folder: where the files are made; by default in the folder for temporary files of the
            system, which on some systems lies in memory.

    Returns:
        A function from a name, which errors give, and a spec, to an array of zeros.

    Raises:
        FileWriteError: if the folder can not be written to, or (by the function) if there is no
            space on the disk.

    Examples:
        >>> with scratch() as create:
        ...     array = create("raw", TensorSpec("yx", (2, 3), "uint8"))
        ...     array[1] = 5
        ...     array[:, 0].tolist(), array.path.exists()
        ([0, 5], True)
        >>> array.path.exists()
        False
    """
    place = Path(tempfile.gettempdir() if folder is None else folder)
    numbers = itertools.count()
    with writing(place):
        temporary = tempfile.TemporaryDirectory(
            prefix="bioimageio_fn-", dir=place, ignore_cleanup_errors=True
        )
    with unfinished(Path(temporary.name)), temporary as own:

        def create(name: str, spec: TensorSpec) -> MappedFile:
            return new_npy(Path(own, f"{next(numbers)}.npy"), known_shape(name, spec), spec.dtype)

        yield create


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work, to write where something stands that would be lost.

    Raises:
        FileWriteError: if that is a folder in the place of a file, a Zarr folder that holds more
            than an array, or an HDF5 file with other datasets.
    """
    place = location(path)
    if place.suffix == ".zarr":
        check_zarr_replaceable(place.file)
    elif place.file.is_dir():
        raise FileWriteError(
            f"can not write {path}", expected="a file", got="a folder stands there"
        )
    elif place.suffix in HDF5:
        check_hdf5_replaceable(place)


def known_shape(name: str, spec: TensorSpec) -> tuple[int, ...]:
    """The sizes of a tensor that is to be written.

    Raises:
        FileWriteError: if one is not known, or there are no pixels.
    """
    sizes = tuple(size or 0 for size in spec.shape)
    if 0 in sizes:
        raise FileWriteError(
            "there are no pixels to write, or not known how many",
            tensor=name,
            expected="sizes of 1 and more",
            got=spec.sizes,
        )
    return sizes
