"""`measure_seams`: how much a prediction in blocks differs from that in one piece, and where.

What holds here: data are compared exactly, whatever their type: no difference is lost to a cast or
an overflow, and NaN equals NaN. Only floats may differ a little and count as equal: their sums
depend on the order of the terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, Literal

import attrs
import numpy as np
from immutabledict import immutabledict

from .axes import AxisId, MemberId
from .blocks.records import BlockPlan, PlannedAxis
from .contract.records import nearest_valid
from .deviation import Array, deviations
from .errors import BlockError
from .pipeline import Pipeline, default_plan, run
from .reading import as_sample
from .sample import Sample
from .tensor import Tensor

__all__ = ["Seams", "Verdict", "measure_seams"]

Verdict = Literal["equal", "seams", "everywhere"]


@attrs.frozen
class Seams:
    """How an output in blocks differs from that in one piece.

    Args:
        output: its id.
        verdict: `equal`: no pixel differs by more than the tolerance; `seams`: pixels differ near
            seams; `everywhere`: those far from seams do so at least half as often.
        difference: the largest absolute difference of all pixels; infinite where only one is NaN.
        low: the smallest number of the whole, to judge the difference by; NaN if it has none.
        high: the largest.
        tolerance: what a pixel may differ by and count as equal.
        share: part of the pixels that differ by more.
        where: pixel of the largest difference, by axis; empty if there is none.
        distance: output pixels between that one and the nearest seam; None if it is not a matter of
            seams.
        halo: halo of the plan in input pixels, by axis that is cut.
    """

    output: MemberId
    verdict: Verdict
    difference: float
    low: float
    high: float
    tolerance: float
    share: float
    where: Mapping[AxisId, int] = attrs.field(converter=immutabledict)
    distance: int | None
    halo: Mapping[str, int] = attrs.field(converter=immutabledict)

    def __str__(self) -> str:
        text = f"{self.output}: {self._said}"
        if not self.difference:
            return text
        place = ", ".join(f"{axis}={i}" for axis, i in self.where.items())
        far = "" if self.distance is None else f", {self.distance} pixels from the nearest seam"
        return (
            f"{text}; the largest difference is {self.difference:.2g}, where the whole has"
            f" {self.low:.4g} to {self.high:.4g}, at {place}{far}; {100 * self.share:.2g} % of the"
            f" pixels differ by more than {self.tolerance:.1g}"
        )

    @property
    def _said(self) -> str:
        if self.verdict == "equal":
            return "blocks equal the whole"
        if self.verdict == "seams":
            widths = set(self.halo.values())
            by_axis = ", ".join(f"{axis}={width}" for axis, width in self.halo.items())
            halo = widths.pop() if len(widths) == 1 else by_axis
            return f"differs at seams: the halo of {halo} is shorter than what the network sees"
        return (
            "differs everywhere: the network looks at the whole image (instance norm, global"
            " pooling), or as far as a block is long"
        )


def measure_seams(
    pipeline: Pipeline,
    inputs: Any,
    plan: BlockPlan | None = None,
    *,
    halo: int | Mapping[str, Any] | None = None,
    tolerance: float = 1e-5,
) -> tuple[Seams, ...]:
    """Predict a sample in blocks and in one piece, and say how much these differ, and where.

    For a model whose halo is not to be trusted, on a sample that is like those to come, and small
    enough for one piece. Labels are compared as they are: they are numbered in the whole, so that
    one object more changes all those behind it. Where the verdict is `everywhere`, larger blocks
    tell whether the network sees all of the image, or just more than a small block. It is also
    `everywhere` where sizes have to keep a step that is not described.

    Args:
        pipeline: the model.
        inputs: a `Sample`, a mapping of tensors or arrays, or one array.
        plan: the blocks, several of them; by default two along the longest axis in space.
        halo: of the blocks that are made without a plan, as of `plan_blocks`.
        tolerance: what floats may differ by and count as equal, as a part of the largest absolute
            value of the whole.

    Returns:
        A record for each output; `print` it.

    Raises:
        BlockError: if the model does not take the sample in one piece, or there are no seams: the
            plan cuts nothing but the batch, or there is none and the sample can not be halved.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> image = np.random.default_rng(0).random((128, 300))
        >>> (seams,) = measure_seams(pipeline, image)
        >>> seams.verdict
        'equal'
        >>> (seams,) = measure_seams(pipeline, image, halo=4)
        >>> print(seams)
        probability: differs at seams: the halo of 4 is shorter than what the network sees; ...
    """
    if not tolerance >= 0:
        raise BlockError("a tolerance is not negative", expected="0 or more", got=tolerance)
    sample = as_sample(inputs, pipeline.contract)
    in_one = _in_one_piece(pipeline, sample, halo)
    if plan is None:
        plan = _halved(pipeline, sample, in_one, halo)
    elif halo is not None:
        raise BlockError("the blocks of a plan have their halo", expected="a plan or a halo")
    elif not _cut(plan):
        raise BlockError(
            "a plan with one block for each sample has no seams",
            got=plan,
            remedy="give a plan with several blocks, or one for a smaller block shape",
        )
    blocks = run(pipeline, sample, plan)
    whole = run(pipeline, sample, in_one)
    return tuple(
        _seams(name, blocks[name], tensor, plan, tolerance)
        for name, tensor in whole.members.items()
    )


def _cut(plan: BlockPlan) -> list[PlannedAxis]:
    """The axes with seams; samples of a batch have nothing to do with one another."""
    return [axis for axis in plan.axes if len(axis.grid.starts) > 1 and axis.name != "batch"]


def _in_one_piece(
    pipeline: Pipeline, sample: Sample, halo: int | Mapping[str, Any] | None
) -> BlockPlan:
    plan = default_plan(pipeline, sample, block_shape={}, halo=halo)
    for axis in _cut(plan):
        raise BlockError(
            "the model does not take this sample in one piece, with which to compare blocks",
            axis=axis.name,
            expected=f"at most {axis.grid.block}",
            got=axis.grid.size,
            remedy="if its network takes other sizes, describe them by min and step",
        )
    return plan


def _halved(
    pipeline: Pipeline, sample: Sample, whole: BlockPlan, halo: int | Mapping[str, Any] | None
) -> BlockPlan:
    """The plan with the smallest blocks of which two are enough along the longest axis."""
    for shape in _halves(pipeline, whole):
        try:
            plan = default_plan(pipeline, sample, block_shape=shape, halo=halo)
        except BlockError:  # not a size of all inputs, or no room between the halos
            continue
        if _cut(plan):
            return plan
    raise BlockError(
        "this sample can not be cut into two blocks",
        got=whole,
        remedy="give a larger sample, a smaller halo, or a plan with several blocks",
    )


def _halves(pipeline: Pipeline, whole: BlockPlan) -> Iterator[dict[str, dict[str, int]]]:
    """Block shapes to try: half of the longest axis and the halo, then larger, then other axes."""
    for planned in sorted(whole.axes, key=lambda axis: -axis.grid.size):
        member, axis = next(iter(planned.places))
        described = pipeline.contract.tensor(member, "input").axis(axis)
        if described.type != "space":
            continue
        block = nearest_valid(described.size, -(-planned.grid.size // 2) + planned.halo)
        while block is not None and block < planned.grid.block:
            yield {member: {axis: block}}
            block = nearest_valid(described.size, block + 1)


def _seams(
    name: MemberId, blocks: Tensor, whole: Tensor, plan: BlockPlan, tolerance: float
) -> Seams:
    """The record of one output."""
    if blocks.sizes != whole.sizes:
        raise BlockError(
            "an output has another size in blocks, so that its pixels can not be compared",
            tensor=name,
            expected=dict(whole.sizes),
            got=dict(blocks.sizes),
        )
    array = np.asarray(whole)
    low, high = _range(array)
    rounding = 0.0 if array.dtype.kind in "biu" else tolerance * max(abs(low), abs(high))
    difference = deviations(np.asarray(blocks), array)
    equal = Seams(
        output=name,
        verdict="equal",
        difference=0.0,
        low=low,
        high=high,
        tolerance=float(np.nan_to_num(rounding)),
        share=0.0,
        where={},
        distance=None,
        halo={axis.name: axis.halo for axis in _cut(plan)},
    )
    distances = _distances(name, whole, plan)
    return _with_difference(equal, difference, whole, distances) if difference.any() else equal


def _with_difference(
    equal: Seams, difference: Array, whole: Tensor, distances: Array | None
) -> Seams:
    differs = difference > equal.tolerance
    verdict = _verdict(differs, distances)
    largest = np.unravel_index(difference.argmax(), difference.shape)
    far = None
    if distances is not None and verdict != "everywhere":
        far = int(np.broadcast_to(distances, difference.shape)[largest])
    return attrs.evolve(
        equal,
        verdict=verdict,
        difference=float(difference[largest]),
        share=float(differs.mean()),
        where=dict(zip(whole.axes, map(int, largest), strict=True)),
        distance=far,
    )


def _range(array: Array) -> tuple[float, float]:
    numbers = array[np.isfinite(array)]
    return (float(numbers.min()), float(numbers.max())) if numbers.size else (np.nan, np.nan)


def _distances(name: MemberId, whole: Tensor, plan: BlockPlan) -> Array | None:
    """For each pixel, how many lie between it and the nearest seam; None if there is no seam."""
    along = []
    for planned in _cut(plan):
        for (member, axis), places in planned.places.items():
            if member != name or axis not in whole.axes:
                continue
            size, raw = whole.sizes[axis], places[-1].stop  # labels may be larger than what made it
            seams = [place.start * size // raw for place in places[1:]]
            shape = [size if a == axis else 1 for a in whole.axes]
            along.append(_distances_along(size, seams).reshape(shape))
    nearest: Array | None = reduce(np.minimum, along) if along else None
    return nearest


def _distances_along(size: int, seams: list[int]) -> Array:
    pixels = np.arange(size)
    nearest: Array = reduce(
        np.minimum, (np.maximum(pixels - seam, seam - 1 - pixels) for seam in seams)
    )
    return nearest


def _verdict(differs: Array, distances: Array | None) -> Verdict:
    if not differs.any():
        return "equal"
    if distances is None:
        return "everywhere"
    near = np.broadcast_to(2 * distances <= distances.max(), differs.shape)
    if near.all() or 2 * differs[~near].mean() < differs[near].mean():
        return "seams"
    return "everywhere"
