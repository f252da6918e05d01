"""The command `predict`: a model on images, each with its results in files.

What holds here: what can be refused is refused before the first image is read; the model is opened
once; the exit code is 1 if an image failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import click

from .answering import Answer, Say, answering, note, one_line
from .dry_run import planned
from .example import own_data
from .models import Opening
from .options import BLOCKS, IMAGES, OPENING, QUIET, options
from .predicting import Outcome, checked_places, predicted, progress
from .results import Results, new_items, results_in
from .samples import Asked, asked_for
from .statistics import with_statistics

if TYPE_CHECKING:
    from ..pipeline import Pipeline

__all__ = ["predict"]


@click.command()
@click.argument("model")
@click.argument("inputs", nargs=-1)
@click.option(
    "-o",
    "--output",
    help="Where to write: a folder, a file, or a pattern with {sample_id} (stem of the image) and"
    " {output_id}. Ends in .ome.tif, .tif, .ome.zarr, .zarr, .h5, .npy or .png; without one of"
    " these, results of Zarr are .ome.zarr, and all others .ome.tif. Default: the current folder.",
)
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@options(*IMAGES)
@click.option(
    "--stats",
    type=click.Path(),
    metavar="FILE",
    help="Statistics of a data set, as of the command stats; written if there is no such file."
    " Without it, a model that asks for them gets those of all INPUTS.",
)
@options(*BLOCKS)
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="What a prediction may take, such as 2GB; blocks are then measured and chosen so.",
)
@options(*OPENING)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and how long it takes.")
@click.option("--example", is_flag=True, help="Run the model on its own test data.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first image that fails.")
@options(QUIET)
@answering
def predict(
    say: Say,
    *,
    model: str,
    inputs: tuple[str, ...],
    output: str | None,
    overwrite: bool,
    stats: str | None,
    block_shape: Any,
    blocksize_parameter: Any,
    memory_limit: str | None,
    weights_format: str | None,
    device: str | None,
    trust_code: bool,
    offline: bool,
    dry_run: bool,
    example: bool,
    fail_fast: bool,
    quiet: bool,
    **images: Any,
) -> Answer:
    """Run a model on images.

    INPUTS are image files of any size, folders of them, and globs. MODEL is a folder, a
    bioimageio.yaml, a zip archive, a URL, or an id of the BioImage.IO collection.
    The paths of the results are printed. An image that fails is told of at the end.

    \b
    Examples:
      bioimageio-fn predict model.zip cells.tif
      bioimageio-fn predict model.zip plate/ -o results/
      bioimageio-fn predict model.zip slide.ome.zarr --memory-limit 2GB
      bioimageio-fn predict model.zip --input raw=raw/ --input mask=masks/ -o results/
    """
    how = Opening(weights_format, device, trust_code=trust_code, offline=offline)
    cutting = {"block_shape": block_shape, "blocksize_parameter": blocksize_parameter}
    with _opened(model, inputs, images, how, example=example) as (opened, asked_for_all):
        results = results_in(output, asked_for_all.items)
        asked = _without_results(asked_for_all, results, opened)
        checked_places(opened, asked.items, results, overwrite=overwrite)
        if dry_run:
            return planned(say, opened, asked, results, cutting=cutting, memory_limit=memory_limit)
        pipeline = with_statistics(opened, stats, asked.samples(opened.contract))
        keywords = {
            "input_block_shape": block_shape,
            "blocksize_parameter": blocksize_parameter,
            "memory_limit": memory_limit,
            "overwrite": overwrite,
            **asked.reading,
        }
        with progress(asked.items, quiet=quiet) as told:
            outcomes = predicted(
                pipeline, asked.items, results, keywords, told, fail_fast=fail_fast
            )
            return _told(say, pipeline.contract.name, outcomes)


@contextmanager
def _opened(
    model: str,
    inputs: Sequence[str],
    images: Mapping[str, Any],
    how: Opening,
    *,
    example: bool,
) -> Iterator[tuple[Pipeline, Asked]]:
    """The model, and the samples: those that are named, or its own; misspelled ones first."""
    if example and (inputs or images["named"]):
        raise click.UsageError("--example is in the place of images of your own")
    named = None if example else asked_for(inputs, **images)
    with how.opened(model) as (description, pipeline):
        yield pipeline, named or Asked([own_data(description)], {})


def _without_results(asked: Asked, results: Results, pipeline: Pipeline) -> Asked:
    """The samples that are not results of an earlier run into their folder."""
    items = new_items(asked.items, results, pipeline.contract)
    if left_out := len(asked.items) - len(items):
        note(f"left out: {left_out} of {len(asked.items)} images, which are results of the others")
    return attrs.evolve(asked, items=items)


def _told(say: Say, model: str, outcomes: Iterable[Outcome]) -> Answer:
    """Say of each sample what became of it: where its results are at once, failures at the end.

    Raises:
        Exception: that of a sample, if there is only this one.
    """
    seen = []
    for outcome in outcomes:
        seen.append(outcome)
        for path in outcome.paths.values():
            say(str(path))
    failed = [outcome for outcome in seen if outcome.error is not None]
    if failed and len(seen) == 1 and failed[0].error is not None:
        raise failed[0].error
    for outcome in failed:
        note(f"failed: {', '.join(outcome.item.files)}: {one_line(outcome.error)}")
    if failed:
        note(f"error: {len(failed)} of {len(seen)} images failed; the others are done")
    samples = [outcome.document for outcome in seen]
    return Answer({"model": model, "samples": samples, "failed": len(failed)}, failed=bool(failed))
