"""Which weights formats can be made of which, as a graph: formats are nodes, converters are edges.

What holds here: a path is as short as any; among those, and among several converters between the
same formats, what stands first in the table goes first. The table is text, so that looking into it
imports no framework.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import attrs

from ..errors import MissingDependencyError

__all__ = ["CONVERTERS", "Converter", "Path", "converter_function", "lacking", "shortest_path"]


@attrs.frozen
class Converter:
    """An edge: one way to make weights of one format of those of another.

    Args:
        source: the format that it takes.
        target: the format that it makes.
        how: what it does, in a few words.
        function: where it stands, as `module:function` in this folder.
        packages: what has to be installed for it, but for what runs either format.
    """

    source: str
    target: str
    how: str = ""
    function: str = ""
    packages: tuple[str, ...] = ()

    def __str__(self) -> str:
        how = f" ({self.how})" if self.how else ""
        return f"{self.source} -> {self.target}{how}"


Path = tuple[Converter, ...]
"""Converters, each of which takes what the one before it makes."""

_BUNDLE = "tensorflow_saved_model_bundle"

CONVERTERS = (
    Converter("pytorch_state_dict", "torchscript", "scripted", "torchscript:scripted"),
    Converter("pytorch_state_dict", "torchscript", "traced", "torchscript:traced"),
    Converter(
        "pytorch_state_dict",
        "onnx",
        "torch.export",
        "torch_onnx:exported",
        ("onnx", "onnxscript"),
    ),
    Converter("torchscript", "onnx", "traced", "torch_onnx:traced", ("onnx",)),
    *(
        converter
        for source in ("keras_v3", "keras_hdf5")
        for converter in (
            Converter(source, _BUNDLE, "keras export", "keras:saved_model"),
            Converter(source, "onnx", "tf2onnx", "keras:onnx", ("onnx", "tf2onnx")),
        )
    ),
    Converter(_BUNDLE, "onnx", "tf2onnx", "tensorflow:onnx", ("onnx", "tf2onnx")),
)
"""Every way there is, the better of two before the other: a script holds for every size, where a
trace may have frozen some."""


def shortest_path(
    converters: Iterable[Converter], sources: Iterable[str], target: str
) -> Path | None:
    """The shortest way from any of some formats to another one.

    Args:
        converters: what can be used.
        sources: the formats that are there.
        target: the format that is wanted.

    Returns:
        No converters at all if it is there already; None if there is no way.

    Examples:
        >>> edges = [Converter("a", "b"), Converter("b", "c"), Converter("a", "c", "at once")]
        >>> [str(edge) for edge in shortest_path(edges, ["a"], "c")]
        ['a -> c (at once)']
        >>> shortest_path(edges, ["c"], "a") is None
        True
    """
    edges = tuple(converters)
    reached: dict[str, Path] = dict.fromkeys(sources, ())
    coming = list(reached)
    while coming and target not in reached:
        coming = _step(edges, coming, reached)
    return reached.get(target)


def _step(edges: Collection[Converter], at: list[str], reached: dict[str, Path]) -> list[str]:
    """The formats that are one converter further, which are noted with the way to them."""
    new = []
    for edge in edges:
        if edge.source in at and edge.target not in reached:
            reached[edge.target] = (*reached[edge.source], edge)
            new.append(edge.target)
    return new


def converter_function(converter: Converter) -> Any:
    """The function of an edge; its framework is still not imported."""
    module, _, name = converter.function.partition(":")
    return getattr(import_module(f".{module}", __package__), name)


def lacking(converter: Converter) -> MissingDependencyError | None:
    """What is not installed that a converter needs, with what to do; None if all is there."""
    missing = [package for package in converter.packages if find_spec(package) is None]
    if not missing:
        return None
    return MissingDependencyError(
        f"{converter} needs packages that are not installed",
        got=f"no {', '.join(missing)}",
        remedy="pip install 'bioimageio_fn[convert]'",
    )
