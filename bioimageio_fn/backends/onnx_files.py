"""Files of ONNX, looked into before onnxruntime opens them.

What holds here: nothing is executed; weights that lie in other files lie in the folder of the
graph, or it is refused. Not every release of onnxruntime looks.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import MissingFileError, UnsafePackageError
from ..files import inner_parts
from .protobuf import Kinds, mapped, messages, values

__all__ = ["check_external_data", "external_locations", "names_of_inputs"]

_INNER: Kinds = {
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
_MEMORY = "_ORT_MEM_ADDR_"


def check_external_data(path: Path) -> None:
    """Refuse an ONNX file that takes weights from outside of its folder.

    Raises:
        UnsafePackageError: if it does.
        MissingFileError: if a file is not there.
        ValueError: if it is no ONNX file.
    """
    folder = path.parent.resolve()
    for location in sorted(external_locations(path)):
        file = _file_in(folder, location)
        if file is None:
            raise UnsafePackageError(
                f"{path.name} takes weights from outside of its folder",
                expected="files beside it",
                got=ascii(location)[:200],
            )
        if not file.is_file():
            raise MissingFileError(
                f"{path.name} takes weights from a file that is not there",
                expected=ascii(location)[:200],
            )


def external_locations(path: Path) -> set[str]:
    """The names of the files that an ONNX file takes weights from.

    Raises:
        UnsafePackageError: if there is no end of it.
        ValueError: if it is no ONNX file.
    """
    with mapped(path) as data:
        return {
            str(value, "utf-8")
            for entry in messages(data, _INNER, "model", "entry")
            if b"location" in values(entry, _KEY)
            for value in values(entry, _VALUE)
        }


def names_of_inputs(path: Path) -> list[str]:
    """The inputs in the order of the graph, with those that have a value of their own."""
    kinds = {"model": {7: "graph"}, "graph": {11: "input"}, "input": {}}
    with mapped(path) as data:
        inputs = list(messages(data, kinds, "model", "input"))
    return [str(values(value, 1)[-1], "utf-8") for value in inputs]


def _file_in(folder: Path, location: str) -> Path | None:
    """The file in a folder that a location names; None if it names something else."""
    inside = "/".join(part for part in location.split("/") if part != ".")
    # what has this name is read from the memory of the process
    if inner_parts(inside) is None or _MEMORY in inside:
        return None
    file = (folder / inside).resolve()
    return file if file.is_relative_to(folder) else None
