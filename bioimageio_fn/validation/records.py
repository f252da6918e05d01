"""What is found when a model is tested, as values.

What holds here: records hold numbers and tensors, no open file and no framework; what is said of
them to people is made of them alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs
from immutabledict import immutabledict

from ..axes import AxisId, MemberId
from ..blocks.records import BlockPlan
from ..sample import Sample
from ..seams import Seams
from ..tensor import Tensor

__all__ = [
    "Agreement",
    "Cause",
    "Diagnosis",
    "FormatReport",
    "Reach",
    "Reproduction",
    "Tolerance",
]

Cause: TypeAlias = Literal[
    "same",
    "noise",
    "scaled",
    "shifted",
    "affine",
    "transposed",
    "flipped",
    "clipped",
    "missing activation",
    "other dtype",
    "raw statistics",
    "swapped outputs",
    "labels permuted",
    "labels differ",
    "not finite",
    "shape",
    "different",
]


@attrs.frozen
class Tolerance:
    """How far a produced tensor may be from the expected one.

    An element agrees if `|produced - expected| <= absolute + relative * |expected|`.

    Args:
        relative: part of the expected value that an element may differ by.
        absolute: what it may differ by in any case.
        mismatched_per_million: of a million elements, how many may differ by more.

    Examples:
        >>> print(Tolerance(1e-3, 1e-3, 100))
        0.001 + 0.001 * |expected|, 100 of a million elements may differ by more
    """

    relative: float
    absolute: float
    mismatched_per_million: float

    def __str__(self) -> str:
        return (
            f"{self.absolute:g} + {self.relative:g} * |expected|,"
            f" {self.mismatched_per_million:g} of a million elements may differ by more"
        )


@attrs.frozen
class Agreement:
    """How a produced tensor agrees with the expected one.

    Args:
        output: id of the tensor.
        tolerance: what was allowed.
        mismatched: elements that differ by more than is allowed. NaN or infinity where it is not
            expected is always one.
        size: elements in all.
        largest_difference: of all elements; infinite where only one of two values is a number.
        where: place of the largest difference, by axis; empty if there is none.
        expected_there: the expected value at that place.
        produced_there: the produced one.
    """

    output: MemberId = attrs.field(converter=MemberId)
    tolerance: Tolerance
    mismatched: int
    size: int
    largest_difference: float
    where: Mapping[AxisId, int] = attrs.field(converter=immutabledict)
    expected_there: float
    produced_there: float

    @property
    def mismatched_per_million(self) -> float:
        """Elements that differ by more than is allowed, of a million."""
        return self.mismatched / max(self.size, 1) * 1e6

    @property
    def passed(self) -> bool:
        """Whether no more elements differ than may, and none of them by being no number."""
        few = self.mismatched_per_million <= self.tolerance.mismatched_per_million
        return few and math.isfinite(self.largest_difference)

    @property
    def counted(self) -> str:
        """How many elements differ, and how many may, in words."""
        share = self.mismatched_per_million
        return (
            f"{self.mismatched} of {self.size} elements differ by more than"
            f" {self.tolerance.absolute:g} + {self.tolerance.relative:g} * |expected|"
            f" ({share:{'.0f' if share > 1000 else '.4g'}} of a million;"
            f" {self.tolerance.mismatched_per_million:g} may)"
        )

    def __str__(self) -> str:
        if not self.where:
            return self.counted
        place = ", ".join(f"{axis}={i}" for axis, i in self.where.items())
        return (
            f"{self.counted}; the largest difference is {self.largest_difference:.4g} at {place}:"
            f" expected {self.expected_there:.6g}, got {self.produced_there:.6g}"
        )


@attrs.frozen
class Diagnosis:
    """Why a produced tensor is not the expected one.

    Args:
        cause: the first hypothesis that explains it.
        text: one sentence with the figures.
    """

    cause: Cause
    text: str


@attrs.frozen
class Reproduction:
    """One output of one weights format, tested.

    Args:
        weights_format: the format.
        output: id of the tensor.
        expected: the test tensor of the model.
        produced: what the model gave of the test inputs.
        agreement: whether they agree.
        diagnosis: if not, why.
    """

    weights_format: str
    output: MemberId = attrs.field(converter=MemberId)
    expected: Tensor
    produced: Tensor
    agreement: Agreement
    diagnosis: Diagnosis


@attrs.frozen
class Reach:
    """How far a network looks along an axis of an output, in pixels of that output.

    Measured where blocks may meet: inputs on one side of a seam are changed, and on the other side
    outputs change up to this many pixels from it. A halo has to be as long.

    Args:
        output: id of the output.
        axis: axis of the output.
        before: the farthest pixel before a seam that changes with inputs behind it, counted from 1;
            0 if none does.
        after: the farthest one behind a seam that changes with inputs before it.
        halo: the described halo.
        size: size of the output along that axis, of the largest image that was tested.
        whole: whether pixels at the border of that image change, so that the reach may be longer
            than what was measured.

    Examples:
        >>> print(Reach("out", "x", before=22, after=20, halo=16, size=256, whole=False))
        out, axis x: halo 16 is too small: pixels up to 22 away change the output (tested on 256
        pixels)
    """

    output: MemberId = attrs.field(converter=MemberId)
    axis: AxisId = attrs.field(converter=AxisId)
    before: int
    after: int
    halo: int
    size: int
    whole: bool

    @property
    def farthest(self) -> int:
        """The longer one of the two directions."""
        return max(self.before, self.after)

    @property
    def covered(self) -> bool:
        """Whether the described halo is long enough."""
        return not self.whole and self.farthest <= self.halo

    def __str__(self) -> str:
        where = f"{self.output}, axis {self.axis}"
        if self.whole:
            return (
                f"{where}: no halo is long enough: pixels change the output as far away as was"
                f" tested, {self.farthest} of {self.size}, or everywhere (halo {self.halo})"
            )
        enough = "is enough" if self.covered else "is too small"
        return (
            f"{where}: halo {self.halo} {enough}: pixels up to {self.farthest} away change the"
            f" output (tested on {self.size} pixels)"
        )


@attrs.frozen
class FormatReport:
    """What the tests of one weights format found; what the report shows.

    Args:
        weights_format: the format.
        device: where it ran.
        inputs: the test inputs.
        reproductions: one for each output that could be compared.
        seconds: what running the test inputs took.
        plan: how they were cut; None if nothing ran.
        seams: blockwise against whole.
        reaches: how far the network looks.
        problems: what is wrong otherwise, or why nothing ran.
    """

    weights_format: str
    device: str
    inputs: Sample
    reproductions: tuple[Reproduction, ...] = ()
    seconds: float = 0.0
    plan: BlockPlan | None = None
    seams: tuple[Seams, ...] = ()
    reaches: tuple[Reach, ...] = ()
    problems: tuple[str, ...] = ()
