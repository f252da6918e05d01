"""Where the outputs of a sample are written: one file for each, named by a pattern.

What holds here: what can be refused is refused before anything runs; a file is there when it is
whole; outputs of many blocks are written while these are made, and are then read from their files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from .axes import MemberId
from .blocks.merge import Create
from .contract.records import ModelContract
from .errors import FileWriteError
from .io.formats import check_writable, location
from .io.images import open_image, write_image
from .io.stores import created, scratch
from .ops.kernels import Cast, Mapped
from .sample import Sample
from .spec import TensorSpec, tensor_spec
from .tensor import Tensor, insert_axes, transpose

__all__ = [
    "PathLike",
    "check_paths",
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
    for tensor in contract.outputs:
        low, high = tensor.data_range
        unit = low is not None and high is not None and low >= 0 and high <= 1
        path = output_path(pattern, sample_id="sample", output_id=tensor.id)
        check_writable(path, tensor.dtype, unit)


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


def saved_while_made(run: Callable[..., Sample], pattern: PathLike, sample_id: str) -> Sample:
    """Run with the outputs written to their files while they are made.

    Args:
        run: takes `create` and `scratch`, as `pipeline.run` does.
        pattern: as of `save_sample`.
        sample_id: fills in `{sample_id}`.

    Returns:
        The outputs, which are read from their files where they are asked for.

    Raises:
        FileWriteError: if a format can not hold an output, or a file can not be written; no file is
            left then, and what stood there remains.
    """

    def path_of(name: MemberId) -> Path:
        return output_path(pattern, sample_id=sample_id, output_id=name)

    # beside the results there is room for what is as large; a system's folder may be in memory
    folder = location(path_of(MemberId(""))).file.parent
    folder.mkdir(parents=True, exist_ok=True)
    with _created_once(path_of) as create, scratch(folder) as space:
        made = run(create=create, scratch=space)
    specs = {name: tensor_spec(tensor) for name, tensor in made.members.items()}
    members = {name: _reopened(path_of(name), spec) for name, spec in specs.items()}
    return attrs.evolve(made, members=members)


@contextmanager
def _created_once(path_of: Callable[[MemberId], Path]) -> Iterator[Create]:
    """A function that makes the file of an output, which is in its place behind the block."""
    made: dict[MemberId, Any] = {}
    with ExitStack() as files:

        def create(name: MemberId, spec: TensorSpec) -> Any:
            if name not in made:
                made[name] = files.enter_context(created(path_of(name), spec))
            return made[name]

        yield create


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
    return Tensor(Mapped(tensor.data, [Cast(spec.dtype)]), tensor.axes)
