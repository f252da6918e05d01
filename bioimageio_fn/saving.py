"""How the outputs of a sample are written: one file for each, named by a pattern.

What holds here: a file is there when it is whole; outputs of many blocks are written while these
are made, and are then read from their files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from .axes import MemberId
from .calibration import UNKNOWN, Calibration
from .contract.records import ModelContract, TensorContract
from .files import writing
from .io.formats import TIFF, is_ome_zarr, location
from .io.images import open_image, write_image
from .io.pictures import viewed_axes
from .io.stores import created_together, scratch
from .io.target import Target
from .naming import SAMPLE, PathLike, output_path, output_paths
from .ops.instance_records import ToLabels
from .ops.kernels import Cast, Mapped
from .sample import Sample
from .spec import TensorSpec, tensor_spec
from .tensor import Tensor, insert_axes, transpose

__all__ = [
    "is_labels",
    "save_sample",
    "saved_while_made",
    "written_in_regions",
]


def save_sample(
    sample: Sample, pattern: PathLike, *, contract: ModelContract | None = None
) -> list[Path]:
    """Write each tensor of a sample to a file.

    Args:
        pattern: path with `{output_id}` (or `{member_id}`), `{sample_id}` and `{model_id}` to be
            filled in.
        contract: of the model whose outputs these are: it knows which of them are labels, and the
            id of the model.

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
    names = {"model_id": contract.id} if contract else {}
    return [
        write_image(
            output_path(pattern, sample_id=sample.id or SAMPLE, output_id=name, **names),
            tensor,
            labels=None if contract is None else is_labels(contract.tensor(name, "output")),
        )
        for name, tensor in sample.members.items()
    ]


def is_labels(output: TensorContract) -> bool | None:
    """Whether the values of an output are names of objects or classes; None if only its type tells.

    Those are that are found as objects, and those that are described one by one.
    """
    if output.nominal or any(isinstance(step, ToLabels) for step in output.operations):
        return output.dtype is None or "float" not in output.dtype
    return None


def written_in_regions(pattern: PathLike) -> bool:
    """Whether outputs can be written region by region: not as PNG."""
    return Path(pattern).suffix.lower() != ".png"


def saved_while_made(
    run: Callable[..., Sample],
    pattern: PathLike,
    sample_id: str | None,
    contract: ModelContract,
    calibrations: Mapping[MemberId, Calibration],
) -> Sample:
    """Run with the outputs written to their files while they are made.

    Args:
        run: takes `create` and `scratch`, as `pipeline.run` does.
        pattern: as of `save_sample`.
        sample_id: fills in `{sample_id}`.
        contract: of the model.
        calibrations: of the outputs, as `output_calibrations` tells them.

    Returns:
        The outputs, which are read from their files where they are asked for.

    Raises:
        FileWriteError: if a format can not hold an output, or a file can not be written; no file is
            left then, and what stood there remains.
    """
    paths = output_paths(pattern, contract, sample_id=sample_id)
    # beside the results there is room for what is as large; a system's folder may be in memory
    folder = location(next(iter(paths.values()))).file.parent
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    targets: dict[MemberId, Target] = {}
    with created_together() as created, scratch(folder) as space:

        def create(name: MemberId, spec: TensorSpec) -> Target:
            if name not in targets:
                labels = is_labels(contract.tensor(name, "output"))
                known = calibrations.get(name, UNKNOWN)
                targets[name] = created(paths[name], spec, known, labels=labels)
            return targets[name]

        made = run(create=create, scratch=space)
    members = {
        name: attrs.evolve(tensor, data=_reopened(paths[name], tensor_spec(tensor)).data)
        for name, tensor in made.members.items()
    }
    return attrs.evolve(made, members=members)


def _reopened(path: Path, spec: TensorSpec) -> Tensor:
    """The tensor that was written to a file, read where it is asked for."""
    place = location(path)
    image = open_image(path / "0" if is_ome_zarr(place) else path)
    for_viewers = place.suffix in TIFF or is_ome_zarr(place)
    kept = viewed_axes(spec.axes, spec.shape) if for_viewers else range(len(spec.axes))
    axes = [spec.axes[i] for i in kept]
    missing = [a for a in spec.axes if a not in axes]
    tensor = transpose(insert_axes(Tensor(image, axes), missing), spec.axes)
    if tensor.dtype == spec.dtype:
        return tensor
    # truth values became 0 and 1
    return attrs.evolve(tensor, data=Mapped(tensor.data, [Cast(spec.dtype)]))
