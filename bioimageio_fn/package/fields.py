"""From the text of a description to its fields.

What holds here: text is measured while it is parsed, so that nothing grows or nests without end. An
alias counts as all that it stands for, as whatever walks through the fields later meets it each
time. This is the only parser of descriptions here: one that measures and another that reads could
see different things.
"""

from __future__ import annotations

import io
import re
from typing import Any

import attrs

from ..errors import DescriptionError, UnsafePackageError

__all__ = ["LENGTH", "fields_of"]

LENGTH = 2**20
"""Bytes that a description may have; published ones have a few thousand."""
NODES = 50_000
"""Values that it may have, those of aliases counted each time; long text counts as several."""
DEPTH = 50
"""How deep values may lie in one another."""
DIGITS = 1000
"""Digits that a number may have: of many more Python can make none, or can not write it."""

_TEXT_OF_A_NODE = 32
_NUMBER = re.compile("[-+]?(0[xob][0-9a-f_]+|[0-9_]+)", re.IGNORECASE)


def fields_of(content: bytes, name: str) -> dict[str, Any]:
    """The fields of a description.

    Args:
        content: YAML text, which JSON is, too.
        name: of its file, for errors.

    Raises:
        UnsafePackageError: if it is too long or deep, or has too many values or too long a number.
        DescriptionError: if it is no YAML, or holds something else than named fields.

    Examples:
        >>> fields_of(b"name: small model", "bioimageio.yaml")
        {'name': 'small model'}
        >>> fields_of(b"a: &a [*a]", "bioimageio.yaml")
        Traceback (most recent call last):
            ...
        bioimageio_fn.errors.UnsafePackageError: bioimageio.yaml holds itself: got alias a; ...
    """
    if len(content) > LENGTH:
        raise _unsafe(f"{name} is too long", expected=f"at most {LENGTH} bytes")
    try:
        fields = _parsed(content, name)
    except UnsafePackageError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DescriptionError(f"can not read {name} as YAML", got=reason) from error
    if not isinstance(fields, dict):
        raise DescriptionError(
            f"{name} holds no description", expected="named fields", got=type(fields).__name__
        )
    return {str(field): value for field, value in fields.items()}


def _parsed(content: bytes, name: str) -> Any:
    from ruyaml import YAML
    from ruyaml.parser import Parser

    measure = _Measure(name)

    class Measured(Parser):
        """A parser whose events are looked at before anything is made of them."""

        def get_event(self) -> Any:
            event = super().get_event()
            measure.see(event)
            return event

    yaml = YAML(typ="safe", pure=True)
    yaml.Parser = Measured
    return yaml.load(io.BytesIO(content))


@attrs.define
class _Subtree:
    """A value with all that is in it, while it is read."""

    anchor: str | None
    nodes: int = 1
    height: int = 0

    def add(self, nodes: int, height: int) -> None:
        self.nodes += nodes
        self.height = max(self.height, height + 1)


@attrs.define
class _Measure:
    """What has been read of a text so far."""

    name: str
    nodes: int = 0
    around: list[_Subtree] = attrs.Factory(list)
    anchors: dict[str, _Subtree] = attrs.Factory(dict)

    def see(self, event: Any) -> None:
        """Count an event of the parser.

        Raises:
            UnsafePackageError: if this is more than a description may have.
        """
        kind = type(event).__name__
        if kind == "DocumentStartEvent" and event.version not in {None, (1, 2)}:
            # version 1.1 has numbers that take quadratic time
            raise _unsafe(f"{self.name} is in another version of YAML", expected="1.2")
        if kind in {"SequenceStartEvent", "MappingStartEvent"}:
            self.around.append(_Subtree(event.anchor))
            self._count(1, 0)
        elif kind in {"SequenceEndEvent", "MappingEndEvent"}:
            self._finish(self.around.pop())
        elif kind == "ScalarEvent":
            if len(event.value) > DIGITS and _NUMBER.fullmatch(event.value):
                limit = f"at most {DIGITS} digits"
                raise _unsafe(f"{self.name} has too long a number", expected=limit)
            self._count(nodes := 1 + len(event.value) // _TEXT_OF_A_NODE, 0)
            self._finish(_Subtree(event.anchor, nodes))
        elif kind == "AliasEvent":
            self._alias(event.anchor)

    def _finish(self, tree: _Subtree) -> None:
        if tree.anchor is not None:
            self.anchors[tree.anchor] = tree
        if self.around:
            self.around[-1].add(tree.nodes, tree.height)

    def _alias(self, anchor: str) -> None:
        if any(tree.anchor == anchor for tree in self.around):
            raise _unsafe(f"{self.name} holds itself", got=f"alias {anchor}"[:100])
        tree = self.anchors.get(anchor)
        if tree is not None:  # else the parser says so
            self._count(tree.nodes, tree.height)
            self._finish(_Subtree(None, tree.nodes, tree.height))

    def _count(self, nodes: int, height: int) -> None:
        self.nodes += nodes
        if self.nodes > NODES:
            raise _unsafe(f"{self.name} has too many values", expected=f"at most {NODES}")
        if len(self.around) + height > DEPTH:
            raise _unsafe(f"{self.name} is nested too deep", expected=f"at most {DEPTH}")


def _unsafe(what: str, *, expected: str | None = None, got: str | None = None) -> Exception:
    return UnsafePackageError(
        what,
        expected=expected,
        got=got,
        remedy="no model needs this; ask whoever made the package",
    )
