"""What blocks cost: time to plan, and time for each block beyond the network's own.

The network is an identity in ONNX, so that next to nothing but the library's own time is left. The
two libraries take turns in fresh processes; figures are medians of the rounds.

    python benchmarks/blocks.py [--peer PYTHON] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from models import Step, identity, write_model
from turns import Runs, in_turns, median

import bioimageio_fn as fn

STEPS: dict[str, tuple[list[Step], list[Step]]] = {
    "no steps": ([], []),
    "zero_mean_unit_variance, sigmoid": (
        [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}}],
        [{"id": "sigmoid"}],
    ),
}
REPEATS = 3
"""In each process."""


def planning(folder: Path, rounds: int) -> None:
    """Time to plan a large image."""
    sizes = {"y": 100_000, "x": 100_000}
    for step in (16, 1):
        model = write_model(folder / f"by_{step}", identity(), smallest=80, step=step, halo=32)
        contract = fn.model_contract(fn.load_model(model))
        image = {"raw": {"batch": 1, "channel": 1, **sizes}}
        seconds = _median_seconds(lambda c=contract, i=image: fn.plan_blocks(c, i), rounds)
        print(f"plan 100000 x 100000, sizes 80 + n*{step}, halo 32: {1e3 * seconds:.1f} ms")


def _median_seconds(function: Callable[[], Any], rounds: int) -> float:
    """The median of the times that a call takes, behind one that does not count."""
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def overhead(folder: Path, peer: str | None, rounds: int) -> None:
    """Time for each block beyond the network's own, of 256 blocks without halo, float32."""
    print(f"beyond the network, for each of 256 blocks, median of {rounds} processes in turns")
    print("(in brackets: processor time, which other work on the machine does not lengthen)")
    script = str(Path(__file__).with_name("one_prediction.py"))
    for what, (before, after) in STEPS.items():
        model = write_model(folder / what, identity(), before=before, after=after)
        for side in (128, 64):
            image = folder / "image.npy"
            shape = (1, 1, 16 * side, 16 * side)
            np.save(image, np.random.default_rng(0).random(shape, dtype=np.float32))
            block = json.dumps({"y": side, "x": side})
            result = folder / "result.npy"
            runs = in_turns(peer, rounds, script, model, image, block, REPEATS, result)
            print(f"{side:3} x {side:3}, {what:33} {_beside(runs)}", flush=True)


def _beside(runs: Runs) -> str:
    """Both libraries in one line."""
    return "  ".join(f"{who} {_beyond(found)}" for who, found in runs.items())


def _beyond(found: list[dict[str, Any]]) -> str:
    if errors := [run["error"] for run in found if "error" in run]:
        return str(errors[0])
    blocks = found[0]["blocks"]
    total, bare, own = (1e3 * median(found, key) / blocks for key in ("total", "bare", "own"))
    return f"{total - bare:.3f} ms ({own:.3f} ms) beside {bare:.3f} ms;"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python that has bioimageio.core")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        planning(Path(folder), options.rounds)
        overhead(Path(folder), options.peer, options.rounds)


if __name__ == "__main__":
    main()
