"""The reference's side of the comparison: its own operators, in the order of its own pipeline.

    python peer/run_peer.py FOLDER

Runs in the environment of the reference, which has nothing of this package.

What holds here: `theirs.npz` has what a chain makes of its tensor, `repaired.npz` what it makes
with the repairs of `repairs.py`; `theirs.json` has the errors of both, the repairs on which the
latter depends, and how many elements lie so near to a jump that rounding decides.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bioimageio.core import Tensor
from bioimageio.core.proc_setup import setup_pre_and_postprocessing
from bioimageio.core.sample import Sample
from bioimageio.spec import ValidationContext, build_description
from cases import Array, Case, describe, read_cases
from compare import same
from loguru import logger
from repairs import Repaired, near_a_jump


def plain(case: Case, description: Any, members: dict[str, Tensor]) -> tuple[Array, int]:
    """What the reference makes of the tensor, and how many elements lie near to a jump."""
    setup = setup_pre_and_postprocessing(description, dataset_for_initial_statistics=())
    late = {} if case.shown or case.stage == "pre" else {"out": members["out"]}
    sample = Sample({k: v for k, v in members.items() if k not in late}, {}, None)
    near = _run(setup.pre, sample, case)
    if case.stage == "post":
        sample.members.update(late)
        near = _run(setup.post, sample, case)
    return sample.members[case.member].to_numpy(), near


def _run(operators: list[Any], sample: Sample, case: Case) -> int:
    near = 0
    for op in operators:
        if getattr(op, "input", None) == case.member:
            near += near_a_jump(op, sample.members[op.input])
        op(sample)
    return near


def _tried(function: Callable[[], Any]) -> tuple[Any, list[str] | None]:
    try:
        return function(), None
    except Exception as error:  # noqa: BLE001 - any error is a result here
        return None, [type(error).__name__, str(error)]


def process(case: Case, arrays: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of one case, and what is to be said of them."""
    context = ValidationContext(perform_io_checks=False, log_warnings=False)
    description = build_description(describe(case), context=context)
    if description.validation_summary.status == "failed":
        raise RuntimeError(f"case {case.number}: {description.validation_summary.errors}")
    members = {t: Tensor(a, dims=tuple(case.axes)) for t, a in arrays.items()}
    found: dict[str, Array] = {}
    said: dict[str, Any] = {}
    result, said["error"] = _tried(lambda: plain(case, description, dict(members)))
    if result is not None:
        found["theirs"], said["near"] = result
    tensor = (description.inputs if case.stage == "pre" else description.outputs)[0]
    repaired = Repaired(case, tensor, members)
    result, said["repaired_error"] = _tried(repaired.run)
    said["near"] = max(said.get("near", 0), repaired.near)
    said["noted"] = sorted(repaired.noted)
    if result is not None:
        found["repaired"] = result.to_numpy()
        if not same(found.get("theirs"), found["repaired"]):
            said["noted"] = _needed(case, tensor, members, found["repaired"], repaired.noted)
    return found, said


def _needed(
    case: Case, tensor: Any, members: dict[str, Tensor], expected: Array, noted: set[str]
) -> list[str]:
    """The repairs without which the result would be another; all, if they stand in for another."""

    def depends(key: str) -> bool:
        result, _ = _tried(Repaired(case, tensor, members, {key}).run)
        return result is None or not same(result.to_numpy(), expected)

    return [key for key in sorted(noted) if depends(key)] or sorted(noted)


def main(folder: Path) -> None:
    """Run all cases of a folder."""
    arrays: dict[str, dict[str, Array]] = {"theirs": {}, "repaired": {}}
    said = {}
    for case, given in read_cases(folder):
        found, said[str(case.number)] = process(case, given)
        for kind, array in found.items():
            arrays[kind][str(case.number)] = array
    for kind, results in arrays.items():
        np.savez(folder / f"{kind}.npz", allow_pickle=False, **results)
    (folder / "theirs.json").write_text(json.dumps(said, indent=1), encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    logger.disable("")
    main(Path(sys.argv[1]))
