"""The files that a description names: weights and test tensors, alike for both format versions.

What holds here: nothing is opened; a reference is the source as the description has it, with the
sha256 that it gives.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

from ..axes import MemberId
from ..errors import HashMismatchError
from .read import model_contract

__all__ = ["FileRef", "check_sha256", "refs_of_test_tensors", "weights_refs"]


@attrs.frozen
class FileRef:
    """A file that a description names.

    Args:
        source: path, path within a zip archive, or URL.
        sha256: what its content has to hash to; None if the description does not say.
    """

    source: Any
    sha256: str | None

    @property
    def name(self) -> str:
        """Its file name."""
        return str(getattr(self.source, "name", None) or self.source).rpartition("/")[2]


def check_sha256(name: str, expected: str | None, digest: str) -> None:
    """Refuse a file whose content is not what its description says.

    Args:
        name: of the file, for the error.
        expected: the sha256 that is described; None for anything.
        digest: the sha256 of its content.

    Raises:
        HashMismatchError: if they differ.
    """
    if expected is not None and expected.lower() != digest:
        raise HashMismatchError(
            f"{name} is not the file that the description names",
            expected=f"sha256 {expected}",
            got=f"sha256 {digest}",
            remedy="fetch the package again, or correct the description",
        )


def _ref(source: Any, sha256: object = None) -> FileRef:
    absolute = source.absolute() if hasattr(source, "absolute") else source
    return FileRef(absolute, None if sha256 is None else str(sha256).lower())


def weights_refs(description: Any) -> dict[str, FileRef]:
    """The weights of a model, by format."""
    return {
        str(name): _ref(entry.source, entry.sha256)
        for name, entry in description.weights.available_formats.items()
    }


def refs_of_test_tensors(
    description: Any, kind: Literal["inputs", "outputs"]
) -> dict[MemberId, FileRef | None]:
    """The test tensors of a model, by tensor id; None where there is none."""
    contract = model_contract(description)
    tensors = contract.inputs if kind == "inputs" else contract.outputs
    if hasattr(description, "test_inputs"):  # format 0.4: lists in the order of the tensors
        sources = description.test_inputs if kind == "inputs" else description.test_outputs
        refs: list[FileRef | None] = [_ref(source) for source in sources]
    else:
        tests = [tensor.test_tensor for tensor in getattr(description, kind)]
        refs = [None if t is None else _ref(t.source, t.sha256) for t in tests]
    return {tensor.id: ref for tensor, ref in zip(tensors, refs, strict=True)}
