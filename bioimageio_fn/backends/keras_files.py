"""Files of Keras, looked into before Keras opens them.

What holds here: nothing is executed; a file is refused that would run code of its own, unless the
caller trusts it; one that refers to other files is refused in any case, trusted or not.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..archives import check_sizes, most_of
from ..errors import FileReadError, UnsafePackageError, UntrustedCodeError
from ..files import sha256_of
from ..trusted import Consent, trusts

__all__ = ["check_keras_file"]

_CODE = ("Lambda", "TorchModuleWrapper", "TFSMLayer")
"""Layers that hold code: bytecode of Python, a pickle, the path of a SavedModel."""


_DAMAGED = (
    *(OSError, ValueError, KeyError, RecursionError),
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
)
"""What the readers say of a file that is none, or not all of one."""


def check_keras_file(path: Path, said: Consent, known: Callable[[str], Any]) -> bool:
    """Refuse a `.keras` or HDF5 file that does more than hold a network.

    Args:
        path: the file.
        said: what the caller has said about code.
        known: what Keras has under a name that its user has registered, or None.

    Returns:
        Whether code in it may run.

    Raises:
        UntrustedCodeError: if it holds code that may not run.
        UnsafePackageError: if it takes data from other files, or is larger than it can honestly be.
        FileReadError: if it is damaged.
    """
    try:
        config = _checked_zip(path) if _is_zip(path) else _checked_hdf5(path)
    except UnsafePackageError:
        raise
    except _DAMAGED as error:
        raise FileReadError(f"can not read {path.name} as a file of Keras: {error}") from error
    if (file := _vocabulary_in(config)) is not None:
        raise UnsafePackageError(
            f"{path.name} takes data from another file", expected="a vocabulary in it", got=file
        )
    digest = sha256_of(path)
    code = None if trusts(said, digest) else _code_in(config, known)
    if code is not None:
        raise UntrustedCodeError(
            f"{path.name} runs code of its own: {code}",
            expected="your consent",
            remedy="pass trust_code=True (--trust-code)"
            f" or trust_code={{'{digest}'}} if you trust it, or choose other weights of the model",
        )
    return trusts(said, digest)


def _is_zip(path: Path) -> bool:
    """Whether Keras opens a file as a zip archive or as HDF5: its name decides, and has to fit.

    A file can be both at once.
    """
    if path.name.endswith(".keras") and zipfile.is_zipfile(path):
        return True
    if path.name.endswith((".h5", ".hdf5")) and not zipfile.is_zipfile(path):
        return False
    raise ValueError("expected a zip archive named .keras, or an HDF5 file named .h5 or .hdf5")


def _checked_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(m.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for m in members):
            raise ValueError("it is compressed by something else than deflate")
        most = most_of(path.stat().st_size)
        check_sizes((member.file_size for member in members), most, path.name)
        for member in members:
            if member.filename.endswith(".h5"):
                content = io.BytesIO(_read(archive, member))
                _checked_hdf5(content, f"{member.filename} in {path.name}")
        return json.loads(_read(archive, archive.getinfo("config.json")))


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member, of which no more is unpacked than it says; one that says less is damaged."""
    with archive.open(member) as file:
        return file.read(member.file_size) + file.read(1)


def _checked_hdf5(file: Path | io.BytesIO, name: str | None = None) -> Any:
    """The config that an HDF5 file holds, if it has one, and refers to no other file."""
    import h5py

    known_as = name or str(getattr(file, "name", file))
    most = most_of(file.stat().st_size if isinstance(file, Path) else len(file.getbuffer()))
    with h5py.File(file, "r") as content:
        check_sizes(_sizes_of_data(content, known_as), most, known_as)
        return json.loads(content.attrs.get("model_config", "null"))


def _sizes_of_data(group: Any, name: str) -> Iterator[int]:
    """How large each dataset is when it is unpacked.

    Raises:
        UnsafePackageError: if something lies in another file.
    """
    for part in _data_in(group):
        if isinstance(part, str):
            raise UnsafePackageError(
                f"{name} takes data from another file",
                expected="an HDF5 file that holds all of its data",
                got=part,
            )
        yield int(part.nbytes)


def _data_in(group: Any) -> Iterator[Any]:
    """The datasets in an HDF5 group; in the place of what lies in another file, its name."""
    import h5py

    coming, met = [group], {_address(group)}
    while coming:
        part = coming.pop()
        if isinstance(part, h5py.Dataset):
            yield str(part.name) if part.external or part.is_virtual else part
        for name in part if isinstance(part, h5py.Group) else ():
            link = part.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield f"{part.name}/{name}: {link.filename}"
            if not isinstance(link, h5py.HardLink):
                continue  # what a soft link names in this file is met by itself
            member = part[name]
            # an object may lie in many groups, of which each may lie in many again
            if (address := _address(member)) not in met:
                met.add(address)
                coming.append(member)


def _address(member: Any) -> int:
    import h5py

    return int(h5py.h5o.get_info(member.id).addr)


def _vocabulary_in(config: Any) -> str | None:
    """The file that a layer such as `StringLookup` takes its words from, or None."""
    files = (part["vocabulary"] for part in _parts(config) if "vocabulary" in part)
    return next((file for file in files if isinstance(file, str)), None)


def _code_in(config: Any, known: Callable[[str], Any]) -> str | None:
    """What in the config of a model is code, or None."""
    for part in _parts(config):
        name = part.get("class_name")
        if name in _CODE:
            return f"a layer of the kind {name}"
        if name == "__lambda__" or part.get("function_type") == "lambda":
            return "a function as bytecode"
        if not _of_keras(part.get("module")) and not _registered(part, known):
            return f"{name} of the library {part['module']}"
    return None


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """All mappings in the config of a model."""
    coming = [config]
    while coming:
        part = coming.pop()
        if isinstance(part, list):
            coming += part
        if isinstance(part, dict):
            yield part
            coming += part.values()


def _of_keras(module: Any) -> bool:
    return module in (None, "builtins", "keras") or str(module).startswith("keras.")


def _registered(part: dict[str, Any], known: Callable[[str], Any]) -> bool:
    """Whether something is what the user has registered with Keras, so that nothing is imported."""
    name = part.get("config" if part.get("class_name") == "function" else "registered_name")
    return isinstance(name, str) and known(name) is not None
