"""The names of `bioimageio.spec` that users of a model runner know, as they are there.

What holds here: nothing is changed or wrapped; `settings` is the one object that loading uses, so
that changing it changes what loading does.
"""

from __future__ import annotations

from bioimageio.spec import (
    InvalidDescr,
    ValidationSummary,
    build_description,
    dump_description,
    load_dataset_description,
    load_description_and_validate_format_only,
    save_bioimageio_package,
    save_bioimageio_package_as_folder,
    save_bioimageio_yaml_only,
    settings,
    validate_format,
)

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
