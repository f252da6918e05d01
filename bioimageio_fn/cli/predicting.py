"""`predicted`: sample after sample through one model.

What holds here: a sample that fails does not stop those behind it, unless that is asked for; of one
that failed, nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from .images import Item
from .results import Results

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..pipeline import Pipeline

__all__ = ["Outcome", "Progress", "checked_places", "predicted", "progress"]

Progress: TypeAlias = "Callable[[int, Item], Mapping[str, Any]]"
"""From the number of a sample and the sample to the keywords of `predict` that show progress."""


@attrs.frozen
class Outcome:
    """What became of a sample.

    Args:
        item: the sample.
        paths: where its outputs are, by output id.
        error: why they are not there.
    """

    item: Item
    paths: Mapping[str, Path]
    error: Exception | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The same for programs."""
        said = {"id": self.item.id, "inputs": self.item.inputs}
        if self.error is not None:
            return said | {"error": {"type": type(self.error).__name__, "text": str(self.error)}}
        return said | {"outputs": {name: str(path) for name, path in self.paths.items()}}


def checked_places(
    pipeline: Pipeline, items: Sequence[Item], results: Results, *, overwrite: bool
) -> None:
    """Refuse what can be refused before the first sample is read.

    Raises:
        FileWriteError: if results have no place, or would take that of something else.
    """
    from ..naming import check_paths, check_places
    from ..sample import Sample

    for pattern in dict.fromkeys(map(results.of, items)):
        check_paths(pattern, pipeline.contract)
    for item in items:
        named = Sample({}, id=item.id)
        check_places(results.of(item), named, pipeline.contract, item.files, overwrite=overwrite)


def predicted(
    pipeline: Pipeline,
    items: Sequence[Item],
    results: Results,
    options: Mapping[str, Any],
    told: Progress,
    *,
    fail_fast: bool,
) -> Iterator[Outcome]:
    """Predict samples and write their outputs.

    Args:
        options: keywords of `predict`.
        told: says of each sample how progress is shown.
        fail_fast: whether the first error is raised.
    """
    from ..prediction import predict

    for number, item in enumerate(items):
        try:
            predict(
                model=pipeline,
                inputs=item.inputs,
                sample_id=item.id,
                save_output_path=results.of(item),
                **told(number, item),
                **options,
            )
        except Exception as error:  # whatever it is, others may have none
            if fail_fast:
                raise
            yield Outcome(item, {}, error)
        else:
            yield Outcome(item, results.paths(item, pipeline.contract))


@contextmanager
def progress(items: Sequence[Item], *, quiet: bool) -> Iterator[Progress]:
    """How progress is shown: of the blocks of one sample, or of many samples on one bar."""
    if quiet or len(items) == 1:
        yield lambda _number, _item: {"progressbar": False if quiet else None}
        return
    from tqdm import tqdm

    with tqdm(total=len(items), unit="image", disable=None) as bar:

        def told(number: int, item: Item) -> dict[str, Any]:
            def show(done: int, total: int) -> None:
                bar.update(round(number + done / total, 1) - bar.n)

            bar.set_postfix_str(item.id, refresh=False)
            return {"progressbar": False, "on_progress": show}

        yield told
