"""`test_model` and its kin: does a model give what it promises, here and now.

What holds here: a description that is given is not changed, and neither are the seeds and flags of
frameworks; what is wrong with a model is in the summary, never a traceback. Only what can not be
opened as a description at all, or is no honest package, is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bioimageio.spec import ValidationSummary

from ..package.sources import Source
from ..trusted import TrustCode
from .determinism import Mode
from .elsewhere import RuntimeEnv, examine_elsewhere
from .environments import RunCommand, run_command
from .examining import PathLike, check_options, examine, listed

__all__ = [
    "load_description_and_test",
    "test_description",
    "test_model",
    "test_resource",
]


def test_model(
    source: Source,
    weight_format: str | None = None,
    devices: str | Sequence[str] | None = None,
    *,
    determinism: Mode = "seed_only",
    sha256: str | None = None,
    stop_early: bool = False,
    working_dir: PathLike | None = None,
    trust_code: TrustCode = False,
) -> ValidationSummary:
    """Test whether a model gives what it promises.

    Its description is validated. Then, for each weights format, its test outputs are reproduced
    from its test inputs within the described tolerances, and it is run at several of the sizes
    that it is described to take. Blocks are compared with the whole, and what the network sees
    with the described halo.

    Args:
        source: folder, `bioimageio.yaml`, zip archive, URL, id, or a model description.
        weight_format: the weights to test; by default all that the model has.
        devices: where they are tested, one after the other: `cpu`, `cuda`, `cuda:N` or `mps`.
        determinism: `seed_only`: frameworks are seeded; `full`: and asked for algorithms that give
            the same each time. Seeds and flags are afterwards what they were.
        sha256: what the file of the description has to hash to.
        stop_early: whether to stop behind the first step that fails.
        working_dir: folder in which tensors are kept: what the model and its network got and gave.
        trust_code: whether Python code of the model may run; or a set of sha256 values: those of
            the files that may.

    Returns:
        A summary with a detail for each step: `summary.status` is `passed` or `failed`, and
        `summary.display()` shows it.

    Raises:
        MissingFileError, DescriptionError: if there is nothing that could be tested.
        UnsafePackageError, HashMismatchError: if it is refused.
        OperationError, UntrustedCodeError, FileWriteError: if an option makes no sense.

    Examples:
        >>> import bioimageio_fn as fn
        >>> summary = fn.test_model(fn.demo_model(), "onnx", stop_early=True)
        >>> summary.status
        'passed'
    """
    return examine(
        source,
        weight_format=weight_format,
        devices=devices,
        determinism=determinism,
        expected_type="model",
        sha256=sha256,
        stop_early=stop_early,
        working_dir=working_dir,
        trust_code=trust_code,
    ).summary


def test_description(
    source: Source,
    *,
    format_version: str = "discover",
    weight_format: str | None = None,
    devices: str | Sequence[str] | None = None,
    determinism: Mode = "seed_only",
    expected_type: str | None = None,
    sha256: str | None = None,
    stop_early: bool = False,
    runtime_env: RuntimeEnv = "currently-active",
    run_command: RunCommand = run_command,
    working_dir: PathLike | None = None,
    trust_code: TrustCode = False,
) -> ValidationSummary:
    """Test a description of any type: what can be run of it is run.

    Args:
        source: as of `test_model`; or the fields of a description.
        format_version: validate against this version of the format; `latest` updates first.
        weight_format, devices, determinism, sha256, stop_early, working_dir, trust_code: as of
            `test_model`.
        expected_type: `model`, `dataset`, ...: a description of another type fails.
        runtime_env: where to test: here; in the environments that the weights are described to
            need; or in that of a conda file. Others than this one are made by conda, mamba or
            micromamba, whichever is there. An environment that a model brings installs what it
            names: it has to be trusted like code.
        run_command: runs the commands by which environments are made and used.

    Raises:
        MissingFileError, DescriptionError, UnsafePackageError, HashMismatchError: as `test_model`.
        OperationError: if `run_command` does not raise where a command fails.

    Examples:
        >>> import bioimageio_fn as fn
        >>> summary = fn.test_description(fn.demo_model(), expected_type="dataset")
        >>> summary.status, summary.errors[0].msg
        ('failed', 'expected a dataset, got a model')
    """
    options: dict[str, Any] = {
        "format_version": format_version,
        "weight_format": weight_format,
        "devices": listed(devices),
        "determinism": determinism,
        "expected_type": expected_type,
        "sha256": sha256,
        "stop_early": stop_early,
        "working_dir": working_dir,
        "trust_code": trust_code,
    }
    if isinstance(runtime_env, str) and runtime_env == "currently-active":
        return examine(source, **options).summary
    check_options(determinism, trust_code, working_dir)
    return examine_elsewhere(source, options, runtime_env, run_command)


def load_description_and_test(
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
) -> Any:
    """Load a description, test it, and give it with its summary.

    Args:
        source, format_version, weight_format, devices: as of `test_description`.
        determinism, expected_type, sha256, stop_early: as of `test_description`.
        working_dir, trust_code: as of `test_description`.

    Returns:
        The description, perhaps an `InvalidDescr`; its `validation_summary` tells of the test.

    Examples:
        >>> import bioimageio_fn as fn
        >>> model = fn.load_description_and_test(fn.demo_model(), expected_type="dataset")
        >>> model.validation_summary.status
        'failed'
    """
    return examine(
        source,
        format_version=format_version,
        weight_format=weight_format,
        devices=devices,
        determinism=determinism,
        expected_type=expected_type,
        sha256=sha256,
        stop_early=stop_early,
        working_dir=working_dir,
        trust_code=trust_code,
    ).description


test_resource = test_description

# so that pytest does not take them for tests where users import them
test_model.__test__ = False  # type: ignore[attr-defined]
test_description.__test__ = False  # type: ignore[attr-defined]
