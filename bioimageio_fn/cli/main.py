"""`bioimageio-fn`: the commands, wired.

What holds here: nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

from pathlib import Path

from .. import __version__
from ..errors import MissingDependencyError

try:
    import click
except ImportError as error:
    raise MissingDependencyError(
        "the command line needs the package click", remedy="pip install 'bioimageio_fn[cli]'"
    ) from error

from .answering import note
from .changing import add_weights, update_format, update_hashes
from .check_blocks import check_blocks
from .config import defaults, file_in
from .info import info
from .interrupting import stopping
from .packages import package, validate_format
from .predict import predict
from .statistics import stats
from .testing import test
from .upkeep import empty_cache, version

__all__ = ["cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bioimageio-fn")
@click.pass_context
def cli(context: click.Context) -> None:
    """Run BioImage.IO models on microscopy images.

    Options may stand in a file bioimageio-cli.yaml or .json in the current folder.
    """
    if (file := file_in(Path())) is not None:
        context.default_map = defaults(file, cli.commands)
        note(f"defaults of {file}")


for command in (
    predict,
    info,
    validate_format,
    test,
    package,
    update_format,
    update_hashes,
    add_weights,
    stats,
    check_blocks,
    empty_cache,
    version,
):
    cli.add_command(command)


def main() -> None:
    """Entry point of the command line."""
    with stopping():
        cli(prog_name="bioimageio-fn")
