"""The command `info`: what a model takes and gives, and which of its weights run here.

What holds here: no framework is imported, no weights are opened, and nothing is downloaded but the
description.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .answering import Answer, Say, answering
from .models import without_requests
from .options import OFFLINE, options

if TYPE_CHECKING:
    from ..contract.files import FileRef
    from ..contract.records import AxisContract, TensorContract

__all__ = ["info"]


@click.command()
@click.argument("model")
@options(OFFLINE)
@answering
def info(say: Say, *, model: str, offline: bool) -> Answer:
    """Say what a model takes and gives, and if it runs here.

    Sizes such as 64 + n*4 are those of its network; images may have any.
    """
    from ..contract.read import model_contract
    from ..package import described

    with without_requests(offline=offline):
        description = described(model)
    contract = model_contract(description)
    document = {
        **_about(description),
        "inputs": [_tensor(tensor) for tensor in contract.inputs],
        "outputs": [_tensor(tensor) for tensor in contract.outputs],
        "weights": list(_weights(description)),
    }
    for line in _lines(document):
        say(line)
    return Answer(document)


def _about(description: Any) -> dict[str, Any]:
    """What the description says of the model as a whole; what it does not say is left out."""
    named = {
        "name": description.name,
        "description": description.description,
        "id": description.id,
        "version": description.version,
        "format": description.format_version,
        "license": getattr(description.license, "value", description.license),
        "authors": ", ".join(author.name for author in description.authors),
    }
    return {key: str(value) for key, value in named.items() if value}


def _tensor(tensor: TensorContract) -> dict[str, Any]:
    return {
        "id": tensor.id,
        "type": tensor.dtype,
        "optional": tensor.optional,
        "axes": [_axis(axis) for axis in tensor.axes],
        "processing": [str(step) for step in tensor.operations],
    }


def _axis(axis: AxisContract) -> dict[str, Any]:
    found: dict[str, Any] = {"id": axis.id, "type": axis.type, "size": str(axis.size)}
    if axis.channel_names:
        found["channels"] = list(axis.channel_names)
    if axis.unit is not None:
        found["pixel_size"] = f"{float(axis.scale):g} {axis.unit}"
    if axis.halo:
        found["halo"] = axis.halo
    return found


def _weights(description: Any) -> Iterator[dict[str, Any]]:
    """Each format of weights, those that run here first, in the order in which they are taken."""
    from ..backends.formats import FORMATS, obstacle
    from ..contract.files import weights_refs

    refs = weights_refs(description)
    known = [name for name in FORMATS if name in refs]
    entries = []
    for name in (*known, *(refs.keys() - set(known))):
        problem = _missing(refs[name]) or obstacle(name)
        entry = {"format": name, "file": refs[name].name, "bytes": _size(refs[name])}
        entry |= {"runs": problem is None, "why_not": None if problem is None else str(problem)}
        entries.append(entry | {"code": name == "pytorch_state_dict"})
    yield from sorted(entries, key=lambda entry: not entry["runs"])


def _missing(ref: FileRef) -> str | None:
    """What is said of a file of a package on disk that is not there."""
    gone = isinstance(ref.source, Path) and not ref.source.is_file()
    return f"the package has no file {ref.name}" if gone else None


def _size(ref: FileRef) -> int | None:
    """Bytes of a file on disk; None if it is elsewhere."""
    path = Path(str(ref.source))
    return path.stat().st_size if path.is_file() else None


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield document["name"]
    for key in ("description", "id", "version", "format", "license", "authors"):
        if key in document:
            yield f"  {key + ':':12} {' '.join(document[key].split())}"
    for kind in ("inputs", "outputs"):
        yield kind
        for tensor in document[kind]:
            yield from _tensor_lines(tensor)
    yield "weights, the first that runs is taken"
    for entry in document["weights"]:
        yield f"  {entry['format']} ({_bytes(entry['bytes'])}): {_verdict(entry)}"


def _tensor_lines(tensor: dict[str, Any]) -> Iterator[str]:
    optional = ", optional" if tensor["optional"] else ""
    yield f"  {tensor['id']} ({tensor['type'] or 'any type'}{optional})"
    for axis in tensor["axes"]:
        names = f" ({', '.join(axis['channels'])})" if "channels" in axis else ""
        size = f", pixels of {axis['pixel_size']}" if "pixel_size" in axis else ""
        halo = f", halo {axis['halo']}" if "halo" in axis else ""
        yield f"    {axis['id']}: {axis['size']}{names}{size}{halo}"
    for step in tensor["processing"]:
        yield f"    - {step}"


def _verdict(entry: dict[str, Any]) -> str:
    if not entry["runs"]:
        return f"does not run here: {entry['why_not']}"
    return "runs here, if its code may: --trust-code" if entry["code"] else "runs here"


def _bytes(size: int | None) -> str:
    """A number of bytes for people.

    Examples:
        >>> _bytes(1_234_567), _bytes(900), _bytes(None)
        ('1.2 MB', '900 bytes', 'not on this machine')
    """
    if size is None:
        return "not on this machine"
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
