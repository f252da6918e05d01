"""`Sample`: named tensors that belong together; `SampleBlock`: a part of one.

What holds here: mappings keep their order, never change and pickle; the order of a sample's members
is the order in which they were given.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import numpy as np
from immutabledict import immutabledict

from .axes import AxisId, MemberId
from .errors import ArrayError, SizeError, UnknownMemberError
from .tensor import PadMode, Tensor, crop, pad, slice_axes

if TYPE_CHECKING:
    import xarray

__all__ = [
    "AxisBlock",
    "BlockMeta",
    "Region",
    "Sample",
    "SampleBlock",
    "Stat",
    "get_member",
    "part_of",
    "with_member",
]


Stat: TypeAlias = Mapping[Hashable, Tensor]
"""Values of measures that are known of a sample."""


def _members(members: Mapping[Any, Tensor]) -> immutabledict[MemberId, Tensor]:
    if type(members) is not dict and not isinstance(members, Mapping):
        raise ArrayError(
            "a sample is made of named tensors", expected="{id: Tensor}", got=type(members).__name__
        )
    return immutabledict({MemberId(name): tensor for name, tensor in members.items()})


_NOTHING: immutabledict[Hashable, Tensor] = immutabledict()


def _values(stat: Mapping[Any, Any]) -> immutabledict[Hashable, Tensor]:
    if not stat:  # most samples
        return _NOTHING
    return immutabledict({m: _value(m, v) for m, v in stat.items()})


def _value(measure: Hashable, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    try:
        return Tensor(np.asarray(value, "float64"), ())
    except (TypeError, ValueError) as error:
        raise ArrayError(
            "not the value of a measure",
            expected="a number, or a Tensor with the axes that the measure keeps",
            got=f"{value!r} for {measure}",
        ) from error


@attrs.frozen(repr=False)
class Sample:
    """Tensors that belong together: the inputs of a model, or its outputs.

    Args:
        members: tensor by member id.
        stat: values of measures that are known; steps that ask for one of these take it instead
            of measuring. Numbers, or tensors with the axes that the measure keeps.
        id: name of the sample, for files and messages.

    Examples:
        >>> s = Sample({"raw": Tensor(np.zeros((2, 3), "uint8"), "yx")}, id="a")
        >>> s
        Sample(raw=Tensor(y=2, x=3, dtype=uint8), id='a')
        >>> np.asarray(s).shape
        (2, 3)
    """

    members: Mapping[MemberId, Tensor] = attrs.field(converter=_members)
    stat: Stat = attrs.field(converter=_values, factory=immutabledict)
    id: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(str))
    )

    @members.validator
    def _are_tensors(self, _: object, members: Mapping[MemberId, Tensor]) -> None:
        for name, tensor in members.items():
            if not isinstance(tensor, Tensor):
                raise ArrayError(
                    "a member of a sample is a Tensor",
                    tensor=name,
                    got=type(tensor).__name__,
                    remedy="name its axes: Tensor(array, 'yx')",
                )

    def __getitem__(self, member: str) -> Tensor:
        return get_member(self, member)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self._only(), dtype=dtype, copy=copy)

    def to_xarray(self) -> xarray.DataArray:
        """The only tensor as a DataArray named after it; see `Tensor.to_xarray`.

        Raises:
            SizeError: if there are several tensors.
            MissingDependencyError: if xarray is not installed.
        """
        return self._only().to_xarray().rename(str(next(iter(self.members))))

    def _only(self) -> Tensor:
        if len(self.members) != 1:
            raise SizeError(
                "only a sample of one tensor is an array",
                expected="one member",
                got=", ".join(self.members),
                remedy="take one of them: sample.members[...]",
            )
        return next(iter(self.members.values()))

    def __repr__(self) -> str:
        parts = [f"{name}={tensor!r}" for name, tensor in self.members.items()]
        parts += [f"stat={len(self.stat)} measures"] if self.stat else []
        parts += [f"id={self.id!r}"] if self.id is not None else []
        return f"Sample({', '.join(parts)})"


def get_member(sample: Sample, member: str) -> Tensor:
    """The tensor of that name.

    Raises:
        UnknownMemberError: if the sample has none.
    """
    try:
        return sample.members[MemberId(member)]
    except KeyError:
        raise UnknownMemberError(
            "no such tensor in this sample",
            tensor=member,
            expected=f"one of {', '.join(sample.members) or 'none'}",
        ) from None


def with_member(sample: Sample, member: str, tensor: Tensor) -> Sample:
    """The same sample with one tensor put in place of that name.

    Examples:
        >>> s = with_member(Sample({}), "raw", Tensor([1.0], "x"))
        >>> list(s.members)
        ['raw']
    """
    return attrs.evolve(sample, members={**sample.members, MemberId(member): tensor})


@attrs.frozen
class AxisBlock:
    """One axis of one tensor in one block.

    Two sizes are kept apart: what the network reads or gives (`size`, padding included), and what
    of it is valid and is this block's to write (`start` to `stop`, with no halo).

    Args:
        start: first pixel that is this block's own, in the tensor's coordinates.
        stop: one past the last of them.
        outer_start: first pixel read (own pixels and halo).
        outer_stop: one past the last of them, within the tensor.
        size: length along this axis of the array that the network gets or gives; what it has
            beyond `outer_stop - outer_start` is padding, at its end.

    Examples:
        >>> AxisBlock(start=8, stop=16, outer_start=4, outer_stop=20, size=16).padding
        0
    """

    start: int
    stop: int
    outer_start: int
    outer_stop: int
    size: int

    def __attrs_post_init__(self) -> None:
        inner = 0 <= self.outer_start <= self.start <= self.stop <= self.outer_stop
        if not inner or self.padding < 0:
            raise SizeError("the parts of this block do not fit into one another", got=self)

    @property
    def padding(self) -> int:
        """Number of pixels added at the end."""
        return self.size - (self.outer_stop - self.outer_start)


Region = Mapping[AxisId, AxisBlock]
"""What a block holds of one tensor; axes that are not named are whole."""


def part_of(
    tensor: Tensor, region: Mapping[AxisId, AxisBlock], *, mode: PadMode, value: float = 0
) -> Tensor:
    """What a block reads of a tensor: its own pixels and its halo, padded at the end.

    The padding is that of the whole tensor, also where it mirrors pixels that are not the block's.
    """
    if not any(block.padding for block in region.values()):
        return slice_axes(tensor, {a: (b.outer_start, b.outer_stop) for a, b in region.items()})
    mirrored = {
        axis: max(0, min(block.outer_start, block.outer_stop - block.padding - 1))
        for axis, block in region.items()
    }
    part = slice_axes(tensor, {a: (mirrored[a], b.outer_stop) for a, b in region.items()})
    widths = {a: (0, b.padding) for a, b in region.items() if b.padding}
    padded = pad(part, widths, mode=mode, value=value)
    return crop(padded, {a: (b.outer_start - mirrored[a], 0) for a, b in region.items()})


def _regions(regions: Mapping[Any, Mapping[Any, AxisBlock]]) -> immutabledict[MemberId, Region]:
    return immutabledict({MemberId(member): _region(region) for member, region in regions.items()})


def _region(region: Mapping[Any, AxisBlock]) -> Region:
    if type(region) is immutabledict and all(type(axis) is AxisId for axis in region):
        return region
    return immutabledict({AxisId(axis): block for axis, block in region.items()})


@attrs.frozen
class BlockMeta:
    """Where a block lies in its sample, for every tensor that goes in and comes out.

    Args:
        index: number of the block, from 0.
        count: how many blocks there are.
        regions: for each tensor (inputs and outputs), the region along its axes.
    """

    index: int
    count: int
    regions: Mapping[MemberId, Region] = attrs.field(converter=_regions)


@attrs.frozen
class SampleBlock:
    """A part of a sample: its data are themselves a sample, so every transform runs on blocks.

    Args:
        sample: the tensors of this block, halo and padding included.
        meta: where it lies.
    """

    sample: Sample
    meta: BlockMeta
