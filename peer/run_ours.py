"""Our side of the comparison: a pipeline for each case, around a network that is only listened to.

    python peer/run_ours.py FOLDER

What holds here: nothing but public names of the package is used. What a chain makes is written to
`ours.npz`; if it raises, the name and the text of the error to `ours.json`.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from bioimageio.spec import ValidationContext, build_description
from cases import Array, Case, describe, read_cases

import bioimageio_fn as fn


def process(case: Case, arrays: dict[str, Array]) -> Array:
    """What reaches the network, or what comes out behind it."""
    context = ValidationContext(perform_io_checks=False, log_warnings=False)
    description = build_description(describe(case), context=context)
    seen: list[Any] = []

    def network(*inputs: Any) -> tuple[Any]:
        seen.append(np.asarray(inputs[0]))
        return (arrays["out"] if case.stage == "post" else inputs[0],)

    pipeline = fn.create_prediction_pipeline(description, backend=network)
    members = {t.id: fn.Tensor(arrays[t.id], case.axes) for t in pipeline.contract.inputs}
    result = pipeline(fn.Sample(members))
    if len(seen) != 1:
        raise RuntimeError("the network was to be called once")
    return seen[0] if case.stage == "pre" else np.asarray(result["out"])


def main(folder: Path) -> None:
    """Run all cases of a folder."""
    results: dict[str, Array] = {}
    errors: dict[str, list[str]] = {}
    for case, arrays in read_cases(folder):
        try:
            results[str(case.number)] = process(case, arrays)
        except Exception as error:  # noqa: BLE001 - any error is a result here
            errors[str(case.number)] = [type(error).__name__, str(error)]
    np.savez(folder / "ours.npz", allow_pickle=False, **results)
    (folder / "ours.json").write_text(json.dumps(errors, indent=1), encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
