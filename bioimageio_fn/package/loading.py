"""Descriptions, as objects of `bioimageio.spec`.

What holds here: its parsers never see the text, and it looks at no file before it is known that all
of them lie in the package.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import BioimageioFnError, DescriptionError
from ..network import is_offline
from .fields import fields_of
from .references import check_references
from .sources import Found, Source, found

if TYPE_CHECKING:
    from bioimageio.spec import InvalidDescr, ResourceDescr, ValidationContext
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
    "looked_at",
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

    fields = fields_of(text.content, text.file_name)
    build = partial(bioimageio.spec.build_description, fields, format_version=format_version)
    given = bioimageio.spec.get_validation_context().replace(
        root=text.root, file_name=text.file_name, original_source_name=text.source
    )
    return _checked(build, given, absolute=False, **context)


def _checked(
    build: Callable[..., ResourceDescr | InvalidDescr],
    given: ValidationContext,
    *,
    absolute: bool,
    **context: Any,
) -> ResourceDescr | InvalidDescr:
    """What is built, with its files looked at only when it is known where they lie."""
    from bioimageio.spec import InvalidDescr

    if is_offline():  # the checks ask for every URL; files are checked when they are used, too
        context = {**context, "perform_io_checks": False}
    wanted = given.replace(**context)
    looking = wanted.perform_io_checks or bool(wanted.known_files)
    blind = given.replace(perform_io_checks=False, log_warnings=False if looking else None)
    description = build(context=blind)
    if isinstance(description, InvalidDescr):
        return description
    check_references(description, absolute=absolute)
    return build(context=wanted) if looking else description


def fields_of_source(source: Source) -> dict[str, Any]:
    """The fields of a description as they are written, measured but not validated.

    Raises:
        MissingFileError, UnsafePackageError, DescriptionError: as `load_description`.
    """
    text = found(source)
    return fields_of(text.content, text.file_name)


def looked_at(
    source: Source | Mapping[str, Any],
    /,
    *,
    format_version: str = "discover",
    sha256: str | None = None,
    perform_io_checks: bool = True,
) -> ResourceDescr | InvalidDescr:
    """A new description, with all of its files looked at, and a summary that says just that.

    A description that is given is not changed, and neither is its summary.

    Args:
        source: as of `load_description`; a description; or the fields of one, whose files lie in
            the folder of the validation context of `bioimageio.spec`.
        format_version: the version to validate against; `latest` updates the description.
        sha256: as of `load_description`; means nothing for descriptions and fields.
        perform_io_checks: whether to look at the files.

    Raises:
        MissingFileError, UnsafePackageError, HashMismatchError, DescriptionError: as of
            `load_description`.

    Examples:
        >>> import bioimageio_fn as fn
        >>> given = load_description(fn.demo_model(), perform_io_checks=False)
        >>> looked_at(given).validation_summary is given.validation_summary
        False
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the format library leaves files open
        return _looked_at(source, format_version, sha256, look=perform_io_checks)


def _looked_at(
    source: Source | Mapping[str, Any], format_version: str, sha256: str | None, *, look: bool
) -> ResourceDescr | InvalidDescr:
    import bioimageio.spec

    given = bioimageio.spec.get_validation_context()
    if isinstance(source, Mapping):
        fields = dict(source)
    elif isinstance(source, bioimageio.spec.InvalidDescr):
        return deepcopy(source)
    elif hasattr(source, "validation_summary"):
        fields = bioimageio.spec.dump_description(source)
        given = given.replace(root=source.root, file_name=source.file_name)
    else:
        return load_description(
            source, format_version=format_version, sha256=sha256, perform_io_checks=look
        )
    build = partial(bioimageio.spec.build_description, fields, format_version=format_version)
    try:
        return _checked(build, given, absolute=True, perform_io_checks=look)
    except BioimageioFnError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DescriptionError("can not make a description of these fields", got=reason) from error


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
