"""The environment that a description recommends, and tests that run in it.

What holds here: files of a package are read with the same care as everywhere; an environment is
named by its content, so that it is made once; what can not be made here is an error that says what
is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from bioimageio.spec import ValidationSummary, get_conda_env
from bioimageio.spec.conda_env import BioimageioCondaEnv, CondaEnv, PipDeps

from .. import __version__
from ..contract.files import FileRef, dependencies_of
from ..errors import (
    BackendError,
    DescriptionError,
    MissingDependencyError,
    MissingFileError,
    OperationError,
    UntrustedCodeError,
)
from ..files import sha256_of
from ..package import local_file
from ..package.fields import fields_of
from ..trusted import TrustCode, consent, trusts

__all__ = [
    "RunCommand",
    "check_run_command",
    "env_from_file",
    "env_of",
    "examined_by",
    "python_of",
    "recommended_env",
    "run_command",
    "with_this_package",
]

RunCommand: TypeAlias = Callable[[Sequence[str]], None]
"""Runs a command of a terminal, and raises if that fails."""

TOOLS = ("conda", "mamba", "micromamba")
"""What makes environments, the one to prefer first."""

_ADDED = "conda-forge::bioimageio.core"
"""What the format library adds to every environment."""


def run_command(args: Sequence[str]) -> None:
    """Run a command; what it prints is no result, and goes to stderr.

    Raises:
        CalledProcessError, OSError: if it fails, or is not there.
    """
    subprocess.run(list(args), check=True, stdout=2)  # noqa: S603 # it is what a caller asks for


def check_run_command(run: RunCommand) -> None:
    """Refuse a function that runs commands, and does not tell when one fails.

    Raises:
        OperationError: if it does not raise for a command that does not exist.
    """
    try:
        run(["bioimageio-fn-no-such-command"])
    except Exception:  # noqa: BLE001 # whatever it raises, it does
        return
    raise OperationError(
        "run_command has to raise where a command fails",
        expected="an exception for a command that does not exist",
        got="none",
    )


def recommended_env(description: Any, weights_format: str) -> CondaEnv | None:
    """The environment for weights, for a summary; None if there is none that could be read."""
    try:
        return _described_env(description, weights_format)
    except Exception:  # noqa: BLE001 # what is wrong with it is no matter of what was tested
        return None


def env_of(description: Any, weights_format: str, trust_code: TrustCode) -> CondaEnv:
    """The environment in which weights are to be tested: as described, and with this package.

    Args:
        description: of a model.
        weights_format: one of its formats.
        trust_code: an environment that a package brings installs what it names, which runs code;
            whether it may, or the sha256 of its file.

    Raises:
        UntrustedCodeError: if it may not.
        DescriptionError: if what is described is no environment.
        MissingFileError, HashMismatchError, UnsafePackageError: if its file can not be used.
    """
    file = _file_of(description, weights_format)
    if file is not None and not trusts(consent(trust_code), digest := sha256_of(local_file(file))):
        raise UntrustedCodeError(
            "the environment that the model brings installs what its file names",
            got=f"{file.name}, sha256 {digest}",
            remedy="read it, and pass trust_code=True (--trust-code), or give an environment file",
        )
    return with_this_package(_described_env(description, weights_format))


def env_from_file(path: Path) -> CondaEnv:
    """The environment of a conda file, with this package.

    Raises:
        MissingFileError: if there is no such file.
        DescriptionError: if it is none.
    """
    if not path.is_file():
        raise MissingFileError("there is no such file of an environment", got=path)
    return with_this_package(_read(path))


def _described_env(description: Any, weights_format: str) -> CondaEnv:
    entry = getattr(description.weights, weights_format)
    file = _file_of(description, weights_format)
    if file is None:
        env: CondaEnv = get_conda_env(entry=entry)
        return env
    path = local_file(file)
    if getattr(entry.dependencies, "manager", "conda") == "pip":  # of format 0.4
        return _with_pip(path.read_text(encoding="utf-8").splitlines())
    return _read(path)


def _file_of(description: Any, weights_format: str) -> FileRef | None:
    """The file of an environment that a model brings; None if it brings none."""
    refs = dependencies_of(description, weights_format)
    return refs[0] if refs else None


def _with_pip(lines: Sequence[str]) -> CondaEnv:
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return BioimageioCondaEnv(dependencies=["pip", PipDeps(pip=wanted)])


def _read(path: Path) -> CondaEnv:
    fields = fields_of(path.read_bytes(), path.name)
    try:
        return BioimageioCondaEnv.model_validate(fields)
    except ValueError as error:
        reason = " ".join(str(error).split())[:300]
        raise DescriptionError(f"{path.name} is no conda environment", got=reason) from error


def with_this_package(env: CondaEnv) -> CondaEnv:
    """The environment without a name, and with this package in place of `bioimageio.core`."""
    pip = [d for d in env.get_pip_deps() if not d.startswith(("bioimageio.core", "bioimageio_fn"))]
    rest = [d for d in env.dependencies if isinstance(d, str) and not d.startswith(_ADDED)]
    pip.append(f"bioimageio_fn=={__version__}")
    if not any(re.match(r"(.*::)?pip\b", dependency) for dependency in rest):
        rest.append("pip")  # not every tool adds it
    return CondaEnv(channels=env.channels, dependencies=[*rest, PipDeps(pip=sorted(pip))])


# ---------------------------------------------------------------- running in it


def python_of(env: CondaEnv, folder: Path, run: RunCommand) -> tuple[list[str], str]:
    """The command that starts Python in an environment, which is made unless it is there.

    Args:
        env: what it is made of.
        folder: where its file is written.
        run: runs commands.

    Returns:
        The command, and what was done, in words.

    Raises:
        MissingDependencyError: if no tool is there that makes environments.
    """
    tool = _tool(run)
    text = json.dumps(env.model_dump(mode="json", exclude_none=True), indent=1)  # JSON is YAML
    name = f"bioimageio-fn-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    python = [tool, "run", "-n", name, "python"]
    try:
        run([*python, "--version"])
    except Exception:  # noqa: BLE001 # it is not there yet
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "environment.yaml"
        file.write_text(text, encoding="utf-8")
        run([tool, "env", "create", "--yes", f"--file={file}", f"--name={name}"])
        run([*python, "--version"])
        return python, f"{tool} has made the environment {name}"
    return python, f"{tool} has the environment {name}"


def examined_by(
    python: Sequence[str], options: Mapping[str, Any], folder: Path, run: RunCommand
) -> ValidationSummary:
    """What a test finds in another environment.

    Args:
        python: the command that starts Python there.
        options: the source, and keywords of `test_description`, as JSON has them.
        folder: where the question and the answer are written.
        run: runs commands.

    Raises:
        BackendError: if the test ends without a summary.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked, answer = folder / "test.json", folder / "summary.json"
    answer.unlink(missing_ok=True)
    asked.write_text(json.dumps({**options, "summary": str(answer)}), encoding="utf-8")
    run([*python, "-m", "bioimageio_fn.validation", str(asked)])
    if not answer.is_file():
        raise BackendError("the test in another environment left no summary", expected=answer)
    return ValidationSummary.load_json(answer)


def _tool(run: RunCommand) -> str:
    for tool in TOOLS:
        command = f"{tool}.bat" if os.name == "nt" and tool != "micromamba" else tool
        try:
            run([command, "--version"])
        except Exception:  # noqa: BLE001, S112 # it is not there
            continue
        return command
    raise MissingDependencyError(
        "nothing is installed that makes environments",
        expected=" or ".join(TOOLS),
        remedy="install one of them, or test in the environment that is active",
    )
