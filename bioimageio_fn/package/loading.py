"""Descriptions, as objects of `bioimageio.spec`.

What holds here: its parsers never see the text, and it looks at no file before it is known that all
of them lie in the package.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import BioimageioFnError, DescriptionError
from ..network import is_offline
from .fields import fields_of
from .references import check_references
from .sources import Found, Source, found

if TYPE_CHECKING:
    from bioimageio.spec import InvalidDescr, ResourceDescr
    from bioimageio.spec.model import AnyModelDescr

__all__ = [
    "as_model",
    "as_valid",
    "described",
    "fields_of_source",
    "load_description",
    "load_model",
    "load_model_description",
    "load_resource",
]


def load_description(
    source: Source,
    /,
    *,
    format_version: str = "discover",
    sha256: str | None = None,
    **options: Any,
) -> ResourceDescr | InvalidDescr:
    """Load a resource description with `bioimageio.spec`.

    Its text and its references are checked before: nothing grows without end, and no file outside
    of the package is looked at.

    Args:
        source: folder, `bioimageio.yaml`, zip archive, URL, or id of the BioImage.IO collection.
        format_version, sha256, options: as of `bioimageio.spec.load_description` (the latter are
            `perform_io_checks`, `known_files`, `progressbar`).

    Returns:
        The description; `InvalidDescr` if it does not validate.

    Raises:
        MissingFileError: if it looks like a path and nothing is there, or is no known id.
        UnsafePackageError: if it is too large, or refers to files outside of the package.
        HashMismatchError: if it is another file than the one meant.
        DescriptionError: if there is no description in it that could be read.

    Examples:
        >>> import bioimageio_fn as fn
        >>> load_description(fn.demo_model(), perform_io_checks=False).type
        'model'
    """
    if hasattr(source, "validation_summary"):
        description: ResourceDescr | InvalidDescr = source
        return description
    try:
        text = found(source, sha256=sha256, progressbar=options.get("progressbar"))
        return _built(text, format_version, **options)
    except BioimageioFnError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DescriptionError(f"can not load a description from {source}", got=reason) from error


def _built(text: Found, format_version: str, **context: Any) -> ResourceDescr | InvalidDescr:
    """The description as an object; its files are looked at only when all lie in the package."""
    import bioimageio.spec

    build = partial(
        bioimageio.spec.build_description,
        fields_of(text.content, text.file_name),
        format_version=format_version,
    )
    given = bioimageio.spec.get_validation_context().replace(
        root=text.root, file_name=text.file_name, original_source_name=text.source
    )
    if is_offline():  # the checks ask for every URL; files are checked when they are used, too
        context = {**context, "perform_io_checks": False}
    wanted = given.replace(**context)
    looking = wanted.perform_io_checks or bool(wanted.known_files)
    blind = given.replace(perform_io_checks=False, log_warnings=False if looking else None)
    description: ResourceDescr | InvalidDescr = build(context=blind)
    if isinstance(description, bioimageio.spec.InvalidDescr):
        return description
    check_references(description)
    return build(context=wanted) if looking else description


def fields_of_source(source: Source) -> dict[str, Any]:
    """The fields of a description as they are written, measured but not validated.

    Raises:
        MissingFileError, UnsafePackageError, DescriptionError: as `load_description`.
    """
    text = found(source)
    return fields_of(text.content, text.file_name)


def load_model(source: Source, /, **options: Any) -> AnyModelDescr:
    """Load the description of a model, of format 0.4 or 0.5.

    Args:
        source, options: as of `load_description`.

    Raises:
        MissingFileError: if it looks like a path and nothing is there, or is no known id.
        DescriptionError: if it is invalid, or not that of a model.

    Examples:
        >>> import bioimageio_fn as fn
        >>> load_model(fn.demo_model(), perform_io_checks=False).inputs[0].id
        'raw'
    """
    return as_model(load_description(source, **options))


def as_valid(description: Any) -> ResourceDescr:
    """The description, if it is valid.

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
    valid: ResourceDescr = description
    return valid


def as_model(description: Any) -> AnyModelDescr:
    """The description, if it is a valid one of a model.

    Raises:
        DescriptionError: if it is not; with the first reasons.
    """
    valid: Any = as_valid(description)
    if getattr(valid, "type", None) != "model":
        raise DescriptionError(
            "not the description of a model",
            expected="a model",
            got=getattr(valid, "type", type(valid).__name__),
        )
    model: AnyModelDescr = valid
    return model


load_resource = load_description
load_model_description = load_model


def described(model: Source) -> AnyModelDescr:
    """The description of a model from its source, or itself.

    What files contain is not checked here but when they are used, so that a large package opens
    fast.
    """
    if not hasattr(model, "validation_summary"):
        return load_model(model, perform_io_checks=False)
    description = as_model(model)
    check_references(description, absolute=True)
    return description
