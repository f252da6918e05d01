"""Options that several commands have, and what they stand for.

What holds here: an option is named and explained once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .values import SIZES

__all__ = ["BLOCKS", "IMAGES", "OFFLINE", "OPENING", "QUIET", "TRUST_CODE", "options"]

_Option = Callable[[Any], Any]

OFFLINE: _Option = click.option(
    "--offline",
    is_flag=True,
    help="Make no request; what was fetched before is found. Or set BIOIMAGEIO_FN_OFFLINE=1.",
)

TRUST_CODE: _Option = click.option(
    "--trust-code",
    is_flag=True,
    help="Let Python code that comes with the model run. Read it before.",
)

OPENING: tuple[_Option, ...] = (
    click.option("--weights-format", help="Such as onnx; default: the first that can be run here."),
    click.option("--device", help="cpu, cuda, cuda:N or mps; default: a GPU if there is one."),
    TRUST_CODE,
    OFFLINE,
)
"""How a model is opened."""

IMAGES: tuple[_Option, ...] = (
    click.option(
        "--input",
        "named",
        multiple=True,
        metavar="ID=PATH",
        help="Instead of INPUTS, for a model with several: the files, folder or glob of each.",
    ),
    click.option(
        "--axes",
        multiple=True,
        metavar="AXES",
        help="Axes of the images in order, such as zyx, where the files say something else, or"
        " nothing; for one input of several: ID=AXES.",
    ),
    click.option(
        "--channels",
        multiple=True,
        metavar="CHANNELS",
        help="Channels that the model gets, by number from 0 or by name, such as DAPI, or 0,2; for"
        " one input of several: ID=CHANNELS.",
    ),
    click.option(
        "--rescale",
        type=click.Choice(["auto"]),
        help="auto: resample images to the pixel size of the model, and results back.",
    ),
)
"""What the images are, and what of them the model gets."""

BLOCKS: tuple[_Option, ...] = (
    click.option(
        "--block-shape",
        type=SIZES,
        metavar="AXIS=N,...",
        help="Pixels of a block, such as y=512,x=512 (other axes are not cut), or 512 for all axes"
        " in space. Default: the blocks that compute the fewest pixels.",
    ),
    click.option(
        "--blocksize-parameter",
        type=SIZES,
        metavar="N",
        help="Instead: n of the sizes min + n * step that the model describes, such as 4, or"
        " y=4,x=8.",
    ),
)
"""How images are cut."""

QUIET: _Option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")


def options(*given: _Option) -> _Option:
    """A decorator that adds options, in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(given):
            function = option(function)
        return function

    return decorate
