"""`Measure`: what is measured of a tensor, over which axes, and for how many samples it holds.

What holds here: a measure is a value (hashable, equal by value), so that it is a key; it does not
say how it is computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs

from ..axes import AxisId, MemberId, as_axes
from ..errors import OperationError

__all__ = ["Measure", "QuantileMethod"]

QuantileMethod = Literal["linear", "inverted_cdf"]


def _optional_axes(axes: str | Iterable[str] | None) -> tuple[AxisId, ...] | None:
    # sorted, so that ("y", "x") and ("x", "y") are the same measure
    return None if axes is None else tuple(sorted(as_axes(axes)))


@attrs.frozen
class Measure:
    """A number (or one for each index of the axes that are kept) that describes a tensor.

    Args:
        name: `mean`, `std` and `var` (of the population: divided by n), or `quantile`.
        member: id of the tensor that is measured.
        axes: the axes that are reduced; None for all of them.
        scope: `sample` if each sample has its own, `dataset` if all samples share it.
        q: which quantile, from 0 to 1; for `quantile` only.
        method: how a quantile between two values is made: `linear` (interpolated) or
            `inverted_cdf` (the lower one; always a value that occurs).

    Raises:
        OperationError: if q is missing, or not within 0 and 1.

    Examples:
        >>> Measure("mean", "raw", "xy") == Measure("mean", "raw", ["y", "x"])
        True
    """

    name: Literal["mean", "std", "var", "quantile"] = attrs.field(
        validator=attrs.validators.in_(("mean", "std", "var", "quantile"))
    )
    member: MemberId = attrs.field(converter=MemberId)
    axes: tuple[AxisId, ...] | None = attrs.field(default=None, converter=_optional_axes)
    scope: Literal["sample", "dataset"] = attrs.field(
        default="sample", validator=attrs.validators.in_(("sample", "dataset"))
    )
    q: float | None = attrs.field(default=None)
    method: QuantileMethod | None = attrs.field(
        default=None, validator=attrs.validators.in_((None, "linear", "inverted_cdf"))
    )

    def __attrs_post_init__(self) -> None:
        is_quantile = self.name == "quantile"
        valid = self.q is not None and 0 <= self.q <= 1 and self.method is not None
        if is_quantile != valid or (not is_quantile and (self.q, self.method) != (None, None)):
            raise OperationError(
                "a quantile needs q from 0 to 1 and a method, and nothing else has them",
                tensor=self.member,
                got=f"name={self.name}, q={self.q}, method={self.method}",
            )

    @property
    def quantile(self) -> tuple[float, QuantileMethod]:
        """Which quantile, and by which method; of a measure that is one."""
        if self.q is None or self.method is None:
            raise OperationError("this measure is no quantile", tensor=self.member, got=self.name)
        return self.q, self.method
