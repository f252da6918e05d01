"""Differential comparison with the reference, `bioimageio.core`: `nox -s peer`.

    python peer/main.py --theirs PYTHON FOLDER [--number 2000] [--seed 0]

Random chains of processing steps are described as models of format 0.4 and 0.5. Both sides read the
same descriptions and arrays, each in an environment of its own, for the reference pins a release of
`bioimageio.spec` that we can not use; they exchange files in FOLDER. What reaches the network
(preprocessing) or comes out behind it (postprocessing) has to be equal, or to differ in a way that
is on the list of `known_differences.py`.

This is neither among the tests, which need no second environment, nor among the benchmarks, which
are printed and never asserted: hence a folder of its own.

- `chains.py`, `cases.py`: the chains, what they run on and their descriptions, from a seed;
- `run_ours.py`, `run_peer.py`: one side each;
- `repairs.py`: the reference without its known differences;
- `known_differences.py`: the list, with the sentence that decides each;
- `compare.py`: the report.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from cases import write_cases
from compare import compare, report

HERE = Path(__file__).parent


def _timed(what: str, *command: str) -> None:
    start = time.perf_counter()
    subprocess.run(command, check=True)
    print(f"{what}: {time.perf_counter() - start:.1f} s")


def main() -> int:
    """Make the cases, run both sides, report."""
    parser = argparse.ArgumentParser(description="Compare processing chains with the reference.")
    parser.add_argument("folder", type=Path, help="where files are exchanged")
    parser.add_argument("--theirs", required=True, help="the reference's Python")
    parser.add_argument("--number", type=int, default=2000, help="how many cases")
    parser.add_argument("--seed", type=int, default=0, help="other cases")
    options = parser.parse_args()
    write_cases(options.folder, seed=options.seed, number=options.number)
    folder = str(options.folder)
    _timed("ours", sys.executable, str(HERE / "run_ours.py"), folder)
    _timed("theirs", options.theirs, str(HERE / "run_peer.py"), folder)
    well = report(compare(options.folder))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
