"""The one door to the net, and `offline`, which shuts it.

What holds here: the environment variable `BIOIMAGEIO_FN_OFFLINE` is the one place that says so, so
that threads and processes that are started later keep to it; what was fetched once is still found.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import MissingFileError

__all__ = ["is_offline", "offline", "read_url"]

VARIABLE = "BIOIMAGEIO_FN_OFFLINE"


def is_offline() -> bool:
    """Whether no request may be made: the environment says so, by anything but nothing and 0.

    Examples:
        >>> with offline():
        ...     is_offline()
        True
    """
    return os.environ.get(VARIABLE, "").strip().lower() not in ("", "0", "false", "no")


@contextmanager
def offline() -> Iterator[None]:
    """No request is made within the block; what would need one is an error that says which.

    Models on disk, and what was fetched from the net before, are used as ever. For a whole session
    set the environment variable `BIOIMAGEIO_FN_OFFLINE=1` instead.

    Examples:
        >>> import bioimageio_fn as fn
        >>> with offline():
        ...     model = fn.load_model(fn.demo_model())
        >>> with offline():
        ...     fn.load_model("https://example.com/model.zip")
        Traceback (most recent call last):
        ...
        bioimageio_fn.errors.MissingFileError: no request may be made, and this was not fetched
        before: got https://example.com/model.zip; ...
    """
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def read_url(source: Any, **options: Any) -> Any:
    """The content behind a URL, as `bioimageio.spec.utils.get_reader` gives it.

    Args:
        source: a URL.
        options: of that function, such as `progressbar`.

    Raises:
        MissingFileError: if no request may be made, and the URL was not read before.
    """
    from bioimageio.spec.utils import get_reader

    if is_offline():
        # with the hash of what is kept, nothing is asked
        options = {**options, "sha256": _kept(source)}
    return get_reader(source, **options)


def _kept(source: Any) -> str:
    """The sha256 of what is kept of a URL."""
    from bioimageio.spec import get_validation_context, settings
    from bioimageio.spec.common import HttpUrl

    with get_validation_context().replace(perform_io_checks=False):  # they would ask for the URL
        url = HttpUrl(str(source))
    is_there = settings.cache_path.is_dir()
    entry = settings.disk_cache.get_by_url(url=url) if is_there else None
    if entry is None:
        raise MissingFileError(
            "no request may be made, and this was not fetched before",
            got=source,
            remedy=f"fetch it once without {VARIABLE} and --offline, or use a model on disk",
        )
    return str(entry.content_digest)
