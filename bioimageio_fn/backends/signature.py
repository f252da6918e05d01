"""What a network says of itself: names, sizes and types of what goes in and comes out.

What holds here: plain values; nothing is known here of any framework.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..errors import BackendError

__all__ = ["Port", "Signature", "bound"]


@attrs.frozen
class Port:
    """One input or output of a network.

    Args:
        name: its name in the graph.
        shape: its sizes; None for one that is free. None as a whole if the graph does not say.
        dtype: its data type; None if the graph does not say.
        optional: whether an input may be left out; None if the graph does not say.
    """

    name: str
    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None
    optional: bool | None = None


@attrs.frozen
class Signature:
    """The inputs and outputs of a network, in the order of the model's description."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def bound(ids: Sequence[str], ports: Sequence[Port]) -> tuple[Port, ...]:
    """The port of each tensor of the description; all of them if there is no description.

    By name where every id is a name in the graph, else by order.

    Raises:
        BackendError: if there are fewer ports than tensors.

    Examples:
        >>> [port.name for port in bound(["a", "b"], [Port("b"), Port("a")])]
        ['a', 'b']
        >>> [port.name for port in bound(["raw"], [Port("input.1")])]
        ['input.1']
    """
    if not ids:
        return tuple(ports)
    by_name = {port.name: port for port in ports}
    if all(tensor in by_name for tensor in ids):
        return tuple(by_name[tensor] for tensor in ids)
    if len(ids) > len(ports):
        raise BackendError(
            "the network has fewer inputs or outputs than its description",
            expected=", ".join(ids),
            got=", ".join(by_name) or "none",
        )
    return tuple(ports[: len(ids)])
