"""`BlockPlan`: where the blocks of a sample lie, as a value.

What holds here: plans are hashable, picklable and printable; the blocks of a plan are numbered, the
last direction fastest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

import attrs
from immutabledict import immutabledict

from ..axes import AxisId, MemberId
from ..contract.records import Padding
from ..sample import AxisBlock, BlockMeta
from .directions import Key
from .grid import AxisGrid

__all__ = ["BlockPlan", "PlannedAxis", "block_metas"]

GROUP = 2**18
"""Values of small blocks that are handed from one thread to the next at a time: 1 MB of float32, or
16 blocks of 128 x 128."""


@attrs.frozen
class PlannedAxis:
    """One direction of a plan, and the axes of tensors that go along with it.

    Args:
        name: id of the axis, for people.
        grid: blocks along it.
        places: for each axis of a tensor, what each block has of it.
        halo: pixels at inner seams that are not to be trusted, of the widest halo of all outputs.
    """

    name: str
    grid: AxisGrid
    places: Mapping[Key, tuple[AxisBlock, ...]] = attrs.field(converter=immutabledict)
    halo: int = 0


@attrs.frozen
class BlockPlan:
    """Where the blocks of a sample lie, in every tensor that goes in and comes out.

    Args:
        axes: the directions in which blocks follow one another, the last one fastest.
        sizes: size of each axis of each tensor, as of the whole sample; None where only the
            network knows it.
        padding: how each input is continued beyond its border.
        stack: how many blocks the network gets at a time, along its batch axis.
        pixels: input pixels of a block, padding included.
        memory: bytes that running the network on a block takes; None if nobody has measured.
    """

    axes: tuple[PlannedAxis, ...]
    sizes: Mapping[MemberId, Mapping[AxisId, int | None]]
    padding: Mapping[MemberId, Padding]
    stack: int = 1
    pixels: int = 1
    memory: int | None = None

    @property
    def count(self) -> int:
        """Number of blocks."""
        return math.prod(len(axis.grid.starts) for axis in self.axes)

    @property
    def group(self) -> int:
        """How many blocks are handed from one thread to the next at a time."""
        blocks = {key: places[0].size for axis in self.axes for key, places in axis.places.items()}
        values = max(
            math.prod(blocks.get((member, axis), size) or 1 for axis, size in sizes.items())
            for member, sizes in self.sizes.items()
        )
        return max(1, GROUP // (values * self.stack)) * self.stack

    @property
    def waste(self) -> float:
        """What overlap and padding compute beyond the pixels of the sample, as a part of these."""
        computed = math.prod(a.grid.block * len(a.grid.starts) for a in self.axes)
        return computed / math.prod(a.grid.size for a in self.axes) - 1

    @property
    def split(self) -> dict[MemberId, tuple[AxisId, ...]]:
        """For each tensor, the axes along which there is more than one block."""
        keys = [k for axis in self.axes if len(axis.grid.starts) > 1 for k in axis.places]
        return {m: tuple(a for n, a in keys if n == m) for m, _ in keys}

    @property
    def touched(self) -> dict[MemberId, tuple[AxisId, ...]]:
        """For each tensor, the axes along which a block is not just the sample: cut, or padded."""
        keys = [
            key
            for axis in self.axes
            for key, places in axis.places.items()
            if len(axis.grid.starts) > 1 or any(place.padding for place in places)
        ]
        return {m: tuple(a for n, a in keys if n == m) for m, _ in keys}

    def __str__(self) -> str:
        block = ", ".join(f"{a.name}={a.grid.block}" for a in self.axes)
        halo = ", ".join(f"{a.name}={a.halo}" for a in self.axes if a.halo)
        blocks = "1 block" if self.count == 1 else f"{self.count} blocks"
        memory = "not measured" if self.memory is None else f"about {self.memory / 1e9:.2f} GB"
        return (
            f"{blocks} of {block}; halo {halo or 'none'}; overlap and padding compute"
            f" {100 * self.waste:.0f} % more than the sample has; memory {memory}"
        )


def block_metas(plan: BlockPlan) -> Iterator[BlockMeta]:
    """The blocks of a plan, in order."""
    along: dict[MemberId, list[tuple[AxisId, int, tuple[AxisBlock, ...]]]] = {}
    for n, axis in enumerate(plan.axes):
        for (member, axis_id), places in axis.places.items():
            along.setdefault(member, []).append((axis_id, n, places))
    count = plan.count
    indices = itertools.product(*(range(len(axis.grid.starts)) for axis in plan.axes))
    for number, position in enumerate(indices):
        regions = {
            member: immutabledict({axis_id: places[position[n]] for axis_id, n, places in axes})
            for member, axes in along.items()
        }
        yield BlockMeta(number, count, regions)
