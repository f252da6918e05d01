"""`load_backend`: the weights of a model that can be run here, as a callable.

What holds here: choosing imports no framework; where nothing can be run, one error says of every
format why, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs

from ..contract.files import (
    FileRef,
    architecture_of,
    check_has,
    external_data,
    framework_version,
    weights_refs,
)
from ..contract.read import model_contract
from ..errors import BioimageioFnError, DeviceError, MissingDependencyError, WeightsFormatError
from ..files import sha256_of
from ..package import described, local_file_with
from ..trusted import TrustCode, consent
from .devices import spelled
from .formats import FORMATS, obstacle, recipe_class
from .recipe import Recipe
from .replicas import Replicas
from .versions import warn_of_version

__all__ = ["Backend", "create_model_adapter", "load_backend"]


@runtime_checkable
class Backend(Protocol):
    """Anything that runs a network: arrays in the order of the inputs, a tuple of arrays out.

    It may have more, which is used where it is there: `close()`, which frees its memory;
    `signature`, whose fixed sizes blocks keep to; `parallel`, how many calls can run side by side.
    """

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        """Run the network once."""
        ...


def load_backend(
    model: Any,
    *,
    weights_format: str | None = None,
    device: str | Sequence[str] | None = None,
    trust_code: TrustCode = False,
) -> Recipe | Replicas:
    """The network of a model as a callable.

    As a context manager it frees the network at its end.

    Args:
        model: a source or a model description.
        weights_format: `onnx`, `torchscript`, `keras_v3`, `keras_hdf5`,
            `tensorflow_saved_model_bundle` or `pytorch_state_dict`; by default the first of these
            that the model has and whose framework is installed.
        device: `cpu`, `cuda`, `cuda:N` or `mps`; by default one GPU, if there is one that the
            framework can use, else the CPU. Several devices make a replica on each, which run side
            by side where they are called from several threads.
        trust_code: whether Python code of the model may run: what makes the network of a
            `pytorch_state_dict`, and `Lambda` layers of Keras; or a set of sha256 values: those of
            the files that may.

    Returns:
        A frozen recipe that pickles; the network is opened on first use. For several devices
        `Replicas` of it.

    Raises:
        WeightsFormatError: if the model does not have these weights, or none that can be run.
        MissingDependencyError: if the framework is not installed; names the extra.
        DeviceError: if the device is not there; names those that are.
        UntrustedCodeError: if the weights need code that may not run.
        MissingFileError, HashMismatchError: if the weights are not there, or others.

    Warns:
        BioimageioFnWarning: once for each model, if the framework is older than the one that the
            weights were made with, or of another major version.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> with load_backend(fn.demo_model(), weights_format="onnx", device="cpu") as backend:
        ...     (output,) = backend(np.zeros((1, 1, 64, 64), "float32"))
        >>> output.shape
        (1, 1, 64, 64)
    """
    description = described(model)
    refs = weights_refs(description)
    devices = _devices(device)
    name = _chosen(refs, weights_format, devices)
    contract = model_contract(description)
    beside = external_data(description, name)
    path = local_file_with(refs[name], beside)
    recipe: Recipe = recipe_class(name)(
        path,
        sha256=_digest(path, refs[name].sha256),
        device=devices[0],
        input_ids=[t.id for t in contract.inputs],
        output_ids=[t.id for t in contract.outputs],
        **({"external": _placed(path, refs[name], beside)} if beside else {}),
        **_with_code(name, description, trust_code),
    )
    if (framework := FORMATS[name].made_with) is not None:
        warn_of_version(path, framework, framework_version(description, name))
    replicas = Replicas(attrs.evolve(recipe, device=d) for d in devices)
    replicas.check_device()
    return replicas if len(devices) > 1 else recipe


def _placed(path: Path, ref: FileRef, beside: Sequence[FileRef]) -> tuple[tuple[Path, str], ...]:
    """The files that lie beside one, as they do in the package, with their sha256."""
    root = path.parents[ref.place.count("/")]
    places = ((root / other.place, other.sha256) for other in beside)
    return tuple((place, _digest(place, sha256)) for place, sha256 in places)


def _digest(path: Path, described: str | None) -> str:
    # a recipe without it would be equal to that of another content, and share its network
    return described or sha256_of(path)


def _with_code(name: str, description: Any, trust_code: TrustCode) -> dict[str, Any]:
    """What a recipe has to know of code, if its format may have some."""
    said = consent(trust_code)
    if name.startswith("keras"):
        return {"said": said}
    if name != "pytorch_state_dict":
        return {}
    from .pytorch import trusted_code

    architecture = architecture_of(description)
    problems = {n: obstacle(n) for n in FORMATS if n in weights_refs(description) and n != name}
    ways = [n if problem is None else f"{n} ({problem})" for n, problem in problems.items()]
    instead = f"take weights that need no code: {', '.join(ways)}" if ways else None
    return {
        "code": trusted_code(architecture, said, instead=instead),
        "kwargs": architecture.kwargs,
        "strict": architecture.strict,
    }


def _devices(device: str | Sequence[str] | None) -> tuple[str | None, ...]:
    if device is None or isinstance(device, str):
        return (spelled(device),)
    if not device:
        raise DeviceError("no device to run on", expected="at least one", got="none")
    return tuple(map(spelled, device))


create_model_adapter = load_backend


def _chosen(refs: Mapping[str, FileRef], wanted: str | None, devices: Sequence[str | None]) -> str:
    order = [name for name in FORMATS if name in refs]
    problems = {name: obstacle(name, devices) for name in (*order, *(refs.keys() - FORMATS.keys()))}
    usable = [name for name, problem in problems.items() if problem is None]
    if wanted is None:
        if not usable:
            raise _nothing(problems)
        return usable[0]
    check_has(refs, wanted)
    if (problem := problems[wanted]) is not None:
        rest = f"its weights that can be run here: {', '.join(usable) or 'none'}"
        problem.remedy = f"{problem.remedy}, or take others; {rest}" if problem.remedy else rest
        problem.what = f"weights of the format {wanted}: {problem.what}"
        raise problem
    return wanted


def _nothing(problems: Mapping[str, BioimageioFnError | None]) -> BioimageioFnError:
    """One error for all formats, of the kind that is the easiest to help."""
    reasons = [f"{name}: {problem}" for name, problem in problems.items()]
    reasons += [f"{name}: the model has none" for name in FORMATS if name not in problems]
    kinds = {type(problem) for problem in problems.values() if problem is not None}
    kind = next(k for k in (MissingDependencyError, DeviceError, WeightsFormatError) if k in kinds)
    return kind(f"none of the model's weights can be run here ({' | '.join(reasons)})")
