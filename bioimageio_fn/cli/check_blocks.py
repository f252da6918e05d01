"""The command `check-blocks`: how much a prediction in blocks differs from that in one piece."""

from __future__ import annotations

import math
from typing import Any

import attrs
import click

from .answering import Answer, Say, answering
from .example import own_data
from .models import Opening
from .options import BLOCKS, IMAGES, OPENING, options
from .samples import Asked, asked_for
from .values import SIZES

__all__ = ["check_blocks"]


@click.command("check-blocks")
@click.argument("model")
@click.argument("inputs", nargs=-1)
@options(*IMAGES, *BLOCKS)
@click.option(
    "--halo", type=SIZES, metavar="N", help="Try another halo than the described one: 32, or y=32."
)
@options(*OPENING)
@answering
def check_blocks(
    say: Say,
    *,
    model: str,
    inputs: tuple[str, ...],
    block_shape: Any,
    blocksize_parameter: Any,
    halo: Any,
    weights_format: str | None,
    device: str | None,
    trust_code: bool,
    offline: bool,
    **images: Any,
) -> Answer:
    """Predict an image in blocks and in one piece, and compare.

    INPUTS are images that are small enough for one piece; without any, the model's own test data.
    By default an image is cut into two. The exit code is 1 if there are seams.

    \b
    Examples:
      bioimageio-fn check-blocks model.zip cells.tif
      bioimageio-fn check-blocks model.zip cells.tif --block-shape 256
    """
    how = Opening(weights_format, device, trust_code=trust_code, offline=offline)
    asked = asked_for(inputs, **images) if inputs or images["named"] else None
    cutting = {"block_shape": block_shape, "blocksize_parameter": blocksize_parameter}
    found = []
    with how.opened(model) as (description, pipeline):
        images_asked_for = asked or Asked([own_data(description)], {})
        for sample in images_asked_for.samples(pipeline.contract):
            for seams in _compared(pipeline, sample, cutting, halo):
                say(f"{sample.id}: {seams}")
                found.append({"id": sample.id, **_document(seams)})
    return Answer(found, failed=any(one["verdict"] != "equal" for one in found))


def _compared(pipeline: Any, sample: Any, cutting: dict[str, Any], halo: Any) -> Any:
    """The record of each output; with the blocks that are asked for, or two."""
    from ..pipeline import default_plan
    from ..seams import measure_seams

    asked = {name: value for name, value in cutting.items() if value is not None}
    if not asked:
        return measure_seams(pipeline, sample, halo=halo)
    return measure_seams(pipeline, sample, default_plan(pipeline, sample, halo=halo, **asked))


def _document(seams: Any) -> dict[str, Any]:
    """A record for programs; JSON has no numbers that are not finite."""
    fields = attrs.asdict(seams)
    fields = {k: dict(v) if k in ("where", "halo") else v for k, v in fields.items()}
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in fields.items()
    }
