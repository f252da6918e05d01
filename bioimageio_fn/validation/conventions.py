"""The ways in which test tensors may have been made: with the halo, or without.

What holds here: a convention is a value; the format allows each, and does not say which one a model
keeps, so that a test tries those that the sizes of its tensors leave.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

import attrs
from immutabledict import immutabledict

from ..axes import AxisId, MemberId
from ..contract.records import ModelContract, ReferencedSize, admits
from ..sample import Sample
from ..tensor import crop, pad

__all__ = ["Convention", "conventions", "cropped", "padded"]

Widths = Mapping[MemberId, Mapping[AxisId, int]]


def _widths(widths: Widths) -> Widths:
    return immutabledict({member: immutabledict(by_axis) for member, by_axis in widths.items()})


@attrs.frozen
class Convention:
    """How test inputs become test outputs.

    Args:
        text: in words.
        pads: pixels to be added to inputs, at both ends.
        crops: pixels to be taken from outputs, at both ends.
    """

    text: str
    pads: Widths = attrs.field(converter=_widths, factory=immutabledict)
    crops: Widths = attrs.field(converter=_widths, factory=immutabledict)


AS_THEY_ARE = Convention("test tensors are with the halo")


def conventions(contract: ModelContract, inputs: Sample) -> tuple[Convention, ...]:
    """The conventions that test tensors may keep, the most likely first.

    Inputs that lack the halo are no valid size in themselves where that is fixed; such inputs are
    taken as they are last.

    Args:
        contract: of the model.
        inputs: its test inputs.
    """
    crops = _halos(contract)
    if not crops:
        return (AS_THEY_ARE,)
    pads = dict(_pads(contract, inputs))
    whole = Convention("test inputs are with the halo, test outputs without", crops=crops)
    without = Convention(
        "test tensors are without the halo", pads=pads, crops=_of_outputs(contract, pads)
    )
    valid = all(
        admits(contract.tensor(member, "input").axis(axis).size, size)
        for member, tensor in inputs.members.items()
        for axis, size in tensor.sizes.items()
    )
    return (AS_THEY_ARE, whole, without) if valid else (without, AS_THEY_ARE)


def padded(sample: Sample, convention: Convention, contract: ModelContract) -> Sample:
    """The sample with what its convention adds to it, continued as is described."""
    members = dict(sample.members)
    for member, widths in convention.pads.items():
        padding = contract.tensor(member, "input").padding
        both = {axis: (width, width) for axis, width in widths.items()}
        members[member] = pad(members[member], both, mode=padding.mode, value=padding.value)
    return attrs.evolve(sample, members=members)


def cropped(sample: Sample, convention: Convention) -> Sample:
    """The sample without what its convention takes away; tensors that are too small stay."""
    members = dict(sample.members)
    for member, widths in convention.crops.items():
        tensor = members[member]
        if all(tensor.sizes[axis] > 2 * width for axis, width in widths.items()):
            both = {axis: (width, width) for axis, width in widths.items()}
            members[member] = crop(tensor, both)
    return attrs.evolve(sample, members=members)


def _halos(contract: ModelContract) -> dict[MemberId, dict[AxisId, int]]:
    halos = {t.id: {a.id: a.halo for a in t.axes if a.halo} for t in contract.outputs}
    return {member: widths for member, widths in halos.items() if widths}


def _following(contract: ModelContract) -> Iterator[tuple[MemberId, AxisId, int, ReferencedSize]]:
    """Axes of outputs that follow one of an input: output, axis, halo, and how."""
    for tensor in contract.outputs:
        for axis in tensor.axes:
            if isinstance(axis.size, ReferencedSize):
                yield tensor.id, axis.id, axis.halo, axis.size


def _pads(contract: ModelContract, inputs: Sample) -> Iterator[tuple[MemberId, dict[AxisId, int]]]:
    """The widest halo of all outputs, in input pixels, such that outputs grow by whole pixels."""
    needed: dict[tuple[str, str], tuple[int, Fraction]] = {}
    for _, _, halo, rule in _following(contract):
        key = (rule.tensor, rule.axis)
        width, part = needed.get(key, (0, Fraction(1)))
        needed[key] = (max(width, math.ceil(halo / rule.scale)), _common(part, rule.scale))
    for member, tensor in inputs.members.items():
        widths = {}
        for axis in tensor.axes:
            width, part = _follow(contract, (member, axis), needed)
            if width:
                widths[axis] = -(-width // part.denominator) * part.denominator
        if widths:
            yield member, widths


def _follow(
    contract: ModelContract,
    key: tuple[str, str],
    needed: Mapping[tuple[str, str], tuple[int, Fraction]],
) -> tuple[int, Fraction]:
    """What an input axis needs: of itself, or of the one that it is as long as."""
    rule = contract.tensor(key[0], "input").axis(key[1]).size
    if isinstance(rule, ReferencedSize):
        width, part = needed.get((rule.tensor, rule.axis), (0, Fraction(1)))
        return math.ceil(width * rule.scale), part
    return needed.get(key, (0, Fraction(1)))


def _common(a: Fraction, b: Fraction) -> Fraction:
    return Fraction(1, math.lcm(a.denominator, b.denominator))


def _of_outputs(contract: ModelContract, pads: Widths) -> dict[MemberId, dict[AxisId, int]]:
    """What outputs grow by, at each end, where inputs are padded."""
    grown: dict[MemberId, dict[AxisId, int]] = {}
    for member, axis, _, rule in _following(contract):
        width = int(pads.get(rule.tensor, {}).get(rule.axis, 0) * rule.scale)
        if width:
            grown.setdefault(member, {})[axis] = width
    return grown
