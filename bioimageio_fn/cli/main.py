"""`bioimageio-fn`: the commands, and how they fail.

What holds here: exit code 0 is done, 1 is failed, 2 is wrong use; an error is one line on stderr
that says what to do; results go to stdout, progress to stderr; nothing heavy is imported before a
command needs it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import __version__
from ..errors import BioimageioFnError, MissingDependencyError

try:
    import click
except ImportError as error:
    raise MissingDependencyError(
        "the command line needs the package click", remedy="pip install 'bioimageio_fn[cli]'"
    ) from error

__all__ = ["main"]


@contextmanager
def _one_line(*, debug: bool) -> Iterator[None]:
    """Say errors and warnings in one line each; errors end the program with exit code 1."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: click.echo(f"warning: {message}", err=True)
        try:
            yield
        except (click.ClickException, click.Abort):
            raise
        except Exception as error:
            if debug:
                raise
            known = isinstance(error, BioimageioFnError)
            text = str(error) if known else f"{type(error).__name__}: {error} (see --debug)"
            click.echo(f"error: {' '.join(text.split())}", err=True)
            sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bioimageio-fn")
def cli() -> None:
    """Run BioImage.IO models on microscopy images."""


@cli.command()
@click.argument("model")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    required=True,
    help="Where to write: a .tif, .png or .npy file, a folder, or a pattern with {sample_id} (stem"
    " of the image) and {output_id}.",
)
@click.option("--weights-format", help="onnx or torchscript; default: what can be run here.")
@click.option("--device", help="cpu (default), cuda, cuda:N or mps.")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
def predict(
    model: str,
    images: tuple[str, ...],
    output: str,
    weights_format: str | None,
    device: str | None,
    debug: bool,
) -> None:
    """Run MODEL on each IMAGE (TIFF, PNG or NPY, of any size).

    MODEL is a folder, a bioimageio.yaml, a zip archive, a URL, or an id of the BioImage.IO
    collection.

    \b
    Examples:
      bioimageio-fn predict model.zip cells.tif -o probability.tif
    """
    with _one_line(debug=debug):
        _predict(model, images, output, weights_format, device)


def _predict(
    model: str, images: tuple[str, ...], output: str, weights_format: str | None, device: str | None
) -> None:
    from ..files import existing_path

    for image in images:
        existing_path(image)
    pattern = _pattern(output, images)
    if any(Path(pattern) == Path(image) for image in images):
        raise click.UsageError(f"this would overwrite the image {pattern}")

    from ..making import create_prediction_pipeline
    from ..prediction import output_path
    from ..prediction import predict as predict_one

    with create_prediction_pipeline(
        model, weights_format=weights_format, devices=device
    ) as pipeline:
        for image in images:
            with click.progressbar(
                length=1, label=Path(image).name, file=sys.stderr, hidden=not sys.stderr.isatty()
            ) as bar:

                def on_progress(done: int, total: int) -> None:
                    bar.length = total
                    bar.update(done - bar.pos)

                result = predict_one(
                    model=pipeline,
                    inputs=image,
                    save_output_path=pattern,
                    on_progress=on_progress,
                )
            for name in result.members:
                path = output_path(pattern, sample_id=result.id or "sample", output_id=name)
                click.echo(path)


def _pattern(output: str, images: tuple[str, ...]) -> str:
    """The pattern of the output paths: a file for one image, else a folder or pattern for many."""
    stems = [Path(image).stem for image in images]
    doubled = next((s for s in stems if stems.count(s) > 1), None)
    if doubled is not None:
        raise click.UsageError(f"several images are named {doubled}; their outputs would collide")
    is_file = bool(Path(output).suffix) and not Path(output).is_dir()
    if "{sample_id}" in output or (is_file and len(images) == 1):
        return output
    if is_file:
        raise click.UsageError(
            f"{len(images)} images would be written to the one file {output};"
            " give a folder, or a pattern with {sample_id}"
        )
    return str(Path(output) / "{sample_id}_{output_id}.tif")


def main() -> None:
    """Entry point of the command line."""
    cli(prog_name="bioimageio-fn")
