"""Where the outputs of a sample are written: one file for each, named by a pattern.

What holds here: what can be refused is refused before anything runs; a file is there when it is
whole; outputs of many blocks are written while these are made, and are then read from their files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from .axes import MemberId
from .contract.records import ModelContract
from .errors import FileWriteError
from .files import writing
from .io.formats import check_writable, location
from .io.images import open_image, write_image
from .io.mapped import MappedFile
from .io.sources import StoredArray
from .io.stores import Target, check_replaceable, created_together, scratch
from .ops.kernels import Cast, Mapped
from .sample import Sample
from .spec import TensorSpec, tensor_spec
from .tensor import Tensor, insert_axes, transpose

__all__ = [
    "PathLike",
    "check_paths",
    "check_places",
    "new_paths",
    "output_path",
    "save_sample",
    "saved_while_made",
    "written_in_regions",
]

PathLike: TypeAlias = str | os.PathLike[str]


def output_path(pattern: PathLike, *, sample_id: str, output_id: str) -> Path:
    """The path of one output: the pattern with its fields filled in, other braces untouched.

    Examples:
        >>> output_path("out/{sample_id}_{output_id}.tif", sample_id="a", output_id="mask").name
        'a_mask.tif'
    """
    text = os.fspath(pattern)
    fields = {"{sample_id}": sample_id, "{output_id}": output_id, "{member_id}": output_id}
    for field, value in fields.items():
        text = text.replace(field, value)
    return Path(text).expanduser()


def check_paths(pattern: PathLike, contract: ModelContract) -> None:
    """Refuse a pattern that could not hold the outputs."""
    text = os.fspath(pattern)
    paths = [output_path(pattern, sample_id="sample", output_id=t.id) for t in contract.outputs]
    if len({location(path).file for path in paths}) < len(paths):
        raise FileWriteError(
            "several outputs would be written to the same file",
            expected="{output_id} in the name of the file",
            got=text,
        )
    for tensor, path in zip(contract.outputs, paths, strict=True):
        low, high = tensor.data_range
        unit = low is not None and high is not None and low >= 0 and high <= 1
        check_writable(path, tensor.dtype, unit)


def check_places(
    pattern: PathLike, sample: Sample, contract: ModelContract, read: Iterable[PathLike] = ()
) -> None:
    """Refuse to write over what would be lost: an image that is read, or something else.

    Args:
        read: files that the sample is read from; those that its tensors read are known.

    Raises:
        FileWriteError: if so.
    """
    mine = (_file_of(tensor.data) for tensor in sample.members.values())
    images = [location(file).file for file in (*read, *filter(None, mine))]
    for tensor in contract.outputs:
        path = output_path(pattern, sample_id=sample.id or "sample", output_id=tensor.id)
        check_replaceable(path)
        if any(_is_same(location(path).file, image) for image in images):
            raise FileWriteError(
                f"this would overwrite the image {path}", remedy="write to another file"
            )


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _file_of(data: Any) -> Path | None:
    """The file that data are read from where they are asked for, if they are."""
    while (behind := getattr(data, "source", getattr(data, "origin", None))) is not None:
        data = behind
    if isinstance(data, MappedFile):
        return data.path
    if isinstance(data, StoredArray):
        return data.place.file
    found = (
        getattr(data, "filename", None)  # memmap
        or getattr(getattr(data, "store", None), "root", None)  # Zarr
        or getattr(getattr(data, "file", None), "filename", None)  # HDF5
    )
    return Path(found) if isinstance(found, (str, os.PathLike)) else None


def save_sample(sample: Sample, pattern: PathLike) -> list[Path]:
    """Write each tensor of a sample to a file.

    Args:
        pattern: path with `{output_id}` (or `{member_id}`) and `{sample_id}` to be filled in.

    Returns:
        The paths written.

    Raises:
        FileWriteError: if a format can not hold a tensor, or a file can not be written.

    Examples:
        >>> import tempfile
        >>> from bioimageio_fn.tensor import Tensor
        >>> sample = Sample({"mask": Tensor([[0, 1]], "yx")}, id="a")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in save_sample(sample, f"{folder}/{{sample_id}}.npy")]
        ['a.npy']
    """
    return [
        write_image(output_path(pattern, sample_id=sample.id or "sample", output_id=name), tensor)
        for name, tensor in sample.members.items()
    ]


def new_paths(
    pattern: PathLike, sample: Sample, contract: ModelContract, written: set[Path]
) -> set[Path]:
    """The files of a sample's outputs; refused if one of them was written for another sample."""
    paths = {
        location(output_path(pattern, sample_id=sample.id or "sample", output_id=tensor.id)).file
        for tensor in contract.outputs
    }
    for path in paths & written:
        raise FileWriteError(
            f"this would overwrite the prediction of another sample: {path}",
            got=f"a second sample named {sample.id}",
            remedy="give samples different names",
        )
    return paths


def written_in_regions(pattern: PathLike) -> bool:
    """Whether outputs can be written region by region: not as PNG."""
    return Path(pattern).suffix.lower() != ".png"


def saved_while_made(
    run: Callable[..., Sample], pattern: PathLike, sample_id: str, outputs: Iterable[str]
) -> Sample:
    """Run with the outputs written to their files while they are made.

    Args:
        run: takes `create` and `scratch`, as `pipeline.run` does.
        pattern: as of `save_sample`.
        sample_id: fills in `{sample_id}`.
        outputs: ids of the outputs.

    Returns:
        The outputs, which are read from their files where they are asked for.

    Raises:
        FileWriteError: if a format can not hold an output, or a file can not be written; no file is
            left then, and what stood there remains.
    """
    paths = {name: output_path(pattern, sample_id=sample_id, output_id=name) for name in outputs}
    # beside the results there is room for what is as large; a system's folder may be in memory
    folder = location(next(iter(paths.values()))).file.parent
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    targets: dict[MemberId, Target] = {}
    with created_together() as created, scratch(folder) as space:

        def create(name: MemberId, spec: TensorSpec) -> Target:
            if name not in targets:
                targets[name] = created(paths[name], spec)
            return targets[name]

        made = run(create=create, scratch=space)
    specs = {name: tensor_spec(tensor) for name, tensor in made.members.items()}
    members = {name: _reopened(paths[name], spec) for name, spec in specs.items()}
    return attrs.evolve(made, members=members)


def _reopened(path: Path, spec: TensorSpec) -> Tensor:
    """The tensor that was written to a file, read where it is asked for."""
    image = open_image(path)
    whole = len(image.shape) == len(spec.axes)
    # TIFF leaves out axes of size 1, and has no truth values
    axes = [a for a, n in spec.sizes.items() if whole or n != 1 or a in ("y", "x")]
    missing = [a for a in spec.axes if a not in axes]
    tensor = transpose(insert_axes(Tensor(image, axes), missing), spec.axes)
    if tensor.dtype == spec.dtype:
        return tensor
    return attrs.evolve(tensor, data=Mapped(tensor.data, [Cast(spec.dtype)]))
