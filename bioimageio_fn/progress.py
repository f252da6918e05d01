"""`shown`: a progress bar on stderr, and a callback.

What holds here: nothing is shown where nobody looks; a callback is told all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .resuming import OnProgress, tell

__all__ = ["shown"]


@contextmanager
def shown(
    label: str, on_progress: OnProgress | None = None, *, progressbar: bool | None = None
) -> Iterator[OnProgress]:
    """Something to tell how many blocks are done.

    Args:
        label: stands in front of the bar.
        on_progress: is told the same.
        progressbar: whether there is a bar; by default if stderr is a terminal.

    Examples:
        >>> told = []
        >>> with shown("cells", lambda *n: told.append(n), progressbar=False) as on_progress:
        ...     on_progress(1, 2)
        >>> told
        [(1, 2)]
    """
    from tqdm import tqdm

    disable = None if progressbar is None else not progressbar
    with tqdm(desc=label, unit="block", disable=disable) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)
            tell(on_progress, done, total)

        yield show
