"""Messages of Protocol Buffers, read as what they are on disk: numbered fields, some with messages.

What holds here: nothing but a tree of fields is known; it is walked in the order of the file, and
not without end.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from ..errors import UnsafePackageError

__all__ = ["Kinds", "mapped", "messages", "values"]

Kinds = Mapping[str, Mapping[int, str]]
"""Which fields of a message are messages to look into, and of which kind, by its own kind."""

FIELDS = 1_000_000
"""Fields to look at: graphs of the largest networks have some 100,000."""

_FIXED = {1: 8, 5: 4}
_NONE = "it is no message of the kind that is wanted, or not all of one"


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """The bytes of a file.

    Raises:
        ValueError: if there are none.
    """
    if not path.stat().st_size:
        raise ValueError("the file is empty")
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as data,
    ):
        yield data


def messages(data: memoryview | bytes, kinds: Kinds, root: str, wanted: str) -> Iterator[bytes]:
    """The messages of a kind, in the order of the file.

    Args:
        data: a message.
        kinds: what leads to those that are wanted.
        root: the kind of `data`.
        wanted: the kind of those that are wanted.

    Raises:
        UnsafePackageError: if there are too many fields on the way.
        ValueError: if this is no such message.
    """
    coming, counter = [(root, 0, len(data))], count(1)
    while coming:
        kind, start, end = coming.pop()
        inner = kinds[kind]
        fields = _fields(data, start, end, counter)
        found = [(inner[n], a, b) for n, a, b in fields if n in inner]
        if kind == wanted:
            yield bytes(data[start:end])
        coming += reversed(found)


def values(message: bytes, field: int) -> list[bytes]:
    """What a field holds that has a length; readers take the last, if it is there several times."""
    fields = _fields(message, 0, len(message), count(1))
    return [message[a:b] for n, a, b in fields if n == field]


def _fields(
    data: memoryview | bytes, start: int, end: int, counter: Iterator[int]
) -> Iterator[tuple[int, int, int]]:
    """The fields of a message that have a length: their number, and where they lie."""
    while start < end:
        if next(counter) > FIELDS:
            raise UnsafePackageError(
                "refused to read a graph: it has too many fields", expected=f"at most {FIELDS}"
            )
        tag, start = _varint(data, start, end)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            _, start = _varint(data, start, end)
        elif kind == 2:
            length, start = _varint(data, start, end)
            yield number, start, start + length
            start += length
        elif kind in _FIXED:
            start += _FIXED[kind]
        else:
            raise ValueError(_NONE)
    if start != end:
        raise ValueError(_NONE)


def _varint(data: memoryview | bytes, start: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while start < end and shift < 64:
        byte = data[start]
        value, shift, start = value | (byte & 127) << shift, shift + 7, start + 1
        if byte < 128:
            return value, start
    raise ValueError(_NONE)
