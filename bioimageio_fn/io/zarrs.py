"""Arrays in Zarr folders, and in zip archives of them.

What holds here: only the chunks that are asked for are read, and none by unpickling; a folder that
we write holds one array of Zarr format 3, in packed chunks, with the names of its axes and its
calibration; only a folder that holds one array is replaced.
"""

from __future__ import annotations

import itertools
import json
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import ZipFile

import attrs
import numpy as np

from ..errors import FileReadError, FileWriteError, MissingFileError
from ..files import writing
from .attributes import CALIBRATION, calibration_text
from .chunks import chunk_shape
from .formats import Location, require
from .labels import Image, Labelled, Labels
from .multiscales import image_in
from .pictures import Picture
from .sources import StoredArray

__all__ = ["THREADS", "Written", "check_zarr_replaceable", "new_array", "new_zarr", "open_zarr"]

Region: TypeAlias = tuple[slice, ...]
THREADS = 4


def open_zarr(place: Location) -> Labelled:
    """An array of Zarr format 2 or 3; of an OME-Zarr image, its full resolution.

    Raises:
        MissingFileError: if there is nothing at that path in the folder or archive.
        FileReadError: if there are several arrays, or none, or only Python could read it.
    """
    zarr = require(place.suffix)
    with ExitStack() as opened:
        if place.suffix == ".zip":
            ZipFile(place.file).close()  # zarr hides what is wrong with an archive
            store = opened.enter_context(zarr.storage.ZipStore(place.file, mode="r"))
        else:
            store = zarr.storage.LocalStore(place.file, read_only=True)
        array, (axes, calibration) = _array(zarr, store, place)
        _check_codecs(array, place)
        source = StoredArray(place, array, _opened_again)
        weakref.finalize(source, opened.pop_all().close)
    return Labelled(source, axes, calibration)


def _opened_again(place: Location) -> Image:
    return open_zarr(place).data


def _array(zarr: Any, store: Any, place: Location) -> tuple[Any, Labels]:
    found, node = place, _node(zarr, store, place.inner)
    if node is None and place.suffix == ".zip" and not place.inner:
        found = attrs.evolve(place, inner=_only_folder(place.file))
        node = _node(zarr, store, found.inner)
    if node is None:
        raise _missing(_node(zarr, store, ""), place)
    return image_in(node, partial(_node, zarr, store), found)


def _node(zarr: Any, store: Any, path: str) -> Any:
    """The array or group at a path; None if there is none, or a folder that is not described."""
    try:
        return zarr.open(store=store, path=path or None, mode="r")
    except FileNotFoundError:
        return None


def _only_folder(archive: Path) -> str:
    """The folder that everything in an archive lies in, as programs of desktops make them."""
    with ZipFile(archive) as file:
        tops = {name.split("/")[0] for name in file.namelist()} - {"__MACOSX"}
    return tops.pop() if len(tops) == 1 else ""


def _missing(root: Any, place: Location) -> FileReadError | MissingFileError:
    if not place.inner:
        return FileReadError(f"there is no Zarr array or group in {place.file}")
    members = root.members(max_depth=None) if hasattr(root, "members") else ()
    names = sorted(name for name, member in members if not hasattr(member, "members"))
    return MissingFileError(
        f"there is no array {place.inner} in {place.file}",
        remedy=f"it holds {', '.join(names[:20])}" if names else None,
    )


def _check_codecs(array: Any, place: Location) -> None:
    codecs = (*array.filters, *array.compressors, array.serializer)
    if any("pickle" in repr(codec).lower() for codec in codecs):
        raise FileReadError(
            f"{place.file / place.inner} is stored as pickled Python objects, which can run code",
            expected="numbers",
        )


@contextmanager
def new_zarr(path: Path, place: Location, picture: Picture) -> Iterator[Written]:
    """A new folder with one array.

    Args:
        path: where to make it.
        place: the place that it will take.
        picture: what is written, as it is.

    Raises:
        FileWriteError: if something else would be lost, or the folder can not be written.
    """
    check_zarr_replaceable(place.file)
    with writing(place.file):
        array = new_array(path, picture, picture.axes)
        if picture.calibration:
            array.attrs[CALIBRATION] = calibration_text(picture.calibration)
    with ThreadPoolExecutor(THREADS) as threads:
        yield Written(array, threads)
    check_zarr_replaceable(place.file)


def new_array(store: Any, picture: Picture, names: Iterable[str]) -> Any:
    """A new array of Zarr format 3, packed by Zstandard.

    Args:
        store: where: a path, or a place in a store.
        names: of its dimensions.
    """
    zarr = require(".zarr")
    return zarr.create_array(
        store=str(store) if isinstance(store, Path) else store,
        shape=picture.shape,
        dtype=picture.dtype,
        chunks=chunk_shape(picture.axes, picture.shape),
        compressors=zarr.codecs.ZstdCodec(),
        dimension_names=[str(name) for name in names],
        zarr_format=3,
    )


@attrs.frozen(eq=False)
class Written:
    """An array that is being written, each chunk by a call of its own.

    A call for several chunks returns at its first error, or when it is interrupted, and goes on
    writing behind the back of who then removes the folder. These threads are waited for.
    """

    array: Any
    threads: Executor

    @property
    def chunks(self) -> tuple[int, ...]:
        """Sizes of the chunks."""
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


def check_zarr_replaceable(folder: Path) -> None:
    """Refuse to replace what is no single array: whoever asks for that has mistyped."""
    try:
        names = [path.name for path in folder.iterdir()]
        if ".zarray" in names:
            return
        if "zarr.json" in names:
            described = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
            if described["node_type"] == "array":
                return
    except FileNotFoundError:
        return
    except (NotADirectoryError, ValueError, TypeError, KeyError):
        pass  # no folder, or none of Zarr
    raise FileWriteError(
        f"{folder} is in the way",
        expected="a Zarr array, which would be replaced, or nothing",
        got="a file or folder of another kind",
        remedy="remove it, or write to another place",
    )
