"""How commands open models.

What holds here: with `--offline`, no request is made, neither for the model nor for its files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from ..pipeline import Pipeline

__all__ = ["Opening"]


@attrs.frozen
class Opening:
    """How a user wants a model to be opened: the options `OPENING`.

    Args:
        weights_format: which weights; None for the first that run here.
        device: where they run; None for a GPU, if there is one.
        trust_code: whether code of the model may run.
        offline: whether no request may be made.
    """

    weights_format: str | None = None
    device: str | None = None
    trust_code: bool = False
    offline: bool = False

    @contextmanager
    def opened(self, model: str) -> Iterator[tuple[Any, Pipeline]]:
        """The description of a model, and its pipeline, which is closed at the end of the block."""
        from ..making import create_prediction_pipeline
        from ..package import described

        with without_requests(offline=self.offline):
            description = described(model)
            with create_prediction_pipeline(
                description,
                weights_format=self.weights_format,
                devices=self.device,
                trust_code=self.trust_code,
            ) as pipeline:
                yield description, pipeline


@contextmanager
def without_requests(*, offline: bool) -> Iterator[None]:
    """A block that makes no request, if that is asked for."""
    from ..network import offline as no_requests

    with no_requests() if offline else nullcontext():
        yield
