"""Everything that opens a model package, which is input from a stranger.

What holds here: what looks like a path is answered at once, without a request; a file is used only
when its sha256 is the one that the description gives; nothing in a package is ever executed here.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .contract.files import FileRef, check_sha256, refs_of_test_tensors
from .contract.read import model_contract
from .errors import (
    BioimageioFnError,
    DescriptionError,
    FileReadError,
    MissingFileError,
)
from .files import existing_path, looks_like_path, sha256_of, written_whole
from .sample import Sample
from .tensor import Tensor

if TYPE_CHECKING:
    from bioimageio.spec import InvalidDescr, ResourceDescr
    from bioimageio.spec.model import AnyModelDescr

__all__ = [
    "as_model",
    "demo_image",
    "demo_model",
    "load_description",
    "load_model",
    "load_model_description",
    "load_resource",
    "local_file",
    "test_inputs",
    "test_outputs",
]

Source = Any
"""Path, URL, id of the BioImage.IO collection, open zip archive, or a description."""


def demo_model() -> Path:
    """Folder of the model that comes with this package: nuclei in fluorescence images, 2D."""
    return Path(__file__).parent / "demo" / "model"


def demo_image() -> Path:
    """The image that comes with this package: drawn nuclei, 300 x 417 pixels, uint16."""
    return Path(__file__).parent / "demo" / "image.tif"


def load_description(source: Source, /, **options: Any) -> ResourceDescr | InvalidDescr:
    """Load a resource description with `bioimageio.spec`.

    Args:
        source: folder, `bioimageio.yaml`, zip archive, URL, or id of the BioImage.IO collection.
        options: as of `bioimageio.spec.load_description` (`format_version`, `perform_io_checks`,
            `known_files`, `sha256`, `progressbar`).

    Returns:
        The description; `InvalidDescr` if it does not validate.

    Raises:
        MissingFileError: if it looks like a path and nothing is there, or is no known id.
        DescriptionError: if there is no description in it that could be read.

    Examples:
        >>> load_description(demo_model(), perform_io_checks=False).type
        'model'
    """
    if isinstance(source, (str, os.PathLike)):
        source = _located(source)
    elif not isinstance(source, zipfile.ZipFile) and not hasattr(source, "validation_summary"):
        raise DescriptionError(
            "not the source of a description",
            expected="a path, URL, id, open zip archive, or description",
            got=type(source).__name__,
        )
    try:
        return _load(source, **options)
    except BioimageioFnError:
        raise
    except Exception as error:
        raise _unloadable(source, error) from error


def _load(source: Source, **options: Any) -> ResourceDescr | InvalidDescr:
    import bioimageio.spec

    if isinstance(source, Path) and not zipfile.is_zipfile(source):
        return _load_local(source, **options)
    if isinstance(source, Path):
        _check_digest(source, options.pop("sha256", None))
        source = zipfile.ZipFile(source)
    description: ResourceDescr | InvalidDescr = bioimageio.spec.load_description(source, **options)
    return description


def _load_local(
    path: Path, *, sha256: str | None = None, format_version: str = "discover", **context: Any
) -> ResourceDescr | InvalidDescr:
    """Load from a folder or a file on disk, which `bioimageio.spec` would leave open."""
    import bioimageio.spec
    from bioimageio.spec.utils import identify_bioimageio_yaml_file_name, read_yaml

    if path.is_dir():
        names = [p.name for p in path.iterdir() if p.is_file()]
        path = path / identify_bioimageio_yaml_file_name(names)
    path = path.absolute()
    _check_digest(path, sha256)
    fields = read_yaml(io.BytesIO(path.read_bytes()))
    if not isinstance(fields, dict):
        raise DescriptionError(
            f"{path} holds no description", expected="named fields", got=type(fields).__name__
        )
    return bioimageio.spec.build_description(
        {str(name): value for name, value in fields.items()},
        format_version=format_version,
        context=bioimageio.spec.get_validation_context().replace(
            root=path.parent, file_name=path.name, original_source_name=str(path), **context
        ),
    )


def _check_digest(path: Path, sha256: str | None) -> None:
    if sha256 is not None:
        check_sha256(path.name, str(sha256), sha256_of(path))


def _located(source: str | os.PathLike[str]) -> str | Path:
    """The path if the source is one, else the id or URL."""
    text = os.fspath(source)
    if not isinstance(source, str) or looks_like_path(text) or Path(text).exists():
        return existing_path(text)
    return text


def _unloadable(source: object, error: Exception) -> BioimageioFnError:
    reason = " ".join(str(error).split())[:300]
    if isinstance(source, str) and "://" not in source:
        return MissingFileError(
            f"no such file or model id: {source}",
            remedy="is it spelled right, and is there a network to ask for ids?",
        )
    return DescriptionError(f"can not load a description from {source}", got=reason)


def load_model(source: Source, /, **options: Any) -> AnyModelDescr:
    """Load the description of a model, of format 0.4 or 0.5.

    Args:
        source, options: as of `load_description`.

    Raises:
        MissingFileError: if it looks like a path and nothing is there, or is no known id.
        DescriptionError: if it is invalid, or not that of a model.

    Examples:
        >>> load_model(demo_model(), perform_io_checks=False).inputs[0].id
        'raw'
    """
    return as_model(load_description(source, **options))


def as_model(description: Any) -> AnyModelDescr:
    """The description, if it is a valid one of a model.

    Raises:
        DescriptionError: if it is not; with the first reasons.
    """
    import bioimageio.spec

    if isinstance(description, bioimageio.spec.InvalidDescr):
        errors = [
            f"{'.'.join(map(str, entry.loc))}: {entry.msg}"
            for detail in description.validation_summary.details
            for entry in detail.errors
        ]
        raise DescriptionError(
            "the description is invalid",
            got=" | ".join(" ".join(e.split()) for e in errors[:3]) or None,
            remedy="see `load_description(source).validation_summary.display()`",
        )
    if getattr(description, "type", None) != "model":
        raise DescriptionError(
            "not the description of a model",
            expected="a model",
            got=getattr(description, "type", type(description).__name__),
        )
    model: AnyModelDescr = description
    return model


load_resource = load_description
load_model_description = load_model


def local_file(ref: FileRef) -> Path:
    """A file of a package as a file on disk, checked against its sha256.

    Files on disk stay where they are; those in archives or on the net are copied to the cache
    (`settings.cache_path`), named by their content.

    Raises:
        MissingFileError: if there is no such file.
        HashMismatchError: if it is not the file that the description names.
    """
    if isinstance(ref.source, (str, Path)) and Path(ref.source).is_file():
        path = Path(ref.source).absolute()
        check_sha256(ref.name, ref.sha256, sha256_of(path))
        return path
    content = _bytes_of(ref)
    import bioimageio.spec

    digest = hashlib.sha256(content).hexdigest()
    check_sha256(ref.name, ref.sha256, digest)
    path = Path(bioimageio.spec.settings.cache_path) / "bioimageio_fn" / digest / ref.name
    if not path.exists():
        with written_whole(path) as temporary:
            temporary.write_bytes(content)
    return path


def _bytes_of(ref: FileRef) -> bytes:
    from bioimageio.spec.utils import get_reader

    try:
        return get_reader(ref.source).read()
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise MissingFileError(
            f"the package has no file {ref.name}", got=f"{type(error).__name__}: {reason}"
        ) from error


def test_inputs(model: Source) -> Sample:
    """The test inputs of a model as a sample; optional inputs without one are left out.

    Args:
        model: a source or a model description.

    Raises:
        MissingFileError, FileReadError, HashMismatchError: if one can not be read.

    Examples:
        >>> list(test_inputs(demo_model()).members)
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
        array: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise FileReadError(f"can not read {ref.name} as a NumPy array: {error}") from error
    return array


def described(model: Source) -> AnyModelDescr:
    """The description of a model from its source, or itself.

    Files are not checked here but when they are used, so that a large package opens fast.
    """
    if isinstance(model, (str, os.PathLike)) or not hasattr(model, "validation_summary"):
        return load_model(model, perform_io_checks=False)
    return as_model(model)
