"""The names of `bioimageio.spec` that users of a model runner know.

What holds here: `settings` is the one object that loading uses, so that changing it changes what
loading does. What takes descriptions and values is what is there, not wrapped; what takes a source
opens it as `bioimageio_fn.load_description` does, as a source is input from a stranger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import bioimageio.spec
from bioimageio.spec import (
    InvalidDescr,
    ValidationSummary,
    build_description,
    dump_description,
    save_bioimageio_yaml_only,
    settings,
    validate_format,
)
from bioimageio.spec.dataset import AnyDatasetDescr

from .errors import DescriptionError, MissingFileError, WeightsFormatError
from .files import check_new, written_whole
from .network import is_offline
from .package import as_valid, load_description

__all__ = [
    "InvalidDescr",
    "Settings",
    "ValidationSummary",
    "build_description",
    "built_description",
    "dump_description",
    "load_dataset_description",
    "load_description_and_validate_format_only",
    "save_bioimageio_package",
    "save_bioimageio_package_as_folder",
    "save_bioimageio_yaml_only",
    "settings",
    "validate_format",
]

Settings = type(settings)
"""Class of `settings`; its fields are read from the environment (`BIOIMAGEIO_...`)."""


def load_dataset_description(source: Any, /, **options: Any) -> AnyDatasetDescr:
    """Load the description of a data set.

    Args:
        source, options: as of `load_description`.

    Raises:
        DescriptionError: if it is invalid, or not that of a data set.
    """
    description: Any = load_description(source, **options)
    if isinstance(description, InvalidDescr) or description.type != "dataset":
        raise DescriptionError(
            "not a valid description of a data set",
            got=description.type,
            remedy="see `load_description(source).validation_summary.display()`",
        )
    dataset: AnyDatasetDescr = description
    return dataset


def load_description_and_validate_format_only(source: Any, /, **options: Any) -> ValidationSummary:
    """Load a description, and say whether it is valid and why not.

    Args:
        source, options: as of `load_description`.
    """
    summary: ValidationSummary = load_description(source, **options).validation_summary
    return summary


def built_description(
    description: Any, change: Callable[[dict[str, Any]], Mapping[str, Any]], **context: Any
) -> Any:
    """A description whose fields were changed; that which is given stays as it is.

    Args:
        description: whose files stay where they lie.
        change: makes new fields of the old ones, which are plain values.
        context: `format_version`, and what is looked at, as of `bioimageio.spec.ValidationContext`;
            no files by default.

    Returns:
        The description; `InvalidDescr` if it does not validate.
    """
    given = bioimageio.spec.get_validation_context().replace(
        root=description.root, file_name=description.file_name
    )
    options = {"perform_io_checks": False, "log_warnings": False, **context}
    version = options.pop("format_version", "discover")
    fields = change(dict(dump_description(description)))
    return build_description(fields, context=given.replace(**options), format_version=version)


def save_bioimageio_package(
    source: Any,
    /,
    *,
    output_path: str | Path | None = None,
    weights_priority_order: str | Sequence[str] | None = None,
    **options: Any,
) -> Path:
    """Write a description and the files that it names as a zip archive, whole or not at all.

    Args:
        source: as of `load_description`; or the fields of a description.
        output_path: the archive; by default a temporary file.
        weights_priority_order: one or several formats of weights, of a model: only the first of
            them that it has is packed, with what these need.
        options: others of `bioimageio.spec.save_bioimageio_package`.

    Returns:
        The path of the archive.

    Raises:
        DescriptionError: if it is invalid.
        WeightsFormatError: if the model has none of the weights.
        FileWriteError: if it can not be written.
    """
    wanted = _listed(weights_priority_order)
    opened = _with_weights(_opened(source), wanted)
    options["weights_priority_order"] = wanted
    save = bioimageio.spec.save_bioimageio_package
    with _apart(opened):
        if output_path is None:
            return save(opened, **options)
        with written_whole(Path(output_path)) as temporary:
            save(opened, output_path=temporary, **options)
    return Path(output_path)


def save_bioimageio_package_as_folder(
    source: Any,
    /,
    *,
    output_path: str | Path | None = None,
    weights_priority_order: str | Sequence[str] | None = None,
    **options: Any,
) -> Path:
    """Write a description and the files that it names into a folder, whole or not at all.

    Args:
        source, weights_priority_order: as of `save_bioimageio_package`.
        output_path: a folder that is new or empty; by default a temporary one.
        options: others of `bioimageio.spec.save_bioimageio_package_as_folder`.

    Returns:
        The path of the folder.

    Raises:
        DescriptionError: if it is invalid.
        WeightsFormatError: if the model has none of the weights.
        FileWriteError: if the folder is not empty, or can not be written.
    """
    place = Path(mkdtemp() if output_path is None else output_path)
    wanted = _listed(weights_priority_order)
    opened = _with_weights(_opened(source), wanted)
    options["weights_priority_order"] = wanted
    check_new(place)
    with _apart(opened), written_whole(place) as temporary:
        bioimageio.spec.save_bioimageio_package_as_folder(opened, output_path=temporary, **options)
    return place


def _listed(wanted: str | Sequence[str] | None) -> Sequence[str] | None:
    return [wanted] if isinstance(wanted, str) else wanted


def _with_weights(opened: Any, wanted: Sequence[str] | None) -> Any:
    """What is packed, if it has one of the weights that are wanted."""
    weights = getattr(opened, "weights", None)
    if wanted is None or weights is None or any(getattr(weights, w, None) for w in wanted):
        return opened
    raise WeightsFormatError(
        "the model has none of these weights",
        expected=f"one of {', '.join(weights.available_formats)}",
        got=", ".join(wanted) or "none",
    )


def _apart(opened: Any) -> Any:
    """A context to save a description in: it keeps the name of its file.

    What is packed is checked where it is read. bioimageio.spec would look at files once more, and
    remember their sha256 by names that files of other packages have, too.
    """
    name = getattr(opened, "file_name", None) or "bioimageio.yaml"
    context = bioimageio.spec.get_validation_context()
    return context.replace(file_name=name, perform_io_checks=False, known_files={})


def _opened(source: Any) -> Any:
    context = bioimageio.spec.get_validation_context()
    if is_offline():
        context = context.replace(perform_io_checks=False)
    opened = as_valid(
        build_description(source, context=context)
        if isinstance(source, Mapping)
        else load_description(source)
    )
    if is_offline():
        _check_on_disk(opened)
    return opened


def _check_on_disk(description: Any) -> None:
    """Refuse to pack what would have to be asked for."""
    with bioimageio.spec.get_validation_context().replace(perform_io_checks=False):
        content = bioimageio.spec.get_package_content(description)
    files = {name: file.source for name, file in content.items() if hasattr(file, "source")}
    for name, source in files.items():
        if "://" in (where := str(source.absolute())):
            raise MissingFileError(
                f"no request may be made, and the package needs its file {name}",
                got=where,
                remedy="pack it where requests may be made",
            )
