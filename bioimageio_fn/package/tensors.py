"""The test tensors of a model, as samples.

What holds here: they are checked before they are read, and never unpickled.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..contract.files import FileRef, refs_of_test_tensors
from ..contract.read import model_contract
from ..errors import FileReadError
from ..sample import Sample
from ..tensor import Tensor
from .loading import described
from .local import local_file
from .sources import Source

__all__ = ["test_inputs", "test_outputs"]


def test_inputs(model: Source) -> Sample:
    """The test inputs of a model as a sample; optional inputs without one are left out.

    Args:
        model: a source or a model description.

    Raises:
        MissingFileError, FileReadError, HashMismatchError: if one can not be read.

    Examples:
        >>> import bioimageio_fn as fn
        >>> list(test_inputs(fn.demo_model()).members)
        ['raw']
    """
    return _test_sample(model, "inputs")


def test_outputs(model: Source) -> Sample:
    """The test outputs of a model as a sample; see `test_inputs`."""
    return _test_sample(model, "outputs")


# so that pytest does not take them for tests where users import them
test_inputs.__test__ = False  # type: ignore[attr-defined]
test_outputs.__test__ = False  # type: ignore[attr-defined]


def _test_sample(model: Source, kind: Literal["inputs", "outputs"]) -> Sample:
    description = described(model)
    contract = model_contract(description)
    tensors = contract.inputs if kind == "inputs" else contract.outputs
    refs = refs_of_test_tensors(description, kind)
    members = {
        tensor.id: Tensor(_load_npy(ref), tensor.axis_ids)
        for tensor in tensors
        if (ref := refs[tensor.id]) is not None
    }
    return Sample(members, id="test")


def _load_npy(ref: FileRef) -> np.ndarray[Any, Any]:
    path = local_file(ref)
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)  # an archive of arrays has another
        # mapped first, which compares the size that it claims with that of the file
        array = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # its header is parsed as Python, which fails in many ways
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise FileReadError(f"can not read {ref.name} as a NumPy array: {reason}") from error
    return array
