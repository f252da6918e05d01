"""Opens hostile packages in processes of their own, with limits on time, memory and files.

    outcomes = opened(source, ["load_description", "predict"])

A package lies in a folder of its own, and so do the cache and the folder that the process runs in:
whatever is written elsewhere, or where it was run, fails the test.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SECONDS = 60  # of computing: other processes may be busy
PROGRAM = f"""
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30,) * 2)  # PyTorch alone maps several GiB
resource.setrlimit(resource.RLIMIT_FSIZE, (500 * 2**20,) * 2)

import numpy as np
import bioimageio_fn as fn

source, ways, cache = json.loads(sys.argv[1])
fn.settings.cache_path = cache
image = np.ones((8, 8), "float32")
run = {{
    "load_description": lambda: fn.load_description(source),
    "load_description without looking at files": lambda: fn.load_description(
        source, perform_io_checks=False
    ),
    "test_inputs": lambda: fn.test_inputs(source),
    "predict": lambda: fn.predict(model=source, inputs=image),
    "predict the state dict": lambda: fn.predict(
        model=source, inputs=image, weights_format="pytorch_state_dict"
    ),
    "predict, trusted": lambda: fn.predict(
        model=source, inputs=image, weights_format="pytorch_state_dict", trust_code=True
    ),
    "test_model": lambda: fn.test_model(source),
    "test_model, trusted": lambda: fn.test_model(source, trust_code=True),
}}


def outcome(result):
    if not isinstance(result, fn.ValidationSummary):
        return type(result).__name__, ""
    # the last words are ours; before them the format library may have had some
    wrong = [(error.type, error.msg) for error in result.errors] or [(result.status, "")]
    return wrong[-1]


for way in ways:
    try:
        ended = outcome(run[way]())
    except Exception as error:
        ended = type(error).__name__, str(error)
    print("OUTCOME", json.dumps([way, *ended]), flush=True)
"""


class Outcome(NamedTuple):
    """How a call ended: the class of its error and what that says, or the class of a result.

    Of a model test: that of the last error in its summary, or its status.
    """

    kind: str
    text: str


def opened(source: Path, ways: list[str]) -> dict[str, Outcome]:
    """Open a package in these ways, in a process of its own; how each of them ended."""
    home = source.parent.parent
    cache, work = home / "cache", home / "work"
    cache.mkdir()
    work.mkdir()
    before = _files(home, but=cache)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([str(source), ways, str(cache)])],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=4 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"
    assert _files(home, but=cache) == before, "something was written outside of the cache"
    lines = [line for line in done.stdout.splitlines() if line.startswith("OUTCOME ")]
    found = (json.loads(line.removeprefix("OUTCOME ")) for line in lines)
    return {way: Outcome(kind, text) for way, kind, text in found}


def _files(home: Path, *, but: Path) -> dict[str, tuple[int, int]]:
    found = [p for p in home.rglob("*") if p != but and not p.is_relative_to(but)]
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in found if not p.is_dir()}
