"""`Recipe`: what it takes to open a network, as a value.

What holds here: a recipe is frozen, comparable and picklable, so that pipelines are, too; the
network itself lives in the sessions of each process. A file is opened only if it has the sha256
that its description gives.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from ..errors import HashMismatchError
from ..files import existing_path, sha256_of
from .sessions import close_session

__all__ = ["Recipe"]


@attrs.frozen
class Recipe:
    """A file of weights and how it is to be run; a backend adds the running.

    Args:
        source: the file.
        sha256: what it has to hash to; None for anything.
        device: where the network runs: `cpu`, `cuda`, `cuda:N` or `mps`.
        input_ids: the inputs in the order in which they are given; bound to those of the network
            by name where the names match, else by order.
        output_ids: likewise for the outputs, where the network names them.
    """

    source: Path = attrs.field(converter=Path)
    sha256: str | None = None
    device: str = "cpu"
    input_ids: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    output_ids: tuple[str, ...] = attrs.field(default=(), converter=tuple)

    def close(self) -> None:
        """Free the network; it is opened again when it is needed."""
        close_session(self)

    def checked_file(self) -> Path:
        """The file, if it is there and is the one meant.

        Raises:
            MissingFileError: if there is none.
            HashMismatchError: if it is another one.
        """
        path = existing_path(self.source)
        if self.sha256 is not None and (digest := sha256_of(path)) != self.sha256:
            raise HashMismatchError(
                f"{path.name} was changed", expected=f"sha256 {self.sha256}", got=f"sha256 {digest}"
            )
        return path
