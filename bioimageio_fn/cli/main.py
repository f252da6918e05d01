"""`bioimageio-fn`: the commands, and how they fail.

What holds here: exit code 0 is done, 1 is failed, 2 is wrong use; an error is one line on stderr
that says what to do; results go to stdout, progress to stderr; nothing heavy is imported before a
command needs it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def _sizes(
    context: click.Context, option: click.Parameter, value: str | None
) -> int | dict[str, int] | None:
    """A number, or numbers by axis: `y=512,x=512`."""
    if value is None or value.strip().isdecimal():
        return None if value is None else int(value)
    try:
        pairs = [part.split("=") for part in value.split(",")]
        sizes = {axis.strip(): int(size) for axis, size in pairs}
        if len(sizes) == len(pairs):
            return sizes
        raise click.BadParameter(f"{value!r} names an axis twice", context, option)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not like y=512,x=512", context, option) from None


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
    help="Where to write: a .tif, .png, .npy, .zarr or .h5 file, a folder, or a pattern with"
    " {sample_id} (stem of the image) and {output_id}.",
)
@click.option("--weights-format", help="Such as onnx; default: the first that can be run here.")
@click.option("--device", help="cpu, cuda, cuda:N or mps; default: a GPU if there is one.")
@click.option(
    "--trust-code",
    is_flag=True,
    help="Let Python code that comes with the model run. Read it before.",
)
@click.option(
    "--block-shape",
    callback=_sizes,
    metavar="AXIS=N,...",
    help="Pixels of a block, such as y=512,x=512 (other axes are not cut), or 512 for all axes in"
    " space. Default: the blocks that compute the fewest pixels.",
)
@click.option(
    "--blocksize-parameter",
    callback=_sizes,
    metavar="N",
    help="Instead: n of the sizes min + n * step that the model describes, such as 4, or y=4,x=8.",
)
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="What the prediction may take, such as 2GB; blocks are then measured and chosen so.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
def predict(
    model: str,
    images: tuple[str, ...],
    output: str,
    weights_format: str | None,
    device: str | None,
    trust_code: bool,
    block_shape: Any,
    blocksize_parameter: Any,
    memory_limit: str | None,
    quiet: bool,
    debug: bool,
) -> None:
    """Run MODEL on each IMAGE (TIFF, PNG, NPY, Zarr or HDF5, of any size).

    MODEL is a folder, a bioimageio.yaml, a zip archive, a URL, or an id of the BioImage.IO
    collection.

    \b
    Examples:
      bioimageio-fn predict model.zip cells.tif -o probability.tif
      bioimageio-fn predict model.zip slide.zarr -o result.zarr --memory-limit 2GB
    """
    opening = {"weights_format": weights_format, "devices": device, "trust_code": trust_code}
    options = {
        "input_block_shape": block_shape,
        "blocksize_parameter": blocksize_parameter,
        "memory_limit": memory_limit,
        "progressbar": False if quiet else None,
    }
    with _one_line(debug=debug):
        _predict(model, images, output, opening, options)


def _predict(
    model: str,
    images: tuple[str, ...],
    output: str,
    opening: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    """Predict images.

    Args:
        opening: keywords of `create_prediction_pipeline`.
        options: keywords of `predict`.
    """
    from ..files import existing_path
    from ..io.formats import location

    for image in images:
        existing_path(location(image).file)
    pattern = _pattern(output, images)
    from ..making import create_prediction_pipeline
    from ..naming import output_paths
    from ..prediction import predict as predict_one

    with create_prediction_pipeline(model, **opening) as pipeline:
        for image in images:
            result = predict_one(model=pipeline, inputs=image, save_output_path=pattern, **options)
            paths = output_paths(pattern, pipeline.contract, sample_id=result.id)
            for path in paths.values():
                click.echo(path)


def _pattern(output: str, images: tuple[str, ...]) -> str:
    """The pattern of the output paths: a file for one image, else a folder or pattern for many."""
    from ..io.formats import stem

    stems = [stem(image) for image in images]
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
