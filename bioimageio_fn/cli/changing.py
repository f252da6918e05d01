"""Commands that change descriptions: `update-format`, `update-hashes` and `add-weights`.

What holds here: what is written is valid and whole, or nothing is written; a source is changed only
where it is named as the output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..files import expanded
from .answering import Answer, Say, answering
from .models import without_requests
from .options import OFFLINE, TRUST_CODE, options

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["add_weights", "update_format", "update_hashes"]

_OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="A .yaml beside the source (its own: in place), a new folder, or a .zip; by default"
    " nothing is written, and the change is shown.",
)


@click.command("update-format")
@click.argument("source")
@options(_OUTPUT, OFFLINE)
@answering
def update_format(say: Say, *, source: str, output: str | None, offline: bool) -> Answer:
    """Bring a description to the newest format.

    What changes is printed as a diff.
    """
    from ..updating import update_format as updated

    return _updated(say, updated, source, output, offline=offline)


@click.command("update-hashes")
@click.argument("source")
@options(_OUTPUT, OFFLINE)
@answering
def update_hashes(say: Say, *, source: str, output: str | None, offline: bool) -> Answer:
    """Correct the sha256 of files that were changed.

    What changes is printed as a diff.
    """
    from ..updating import update_hashes as updated

    return _updated(say, updated, source, output, offline=offline)


def _updated(
    say: Say, update: Callable[..., Any], source: str, output: str | None, *, offline: bool
) -> Answer:
    place = None if output is None else expanded(output)
    with without_requests(offline=offline):
        made = update(source, output=place)
    say(made.diff.rstrip() or f"{source}: nothing changes")
    return Answer({"source": source, "output": output, "diff": made.diff})


@click.command("add-weights")
@click.argument("model")
@click.argument("target")
@click.option("--source-format", help="The weights that are converted; default: any.")
@click.option("--target-format", help="What they are converted to; default: all that can be.")
@options(TRUST_CODE, OFFLINE)
@answering
def add_weights(
    say: Say,
    *,
    model: str,
    target: str,
    source_format: str | None,
    target_format: str | None,
    trust_code: bool,
    offline: bool,
) -> Answer:
    """Convert the weights of a model to other formats.

    The model with all of its weights is written to TARGET, a new folder, if there is a format whose
    results are proved to be the same. The exit code is 1 if there is none.
    """
    from ..weights.add import add_weights as added

    with without_requests(offline=offline):
        result = added(
            model,
            expanded(target),
            source_format=source_format,
            target_format=target_format,
            trust_code=trust_code,
        )
    say(str(result))
    folder = None if result.folder is None else str(result.folder)
    document = {"folder": folder, "added": list(result.added)}
    document["attempts"] = [str(attempt) for attempt in result.attempts]
    return Answer(document, failed=not result.added)
