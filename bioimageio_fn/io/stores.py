"""Tensors that are written region by region.

What holds here: what is created is whole in its place, or not there at all; what is made for a
while is removed at the end, whatever happens.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from immutabledict import immutabledict

from ..calibration import UNKNOWN, Calibration
from ..errors import FileWriteError
from ..files import beside, unfinished, writing
from ..spec import TensorSpec
from .formats import HDF5, TIFF, Location, is_ome_zarr, location
from .hdf5 import check_hdf5_replaceable, new_hdf5
from .holding import check_holds, check_writable
from .mapped import MappedFile, new_npy
from .ome_groups import check_image_replaceable, registered
from .ome_tiff import new_tiff
from .ome_zarr import new_ome_zarr
from .pictures import Picture, Turned, viewed, viewed_axes
from .target import Target
from .zarrs import check_zarr_replaceable, new_zarr

__all__ = ["Create", "check_replaceable", "created", "created_together", "scratch"]

_Maker: TypeAlias = Callable[[Path, Location, Picture], AbstractContextManager[Any]]


class Create(Protocol):
    """Makes a tensor on disk, as `created` does."""

    def __call__(
        self,
        path: str | os.PathLike[str],
        spec: TensorSpec,
        calibration: Calibration = UNKNOWN,
        *,
        labels: bool | None = None,
    ) -> Target:
        """A new tensor, which is open as long as the others are."""


@contextmanager
def created(
    path: str | os.PathLike[str],
    spec: TensorSpec,
    calibration: Calibration = UNKNOWN,
    *,
    labels: bool | None = None,
) -> Iterator[Target]:
    """A new tensor on disk that is written region by region, whole or not at all.

    Use it for results that are larger than memory. It is made beside its place, and takes it when
    the block ends well, in the place of a file, or of a Zarr array or image, that stood there. If
    the block does not end well, nothing is left, and what stood there remains.

    Args:
        path: as for `write_image`, but not of PNG. The pixels of a TIFF file lie beside it unpacked
            until the block ends, and then are packed; smaller copies of an OME-Zarr image are made
            then.
        spec: axes, sizes and data type.
        calibration: what is known of its pixels, for formats that can say it.
        labels: whether values are names (of objects, of classes), which viewers colour, and of
            which there is no mean; by default truth values and integers of 32 and 64 bits are.

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
        yield create(path, spec, calibration, labels=labels)


@contextmanager
def created_together() -> Iterator[Create]:
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

        def create(
            path: str | os.PathLike[str],
            spec: TensorSpec,
            calibration: Calibration = UNKNOWN,
            *,
            labels: bool | None = None,
        ) -> Target:
            place = _checked_place(path, spec)
            named = labels if labels is not None else _looks_like_labels(spec.dtype)
            shape = known_shape(place.file.name, spec)
            picture = Picture(spec.axes, shape, spec.dtype, calibration, labels=named)
            temporary = places.enter_context(_beside(place))
            array = files.enter_context(_made(temporary, place, picture))
            return Target(Path(path), array, shape, np.dtype(spec.dtype))

        yield create


def _checked_place(path: str | os.PathLike[str], spec: TensorSpec) -> Location:
    check_writable(path)
    place = location(path)
    if place.suffix not in _MAKERS:
        raise FileWriteError(
            f"{path} can not be written region by region",
            expected=f"a file that ends in {', '.join(_MAKERS)}",
            got=place.suffix,
        )
    check_holds(path, spec)
    return place


def _looks_like_labels(dtype: str) -> bool:
    return dtype in ("bool", "int32", "uint32", "int64", "uint64")


@contextmanager
def _beside(place: Location) -> Iterator[Path]:
    """Where to make what takes a place when all went well."""
    if not (is_ome_zarr(place) and place.inner):
        with beside(place.file) as temporary:
            yield temporary
        return
    with registered(place), beside(place.file / place.inner) as temporary:
        yield temporary


@contextmanager
def _made(path: Path, place: Location, picture: Picture) -> Iterator[Any]:
    """What to write a picture to, region by region, whatever its format makes of the axes."""
    for_viewers = place.suffix in TIFF or is_ome_zarr(place)
    maker = new_ome_zarr if is_ome_zarr(place) else _MAKERS[place.suffix]
    with maker(path, place, viewed(picture) if for_viewers else picture) as array:
        order = viewed_axes(picture.axes, picture.shape) if for_viewers else ()
        yield Turned(array, order, len(picture.axes)) if for_viewers else array


@contextmanager
def _new_npy(path: Path, place: Location, picture: Picture) -> Iterator[MappedFile]:
    yield new_npy(path, picture.shape, picture.dtype, place=place.file)


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
            than an array or image, or an HDF5 file with other datasets.
    """
    place = location(path)
    if is_ome_zarr(place):
        check_image_replaceable(place.file / place.inner)
    elif place.suffix == ".zarr":
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
