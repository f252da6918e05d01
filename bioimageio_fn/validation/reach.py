"""`measure_reach`: how far a network looks, held against the halo that is described.

What holds here: only the network is measured: preprocessing has its statistics before an input is
changed, and postprocessing is left out; a reach is what a halo has to cover, measured where blocks
may meet; it is never longer than what the network sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ..axes import AxisId, MemberId
from ..blocks.directions import Direction, Key, directions_of, groups_of
from ..blocks.grid import align_step
from ..blocks.sizes import common_valid, start_steps
from ..contract.records import admits
from ..deviation import Array, deviations
from ..errors import BlockError
from ..ops.fitting import fit
from ..pipeline import Pipeline, concerns, default_plan, run
from ..reading import as_sample
from ..sample import Sample
from ..tensor import Tensor, pad, slice_axes
from .records import Reach

__all__ = ["measure_reach"]

SHORTEST, ACROSS = 64, 32
"""Pixels of the first image that is tested, along the axis that is measured and across it."""
PIXELS = 2**19
"""Of the largest image that is tested; one that the model takes is tested in any case."""
TRIALS = 2
"""Images that are changed: the given one, then noise of its values, each as often as any other,
which wakes more of a network that is blind to background."""


def measure_reach(
    pipeline: Pipeline, inputs: Any, *, tolerance: float = 1e-5, longest: int = 1024
) -> tuple[Reach, ...]:
    """Measure how far the outputs of a network look, by changing its inputs.

    For a model whose halo is not to be trusted: where it is shorter than the reach, blocks show.
    All pixels on one side of a seam are changed, and what changes on its other side is looked at.
    The image is mirrored to be as long as needed, until what changes ends before the image does.

    Args:
        pipeline: the model.
        inputs: a `Sample`, a mapping of tensors or arrays, or one array; real ones, such as the
            test inputs. The first item of a batch is taken.
        tolerance: what an output may change by and count as unchanged, as a part of its largest
            absolute value.
        longest: pixels of the longest image that is tried, if the model takes it.

    Returns:
        A record for each output and each of its axes that blocks may cut; `print` it. An axis that
        is too short for two blocks, as of one plane, has none.

    Raises:
        BlockError: if the model takes no image that could be cut.

    Examples:
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> y, x = measure_reach(pipeline, fn.test_inputs(fn.demo_model()))
        >>> print(x)
        probability, axis x: halo 28 is enough: pixels up to 26 away change the output (tested on
        112 pixels)
    """
    sample = _first_of_batch(pipeline, as_sample(inputs, pipeline.contract))
    directions = _directions(pipeline, sample)
    cut = [name for name, d in directions.items() if name != "batch" and d.may_be_cut]
    sizes = {name: _sizes_with_seams(directions, name, longest) for name in cut}
    if cut and not any(sizes.values()):
        raise _no_seam(directions[cut[0]])
    found = [
        reach
        for name in cut
        for reach in _along(pipeline, sample, directions, name, sizes[name], tolerance=tolerance)
    ]
    return tuple(found)


def _sizes_with_seams(directions: Mapping[str, Direction], name: str, longest: int) -> list[int]:
    """Sizes to try at which two blocks may meet."""
    return [size for size in _sizes(directions, name, longest) if _seam(directions[name], size)]


def _no_seam(direction: Direction) -> BlockError:
    return BlockError(
        "blocks of this model can not meet within an image",
        axis=direction.name,
        expected=f"an image of at least {2 * start_steps(direction.rules)[-1]} pixels",
        got=direction.group.size,
    )


def _first_of_batch(pipeline: Pipeline, sample: Sample) -> Sample:
    """The sample without the other items of its batch, if the model takes one alone."""
    axes = [a for t in pipeline.contract.inputs for a in t.axes if a.type == "batch"]
    if not all(admits(axis.size, 1) for axis in axes):
        return sample
    batch = {axis.id for axis in axes}
    members = {
        name: slice_axes(tensor, {axis: (0, 1) for axis in tensor.axes if axis in batch})
        for name, tensor in sample.members.items()
    }
    return attrs.evolve(sample, members=members)


def _directions(pipeline: Pipeline, sample: Sample) -> dict[str, Direction]:
    shapes = {name: tensor.sizes for name, tensor in sample.members.items()}
    signature = getattr(pipeline.backend, "signature", None)
    fixed = {}
    if signature is not None:
        ids = [tensor.id for tensor in pipeline.contract.inputs]
        fixed = {i: port.shape or () for i, port in zip(ids, signature.inputs, strict=False)}
    groups = groups_of(pipeline.contract, shapes)
    return directions_of(pipeline.contract, shapes, groups, halo={}, signature=fixed)


def _along(
    pipeline: Pipeline,
    sample: Sample,
    directions: Mapping[str, Direction],
    name: str,
    sizes: Sequence[int],
    *,
    tolerance: float,
) -> list[Reach]:
    """The reaches in one direction, on the first image in which none goes up to the border."""
    found: list[Reach] = []
    values = _values(sample)
    across = {n: _across(d) for n, d in directions.items()}
    for size in sizes:
        image = _resized(sample, directions, across | {name: size})
        found = _measured(
            _network(pipeline, image),
            image,
            directions[name],
            seam=_seam(directions[name], size),
            values=values,
            tolerance=tolerance,
        )
        if not any(reach.whole for reach in found):
            break
    return found


def _across(direction: Direction) -> int:
    """A size for a direction that is not measured."""
    size = common_valid(direction.rules, min(ACROSS, direction.group.size))
    return direction.group.size if size is None else size


def _sizes(directions: Mapping[str, Direction], name: str, longest: int) -> Iterator[int]:
    """Sizes to try: each about twice as long as the one before, the first in any case."""
    direction = directions[name]
    across = int(np.prod([_across(d) for n, d in directions.items() if n != name]))
    halo = max((int(f.halo / f.scale) for f in direction.following), default=0)
    wanted = max(SHORTEST, 4 * halo, 2 * start_steps(direction.rules)[-1])
    size = common_valid(direction.rules, wanted) or _across(direction)
    while True:
        yield size
        larger = common_valid(direction.rules, 2 * size)
        if larger is None or larger > longest or larger * across > PIXELS:
            return
        size = larger


def _seam(direction: Direction, size: int) -> int:
    """Where two blocks may meet, next to the middle; 0 if there is no such place."""
    for start in start_steps(direction.rules):
        step = align_step(start, direction.following)
        if seam := size // 2 // step * step:
            return seam
    return 0


def _resized(
    sample: Sample, directions: Mapping[str, Direction], sizes: Mapping[str, int]
) -> Sample:
    """The sample cut to sizes, or mirrored."""
    members = dict(sample.members)
    for name, direction in directions.items():
        for (member, axis), follower in direction.followers.items():
            if member in members:
                members[member] = _as_long(members[member], axis, follower.of(sizes[name]))
    return attrs.evolve(sample, members=members)


def _as_long(tensor: Tensor, axis: AxisId, size: int) -> Tensor:
    have = tensor.sizes[axis]
    start = max(0, (have - size) // 2)
    middle = slice_axes(tensor, {axis: (start, min(have, start + size))})
    return pad(middle, {axis: (0, max(0, size - have))})


def _measured(
    network: Pipeline,
    sample: Sample,
    direction: Direction,
    *,
    seam: int,
    values: Mapping[MemberId, Array],
    tolerance: float,
) -> list[Reach]:
    """The reaches on one image."""
    plan = default_plan(network, sample, block_shape={})
    rng = np.random.default_rng(0)
    found: dict[Key, Reach] = {}
    for trial in range(TRIALS):
        start = sample if trial == 0 else _changed(sample, direction, slice(None), values, rng)
        whole = run(network, start, plan)
        for behind in (False, True):
            side = slice(seam, None) if behind else slice(seam)
            other = run(network, _changed(start, direction, side, values, rng), plan)
            reaches = _compared(whole, other, direction, seam, tolerance, behind=behind)
            found |= {key: _farther(found.get(key, reach), reach) for key, reach in reaches.items()}
    return list(found.values())


def _network(pipeline: Pipeline, sample: Sample) -> Pipeline:
    """The pipeline up to what the network gives, with the statistics of a sample."""
    known = attrs.evolve(sample, stat={**pipeline.statistics, **sample.stat})
    steps = [step for step in pipeline.preprocess if concerns(step, sample)]
    contract = attrs.evolve(pipeline.contract, outputs=pipeline.contract.raw_outputs)
    return attrs.evolve(
        pipeline, contract=contract, preprocess=fit(steps, known), postprocess=(), carried=None
    )


def _changed(
    sample: Sample,
    direction: Direction,
    side: slice,
    values: Mapping[MemberId, Array],
    rng: np.random.Generator,
) -> Sample:
    """The sample with other pixels, of its own values, on one side of a seam."""
    members = dict(sample.members)
    for (member, axis), follower in direction.followers.items():
        if member not in members:
            continue
        array = np.array(members[member])
        line = np.moveaxis(array, members[member].axes.index(axis), 0)
        ends = (
            None if pixel is None else int(pixel * follower.scale)
            for pixel in (side.start, side.stop)
        )
        part = line[slice(*ends)]
        part[...] = rng.choice(values[member], part.shape)
        members[member] = Tensor(array, members[member].axes)
    return attrs.evolve(sample, members=members)


def _values(sample: Sample) -> dict[MemberId, Array]:
    """The different values of each tensor; 0 and 1 for one that is constant."""
    found = {name: np.unique(np.asarray(tensor)) for name, tensor in sample.members.items()}
    return {
        name: values if len(values) > 1 else np.array([0, 1]).astype(values.dtype)
        for name, values in found.items()
    }


def _compared(
    whole: Sample, other: Sample, direction: Direction, seam: int, tolerance: float, *, behind: bool
) -> dict[Key, Reach]:
    """What changed beyond a seam in each output, where inputs behind it (or before) have."""
    found = {}
    for (member, axis), follower in direction.followers.items():
        if member not in whole.members:
            continue
        tensor = whole[member]
        size = tensor.sizes[axis]
        lines = _changes(tensor, other[member], axis, tolerance)
        # a block that starts at the seam, and one that ends there
        first, last = int(seam * follower.scale), follower.of(seam)
        before = last - int(lines[:last].argmax()) if behind and lines[:last].any() else 0
        beyond = lines[first:]
        after = len(beyond) - int(beyond[::-1].argmax()) if not behind and beyond.any() else 0
        border = before == last if behind else after == size - first
        found[member, axis] = Reach(
            member, axis, before, after, follower.halo, size, border and max(before, after) > 0
        )
    return found


def _changes(tensor: Tensor, other: Tensor, axis: AxisId, tolerance: float) -> Array:
    """For each position along an axis, whether something there has changed."""
    array = np.asarray(tensor)
    numbers = array[np.isfinite(array)]
    largest = float(np.abs(numbers.astype("float64")).max(initial=0))
    unchanged = tolerance * largest if array.dtype.kind == "f" else 0.0
    over = deviations(np.asarray(other), array) > unchanged
    return np.asarray(over.any(tuple(i for i, a in enumerate(tensor.axes) if a != axis)))


def _farther(one: Reach, other: Reach) -> Reach:
    return attrs.evolve(
        one,
        before=max(one.before, other.before),
        after=max(one.after, other.after),
        whole=one.whole or other.whole,
    )
