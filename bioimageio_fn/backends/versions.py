"""Versions of frameworks: the one that weights were made with, and the one that is installed.

What holds here: nothing is imported to ask; what is said is said once in a process for each model.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from .once import warn_once

__all__ = ["differs", "installed_version", "older", "warn_of_version"]


def warn_of_version(weights: Path, package: str, made_with: str | None) -> None:
    """Warn if weights are run by a framework that is older, or of another major version.

    Args:
        weights: the file.
        package: what runs it.
        made_with: the version that the description names; None if it names none.
    """
    installed = installed_version(package)
    if made_with is not None and installed is not None and differs(made_with, installed):
        warn_once(
            f"{weights} was made with {package} {made_with}; {package} {installed} is installed,"
            " with which it may fail, or give other results"
        )


def differs(made_with: str, installed: str) -> bool:
    """Whether the version that is installed is older, or has another major number.

    Examples:
        >>> differs("2.1", "2.13.0+cpu"), differs("2.14.1", "2.13.0"), differs("1.10", "2.13.0")
        (False, True, True)
    """
    other_major = _numbers(made_with)[:1] != _numbers(installed)[:1]
    return other_major or older(installed, made_with)


def older(version: str, than: str) -> bool:
    """Whether a version comes before another one.

    Examples:
        >>> older("3.8.0", "3.12"), older("3.12.0", "3.12"), older("4.0", "3.12")
        (True, False, False)
    """
    return _numbers(version) < _numbers(than)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = [int(n) for n in re.findall(r"\d+", text.partition("+")[0])[:3]]
    return tuple(numbers + [0] * (3 - len(numbers)))


def installed_version(package: str) -> str | None:
    """The version of a package that is installed; None if there is none."""
    try:
        return version(package)
    except PackageNotFoundError:  # it comes under another name, such as tensorflow-cpu
        names = packages_distributions().get(package)
        return version(names[0]) if names else None
