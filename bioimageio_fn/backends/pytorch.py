"""PyTorch state dicts: tensors by name, and code that makes the network that they belong to.

What holds here: the code runs only with the caller's consent, which is part of the recipe, and is
asked for when the recipe is made and whenever the network is opened. Weights are read as tensors
and nothing else: no consent makes them more.
"""

from __future__ import annotations

import inspect
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar

import attrs
from immutabledict import immutabledict

from ..contract.files import Architecture
from ..errors import (
    BackendError,
    BioimageioFnWarning,
    DescriptionError,
    MissingDependencyError,
    UnsafePackageError,
)
from ..ops.custom import frozen, plain
from ..trusted import FileCode, LibraryCode, TrustCode, code_of_package, consent
from .modules import free_memory, network_of, torch_devices
from .recipe import Network, Recipe
from .signature import Port

__all__ = ["PytorchBackend", "input_ports", "trusted_code"]

_OLDEST = (2, 6)
"""PyTorch before 2.6 runs code that is hidden in weights, though told not to (CVE-2025-32434)."""


def _typed(value: Any) -> Any:
    """What keywords are compared by: of 1, 1.0 and True, which are equal, each is its own."""
    if isinstance(value, Mapping):
        return frozenset((name, _typed(inner)) for name, inner in value.items())
    return tuple(map(_typed, value)) if isinstance(value, tuple) else (type(value), value)


@attrs.frozen(kw_only=True)
class PytorchBackend(Recipe):
    """A file of tensors and code for their network, as a function of arrays.

    Args:
        code: gives the class or function that makes the network; see also `Recipe`.
        kwargs: what that is called with.
        strict: whether the tensors have to be exactly those of the network.
    """

    code: FileCode | LibraryCode
    kwargs: Mapping[str, Any] = attrs.field(factory=immutabledict, converter=frozen, eq=_typed)
    strict: bool = True

    framework: ClassVar[str] = "torch"

    def available(self) -> tuple[str, ...]:
        """The devices of PyTorch."""
        return torch_devices()

    def open(self, path: Path, device: str) -> Network:
        """The module as a network; it says the names of its inputs, not their sizes."""
        module = self.module(path, device)
        ports, by_position = input_ports(module.forward, len(self.input_ids))
        return network_of(module, ports, device, by_position=by_position)

    def module(self, path: Path, device: str) -> Any:
        """The `torch.nn.Module` with its tensors.

        Raises:
            UntrustedCodeError: if its code may not run.
            UnsafePackageError: if the weights hold more than tensors.
            BackendError: if the network can not be made, or does not fit its weights.
        """
        state = _tensors(path, device)
        module = _network(self.code, self.kwargs)
        _fill(module, state, path.name, strict=self.strict)
        return module.to(device)

    def close(self) -> None:
        """Free the network, on a GPU too; it is opened again when it is needed."""
        super().close()
        free_memory()


def input_ports(forward: Callable[..., Any], count: int) -> tuple[list[Port], int]:
    """The inputs of a function that is given so many, and how many of them have no name for it."""
    ports: list[Port] = []
    by_position = 0
    for p in inspect.signature(forward).parameters.values():
        if p.kind == p.VAR_POSITIONAL:
            ports += [Port(f"{p.name}[{i}]") for i in range(count - len(ports))]
        elif p.kind != p.VAR_KEYWORD:
            ports.append(Port(p.name, optional=_optional(p)))
        if p.kind in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY):
            by_position = len(ports)
    return ports, by_position


def _optional(parameter: inspect.Parameter) -> bool | None:
    # what has no default may still take None
    return True if parameter.default is None else None


def trusted_code(
    architecture: Architecture, trust_code: TrustCode, *, instead: str | None = None
) -> FileCode | LibraryCode:
    """The code that makes a network, if the caller consents to it; see `code_of_package`.

    Args:
        architecture: as described.
        trust_code: what the caller has said about the package's code.
        instead: another way on than consent, for the error.

    Raises:
        UntrustedCodeError: if the caller does not.
        MissingFileError, HashMismatchError: if a file is not there, or not the one described.
    """
    what, said = "these weights need code of the model", consent(trust_code)
    if architecture.file is None:
        library = LibraryCode(architecture.module, architecture.callable, said)
        library.check(what, instead=instead)
        return library
    return code_of_package(
        architecture.file,
        architecture.callable,
        architecture.beside,
        said,
        what,
        instead=instead,
    )


def _tensors(path: Path, device: str) -> Mapping[str, Any]:
    import torch

    _check_version(torch.__version__)
    _check_stored(path)
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except UnpicklingError as error:
        raise UnsafePackageError(
            f"{path.name} holds more than tensors, and could run code",
            got=" ".join(str(error).split())[:200],
            remedy="ask the authors for a state dict, or take weights of another format",
        ) from error
    except Exception as error:
        raise BackendError(f"torch can not open {path.name}: {error}") from error
    values = state.items() if isinstance(state, Mapping) else ()
    others = [n for n, v in values if not isinstance(n, str) or not isinstance(v, torch.Tensor)]
    if not values or others:
        raise BackendError(
            f"{path.name} is no state dict",
            expected="tensors by name",
            got=f"other things, such as {others[0]}" if others else type(state).__name__,
        )
    return dict(values)


def _check_stored(path: Path) -> None:
    # PyTorch writes archives without compression: what comes out of one lies in it
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise BackendError(f"torch can not open {path.name}: {error}") from error
    packed = [m.filename for m in members if m.compress_type != zipfile.ZIP_STORED]
    if packed or sum(m.file_size for m in members) > path.stat().st_size:
        raise UnsafePackageError(
            f"more would come out of {path.name} than it holds",
            expected="tensors without compression, as PyTorch saves them",
            got=f"{packed[0]}, which is compressed" if packed else "members that overlap",
            remedy="load the weights and save them again with torch.save",
        )


def _check_version(version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise MissingDependencyError(
            "this PyTorch runs code that is hidden in weights, though told not to",
            expected="torch 2.6 or newer",
            got=f"torch {version}",
            remedy="pip install --upgrade torch",
        )


def _network(code: FileCode | LibraryCode, kwargs: Mapping[str, Any]) -> Any:
    import torch

    make = code()
    try:
        module = make(**plain(kwargs))
    except Exception as error:
        raise BackendError(
            f"{code.name} can not make the network: {type(error).__name__}: {error}",
            remedy="does the description give the keywords that it takes?",
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise DescriptionError(
            f"{code.name} makes no network",
            expected="a torch.nn.Module",
            got=type(module).__name__,
        )
    return module


def _fill(module: Any, state: Mapping[str, Any], name: str, *, strict: bool) -> None:
    try:
        left = module.load_state_dict(state, strict=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise BackendError(f"{name} does not fit the network: {reason}") from error
    differences = {"not in the file": left.missing_keys, "not in the network": left.unexpected_keys}
    texts = [f"{kind}: {_some(keys)}" for kind, keys in differences.items() if keys]
    if texts and strict:
        raise BackendError(f"{name} has other tensors than the network", got="; ".join(texts))
    if texts:
        text = f"{name} has other tensors than the network, as its description allows: "
        warnings.warn(text + "; ".join(texts), BioimageioFnWarning, stacklevel=2)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
