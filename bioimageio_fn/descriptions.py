"""The names of `bioimageio.spec` that users of a model runner know.

What holds here: `settings` is the one object that loading uses, so that changing it changes what
loading does. What takes descriptions and values is what is there, not wrapped; what takes a source
opens it as `bioimageio_fn.load_description` does, as a source is input from a stranger.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
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

from .errors import DescriptionError, MissingFileError
from .network import is_offline
from .package import load_description

__all__ = [
    "InvalidDescr",
    "Settings",
    "ValidationSummary",
    "build_description",
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


def save_bioimageio_package(source: Any, /, **options: Any) -> Path:
    """Write a description and the files that it names as a zip archive.

    Args:
        source: as of `load_description`; or the fields of a description.
        options: as of `bioimageio.spec.save_bioimageio_package` (`output_path` and more).

    Returns:
        The path of the archive.
    """
    return bioimageio.spec.save_bioimageio_package(_opened(source), **options)


def save_bioimageio_package_as_folder(source: Any, /, **options: Any) -> Path:
    """Write a description and the files that it names into a folder.

    Args:
        source: as of `load_description`; or the fields of a description.
        options: as of `bioimageio.spec.save_bioimageio_package_as_folder` (`output_path` and more).

    Returns:
        The path of the folder.
    """
    return bioimageio.spec.save_bioimageio_package_as_folder(_opened(source), **options)


def _opened(source: Any) -> Any:
    if not is_offline():
        return source if isinstance(source, Mapping) else load_description(source)
    blind = bioimageio.spec.get_validation_context().replace(perform_io_checks=False)
    opened: Any = (
        build_description(source, context=blind)
        if isinstance(source, Mapping)
        else load_description(source)
    )
    if not isinstance(opened, InvalidDescr):
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
