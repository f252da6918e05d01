"""What the pixels of a model's outputs stand for, told from those of its inputs.

What holds here: an output pixel is as large as the input pixels that it is made of, in the unit of
the image: sizes that the description gives are ratios only, as an image may have others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from ..axes import MemberId
from ..calibration import Calibration, PixelSize
from ..sample import Sample
from .records import AxisContract, ModelContract, ReferencedSize, TensorContract

__all__ = ["calibrated", "output_calibrations"]


def output_calibrations(
    contract: ModelContract, inputs: Mapping[MemberId, Calibration]
) -> dict[MemberId, Calibration]:
    """The calibration of each output.

    Along an axis whose size follows an axis of an input, pixels are as many times smaller as there
    are more of them. Along others they are as large as those of the first calibrated input that
    has an axis of that name, times what the description says of their ratio.

    Args:
        inputs: what is known of each input.

    Examples:
        >>> import bioimageio_fn as fn
        >>> contract = fn.create_prediction_pipeline(fn.demo_model()).contract
        >>> image = Calibration({"x": PixelSize(0.1, "micrometer")})
        >>> output_calibrations(contract, {"raw": image})["probability"].pixel_sizes["x"].value
        0.1
    """
    return {tensor.id: _calibration(tensor, contract, inputs) for tensor in contract.outputs}


def calibrated(sample: Sample, calibrations: Mapping[MemberId, Calibration]) -> Sample:
    """A sample whose tensors are calibrated so."""
    members = {
        name: attrs.evolve(tensor, calibration=calibrations[name])
        for name, tensor in sample.members.items()
    }
    return attrs.evolve(sample, members=members)


def _calibration(
    tensor: TensorContract, contract: ModelContract, inputs: Mapping[MemberId, Calibration]
) -> Calibration:
    found = {axis.id: _pixel_size(axis, contract, inputs) for axis in tensor.axes}
    names: Iterable[str] = next((a.channel_names for a in tensor.axes if a.type == "channel"), ())
    return Calibration({axis: size for axis, size in found.items() if size is not None}, names)


def _pixel_size(
    axis: AxisContract, contract: ModelContract, inputs: Mapping[MemberId, Calibration]
) -> PixelSize | None:
    if axis.type in ("batch", "channel"):
        return None
    if isinstance(rule := axis.size, ReferencedSize):
        known = inputs.get(rule.tensor, Calibration()).pixel_sizes.get(rule.axis)
        return known and attrs.evolve(known, value=known.value / float(rule.scale))
    for tensor in contract.inputs:
        known = inputs.get(tensor.id, Calibration()).pixel_sizes.get(axis.id)
        if known is not None and axis.id in tensor.axis_ids:
            ratio = float(axis.scale / tensor.axis(axis.id).scale)
            return attrs.evolve(known, value=known.value * ratio)
    return None
