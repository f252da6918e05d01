"""`own_data`: the test inputs that a model brings, as an image to predict."""

from __future__ import annotations

from typing import Any

from .images import Item

__all__ = ["own_data"]


def own_data(description: Any) -> Item:
    """The test inputs of a model, on disk.

    Raises:
        MissingFileError, HashMismatchError: if one is not there, or is another file.
    """
    from ..contract.files import refs_of_test_tensors
    from ..package import local_file

    refs = refs_of_test_tensors(description, "inputs")
    inputs = {str(name): str(local_file(ref)) for name, ref in refs.items() if ref is not None}
    return Item("example", inputs)
