"""The one room that runs Python code of a model package: what the caller has said to trust.

What holds here: nothing is run unless the caller gave `trust_code=True`; the file is checked
against its sha256 each time it is opened; a step pickles by its file, so that another process opens
it for itself.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import attrs

from .axes import MemberId
from .contract.files import FileRef, check_sha256
from .errors import DescriptionError, UntrustedCodeError
from .ops.custom import Custom, Ready
from .package import local_file

__all__ = ["ready"]


def ready(op: Custom, member: MemberId, order: Iterable[MemberId], *, trust_code: bool) -> Ready:
    """A custom step that can be run.

    Args:
        op: the step as described.
        member: the output tensor that it belongs to.
        order: ids of all output tensors, as described.
        trust_code: whether the caller has said that the package's code may run.

    Raises:
        UntrustedCodeError: if it may not.
        MissingFileError, HashMismatchError: if its file is not there, or not the one described.
        DescriptionError: if the file does not define what the step names.
    """
    ref = FileRef(op.source, op.sha256)
    if not trust_code:
        raise UntrustedCodeError(
            f"this model runs code of its own: {op.callable} of {ref.name}",
            tensor=member,
            step=op.name,
            expected="your consent",
            remedy=f"read {ref.name}, and pass trust_code=True if you trust it",
        )
    code = _Code(local_file(ref), op.sha256, op.callable)
    code()
    return Ready(op, member, tuple(order), code)


_LOCK = Lock()


@attrs.frozen
class _Code:
    """A callable in a file, opened when it is needed."""

    path: Path
    sha256: str | None
    name: str

    def __call__(self) -> Callable[..., Any]:
        content = self.path.read_bytes()
        check_sha256(self.path.name, self.sha256, hashlib.sha256(content).hexdigest())
        with _LOCK:  # a file is run once, also where many threads ask for it
            found = getattr(_module(self.path, content), self.name, None)
        if not callable(found):
            raise DescriptionError(
                f"{self.path.name} does not define what the custom step names",
                expected=f"a class or function {self.name}",
                got=found,
            )
        result: Callable[..., Any] = found
        return result


@cache
def _module(path: Path, content: bytes) -> ModuleType:
    """The file as a module, run once in each process for each content."""
    digest = hashlib.sha256(content).hexdigest()[:16]
    module = ModuleType(f"bioimageio_fn_custom_{path.stem}_{digest}")
    module.__file__ = str(path)
    # classes look themselves up in their module, to be pickled or made dataclasses
    sys.modules[module.__name__] = module
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)  # noqa: S102
    except Exception as error:
        del sys.modules[module.__name__]
        raise DescriptionError(
            f"the code of the model could not be run: {path.name}",
            got=f"{type(error).__name__}: {error}",
            remedy="install what it imports, or ask the authors of the model",
        ) from error
    return module
