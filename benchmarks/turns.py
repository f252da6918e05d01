"""Two libraries in turns: each measurement is a fresh process that prints one line of JSON.

What holds here: `ours` runs in this Python, `theirs` in one that has bioimageio.core; each round
runs both, so that a slow moment of the machine does not fall on one of them.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

Runs = dict[str, list[dict[str, Any]]]
"""What the processes of each library printed, one for each round."""


def measure(python: str, script: str, *arguments: object) -> dict[str, Any]:
    """What one fresh process prints.

    Args:
        script: the file that is run with `--once` and the arguments.
    """
    command = [python, script, "--once", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def in_turns(peer: str | None, rounds: int, script: str, *arguments: object) -> Runs:
    """What both libraries print, ours alone where there is no peer.

    Args:
        peer: Python that has bioimageio.core.
        arguments: given to the script behind `ours` or `theirs`.
    """
    pythons = {"ours": sys.executable} | ({"theirs": peer} if peer else {})
    runs: Runs = {who: [] for who in pythons}
    for _ in range(rounds):
        for who, python in pythons.items():
            runs[who].append(measure(python, script, who, *arguments))
    return runs


def median(runs: list[dict[str, Any]], key: str) -> float:
    """The median of one figure."""
    return statistics.median(run[key] for run in runs)


def peak_memory() -> float:
    """The most memory that this process has held so far, in MiB.

    On Linux, `ru_maxrss` starts from what the parent held when it forked, so that a large parent
    hides what its child takes; the status file does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
