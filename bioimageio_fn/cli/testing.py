"""The command `test`: does a model give what its author has promised.

What holds here: what is tested is the same as by `test_description`; where a report could not be
written, that is said before anything is tested.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .answering import Answer, Say, answering
from .models import without_requests
from .options import OFFLINE, TRUST_CODE, options
from .summary import lines_of

__all__ = ["test"]

_HERE = "currently-active"

_WHAT = (
    click.option("--weights-format", help="Such as onnx; default: all that the model has."),
    click.option(
        "--device",
        multiple=True,
        help="cpu, cuda, cuda:N or mps; given several times, one after the other. Default: a GPU if"
        " there is one.",
    ),
    click.option("--expected-type", metavar="TYPE", help="Such as model; another type fails."),
    click.option("--sha256", metavar="HASH", help="What the description has to hash to."),
    click.option(
        "--format-version",
        default="discover",
        metavar="VERSION",
        help="Validate against this version of the format; latest updates the description first.",
    ),
)

_HOW = (
    click.option(
        "--determinism",
        type=click.Choice(["seed_only", "full"]),
        default="seed_only",
        help="full: ask frameworks for algorithms that give the same each time.",
    ),
    click.option("--stop-early", is_flag=True, help="Stop behind the first step that fails."),
    click.option(
        "--runtime-env",
        default=_HERE,
        metavar="ENV",
        help="as-described, or a conda file: test in such an environment, which conda, mamba or"
        " micromamba makes.",
    ),
    TRUST_CODE,
    OFFLINE,
)

_KEPT = (
    click.option(
        "--summary",
        "reports",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write a report, too: .html with pictures, .md or .json. May be given several times.",
    ),
    click.option(
        "--working-dir",
        type=click.Path(),
        metavar="FOLDER",
        help="Keep what the model and its network got and gave, as .npy.",
    ),
)


@click.command()
@click.argument("model")
@options(*_WHAT, *_HOW, *_KEPT)
@answering
def test(
    say: Say,
    *,
    model: str,
    device: tuple[str, ...],
    weights_format: str | None,
    reports: tuple[Path, ...],
    offline: bool,
    **how: Any,
) -> Answer:
    """Test if a model gives what it promises.

    Its description is validated. Then, for each weights format, its test outputs are reproduced, it
    is run at other sizes, blocks are compared with the whole, and what the network sees with the
    halo. MODEL may be a data set, notebook or application, too: of these the description is all
    that is tested. The exit code is 0 only if everything passed.

    \b
    Examples:
      bioimageio-fn test model.zip
      bioimageio-fn test model.zip --weights-format onnx --summary report.html
    """
    from ..validation.report import check_report, save_report

    for file in reports:
        check_report(file)
    asked = {"weight_format": weights_format, "devices": list(device) or None, **how}
    with without_requests(offline=offline):
        summary, found = _tested(model, **asked)
    for line in lines_of(summary):
        say(line)
    for file in reports:
        say(f"report: {save_report(file, summary, found)}")
    say(f"{model}: {summary.status} ({summary.type} of format {summary.format_version})")
    return Answer(summary.model_dump(mode="json"), failed=summary.status != "passed")


def _tested(model: str, *, runtime_env: str, **asked: Any) -> tuple[Any, tuple[Any, ...]]:
    """The summary of a test, and what a report shows; from elsewhere no tensors come back."""
    if runtime_env == _HERE:
        from ..validation.examining import examine

        found = examine(model, **asked)
        return found.summary, found.reports
    from ..validation.testing_models import test_description

    return test_description(model, runtime_env=runtime_env, **asked), ()
