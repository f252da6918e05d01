"""`examine`: all steps of a test, recorded in the summary of the description that is tested.

What holds here: the description is a new one, so that nobody else's summary grows; seeds and flags
of frameworks are set for one weights format at a time, and set back behind it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from bioimageio.spec import InvalidDescr, ValidationSummary

from ..backends.formats import FORMATS
from ..errors import FileWriteError
from ..files import expanded
from ..package import looked_at
from ..package.sources import Source
from ..sample import Sample
from ..trusted import TrustCode, consent
from .determinism import Mode, check_mode, deterministic
from .findings import Finding, Note, not_for_python, nothing_ran
from .records import FormatReport
from .reproducing import unreadable
from .steps import Weights, steps_of
from .summary import concluded, detail_of, is_of_type, record_env

__all__ = ["Examination", "PathLike", "check_options", "examine", "listed"]

PathLike: TypeAlias = str | os.PathLike[str]


@attrs.frozen
class Examination:
    """What came of a test.

    Args:
        description: what was tested, with its `validation_summary`.
        reports: one for each weights format and device, for pictures.
    """

    description: Any
    reports: tuple[FormatReport, ...] = ()

    @property
    def summary(self) -> ValidationSummary:
        """Whether it passed, step by step."""
        summary: ValidationSummary = self.description.validation_summary
        return summary


def examine(
    source: Source,
    *,
    format_version: str = "discover",
    weight_format: str | None = None,
    devices: str | Sequence[str] | None = None,
    determinism: Mode = "seed_only",
    expected_type: str | None = None,
    sha256: str | None = None,
    stop_early: bool = False,
    working_dir: PathLike | None = None,
    trust_code: TrustCode = False,
) -> Examination:
    """Test a description, and keep what a report shows.

    Use it in place of `test_description` to look at what came of a test: the tensors that were
    produced, how they differ, and how far the network sees.

    Args:
        source, format_version, weight_format, devices: as of `test_description`.
        determinism, expected_type, sha256, stop_early: as of `test_description`.
        working_dir, trust_code: as of `test_description`.

    Returns:
        The description, its summary, and a report for each weights format and device.

    Raises:
        MissingFileError, DescriptionError, UnsafePackageError, HashMismatchError: as
            `test_description`.

    Examples:
        >>> import bioimageio_fn as fn
        >>> found = fn.examine(fn.demo_model(), weight_format="onnx")
        >>> (report,) = found.reports
        >>> (result,) = report.reproductions
        >>> found.summary.status, result.diagnosis.cause, result.produced.shape
        ('passed', 'same', (1, 1, 128, 128))
    """
    check_options(determinism, trust_code, working_dir)
    description: Any = looked_at(source, format_version=format_version, sha256=sha256)
    summary = description.validation_summary
    record_env(summary, ())
    if not is_of_type(description, expected_type):
        return Examination(description)
    if isinstance(description, InvalidDescr):
        for finding in _unreadable(source, format_version):
            summary.add_detail(detail_of(finding, ()))
        return Examination(description)
    if description.type != "model":
        note = Note(
            "info", f"not run: of a {description.type} nothing but its description is tested"
        )
        summary.add_detail(detail_of(Finding("Run it", notes=(note,), ran=False), ()))
        concluded(summary)
        return Examination(description)
    available = tuple(map(str, description.weights.available_formats))
    formats = available if weight_format is None else (weight_format,)
    record_env(summary, formats)
    several = [
        Weights(description, name, device, trust_code, _folder(working_dir))
        for name in formats
        for device in listed(devices) or (None,)
    ]
    reports = _tested(several, determinism, stop_early=stop_early, asked=weight_format is not None)
    return Examination(description, tuple(reports))


def _unreadable(source: Source, format_version: str) -> Iterator[Finding]:
    """What keeps a model from being tested that is valid but for its files, in our words."""
    if isinstance(source, InvalidDescr):
        return
    blind: Any = looked_at(source, format_version=format_version, perform_io_checks=False)
    if isinstance(blind, InvalidDescr) or blind.type != "model":
        return
    problems = tuple(unreadable(blind))
    if problems:
        yield Finding("Read the files of the model", problems=problems)


def check_options(
    determinism: str, trust_code: TrustCode, working_dir: PathLike | None = None
) -> None:
    """Refuse what makes no sense before anything is read.

    Raises:
        OperationError: if there is no such mode of determinism.
        UntrustedCodeError: if this does not say which code is trusted.
        FileWriteError: if tensors can not be kept there, as it is no folder.
    """
    check_mode(determinism)
    consent(trust_code)
    folder = _folder(working_dir)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise FileWriteError(
            "the tensors of a test are kept in a folder", expected="a folder", got=folder
        )


def listed(devices: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Devices, one by one; None for the default."""
    if devices is None:
        return None
    return (devices,) if isinstance(devices, str) else tuple(devices)


def _folder(working_dir: PathLike | None) -> Path | None:
    return None if working_dir is None else expanded(working_dir)


def _tested(
    several: Sequence[Weights], mode: Mode, *, stop_early: bool, asked: bool
) -> Iterator[FormatReport]:
    """Test weights, record what is found, and report it.

    Args:
        asked: whether these weights were asked for by name.
    """
    description = several[0].description
    summary = description.validation_summary
    found: list[Finding] = []
    for weights in several:
        mine: list[Finding] = []
        in_blocks = not any(f.seams or f.reaches for f in found)
        steps = _findings(weights, mode, in_blocks=in_blocks, asked=asked)
        with closing(steps):  # so that what it has set is set back now
            for finding in steps:
                place = ("weights", weights.weights_format)
                # the environment is said once for all steps
                summary.add_detail(detail_of(finding, place, None if mine else description))
                mine.append(finding)
                if stop_early and not finding.passed:
                    break
        found += mine
        yield _report(weights, mine)
        if stop_early and not all(f.passed for f in mine):
            break
    if not any(finding.ran for finding in found):
        summary.add_detail(detail_of(nothing_ran(), ("weights",)))
    concluded(summary)


def _findings(
    weights: Weights, mode: Mode, *, in_blocks: bool, asked: bool
) -> Generator[Finding, None, None]:
    name = weights.weights_format
    if name not in FORMATS and not asked:
        yield not_for_python(name)
        return
    with deterministic(mode, [name]) if name in FORMATS else nullcontext():
        yield from steps_of(weights, in_blocks=in_blocks)


def _report(weights: Weights, findings: Sequence[Finding]) -> FormatReport:
    first = findings[0]
    return FormatReport(
        weights_format=weights.weights_format,
        device=weights.device or "the default device",
        inputs=first.inputs if first.inputs is not None else Sample({}),
        reproductions=first.reproductions,
        seconds=first.seconds,
        plan=first.plan,
        seams=tuple(seams for finding in findings for seams in finding.seams),
        reaches=tuple(reach for finding in findings for reach in finding.reaches),
        problems=tuple(problem.text for finding in findings for problem in finding.problems),
    )
