"""Files of ONNX, looked into before onnxruntime opens them.

What holds here: nothing is executed; weights that lie in other files lie in the folder of the
graph, or it is refused. Not every release of onnxruntime looks. A graph is read as what it is on
disk, a message of Protocol Buffers: numbered fields, some of which hold messages again.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from ..errors import UnsafePackageError
from ..files import inner_parts

__all__ = ["check_external_data", "external_locations"]

_INNER = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {},
}
"""Which fields of a message are messages that lead to tensors, by its kind (onnx.proto)."""

_KEY, _VALUE = 1, 2
_FIXED = {1: 8, 5: 4}


def check_external_data(path: Path) -> None:
    """Refuse an ONNX file that takes weights from outside of its folder.

    Raises:
        UnsafePackageError: if it does.
        ValueError: if it is no ONNX file.
    """
    folder = path.parent.resolve()
    for location in sorted(external_locations(path)):
        inside = inner_parts(location) is not None
        if not inside or not (folder / location).resolve().is_relative_to(folder):
            raise UnsafePackageError(
                f"{path.name} takes weights from outside of its folder",
                expected="files beside it",
                got=ascii(location)[:200],
            )


def external_locations(path: Path) -> set[str]:
    """The names of the files that an ONNX file takes weights from.

    Raises:
        ValueError: if it is no ONNX file.
    """
    if not path.stat().st_size:
        raise ValueError("the file is empty")
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as data,
    ):
        return _locations(data)


def _locations(data: memoryview) -> set[str]:
    found: set[str] = set()
    coming = [("model", 0, len(data))]
    while coming:
        kind, start, end = coming.pop()
        fields = list(_fields(data, start, end))
        if kind == "entry" and any(
            n == _KEY and bytes(data[a:b]) == b"location" for n, a, b in fields
        ):
            # of a field that is there twice, readers take the last: all of them are looked at
            values = [data[a:b] for n, a, b in fields if n == _VALUE]
            found.update(str(value, "utf-8") for value in values)
        inner = _INNER[kind]
        coming += [(inner[n], a, b) for n, a, b in fields if n in inner]
    return found


def _fields(data: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message that have a length: their number, and where they lie."""
    while start < end:
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
            raise ValueError("this is no ONNX file")
    if start != end:
        raise ValueError("this is no ONNX file, or not all of it")


def _varint(data: memoryview, start: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while start < end and shift < 64:
        byte = data[start]
        value, shift, start = value | (byte & 127) << shift, shift + 7, start + 1
        if byte < 128:
            return value, start
    raise ValueError("this is no ONNX file, or not all of it")
