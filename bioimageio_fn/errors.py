"""Everything that this package raises or warns about on purpose.

What holds here:

- every error says what is wrong, where (tensor, axis, step), what was expected, what came, and
  what to do;
- the same facts are attributes, for programs (`error.tensor`, `error.axis`, ...);
- every error is also the builtin that a caller would catch (`ValueError`, `KeyError`, ...);
- errors pickle, so that they reach the parent from a worker process unharmed.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ArrayError",
    "AxesError",
    "BackendError",
    "BioimageioFnError",
    "BioimageioFnWarning",
    "BlockError",
    "CastWarning",
    "DataWarning",
    "DescriptionError",
    "DeviceError",
    "FileReadError",
    "FileWriteError",
    "HashMismatchError",
    "MissingDependencyError",
    "MissingFileError",
    "MissingMemberError",
    "NotFittedError",
    "OperationError",
    "OutOfMemoryError",
    "SizeError",
    "UnknownMemberError",
    "UnsafePackageError",
    "UnsupportedError",
    "UntrustedCodeError",
    "WeightsFormatError",
]


class BioimageioFnError(Exception):
    """Base of all errors of this package.

    Args:
        what: what is wrong, one sentence without a full stop.
        tensor: id of the tensor concerned.
        axis: id of the axis concerned.
        step: the operation or stage concerned.
        expected: what would have been right.
        got: what came instead.
        remedy: what to do about it.

    Examples:
        >>> error = SizeError("wrong number of channels", tensor="raw", axis="channel",
        ...                   expected=1, got=3, remedy="select one")
        >>> print(error)
        wrong number of channels (tensor 'raw', axis 'channel'): expected 1, got 3; select one
        >>> isinstance(error, ValueError), error.axis
        (True, 'channel')
    """

    def __init__(
        self,
        what: str,
        *,
        tensor: str | None = None,
        axis: str | None = None,
        step: str | None = None,
        expected: object = None,
        got: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.tensor = tensor
        self.axis = axis
        self.step = step
        self.expected = expected
        self.got = got
        self.remedy = remedy
        super().__init__(what)

    def _facts(self) -> dict[str, Any]:
        names = ("tensor", "axis", "step", "expected", "got", "remedy")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        where = ", ".join(
            f"{name} '{value}'"
            for name, value in (("tensor", self.tensor), ("axis", self.axis), ("step", self.step))
            if value is not None
        )
        facts = ", ".join(
            f"{name} {value}"
            for name, value in (("expected", self.expected), ("got", self.got))
            if value is not None
        )
        text = f"{self.what} ({where})" if where else self.what
        text = f"{text}: {facts}" if facts else text
        return f"{text}; {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[Any, ...]:
        # the state carries the notes
        return _rebuild, (type(self), self.what, self._facts()), self.__dict__


def _rebuild(kind: type[BioimageioFnError], what: str, facts: dict[str, Any]) -> BioimageioFnError:
    return kind(what, **facts)


class ArrayError(BioimageioFnError, TypeError):
    """Something is no array of numbers that a tensor could hold."""


class AxesError(BioimageioFnError, ValueError):
    """Axes are unknown, doubled, missing or too many."""


class SizeError(BioimageioFnError, ValueError):
    """An axis has a size that the model or the operation does not take."""


class UnknownMemberError(BioimageioFnError, KeyError):
    """A tensor is named that the model or the sample does not have."""


class MissingMemberError(BioimageioFnError, KeyError):
    """A tensor that is required was not given."""


class OperationError(BioimageioFnError, ValueError):
    """A processing operation has a parameter that makes no sense."""


class NotFittedError(BioimageioFnError, RuntimeError):
    """A transform needs statistics that were not bound to it."""


class BlockError(BioimageioFnError, ValueError):
    """A block plan can not be made, or blocks do not fit the plan."""


class DescriptionError(BioimageioFnError, ValueError):
    """A resource description is invalid, or is not that of a model."""


class UnsupportedError(BioimageioFnError, NotImplementedError):
    """The format allows it, this version of the package does not do it."""


class UnsafePackageError(BioimageioFnError, ValueError):
    """A package does what no honest one needs to: it leaves its folder, or grows without end."""


class UntrustedCodeError(BioimageioFnError, PermissionError):
    """A model would run code of its own, and nobody has said that it may."""


class MissingFileError(BioimageioFnError, FileNotFoundError):
    """There is no such file or folder."""


class FileReadError(BioimageioFnError, OSError):
    """A file exists, but could not be read as what it claims to be."""


class FileWriteError(BioimageioFnError, OSError):
    """A file could not be written, or its format can not hold the data."""


class HashMismatchError(BioimageioFnError, ValueError):
    """A file is not the one that its description names (sha256 differs)."""


class WeightsFormatError(BioimageioFnError, ValueError):
    """No weights of the model can be run, or not those asked for."""


class MissingDependencyError(BioimageioFnError, ImportError):
    """A package that is needed here is not installed."""


class DeviceError(BioimageioFnError, ValueError):
    """The device asked for is not there."""


class BackendError(BioimageioFnError, RuntimeError):
    """A network failed to load or to run, or gave what its description does not say."""


class OutOfMemoryError(BackendError, MemoryError):
    """A block takes more memory than there is, or than may be taken."""


class BioimageioFnWarning(UserWarning):
    """Base of all warnings of this package."""


class DataWarning(BioimageioFnWarning):
    """Data are of a kind for which no good result can be expected."""


class CastWarning(BioimageioFnWarning):
    """A cast changed values: they were clipped to the range of the type, or NaN became 0."""
