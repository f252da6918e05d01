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

    def read(self, contract: ModelContract) -> Iterator[Sample]:
        """The samples, opened, and read where they are sliced."""
        for item in self.items:
            yield from self.read_item(item, contract)

    def read_item(self, item: Item, contract: ModelContract) -> Iterator[Sample]:
        """The sample of an item; several, if it has axes that the model does not have."""
        from ..io.images import open_image
        from ..reading import as_sample

        inputs = item.inputs
        opened: Any = (
            open_image(inputs)
            if isinstance(inputs, str)
            else {name: open_image(path) for name, path in inputs.items()}
        )
        yield as_sample(opened, contract, sample_id=item.id)


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
