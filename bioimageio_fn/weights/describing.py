"""Weights in a description: entries for converted ones, in format 0.4 and 0.5.

What holds here: nothing is opened; fields come in and go out as plain values, and what comes in
stays as it is. Format 0.4 has no place for a comment on weights, so that it stands in its `config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import __version__
from ..errors import WeightsFormatError
from ..files import sha256_of
from .graph import Converter
from .records import Made

__all__ = ["check_describable", "comment_of", "with_weights"]


def comment_of(converter: Converter, made: Made, proven: tuple[str, ...]) -> str:
    """What the description says of converted weights: by what, and at which sizes proven."""
    return (
        f"Converted from {converter.source} by bioimageio_fn {__version__} with {made.tool}."
        f" Reproduces the test tensors, and agrees with {converter.source}"
        f" at {', '.join(proven)}."
    )


def with_weights(
    fields: Mapping[str, Any], converter: Converter, made: Made, comment: str
) -> dict[str, Any]:
    """The fields of a description, with an entry for weights where they lie.

    Args:
        fields: of the description.
        converter: what made the weights.
        made: the weights.
        comment: on them.

    Raises:
        WeightsFormatError: if this version of the format can not describe them.
    """
    entry = {
        **_file(made.file),
        "parent": converter.source,
        **made.fields,
        **({"external_data": _file(made.external)} if made.external is not None else {}),
    }
    check_describable(fields, entry, converter.target)
    weights = dict(fields["weights"])
    if not _is_0_4(fields):
        return {**fields, "weights": {**weights, converter.target: {**entry, "comment": comment}}}
    config = dict(fields.get("config") or {})
    ours = dict(config.get("bioimageio_fn") or {})
    comments = {**(ours.get("comments_on_weights") or {}), converter.target: comment}
    return {
        **fields,
        "weights": {**weights, converter.target: entry},
        "config": {**config, "bioimageio_fn": {**ours, "comments_on_weights": comments}},
    }


def check_describable(fields: Mapping[str, Any], entry: Mapping[str, Any], target: str) -> None:
    """Refuse weights that format 0.4 has no words for.

    Raises:
        WeightsFormatError: if so.
    """
    if _is_0_4(fields) and "external_data" in entry:
        raise WeightsFormatError(
            f"format 0.4 can not describe {target} whose numbers lie in another file",
            expected="weights in one file of less than 2 GB",
            remedy="update the description to format 0.5 first (update_format)",
        )


def _is_0_4(fields: Mapping[str, Any]) -> bool:
    return str(fields["format_version"]).startswith("0.4")


def _file(path: Any) -> dict[str, str]:
    return {"source": str(path), "sha256": sha256_of(path)}
