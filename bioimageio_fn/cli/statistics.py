"""Statistics of a data set: the command `stats`, and what `predict` does with its file.

What holds here: a model that measures a data set gives every image of a call the same statistics,
in whatever order the images come: those of a file, or those of all images of the call.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import click

from ..files import expanded
from .answering import Answer, Say, answering
from .models import Opening
from .options import IMAGES, OPENING, options

__all__ = ["stats", "with_statistics"]


@click.command()
@click.argument("model")
@click.argument("inputs", nargs=-1)
@click.option(
    "-o", "--output", required=True, type=click.Path(), metavar="FILE", help="A .json file."
)
@options(*IMAGES, *OPENING)
@answering
def stats(
    say: Say,
    *,
    model: str,
    inputs: tuple[str, ...],
    output: str,
    weights_format: str | None,
    device: str | None,
    trust_code: bool,
    offline: bool,
    **images: Any,
) -> Answer:
    """Measure a data set, for models that ask for that.

    Some models normalise by statistics of a whole data set: give the file to `predict --stats`.
    INPUTS are files, folders and
    globs, as of predict; pixels are read part by part, and count alike.

    \b
    Example:
      bioimageio-fn stats model.zip plates/ -o statistics.json
    """
    from ..files import check_place
    from .samples import asked_for

    asked = asked_for(inputs, **images)
    check_place(Path(output))
    how = Opening(weights_format, device, trust_code=trust_code, offline=offline)
    with how.opened(model) as (_, pipeline):
        _check_measures(pipeline)
        fitted = _measured(pipeline, asked.samples(pipeline.contract))
        found = _saved(fitted, output)
    for measure, value in found.items():
        what = measure.name if measure.q is None else f"{measure.name} {measure.q:g}"
        say(f"{what} of {measure.member}: {_shown(value)}")
    return Answer({"file": output, "images": len(asked.items), "measures": len(found)})


def with_statistics(pipeline: Any, file: str | None, samples: Iterable[Any]) -> Any:
    """A pipeline with its statistics of a data set, if it asks for any.

    Args:
        file: where they are; if it is not there, it is written. None for those of the samples.
        samples: the data set.

    Raises:
        OperationError: if no step asks for statistics of a data set, and a file is given.
        NotFittedError: if the file lacks one.
    """
    from ..making import dataset_measures

    if file is not None:
        _check_measures(pipeline)
        if expanded(file).exists():
            return _loaded(pipeline, file)
    elif not dataset_measures(pipeline):
        return pipeline
    fitted = _measured(pipeline, samples)
    if file is not None:
        _saved(fitted, file)
    return fitted


def _check_measures(pipeline: Any) -> None:
    from ..errors import OperationError
    from ..making import dataset_measures

    if not dataset_measures(pipeline):
        raise OperationError(
            "no step of this model measures a data set",
            got=f"{pipeline.contract.name}, which measures each image alone, or nothing",
            remedy="predict without statistics",
        )


def _measured(pipeline: Any, samples: Iterable[Any]) -> Any:
    from ..making import with_dataset

    return with_dataset(pipeline, list(samples))


def _loaded(pipeline: Any, file: str) -> Any:
    from ..errors import NotFittedError
    from ..making import dataset_measures
    from ..stats.files import load_stat

    known = load_stat(file)
    wanted = dataset_measures(pipeline)
    for measure in wanted:
        if measure not in known:
            raise NotFittedError(
                f"{file} has not all statistics that the model needs",
                expected=measure,
                got="; ".join(map(str, known)) or "none",
                remedy="make the file for this model: bioimageio-fn stats MODEL INPUTS -o FILE",
            )
    return attrs.evolve(pipeline, statistics={measure: known[measure] for measure in wanted})


def _saved(fitted: Any, file: str) -> Any:
    from ..making import dataset_statistics
    from ..stats.files import save_stat

    found = dataset_statistics(fitted)
    save_stat(found, expanded(file))
    return found


def _shown(value: Any) -> str:
    import numpy as np

    array = np.asarray(value)
    return f"{float(array):.6g}" if array.size == 1 else str(array.ravel().tolist())
