"""Where the results of samples go.

What holds here: a name is made of the name of the sample and that of the output; without a format
asked for, results of Zarr are Zarr, and all others OME-TIFF.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from ..files import expanded
from ..io.formats import location
from .images import Item

if TYPE_CHECKING:
    from ..contract.records import ModelContract

__all__ = ["Results", "new_items", "results_in"]

_NAME = "{sample_id}_{output_id}"


@attrs.frozen
class Results:
    """Where results go.

    Args:
        pattern: of their paths.
        follows: whether the suffix is still to come, and follows the image.
    """

    pattern: str
    follows: bool

    def of(self, item: Item) -> str:
        """The pattern of the results of a sample."""
        if not self.follows:
            return self.pattern
        is_zarr = location(item.files[0]).suffix in (".zarr", ".zip")
        return self.pattern + (".ome.zarr" if is_zarr else ".ome.tif")

    def paths(self, item: Item, contract: ModelContract) -> dict[str, Path]:
        """The paths of the results of a sample, by output id."""
        from ..naming import output_paths

        found = output_paths(self.of(item), contract, sample_id=item.id)
        return {str(name): path for name, path in found.items()}


def results_in(output: str | None, items: Sequence[Item]) -> Results:
    """Where results go that a user wants at an output.

    Args:
        output: a file, a folder, or a pattern; None for the current folder.
        items: the samples.

    Raises:
        click.UsageError: if several samples would go into one file.

    Examples:
        >>> results_in("out/", [Item("a", "a.tif")]).of(Item("a", "a.tif"))
        'out/{sample_id}_{output_id}.ome.tif'
        >>> results_in("out/{sample_id}.npy", []).pattern
        'out/{sample_id}.npy'
    """
    if output is None:
        return Results(_NAME, follows=True)
    if _is_folder(output):
        return Results(str(Path(output, _NAME)), follows=True)
    if len(items) > 1 and "{sample_id}" not in output:
        raise click.UsageError(
            f"{len(items)} images would be written to the one file {output};"
            " give a folder, or a pattern with {sample_id}"
        )
    return Results(output, follows=not _has_suffix(output))


def _is_folder(output: str) -> bool:
    if output.endswith(_separators()):
        return True
    is_zarr = output.lower().endswith(".zarr")
    return not is_zarr and (expanded(output).is_dir() or not ("{" in output or _has_suffix(output)))


def _separators() -> tuple[str, ...]:
    return ("/", *filter(None, (os.sep, os.altsep)))


def _has_suffix(output: str) -> bool:
    suffix = location(output).suffix
    return bool(suffix) and "{" not in suffix


def new_items(items: Sequence[Item], results: Results, contract: ModelContract) -> list[Item]:
    """The samples that are no results of other ones, of an earlier run into their folder.

    Examples:
        >>> import bioimageio_fn as fn
        >>> contract = fn.model_contract(fn.load_model(fn.demo_model(), perform_io_checks=False))
        >>> items = [Item("a", "a.tif"), Item("a_probability", "a_probability.ome.tif")]
        >>> [item.id for item in new_items(items, results_in(None, items), contract)]
        ['a']
    """
    made_of = {
        path.absolute(): item for item in items for path in results.paths(item, contract).values()
    }
    return [
        item
        for item in items
        if all(made_of.get(Path(file).absolute(), item) is item for file in item.files)
    ]
