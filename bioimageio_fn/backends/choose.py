"""`load_backend`: the weights of a model that can be run here, as a callable.

What holds here: choosing imports no framework; where nothing can be run, one error says of every
format why, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

import attrs

from ..contract.files import FileRef, architecture_of, external_data, weights_refs
from ..contract.read import model_contract
from ..errors import MissingDependencyError, WeightsFormatError
from ..package import described, local_file_with
from ..trusted import TrustCode
from .onnx import OnnxBackend
from .pytorch import PytorchBackend, trusted_code
from .torchscript import TorchscriptBackend

__all__ = ["FORMATS", "Backend", "WeightsFormat", "load_backend"]


@runtime_checkable
class Backend(Protocol):
    """Anything that runs a network: arrays in the order of the inputs, a tuple of arrays out."""

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        """Run the network once."""
        ...


@attrs.frozen
class WeightsFormat:
    """How weights of a format are run.

    Args:
        make: the recipe's class.
        package: what has to be installed.
        extra: the extra of this package that installs it.
    """

    make: Callable[..., Backend]
    package: str
    extra: str


FORMATS = {
    "onnx": WeightsFormat(OnnxBackend, "onnxruntime", "onnx"),
    "torchscript": WeightsFormat(TorchscriptBackend, "torch", "torch"),
    "pytorch_state_dict": WeightsFormat(PytorchBackend, "torch", "torch"),
}
"""The formats that can be run, the one to prefer first; last the one that needs code."""


def load_backend(
    model: Any,
    *,
    weights_format: str | None = None,
    device: str | None = None,
    trust_code: TrustCode = False,
) -> Backend:
    """The network of a model as a callable.

    Args:
        model: a source or a model description.
        weights_format: `onnx`, `torchscript` or `pytorch_state_dict`; by default the first of these
            that the model has and whose framework is installed.
        device: `cpu` (the default), `cuda`, `cuda:N`, `mps`.
        trust_code: whether Python code of the model may run, which makes the network of a
            `pytorch_state_dict`; or a set of sha256 values: those of the files that may.

    Returns:
        A frozen recipe that pickles; the network is opened on first use.

    Raises:
        WeightsFormatError: if the model does not have these weights, or none that can be run.
        MissingDependencyError: if the framework is not installed; names the extra.
        UntrustedCodeError: if the weights need code that may not run.
        MissingFileError, HashMismatchError: if the weights are not there, or others.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> backend = load_backend(fn.demo_model(), weights_format="onnx")
        >>> (output,) = backend(np.zeros((1, 1, 64, 64), "float32"))
        >>> output.shape
        (1, 1, 64, 64)
    """
    description = described(model)
    refs = weights_refs(description)
    name = _chosen(refs, weights_format)
    contract = model_contract(description)
    path = local_file_with(refs[name], external_data(description, name))
    return FORMATS[name].make(
        path,
        sha256=refs[name].sha256,
        device=device or "cpu",
        input_ids=[t.id for t in contract.inputs],
        output_ids=[t.id for t in contract.outputs],
        **(_with_code(description, refs, trust_code) if name == "pytorch_state_dict" else {}),
    )


def _with_code(
    description: Any, refs: Mapping[str, FileRef], trust_code: TrustCode
) -> dict[str, Any]:
    """What a state dict needs beside its weights."""
    architecture = architecture_of(description)
    others = [name for name in FORMATS if name in refs and name != "pytorch_state_dict"]
    ways = [name if _installed(name) else f"{name} ({_reason(name)})" for name in others]
    instead = f"take weights that need no code: {', '.join(ways)}" if ways else None
    return {
        "code": trusted_code(architecture, trust_code, instead=instead),
        "kwargs": architecture.kwargs,
        "strict": architecture.strict,
    }


def _chosen(refs: dict[str, FileRef], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in refs:
            raise WeightsFormatError(
                "the model has no weights of this format",
                expected=f"one of {', '.join(refs)}",
                got=wanted,
            )
        if wanted not in FORMATS:
            raise WeightsFormatError(
                f"weights of the format {wanted} can not be run yet", expected=_runnable(refs)
            )
        if not _installed(wanted):
            raise MissingDependencyError(_reason(wanted))
        return wanted
    for name in FORMATS:
        if name in refs and _installed(name):
            return name
    reasons = "; ".join(f"{name}: {_reason(name)}" for name in refs)
    error = MissingDependencyError if any(n in FORMATS for n in refs) else WeightsFormatError
    raise error(f"none of the model's weights can be run here ({reasons})")


def _runnable(refs: dict[str, FileRef]) -> str:
    return f"one of {', '.join(n for n in FORMATS if n in refs) or ', '.join(FORMATS)}"


def _installed(name: str) -> bool:
    return find_spec(FORMATS[name].package) is not None


def _reason(name: str) -> str:
    if name not in FORMATS:
        return "can not be run yet"
    entry = FORMATS[name]
    return (
        f"the package {entry.package} is not installed (pip install 'bioimageio_fn[{entry.extra}]')"
    )
