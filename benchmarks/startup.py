"""How long it takes to start: medians over fresh processes, beside the targets.

    python benchmarks/startup.py

Nothing is asserted: times belong to the machine that they were taken on. A
difference below zero says that NumPy was not needed.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from statistics import median

REPEATS = 15

BARE = [sys.executable, "-c", "pass"]
NUMPY = [sys.executable, "-c", "import numpy"]
PACKAGE = [sys.executable, "-c", "import numpy, bioimageio_fn"]
HELP = [str(Path(sysconfig.get_path("scripts")) / "bioimageio-fn"), "--help"]


def seconds(command: list[str]) -> float:
    """Wall time of one process, from start to end."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def medians(commands: list[list[str]], repeats: int) -> list[float]:
    """Median time of each command.

    The commands take turns, so that a slow moment of the machine does not fall on one of them. A
    first round, not counted, fills the disk cache and writes byte code.
    """
    rounds = [[seconds(command) for command in commands] for _ in range(repeats + 1)]
    return [median(times) for times in zip(*rounds[1:], strict=True)]


def main() -> None:
    """Measure and print."""
    bare, numpy, package, shown = medians([BARE, NUMPY, PACKAGE, HELP], REPEATS)
    rows = [
        ("python", bare, ""),
        ("python, import numpy", numpy, ""),
        ("import bioimageio_fn, beyond these", package - numpy, "target 0.1 s"),
        ("bioimageio-fn --help, beyond these", shown - numpy, "target 0.3 s"),
    ]
    print(f"median of {REPEATS} fresh processes")
    for what, time_taken, target in rows:
        print(f"{what:36}{time_taken:7.3f} s   {target}".rstrip())


if __name__ == "__main__":
    main()
