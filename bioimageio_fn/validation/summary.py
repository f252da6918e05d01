"""What a test has found, in the `ValidationSummary` of `bioimageio.spec`.

What holds here: each step is one detail; a summary whose test failed is `failed`; it says which
package tested, and with what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bioimageio.spec.summary import (
    ErrorEntry,
    InstalledPackage,
    ValidationDetail,
    ValidationSummary,
    WarningEntry,
)

from .. import __version__
from ..backends.formats import FORMATS
from ..backends.versions import installed_version
from .environments import recommended_env
from .findings import Finding, Problem, Severity

__all__ = ["concluded", "detail_of", "is_of_type", "record_env"]

_SEVERITIES: dict[Severity, Any] = {"info": 20, "warning": 30, "alert": 35}


def detail_of(finding: Finding, loc: Sequence[str], description: Any = None) -> ValidationDetail:
    """A finding as a detail of a summary.

    Args:
        finding: of one step.
        loc: the place in the description that it is about.
        description: of a model whose weights it is about; its recommended environment is recorded.
    """
    place = tuple(loc)
    return ValidationDetail(
        name=finding.name,
        status="passed" if finding.passed else "failed",
        loc=place,
        errors=[ErrorEntry(loc=place, msg=p.text, type=p.kind) for p in finding.problems],
        warnings=[
            WarningEntry(
                loc=place, msg=n.text, type="bioimageio_fn", severity=_SEVERITIES[n.severity]
            )
            for n in finding.notes
        ],
        recommended_env=None if description is None else recommended_env(description, place[-1]),
    )


def record_env(summary: ValidationSummary, weights_formats: Iterable[str]) -> None:
    """Record this package and the frameworks of some weights formats, with their versions."""
    summary.env.add(InstalledPackage(name="bioimageio_fn", version=__version__))
    for name in weights_formats:
        for package in FORMATS[name].packages if name in FORMATS else ():
            if (version := installed_version(package)) is not None:
                summary.env.add(InstalledPackage(name=package, version=version))


def is_of_type(description: Any, expected: str | None) -> bool:
    """Record whether a description is of a type, if one is expected."""
    if expected is None:
        return True
    fits = str(description.type) == str(expected)
    text = f"expected a {expected}, got a {description.type}"
    problems = () if fits else (Problem("type", text),)
    summary = description.validation_summary
    summary.add_detail(
        detail_of(Finding("Has expected resource type", problems=problems), ("type",))
    )
    if not fits:
        summary.status = "failed"
    return fits


def concluded(summary: ValidationSummary) -> None:
    """Let the status follow from the details: one that failed, and it is `failed`."""
    passed = all(detail.status == "passed" for detail in summary.details)
    if summary.status != "failed":
        summary.status = "passed" if passed else "failed"
