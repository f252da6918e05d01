"""Commands on descriptions and packages: `validate-format` and `package`."""

from __future__ import annotations

from typing import Any

import click

from .answering import Answer, Say, answering

__all__ = ["package", "validate_format"]


@click.command("validate-format")
@click.argument("source")
@answering
def validate_format(say: Say, *, source: str) -> Answer:
    """Check a description and the files that it names.

    SOURCE is the folder, bioimageio.yaml, zip archive, URL or id of a model, data set, notebook or
    application. Nothing is run. The exit code is 1 if it is not valid.
    """
    from ..package import load_description

    description = load_description(source)
    summary = description.validation_summary
    is_valid = summary.status != "failed"
    errors = list(_errors(summary))
    for error in errors:
        say(f"{error['where']}: {error['text']}")
    kind = f"{description.type} of format {description.format_version}"
    say(f"{source}: {'valid' if is_valid else 'not valid'} ({kind})")
    document = {"source": source, "valid": is_valid, "type": description.type}
    document |= {"format": str(description.format_version), "errors": errors}
    return Answer(document, failed=not is_valid)


def _errors(summary: Any) -> Any:
    for detail in summary.details:
        for error in detail.errors:
            where = ".".join(map(str, error.loc)) or detail.name
            yield {"where": where, "text": " ".join(error.msg.split())}


@click.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "--weights-format",
    multiple=True,
    help="Pack only these weights; given several times, the first that the model has.",
)
@click.option("--overwrite", is_flag=True, help="Replace an archive that is there.")
@answering
def package(
    say: Say, *, source: str, target: str, weights_format: tuple[str, ...], overwrite: bool
) -> Answer:
    """Write a model and all of its files to one place.

    TARGET is a .zip archive, or else a new folder. SOURCE may be a data set, notebook or
    application, too.
    """
    from ..descriptions import save_bioimageio_package, save_bioimageio_package_as_folder
    from ..errors import FileWriteError
    from ..files import check_place, expanded
    from ..package import as_valid, load_description

    place = expanded(target)
    check_place(place)
    is_archive = place.suffix.lower() == ".zip"
    if place.exists() and not (is_archive and overwrite):
        raise FileWriteError(
            f"{place} is there already",
            remedy="take another name" + (", or give --overwrite" if is_archive else ""),
        )
    description = as_valid(load_description(source))
    save = save_bioimageio_package if is_archive else save_bioimageio_package_as_folder
    written = save(
        description, output_path=place, weights_priority_order=list(weights_format) or None
    )
    say(str(written))
    return Answer({"file": str(written)})
