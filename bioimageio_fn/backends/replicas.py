"""A network on several devices at once.

What holds here: a frozen record that pickles, as each of its recipes; a call takes a replica that
is free, and waits if there is none, so that each runs one call at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from queue import SimpleQueue
from typing import Any, Self

import attrs

from .recipe import Recipe
from .sessions import close_session, open_session
from .signature import Signature

__all__ = ["Replicas"]


def _tuple(recipes: Iterable[Recipe]) -> tuple[Recipe, ...]:
    return tuple(recipes)


@attrs.frozen
class Replicas:
    """One network, open once for each device, as a function of arrays.

    Call it from as many threads as it has replicas.

    Args:
        replicas: the recipes. Equal ones share what is open, and may still run side by side.
    """

    replicas: tuple[Recipe, ...] = attrs.field(converter=_tuple)

    @property
    def parallel(self) -> int:
        """How many calls can run at the same time."""
        return len(self.replicas)

    @property
    def devices(self) -> tuple[str | None, ...]:
        """Where they run."""
        return tuple(replica.device for replica in self.replicas)

    @property
    def signature(self) -> Signature:
        """As of a recipe; alike for all."""
        return self.replicas[0].signature

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        """Run the network once, on whichever replica is free; see `Recipe`."""
        free = open_session(self, self._all)
        replica = free.get()
        try:
            return replica(*arrays)
        finally:
            free.put(replica)

    def close(self) -> None:
        """Free all of them; they are opened again when they are needed."""
        close_session(self)
        for replica in self.replicas:
            replica.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check_device(self) -> None:
        """Look whether all devices are there, before anything is opened."""
        for replica in self.replicas:
            replica.check_device()

    def _all(self) -> SimpleQueue[Recipe]:
        free: SimpleQueue[Recipe] = SimpleQueue()
        for replica in self.replicas:
            free.put(replica)
        return free
