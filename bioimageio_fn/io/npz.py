"""Arrays in NPZ files.

What holds here: nothing is unpickled; an array is read as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import FileReadError, MissingFileError
from .formats import Location
from .sources import only_one

__all__ = ["read_npz"]


def read_npz(place: Location) -> np.ndarray[Any, Any]:
    """An array in an NPZ file; the only one if no path is given.

    Raises:
        MissingFileError: if there is no array of that name.
        FileReadError: if there are several, or none, or it is an NPY file.
        Exception: whatever NumPy raises, if it is damaged or holds Python objects.
    """
    loaded = np.load(place.file, allow_pickle=False)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise FileReadError(f"{place.file} is an NPY file", remedy="rename it to .npy")
    with loaded as file:
        name = place.inner or only_one(file.files, place)
        if name not in file.files:
            raise MissingFileError(
                f"there is no array {name} in {place.file}",
                remedy=f"it holds {', '.join(file.files[:20]) or 'none'}",
            )
        array: np.ndarray[Any, Any] = file[name]
    return array
