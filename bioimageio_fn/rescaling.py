"""Images whose pixels are larger or smaller than those that a model was made for.

What holds here: nothing is resampled unless somebody asks for it, but a pixel size that differs is
said; what comes out has the size that the model would have given for the image as it was; what is
not known of pixels is not guessed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs
import numpy as np

from .axes import AxisId, MemberId
from .blocks.merge import Create
from .calibration import Calibration, PixelSize
from .contract.calibrating import calibrated, output_calibrations
from .contract.records import AxisContract, ModelContract, ReferencedSize, TensorContract
from .errors import AxesError, DataWarning, SizeError
from .resampling import Sampling, resampled
from .sample import Sample
from .spec import tensor_spec
from .stats.walk import parts
from .tensor import Tensor
from .units import length_ratio

__all__ = ["Sizes", "rescaled", "rescaled_sizes", "run_rescaled", "warn_of_pixel_sizes"]

TOLERANCE = 1.1
"""How many times larger or smaller pixels may be than those of the model, with nothing done."""

Sizes: TypeAlias = Mapping[MemberId, Mapping[AxisId, int]]
"""For each input, the sizes that its axes get."""
_Ratios: TypeAlias = dict[MemberId, dict[AxisId, float]]


def warn_of_pixel_sizes(sample: Sample, contract: ModelContract) -> None:
    """Say it if pixels are not as large as those that the model was made for.

    Warns:
        DataWarning: if they differ by more than 10 % along an axis of space, and both are known.
    """
    for name, of in _ratios(sample, contract).items():
        calibration, tensor = sample[name].calibration, contract.tensor(name, "input")
        other = [axis for axis, ratio in of.items() if _differs(ratio)]
        if other:
            have = ", ".join(f"{axis} {calibration.pixel_sizes[axis]}" for axis in other)
            want = ", ".join(f"{axis} {_described(tensor.axis(axis))}" for axis in other)
            warnings.warn(
                f"the pixels of '{name}' are not as large as those that the model was made for:"
                f" {have}, not {want}; predict(..., rescale='auto') resamples the image",
                DataWarning,
                stacklevel=3,
            )


def rescaled_sizes(sample: Sample, contract: ModelContract) -> Sizes:
    """The sizes at which the pixels of a sample are as large as those of the model.

    Only axes of space are rescaled, and only those whose pixels differ by more than 10 %. An input
    that is not calibrated goes along with the one that its size follows, or with the first that has
    an axis of that name.

    Raises:
        AxesError: if it is not known how large the pixels of the image are, along one of these axes
            or all, or those of the model.
    """
    known = _ratios(sample, contract)
    if not known:
        raise _unknown(sample, contract)
    sizes: dict[MemberId, dict[AxisId, int]] = {}
    for name, tensor in sample.members.items():
        described = contract.tensor(name, "input")
        for axis in described.axes:
            if axis.id not in tensor.axes or axis.type != "space":
                continue
            ratio = _ratio(name, axis, known)
            if ratio is None and axis.unit is not None and tensor.sizes[axis.id] > 1:
                # to resample the other axes alone would distort the image
                raise _unknown(sample, contract)
            if ratio is not None and _differs(ratio):
                size = max(1, round(tensor.sizes[axis.id] * ratio))
                sizes.setdefault(name, {})[axis.id] = size
    return sizes


def rescaled(sample: Sample, sizes: Sizes) -> Sample:
    """A sample at other sizes, over the same extent; what is read from disk stays there."""
    members = {
        name: _resized(tensor, sizes[name]) if name in sizes else tensor
        for name, tensor in sample.members.items()
    }
    return attrs.evolve(sample, members=members)


def run_rescaled(
    run_one: Callable[..., Sample],
    sample: Sample,
    sizes: Sizes,
    contract: ModelContract,
    *,
    create: Create | None = None,
    scratch: Create | None = None,
    **options: Any,
) -> Sample:
    """Predict a sample at other sizes, and bring what comes out to its own pixels.

    Floating point outputs are interpolated, others are taken from the nearest pixel, as labels are.

    Args:
        run_one: predicts a sample, as `pipeline.run` does.
        sample: as it is.
        sizes: those at which it is predicted.
        contract: of the model.
        create: makes what the outputs are written to; by default arrays in memory.
        scratch: makes what outputs of other sizes are written to for a while.
        options: for `run_one`.

    Returns:
        The outputs, of the sizes that they would have without `sizes`.
    """
    made = run_one(rescaled(sample, sizes), create=scratch, scratch=scratch, **options)
    members = {
        name: _stored(
            _restored(tensor, contract.tensor(name, "output"), sample, sizes), create, name
        )
        for name, tensor in made.members.items()
    }
    inputs = {name: tensor.calibration for name, tensor in sample.members.items()}
    return calibrated(attrs.evolve(made, members=members), output_calibrations(contract, inputs))


def _resized(tensor: Tensor, sizes: Mapping[AxisId, int]) -> Tensor:
    samplings = {a: Sampling.fitted(tensor.sizes[a], size) for a, size in sizes.items()}
    pixel_sizes = {
        axis: attrs.evolve(known, value=known.value * samplings[axis].step)
        if axis in samplings
        else known
        for axis, known in tensor.calibration.pixel_sizes.items()
    }
    calibration = attrs.evolve(tensor.calibration, pixel_sizes=pixel_sizes)
    return attrs.evolve(resampled(tensor, samplings, linear=True), calibration=calibration)


def _restored(tensor: Tensor, contract: TensorContract, sample: Sample, sizes: Sizes) -> Tensor:
    """An output at the pixels that it would have, had the sample not been rescaled."""
    samplings = {}
    for axis in contract.axes:
        rule = axis.size
        if isinstance(rule, ReferencedSize) and rule.axis in sizes.get(rule.tensor, {}):
            old, new = sample[rule.tensor].sizes[rule.axis], sizes[rule.tensor][rule.axis]
            size = rule.of(old)
            if size < 1:
                raise SizeError(
                    "the image is too small for this output",
                    tensor=contract.id,
                    axis=axis.id,
                    expected="at least 1 pixel",
                    got=f"{size} of {old}",
                )
            # the grid of an output that is smaller or larger by some pixels lies in the middle
            step, middle = new / old, float(rule.offset) / 2
            samplings[axis.id] = Sampling(size, step, step * (0.5 - middle) + middle - 0.5)
    return resampled(tensor, samplings, linear="float" in tensor.dtype)


def _stored(tensor: Tensor, create: Create | None, name: MemberId) -> Tensor:
    """The tensor written part by part to what `create` makes, if there is such a place."""
    if create is None:
        return tensor
    target = create(name, tensor_spec(tensor))
    for key in parts(target):
        target[key] = np.asarray(tensor.data[key])
    return attrs.evolve(tensor, data=target)


def _ratios(sample: Sample, contract: ModelContract) -> _Ratios:
    """How many times larger pixels are than those of the model, where both are known."""
    ratios: _Ratios = {}
    for name, tensor in sample.members.items():
        for axis in contract.tensor(name, "input").axes:
            known = tensor.calibration.pixel_sizes.get(axis.id)
            if axis.type != "space" or known is None or axis.unit is None:
                continue
            ratio = length_ratio(known, _described(axis))
            if ratio is not None:
                ratios.setdefault(name, {})[axis.id] = ratio
    return ratios


def _ratio(name: MemberId, axis: AxisContract, known: _Ratios) -> float | None:
    """That of an axis, or of the one that it goes along with; None if there is none."""
    if axis.id in known.get(name, {}):
        return known[name][axis.id]
    if isinstance(axis.size, ReferencedSize):
        return known.get(axis.size.tensor, {}).get(axis.size.axis)
    return next((of[axis.id] for of in known.values() if axis.id in of), None)


def _described(axis: AxisContract) -> PixelSize:
    return PixelSize(float(axis.scale), axis.unit)


def _differs(ratio: float) -> bool:
    return not 1 / TOLERANCE <= ratio <= TOLERANCE


def _unknown(sample: Sample, contract: ModelContract) -> AxesError:
    described = [a for t in contract.inputs for a in t.axes if a.type == "space" and a.unit]
    if not described:
        return AxesError(
            "the model does not say how large its pixels are",
            expected="axes with a scale and a unit of length",
            got=", ".join(t.id for t in contract.inputs),
            remedy="predict without rescale, and resample the image yourself",
        )
    pixels: Mapping[MemberId, Calibration] = {n: t.calibration for n, t in sample.members.items()}
    got = ", ".join(f"{a} {s}" for c in pixels.values() for a, s in c.pixel_sizes.items())
    return AxesError(
        "it is not known how large the pixels of the image are",
        expected=", ".join(f"{axis.id} in a unit of length" for axis in described),
        got=got or "no pixel size",
        remedy="give it: Tensor(array, axes, Calibration({'x': PixelSize(0.1, 'micrometer')}))",
    )
