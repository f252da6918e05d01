"""Tests in other environments, one for each weights format.

What holds here: the description is validated here; what runs, runs there, by the same functions;
what the summary there says of these weights is in the summary here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias, TypeGuard

import attrs
from bioimageio.spec import InvalidDescr, ValidationSummary
from bioimageio.spec.conda_env import CondaEnv
from bioimageio.spec.summary import ValidationDetail

from ..backends.formats import FORMATS
from ..contract.files import check_has, weights_refs
from ..descriptions import save_bioimageio_package
from ..files import expanded
from ..package import looked_at
from ..package.sources import Source
from ..trusted import consent
from .environments import (
    RunCommand,
    check_run_command,
    env_from_file,
    env_of,
    examined_by,
    python_of,
    run_command,
    with_this_package,
)
from .findings import Finding, Note, not_for_python, nothing_ran, problem_of
from .summary import concluded, detail_of, is_of_type, record_env

__all__ = ["RuntimeEnv", "examine_elsewhere"]

RuntimeEnv: TypeAlias = str | os.PathLike[str] | CondaEnv
"""`as-described`, the path of a conda file, or what such a file holds."""


@attrs.frozen
class _Question:
    """What is to be tested elsewhere.

    Args:
        description: of it.
        options: the source, and keywords of `test_description`, as JSON has them.
        env: the environment; None for that which the weights are described to need.
        folder: where to write.
        run: runs commands.
    """

    description: Any
    options: Mapping[str, Any]
    env: CondaEnv | None
    folder: Path
    run: RunCommand


def examine_elsewhere(
    source: Source, options: Mapping[str, Any], runtime_env: RuntimeEnv, run: RunCommand
) -> ValidationSummary:
    """Test a description in other environments.

    Args:
        source: of `test_description`.
        options: of `test_description`, without those of environments.
        runtime_env: the environment.
        run: runs commands.

    Raises:
        OperationError: if `run` does not raise where a command fails.
        MissingFileError, DescriptionError: if the environment file is none.
    """
    if run is not run_command:
        check_run_command(run)
    env = _given(runtime_env)
    version, sha256 = options["format_version"], options["sha256"]
    description = looked_at(source, format_version=version, sha256=sha256)
    summary: ValidationSummary = description.validation_summary
    record_env(summary, ())
    expected = is_of_type(description, options["expected_type"])
    if not expected or isinstance(description, InvalidDescr):
        return summary
    kept = options["working_dir"]
    with TemporaryDirectory() if kept is None else nullcontext(kept) as folder:
        plain = {**options, "trust_code": _plain(options["trust_code"])}
        if _is_there_too(source):
            plain["source"] = _absolute(source)
        else:  # what is packaged has another description file than its source
            plain |= {"source": _packaged(description, Path(folder)), "sha256": None}
        question = _Question(description, plain, env, Path(folder).absolute(), run)
        _add_answers(summary, question)
    concluded(summary)
    return summary


def _given(runtime_env: RuntimeEnv) -> CondaEnv | None:
    if isinstance(runtime_env, CondaEnv):
        return with_this_package(runtime_env)
    return None if runtime_env == "as-described" else env_from_file(Path(runtime_env))


def _plain(trust_code: Any) -> bool | list[str]:
    said = consent(trust_code)
    return said if isinstance(said, bool) else sorted(said)


def _is_there_too(source: Source) -> TypeGuard[str | os.PathLike[str]]:
    """Whether another process finds what this one was given."""
    return isinstance(source, str) or (isinstance(source, os.PathLike) and Path(source).exists())


def _packaged(description: Any, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(save_bioimageio_package(description, output_path=folder / "package.zip"))


def _absolute(source: str | os.PathLike[str]) -> str:
    path = expanded(source)
    return str(path.absolute()) if path.exists() else os.fspath(source)


def _add_answers(summary: ValidationSummary, question: _Question) -> None:
    if question.description.type != "model":
        note = Note(
            "info", f"not run: no environment is described for a {question.description.type}"
        )
        summary.add_detail(detail_of(Finding("Run it", notes=(note,), ran=False), ()))
        return
    asked = question.options["weight_format"]
    available = tuple(weights_refs(question.description))
    names = available if asked is None else (asked,)
    if asked is None and not any(name in FORMATS for name in names):
        summary.add_detail(detail_of(nothing_ran(), ("weights",)))
    for name in names:
        for detail in _details(question, name):
            summary.add_detail(detail)
            if question.options["stop_early"] and detail.status == "failed":
                return


def _details(question: _Question, weights_format: str) -> list[ValidationDetail]:
    """What a test of weights finds in their environment, or what keeps it from being done."""
    place = ("weights", weights_format)
    if question.options["weight_format"] is None and weights_format not in FORMATS:
        return [detail_of(not_for_python(weights_format), place)]
    folder = question.folder / weights_format
    name = f"Prepare an environment ({weights_format})"
    try:
        check_has(weights_refs(question.description), weights_format)
        env = question.env or env_of(
            question.description, weights_format, question.options["trust_code"]
        )
        python, text = python_of(env, folder, question.run)
        name = f"Test in another environment ({weights_format})"
        options = {**question.options, "weight_format": weights_format}
        if options["working_dir"] is not None:
            options["working_dir"] = str(folder)
        found = examined_by(python, options, folder, question.run)
    except Exception as error:  # noqa: BLE001 # tools fail in many ways
        failed = Finding(name, problems=(problem_of(error),))
        return [detail_of(failed, place)]
    theirs = [d for d in found.details if d.loc[:2] == place or d.status == "failed"]
    return [detail_of(Finding(name, notes=(Note("info", text),)), place), *theirs]
