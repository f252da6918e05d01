"""The one room that runs Python code at the word of a model package.

What holds here: one rule. Code runs only if the caller gave `trust_code=True`, or a set with the
sha256 of its file; no setting and no environment variable says so. The rule is asked each time that
code is opened, also in another process: code pickles as where it is and what was consented to. A
file is checked against its sha256 each time.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from importlib import import_module, machinery
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any, TypeAlias

import attrs

from .axes import MemberId
from .contract.files import FileRef, check_sha256, file_ref
from .errors import DescriptionError, MissingDependencyError, UntrustedCodeError
from .files import sha256_of
from .ops.custom import Custom, Ready
from .package import local_file, staged

__all__ = [
    "Consent",
    "FileCode",
    "LibraryCode",
    "TrustCode",
    "code_of_package",
    "consent",
    "importable",
    "ready",
    "trusts",
]

TrustCode: TypeAlias = bool | Collection[str]
"""What a caller says: code may run (True), not (False), or files with one of these sha256 may."""

Consent: TypeAlias = bool | frozenset[str]
"""The same, as a value that never changes."""


def consent(trust_code: TrustCode) -> Consent:
    """What the caller has said, checked.

    Raises:
        UntrustedCodeError: if it is neither a bool nor sha256 values.

    Examples:
        >>> consent(True), consent(["AB" * 32]) == {"ab" * 32}
        (True, True)
    """
    if isinstance(trust_code, bool):
        return trust_code
    several = isinstance(trust_code, Collection) and not isinstance(trust_code, str)
    if not several or not all(map(_is_sha256, trust_code)):
        raise UntrustedCodeError(
            "this does not say which code is trusted",
            expected="trust_code=True, trust_code=False, or a set of sha256 values",
            got=f"trust_code={trust_code!r}"[:200],
        )
    return frozenset(value.lower() for value in trust_code)


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{64}", value) is not None


def trusts(said: Consent, sha256: str) -> bool:
    """Whether code in a file of this sha256 may run."""
    return said if isinstance(said, bool) else sha256.lower() in said


# those of every system, as a package may be opened on another one than this
_IMPORTED = (*machinery.all_suffixes(), ".pyd", ".pyw", ".so", ".zip", ".egg", ".whl", ".pth")


def importable(name: str) -> bool:
    """Whether Python may import a file of this name, or what is in it, where it finds one.

    Examples:
        >>> [importable(name) for name in ("net.py", "NET.PY", "net.pyc", "net.pyd", "nets.zip")]
        [True, True, True, True, True]
        >>> importable("table.csv")
        False
    """
    return name.lower().endswith(_IMPORTED)


@attrs.frozen
class FileCode:
    """A class or function in a Python file, as a value that opens it when it is called.

    Args:
        path: the file.
        sha256: what its content has to hash to.
        name: of the class or function.
        said: what the caller has said about code.
    """

    path: Path
    sha256: str
    name: str
    said: Consent = attrs.field(converter=consent)

    def check(self, what: str, *, instead: str | None = None, **place: str) -> None:
        """Refuse the code if it may not run.

        Args:
            what: the first words of the error: what the code is for.
            instead: another way on than consent.
            place: `tensor` and `step`, for the error.

        Raises:
            UntrustedCodeError: if it may not.
        """
        if not trusts(self.said, self.sha256):
            raise _refused(
                f"{what}: {self.name} of {self.path.name}",
                self.said,
                f"read {self.path}, and pass trust_code=True (--trust-code)"
                f" or trust_code={{'{self.sha256}'}} if you trust it",
                instead,
                **place,
            )

    def __call__(self) -> Callable[..., Any]:
        """The class or function; its file is run once in a process.

        Raises:
            UntrustedCodeError: if it may not run.
            HashMismatchError: if the file is another one by now.
            DescriptionError: if it can not be run, or does not define the name.
        """
        self.check("this code may not run")
        content = self.path.read_bytes()
        check_sha256(self.path.name, self.sha256, hashlib.sha256(content).hexdigest())
        with _LOCK:  # a file is run once, also where many threads ask for it
            module = _module(self.path, content)
        return _defined(module, self.name, self.path.name)


@attrs.frozen
class LibraryCode:
    """A class or function of an installed library, as a value that imports it when it is called.

    The library may be a good one: which of its functions is called, and with what, is still the
    word of a stranger. There is no file whose sha256 could stand for it.

    Args:
        module: where it is imported from.
        name: of the class or function.
        said: what the caller has said about code.
    """

    module: str
    name: str
    said: Consent = attrs.field(converter=consent)

    def check(self, what: str, *, instead: str | None = None) -> None:
        """Refuse the code if it may not run; see `FileCode.check`."""
        if self.said is not True:
            raise _refused(
                f"{what}: {self.name} of the library {self.module}",
                self.said,
                "pass trust_code=True (--trust-code) if you trust it;"
                " there is no file that a sha256 could be of",
                instead,
            )

    def __call__(self) -> Callable[..., Any]:
        """The class or function.

        Raises:
            UntrustedCodeError: if it may not run.
            MissingDependencyError: if the library is not installed.
            DescriptionError: if it can not be imported, or does not define the name.
        """
        self.check("this code may not run")
        try:
            module = import_module(self.module)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"the model needs the library {self.module}",
                got=str(error),
                remedy="install what the description lists as its dependencies",
            ) from error
        except Exception as error:
            raise _broken(self.module, error) from error
        return _defined(module, self.name, self.module)


def code_of_package(
    file: FileRef,
    name: str,
    beside: Sequence[FileRef],
    said: Consent,
    what: str,
    *,
    instead: str | None = None,
    **place: str,
) -> FileCode:
    """Code in a file of a package, if the caller consents to it.

    The files that the description declares are staged beside it, so that it finds those that it
    opens.

    Args:
        file: the Python file.
        name: of the class or function in it.
        beside: the other files that the description declares.
        said: what the caller has said about code. Of a set of sha256 values every file that Python
            can import has to have its own: what lies beside the code can be run by it.
        what, instead, place: for the error, as of `FileCode.check`.

    Raises:
        UntrustedCodeError: if the caller does not.
        MissingFileError, HashMismatchError: if a file is not there, or not the one described.
    """
    _code(file, name, said).check(what, instead=instead, **place)
    for ref in beside:
        if importable(ref.name):
            near = _code(ref, "all", said)
            near.check("what lies beside it can be run by it", instead=instead, **place)
    folder = staged([file, *beside])
    return attrs.evolve(_code(file, name, said), path=folder / file.place)


def _code(ref: FileRef, name: str, said: Consent) -> FileCode:
    path = local_file(ref)
    return FileCode(path, sha256_of(path), name, said)


def ready(
    op: Custom,
    member: MemberId,
    order: Iterable[MemberId],
    *,
    beside: Sequence[FileRef] = (),
    trust_code: TrustCode,
) -> Ready:
    """A custom step that can be run.

    Args:
        op: the step as described.
        member: the output tensor that it belongs to.
        order: ids of all output tensors, as described.
        beside: the other files that the description declares, which it may open.
        trust_code: what the caller has said about the package's code.

    Raises:
        UntrustedCodeError: if it may not run.
        MissingFileError, HashMismatchError: if its file is not there, or not the one described.
        DescriptionError: if the file does not define what the step names.
    """
    code = code_of_package(
        file_ref(op.source, op.sha256),
        op.callable,
        beside,
        consent(trust_code),
        "this model runs code of its own",
        tensor=member,
        step=op.name,
    )
    code()
    return Ready(op, member, tuple(order), code)


def _refused(
    what: str, said: Consent, way: str, instead: str | None, **place: str
) -> UntrustedCodeError:
    return UntrustedCodeError(
        what,
        expected="your consent",
        got="none" if said is False else f"consent to {len(said)} other files",  # type: ignore[arg-type]
        remedy=way if instead is None else f"{way}; or {instead}",
        **place,
    )


def _defined(module: ModuleType, name: str, where: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if not callable(found):
        raise DescriptionError(
            f"{where} does not define what the model names",
            expected=f"a class or function {name}",
            got=found,
        )
    result: Callable[..., Any] = found
    return result


_LOCK = RLock()


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
        raise _broken(path.name, error) from error
    return module


def _broken(where: str, error: Exception) -> DescriptionError:
    return DescriptionError(
        f"the code of the model could not be run: {where}",
        got=f"{type(error).__name__}: {error}",
        remedy="install what it imports, or ask the authors of the model",
    )
