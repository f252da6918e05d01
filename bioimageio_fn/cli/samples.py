"""`Asked`: the images that a user named, and how they are to be read.

What holds here: nothing is opened before a sample is asked for; images are read as `predict` reads
them, by the options of a user.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import click

from .images import Item, items_of
from .values import by_input, in_order, indices

if TYPE_CHECKING:
    from ..contract.records import ModelContract
    from ..sample import Sample
    from ..tasks import Task

__all__ = ["Asked", "asked_for"]


@attrs.frozen
class Asked:
    """The images that a user named, and how they are to be read.

    Args:
        items: the samples.
        reading: keywords of `predict`: `axes`, `channels` and `rescale`, as far as given.
    """

    items: Sequence[Item]
    reading: Mapping[str, Any]

    def samples(self, contract: ModelContract) -> Iterator[Sample]:
        """What the model gets of all images: the planes of each, read where they are sliced."""
        from ..tasks import samples_of

        for item in self.items:
            yield from samples_of(self.task(item, contract))

    def task(self, item: Item, contract: ModelContract) -> Task:
        """What is to be done with an image; it is opened for that."""
        from ..inputs import read_sample
        from ..tasks import task_of

        reading = dict(self.reading)
        rescale = reading.pop("rescale", None)
        sample = read_sample(item.inputs, contract, sample_id=item.id, **reading)
        return task_of(sample, contract, rescale=rescale)


def asked_for(
    inputs: Sequence[str],
    *,
    named: Sequence[str] = (),
    axes: Sequence[str] = (),
    channels: Sequence[str] = (),
    rescale: str | None = None,
) -> Asked:
    """What a user asks for by the arguments and options `IMAGES`.

    Raises:
        click.UsageError: if no images are named, or in two ways.
        MissingFileError, FileReadError, MissingMemberError: as of `items_of`.
    """
    if bool(inputs) == bool(named):
        raise click.UsageError(
            "name images either as INPUTS or by --input ID=PATH"
            if inputs
            else "no images are named: give files, folders or globs"
        )
    reading = {
        "axes": _each(by_input(axes, "--axes"), in_order),
        "channels": _each(by_input(channels, "--channels"), indices),
        "rescale": rescale,
    }
    given = {name: value for name, value in reading.items() if value is not None}
    return Asked(items_of(inputs, _several(named)), given)


def _each(value: Any, function: Any) -> Any:
    if isinstance(value, dict):
        return {name: function(text) for name, text in value.items()}
    return None if value is None else function(value)


def _several(named: Sequence[str]) -> dict[str, list[str]]:
    """Paths by input; an input may be named several times."""
    found: dict[str, list[str]] = {}
    for text in named:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise click.UsageError(f"--input takes ID=PATH, and not {text!r}")
        found.setdefault(name, []).append(path)
    return found
