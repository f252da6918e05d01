"""Tensors that are written region by region.

What holds here: what is created is whole in its place, or not there at all; what is made for a
while is removed at the end, whatever happens.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from ..errors import FileWriteError
from ..files import writing
from ..spec import TensorSpec
from .mapped import MappedFile, new_npy

__all__ = ["Create", "scratch"]

Create: TypeAlias = Callable[[str, TensorSpec], MappedFile]


@contextmanager
def scratch(folder: str | os.PathLike[str] | None = None) -> Iterator[Create]:
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
    with temporary as own:

        def create(name: str, spec: TensorSpec) -> MappedFile:
            return new_npy(Path(own, f"{next(numbers)}.npy"), known_shape(name, spec), spec.dtype)

        yield create


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
