"""The files that a description names: weights, their code, test tensors; alike for both versions.

What holds here: nothing is opened; a reference is the source as the description has it, with the
sha256 that it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from ..axes import MemberId
from ..errors import HashMismatchError, WeightsFormatError
from .read import model_contract

__all__ = [
    "Architecture",
    "FileRef",
    "architecture_of",
    "attachments_of",
    "check_has",
    "check_sha256",
    "dependencies_of",
    "external_data",
    "file_ref",
    "framework_version",
    "refs_of_test_tensors",
    "weights_refs",
]


def _name_of(ref: FileRef) -> str:
    source = ref.source
    if name := getattr(source, "name", None):
        return str(name)
    path = urlsplit(str(source)).path if "://" in str(source) else str(source)
    return path.removesuffix("/content").rpartition("/")[2]  # Zenodo puts this behind names


@attrs.frozen
class FileRef:
    """A file that a description names.

    Args:
        source: path, path within a zip archive, or URL.
        sha256: what its content has to hash to; None if the description does not say.
        place: where it lies in the package; its file name if it lies elsewhere.
    """

    source: Any
    sha256: str | None
    place: str = attrs.Factory(_name_of, takes_self=True)

    @property
    def name(self) -> str:
        """Its file name."""
        return self.place.rpartition("/")[2]


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


def file_ref(source: Any, sha256: object = None) -> FileRef:
    """A file as a description names it: by its source, and the sha256 if it gives one."""
    digest = None if sha256 is None else str(sha256).lower()
    if hasattr(source, "get_absolute"):  # relative to the package
        return FileRef(source.absolute(), digest, str(source))
    return FileRef(source, digest)


def weights_refs(description: Any) -> dict[str, FileRef]:
    """The weights of a model, by format."""
    return {
        str(name): file_ref(entry.source, entry.sha256)
        for name, entry in description.weights.available_formats.items()
    }


def check_has(refs: Mapping[str, FileRef], weights_format: str) -> None:
    """Refuse to go on with weights that a model does not have.

    Args:
        refs: those that it has, as of `weights_refs`.
        weights_format: those that are asked for.

    Raises:
        WeightsFormatError: if they are not there.
    """
    if weights_format not in refs:
        raise WeightsFormatError(
            "the model has no weights of this format",
            expected=f"one of {', '.join(refs)}",
            got=weights_format,
        )


def external_data(description: Any, weights_format: str) -> tuple[FileRef, ...]:
    """The files that weights open by name, and which have to lie beside them: ONNX has such."""
    entry = getattr(description.weights, weights_format)
    data = getattr(entry, "external_data", None)
    return () if data is None else (file_ref(data.source, data.sha256),)


def framework_version(description: Any, weights_format: str) -> str | None:
    """The version of the framework that weights were made with; None if it is not described."""
    entry = getattr(description.weights, weights_format)
    fields = ("pytorch_version", "keras_version", "tensorflow_version")
    versions = [getattr(entry, field, None) for field in fields]
    return next((str(version) for version in versions if version is not None), None)


def refs_of_test_tensors(
    description: Any, kind: Literal["inputs", "outputs"]
) -> dict[MemberId, FileRef | None]:
    """The test tensors of a model, by tensor id; None where there is none."""
    contract = model_contract(description)
    tensors = contract.inputs if kind == "inputs" else contract.outputs
    if hasattr(description, "test_inputs"):  # format 0.4: lists in the order of the tensors
        sources = description.test_inputs if kind == "inputs" else description.test_outputs
        refs: list[FileRef | None] = [file_ref(source) for source in sources]
    else:
        tests = [tensor.test_tensor for tensor in getattr(description, kind)]
        refs = [None if t is None else file_ref(t.source, t.sha256) for t in tests]
    return {tensor.id: ref for tensor, ref in zip(tensors, refs, strict=True)}


@attrs.frozen(kw_only=True)
class Architecture:
    """The code that makes the network of a PyTorch state dict, and the files that lie beside it.

    Args:
        callable: name of a class or function.
        file: the Python file that defines it; None if it is of a library.
        module: the library that it is imported from; empty if it is in a file.
        kwargs: what it is called with.
        strict: whether the weights have to be exactly those of the network.
        beside: other files that the description declares: dependencies and attachments.
    """

    callable: str
    file: FileRef | None
    module: str
    kwargs: Mapping[str, Any]
    strict: bool
    beside: tuple[FileRef, ...]


def architecture_of(description: Any) -> Architecture:
    """The code of a model that has weights of the format `pytorch_state_dict`."""
    entry = description.weights.pytorch_state_dict
    described = entry.architecture
    if hasattr(entry, "architecture_sha256"):  # format 0.4
        name, kwargs = described.callable_name, entry.kwargs
        source, sha256 = getattr(described, "source_file", None), entry.architecture_sha256
        module = getattr(described, "module_name", "")
    else:
        name, kwargs = described.callable, described.kwargs
        source, sha256 = getattr(described, "source", None), getattr(described, "sha256", None)
        module = getattr(described, "import_from", "")
    return Architecture(
        callable=str(name),
        file=None if source is None else file_ref(source, sha256),
        module=str(module),
        kwargs=kwargs,
        strict=getattr(entry, "strict", True),
        beside=(
            *dependencies_of(description, "pytorch_state_dict"),
            *attachments_of(description),
        ),
    )


def dependencies_of(description: Any, weights_format: str) -> list[FileRef]:
    """The file of the environment that weights are described to need; empty if there is none."""
    dependencies = getattr(getattr(description.weights, weights_format), "dependencies", None)
    if dependencies is None:
        return []
    if hasattr(dependencies, "file"):  # format 0.4
        return [file_ref(dependencies.file)]
    return [file_ref(dependencies.source, dependencies.sha256)]


def attachments_of(description: Any) -> list[FileRef]:
    """Files that a description brings along, for whatever may open them."""
    attachments = description.attachments or ()
    if hasattr(attachments, "files"):  # format 0.4
        return [file_ref(source) for source in attachments.files]
    return [file_ref(attachment.source, attachment.sha256) for attachment in attachments]
