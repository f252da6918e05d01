"""Where the outputs of a sample are written: one file for each, named by a pattern.

What holds here: what can be refused is refused before anything runs; no name of a sample, tensor or
model leads out of the folder that the pattern names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from .axes import AxisId, MemberId
from .contract.records import FixedSize, ModelContract, TensorContract
from .errors import FileWriteError
from .files import check_place, expanded
from .io.formats import is_ome_zarr, location
from .io.holding import check_holds, check_writable
from .io.mapped import MappedFile
from .io.sources import StoredArray
from .io.stores import check_replaceable
from .sample import Sample
from .spec import TensorSpec

__all__ = [
    "SAMPLE",
    "PathLike",
    "check_paths",
    "check_places",
    "check_sizes",
    "new_paths",
    "output_path",
    "output_paths",
]

PathLike: TypeAlias = str | os.PathLike[str]

SAMPLE = "sample"
_NO_NAME = re.compile(r"[/\\\x00-\x1f]|^\.+$")
"""What would lead to another folder, or is no name of a file."""


def output_path(
    pattern: PathLike, *, sample_id: str, output_id: str, model_id: str = "model"
) -> Path:
    """The path of one output: the pattern with its fields filled in, other braces untouched.

    Args:
        pattern: with `{sample_id}`, `{output_id}` (or `{member_id}`) and `{model_id}` in it.
        sample_id, output_id, model_id: names; what would divide folders in them becomes `_`.

    Examples:
        >>> output_path("out/{sample_id}_{output_id}.tif", sample_id="a", output_id="mask").name
        'a_mask.tif'
    """
    fields = {"sample_id": sample_id, "output_id": output_id, "member_id": output_id}
    names = {**fields, "model_id": model_id}

    def filled(match: re.Match[str]) -> str:
        return _NO_NAME.sub("_", names[match.group(1)])

    path = Path(re.sub(f"{{({'|'.join(names)})}}", filled, str(expanded(pattern))))
    # a name that begins with `~` is no folder of a user
    return path.absolute() if str(path).startswith("~") else path


def output_paths(
    pattern: PathLike, contract: ModelContract, *, sample_id: str | None
) -> dict[MemberId, Path]:
    """The path of each output of a model.

    Args:
        pattern: as of `output_path`.
        sample_id: None is that of a sample without a name.
    """
    return {
        tensor.id: output_path(
            pattern, sample_id=sample_id or SAMPLE, output_id=tensor.id, model_id=contract.id
        )
        for tensor in contract.outputs
    }


def check_paths(pattern: PathLike, contract: ModelContract) -> None:
    """Refuse a pattern that could not hold the outputs."""
    text = os.fspath(pattern)
    if "{input_id}" in text:
        raise FileWriteError(
            "an output is not one of an input",
            expected="{output_id} in the name of the file",
            got=text,
        )
    paths = output_paths(pattern, contract, sample_id=SAMPLE)
    for path in paths.values():
        check_writable(path)
    if len({_resolved(_written_to(path)) for path in paths.values()}) < len(paths):
        raise FileWriteError(
            "several outputs would be written to the same file",
            expected="{output_id} in the name of the file",
            got=text,
        )
    check_sizes(pattern, contract, {})


def check_sizes(
    pattern: PathLike, contract: ModelContract, sizes: Mapping[MemberId, Mapping[AxisId, Any]]
) -> None:
    """Refuse a format that can not hold the outputs.

    Args:
        pattern: one that `check_paths` does not refuse.
        sizes: of each output by axis, as far as they are known: those of a `BlockPlan`, for
            example.

    Raises:
        FileWriteError: if so.
    """
    paths = output_paths(pattern, contract, sample_id=SAMPLE)
    for tensor in contract.outputs:
        if tensor.dtype is not None:
            low, high = tensor.data_range
            unit_range = low is not None and high is not None and low >= 0 and high <= 1
            spec = _known_spec(tensor, tensor.dtype, sizes.get(tensor.id, {}))
            check_holds(paths[tensor.id], spec, unit_range=unit_range)


def _known_spec(tensor: TensorContract, dtype: str, sizes: Mapping[AxisId, Any]) -> TensorSpec:
    described = {a.id: a.size.size for a in tensor.axes if isinstance(a.size, FixedSize)}
    # what is planned is what the network gives, which may have other channels
    known = {**sizes, **described}
    extra = [axis for axis in sizes if axis not in tensor.axis_ids]
    axes = (*extra, *tensor.axis_ids)
    return TensorSpec(axes, [known.get(axis) for axis in axes], dtype)


def check_places(
    pattern: PathLike,
    sample: Sample,
    contract: ModelContract,
    read: Iterable[PathLike] = (),
    *,
    overwrite: bool = True,
) -> None:
    """Refuse to write over what would be lost: an image that is read, or something else.

    Args:
        read: files that the sample is read from; those that its tensors read are known.
        overwrite: whether outputs that are there already may be replaced.

    Raises:
        FileWriteError: if so.
    """
    mine = (_file_of(tensor.data) for tensor in sample.members.values())
    images = [_place_of(file) for file in (*read, *filter(None, mine))]
    for path in output_paths(pattern, contract, sample_id=sample.id).values():
        place = _written_to(path)
        check_place(place)
        if any(_is_same(place, part) for image in images for part in (image, *image.parents)):
            raise FileWriteError(
                f"this would overwrite the image {path}", remedy="write to another file"
            )
        check_replaceable(path)
        if _resolved(place).exists() and not overwrite:
            raise FileWriteError(
                f"{place} is there already",
                remedy="write to another file, or allow to replace it (overwrite)",
            )


def _place_of(path: PathLike) -> Path:
    """The file, or the folder of an array, that is read."""
    place = location(path)
    return place.file / place.inner if place.suffix == ".zarr" else place.file


def _written_to(path: Path) -> Path:
    """The file or folder that is replaced by what is written to a path."""
    place = location(path)
    return place.file / place.inner if is_ome_zarr(place) else place.file


def _resolved(path: Path) -> Path:
    # also where a folder is still to be made, and the path leads out of it again
    return Path(os.path.realpath(path))


def _is_same(one: Path, other: Path) -> bool:
    if _resolved(one) == _resolved(other):
        return True
    return one.exists() and other.exists() and one.samefile(other)


def _file_of(data: Any) -> Path | None:
    """The file that data are read from where they are asked for, if they are."""
    while (behind := getattr(data, "source", getattr(data, "origin", None))) is not None:
        data = behind
    if isinstance(data, MappedFile):
        return data.path
    if isinstance(data, StoredArray):
        return data.place.file / data.place.inner
    found = (
        getattr(data, "filename", None)  # memmap
        or getattr(getattr(data, "store", None), "root", None)  # Zarr
        or getattr(getattr(data, "file", None), "filename", None)  # HDF5
    )
    return Path(found) if isinstance(found, (str, os.PathLike)) else None


def new_paths(
    pattern: PathLike, sample: Sample, contract: ModelContract, written: set[Path]
) -> set[Path]:
    """The files of a sample's outputs; refused if one of them was written for another sample."""
    found = output_paths(pattern, contract, sample_id=sample.id)
    paths = {_resolved(_written_to(path)) for path in found.values()}
    for path in paths & written:
        raise FileWriteError(
            f"this would overwrite the prediction of another sample: {path}",
            got=f"a second sample named {sample.id}",
            remedy="give samples different names",
        )
    return paths
