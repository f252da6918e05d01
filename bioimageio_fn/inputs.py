"""What users give, opened: paths, arrays and labelled arrays become tensors of a sample.

What holds here: names of axes that are given count more than those of a file, and these more than
the described order; channels are selected by number or by name; of a file nothing is read but what
says what is in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any, TypeAlias

import attrs

from .arrays import is_lazy, namespace
from .axes import AxisId
from .contract.records import ModelContract, TensorContract
from .errors import AxesError, UnknownMemberError
from .io.formats import stem
from .io.labelled import open_labelled
from .io.mapped import unmapped
from .lazy import Taken
from .reading import labelled, labelled_sample
from .sample import Sample
from .tensor import Tensor
from .xarrays import is_data_array

__all__ = ["Axes", "Channels", "paths_in", "read_sample", "selected"]

_Names: TypeAlias = str | Sequence[str]
Axes: TypeAlias = _Names | Mapping[str, _Names] | None
"""Names for the axes of an image, as letters or ids; or these by input id."""
_Channel: TypeAlias = int | str
Channels: TypeAlias = _Channel | Sequence[_Channel] | Mapping[str, Any] | None
"""A channel by number or name, or several; or these by input id."""


def read_sample(
    inputs: Any,
    contract: ModelContract,
    *,
    sample_id: str | None = None,
    default_id: str = "sample",
    axes: Axes = None,
    channels: Channels = None,
) -> Sample:
    """The tensors of a sample with names for their axes; these may be more than the model has.

    Args:
        inputs: as of `predict`.
        contract: of the model.
        sample_id: id of the sample; by default that of the sample that is given, or the stem of
            its first file.
        default_id: its id if it has none of these.
        axes: names of axes.
        channels: those that are taken.

    Raises:
        AxesError: if they are several images, or axes or channels are not those of an image.
        MissingFileError, FileReadError: if an image is not there, or is damaged.
        UnknownMemberError, MissingMemberError: if the inputs are not those of the model.
    """
    if isinstance(inputs, (list, tuple)) and inputs and all(map(_is_path, inputs)):
        raise AxesError(
            "several images are several samples",
            expected="one image, or a mapping with one for each input",
            got=f"{len(inputs)} paths",
            remedy="call predict_many",
        )
    for name, value in (("axes", axes), ("channels", channels)):
        _check_option(name, value, inputs, contract)
    label = partial(_read, axes=axes, channels=channels)
    paths = paths_in(inputs)
    own_id = stem(paths[0]) if paths else default_id
    sample = labelled_sample(inputs, contract, label, sample_id=own_id)
    return attrs.evolve(sample, id=sample_id) if sample_id else sample


def paths_in(inputs: Any) -> list[str | os.PathLike[str]]:
    """The paths among what is given."""
    values = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    return [value for value in values if _is_path(value)]


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _check_option(name: str, value: Any, inputs: Any, contract: ModelContract) -> None:
    """Refuse what does not say which input it is for."""
    if isinstance(value, Mapping):
        known = [tensor.id for tensor in contract.inputs]
        for unknown in set(value) - set(known):
            raise UnknownMemberError(
                f"{name} are given for a tensor that the model does not take",
                tensor=str(unknown),
                expected=f"one of {', '.join(known)}",
            )
        return
    members = inputs.members if isinstance(inputs, Sample) else inputs
    if value is not None and isinstance(members, Mapping) and len(members) > 1:
        raise AxesError(
            f"{name} of several tensors",
            expected=f"a mapping: {name}={{id: ...}}",
            got=repr(value),
        )


def _read(value: Any, contract: TensorContract, *, axes: Axes, channels: Channels) -> Tensor:
    tensor = _opened(value, contract, _own(axes, contract))
    wanted = _own(channels, contract)
    return tensor if wanted is None else selected(tensor, wanted, contract.id)


def _own(option: Any, contract: TensorContract) -> Any:
    return option.get(contract.id) if isinstance(option, Mapping) else option


def _opened(value: Any, contract: TensorContract, axes: _Names | None) -> Tensor:
    """A tensor of a file or of an array; what is mapped is mapped for each access only."""
    if _is_path(value):
        image = open_labelled(value, axes=axes)
        if image.axes is not None:
            return Tensor(image.data, image.axes, image.calibration)
        # in the described order, of which the file says nothing
        return attrs.evolve(labelled(image.data, contract), calibration=image.calibration)
    data = unmapped(value)
    if axes is None:
        return labelled(data, contract)
    if isinstance(data, Tensor) or is_data_array(data):
        known = labelled(data, contract)
        return Tensor(known.data, axes, known.calibration)
    return Tensor(data, axes)


def selected(tensor: Tensor, channels: Channels, name: str) -> Tensor:
    """Some channels of a tensor, in the order in which they are named; nothing is read.

    Args:
        tensor: with a channel axis.
        channels: numbers from 0, or names.
        name: of the tensor, for errors.

    Raises:
        AxesError: if the tensor has no channels, or not these.

    Examples:
        >>> import numpy as np
        >>> tensor = Tensor(np.zeros((3, 4, 5)), "cyx")
        >>> selected(tensor, [2, 0], "raw")
        Tensor(channel=2, y=4, x=5, dtype=float64)
    """
    axis = AxisId("channel")
    if axis not in tensor.axes:
        raise AxesError(
            "no axis of this tensor is one of channels",
            tensor=name,
            expected="an axis c",
            got=", ".join(tensor.axes),
            remedy="name the axes: axes='cyx', for example",
        )
    wanted: list[Any] = [channels]
    if isinstance(channels, Iterable) and not isinstance(channels, str):
        wanted = [*channels]
    indices = [_index(channel, tensor, name) for channel in wanted]
    if not indices:
        raise AxesError("no channel is selected", tensor=name, expected="at least one")
    names = tensor.calibration.channel_names
    kept = [names[i] for i in indices] if len(names) == tensor.sizes[axis] else ()
    dimension = tensor.axes.index(axis)
    if is_lazy(tensor.data):
        data: Any = Taken(tensor.data, dimension, indices)
    else:
        xp = namespace(tensor.data)
        data = xp.take(tensor.data, xp.asarray(indices), axis=dimension)
    calibration = attrs.evolve(tensor.calibration, channel_names=kept)
    return Tensor(data, tensor.axes, calibration)


def _index(channel: Any, tensor: Tensor, name: str) -> int:
    """The number of a channel."""
    size, names = tensor.sizes[AxisId("channel")], tensor.calibration.channel_names
    if isinstance(channel, str):
        found = [i for i, known in enumerate(names) if known == channel]
    else:
        is_number = isinstance(channel, Integral) and not isinstance(channel, bool)
        found = [int(channel) % size] if is_number and -size <= channel < size else []
    if len(found) == 1:
        return found[0]
    numbers = f"0 to {size - 1}"
    raise AxesError(
        "several channels have this name" if found else "no such channel",
        tensor=name,
        axis="channel",
        expected=f"{numbers}, or one of {', '.join(names)}" if names else f"a number: {numbers}",
        got=repr(channel),
    )
