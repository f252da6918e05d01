"""SavedModels, looked into before TensorFlow opens them.

What holds here: nothing is executed; the files that a graph gets from its folder lie in it, or it
is refused. What its operations read by themselves is not known.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import BackendError, UnsafePackageError
from ..files import inner_parts
from .protobuf import Kinds, mapped, messages, values

__all__ = ["check_assets", "saved_model_in"]

_INNER: Kinds = {
    "saved model": {2: "meta graph"},
    "meta graph": {4: "collection", 6: "asset"},
    "collection": {},
    "asset": {},
}
"""Which fields lead to assets (saved_model.proto, meta_graph.proto)."""
_IN_COLLECTION: Kinds = {
    "collection": {2: "content"},
    "content": {5: "list"},
    "list": {1: "any"},
    "any": {2: "asset"},
    "asset": {},
}
"""The same of models of TensorFlow 1, which have them in a collection of this name."""
_COLLECTION = b"saved_model_assets"

_KEY, _NAME = 1, 2


def saved_model_in(folder: Path) -> Path:
    """The SavedModel in an unpacked archive, which may have folders around it.

    Raises:
        BackendError: if there is none, or several, also one beside another in another spelling.
    """
    found = sorted(folder.rglob("saved_model.*pb*"))
    if [path.name for path in found] != ["saved_model.pb"]:
        raise BackendError(
            "no SavedModel to be run",
            expected="one file saved_model.pb",
            got=", ".join(path.name for path in found[:5]) or "none",
        )
    return found[0].parent


def check_assets(folder: Path) -> None:
    """Refuse a SavedModel that takes files from outside of its folder.

    Raises:
        UnsafePackageError: if it does.
        ValueError: if it is no SavedModel.
    """
    assets = (folder / "assets").resolve()
    for name in sorted(_assets(folder / "saved_model.pb")):
        inside = inner_parts(name) is not None and (assets / name).resolve().is_relative_to(assets)
        if not inside:
            raise UnsafePackageError(
                "the SavedModel takes a file from outside of its folder",
                expected="files of its folder assets",
                got=ascii(name)[:200],
            )


def _assets(path: Path) -> set[str]:
    with mapped(path) as data:
        found = list(messages(data, _INNER, "saved model", "asset"))
        for collection in messages(data, _INNER, "saved model", "collection"):
            if _COLLECTION in values(collection, _KEY):
                found += messages(collection, _IN_COLLECTION, "collection", "asset")
    return {str(name, "utf-8") for asset in found for name in values(asset, _NAME)}
