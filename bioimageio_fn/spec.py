"""What a sample looks like, without its data: the ground on which transforms are planned.

What holds here: specs are small, hashable by value, and say nothing that needs data to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from immutabledict import immutabledict

from .axes import AxisId, MemberId, as_axes
from .errors import AxesError
from .sample import Sample
from .tensor import Tensor

__all__ = ["SampleSpec", "TensorSpec", "sample_spec", "tensor_spec"]


def _sizes(sizes: Iterable[int | None]) -> tuple[int | None, ...]:
    return tuple(sizes)


@attrs.frozen
class TensorSpec:
    """Axes, sizes and data type of a tensor; None for a size that is not known yet.

    Examples:
        >>> TensorSpec("yx", (2, 3), "uint8").sizes
        {'y': 2, 'x': 3}
    """

    axes: tuple[AxisId, ...] = attrs.field(converter=as_axes)
    shape: tuple[int | None, ...] = attrs.field(converter=_sizes)
    dtype: str

    @shape.validator
    def _one_for_each_axis(self, _: object, shape: tuple[int | None, ...]) -> None:
        if len(shape) != len(self.axes):
            raise AxesError("a spec has one size for each axis", expected=self.axes, got=shape)

    @property
    def sizes(self) -> dict[AxisId, int | None]:
        """Size of each axis."""
        return dict(zip(self.axes, self.shape, strict=True))


def _specs(members: Mapping[Any, TensorSpec]) -> immutabledict[MemberId, TensorSpec]:
    return immutabledict({MemberId(name): spec for name, spec in members.items()})


@attrs.frozen
class SampleSpec:
    """A `TensorSpec` for each member of a sample."""

    members: Mapping[MemberId, TensorSpec] = attrs.field(converter=_specs)


def tensor_spec(tensor: Tensor) -> TensorSpec:
    """The spec of a tensor.

    Examples:
        >>> tensor_spec(Tensor([[1.0, 2.0]], "yx"))
        TensorSpec(axes=('y', 'x'), shape=(1, 2), dtype='float64')
    """
    return TensorSpec(tensor.axes, tensor.shape, tensor.dtype)


def sample_spec(sample: Sample) -> SampleSpec:
    """The spec of a sample."""
    return SampleSpec({name: tensor_spec(tensor) for name, tensor in sample.members.items()})
