"""A prediction by a published U-Net beside its bare forward passes, and beside bioimageio.core.

The image is the model's test image, mirrored over and over up to 2048 x 2048, as uint16. The
weights are fixed at 512 x 512, so that each library chooses blocks of that size. The two take turns
in fresh processes; figures are medians of the rounds.

    python benchmarks/nuclei.py [--model FOLDER] [--peer PYTHON] [--rounds 3] [--side 2048]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from turns import in_turns, measure, median

MODEL = Path(__file__).parents[2] / "shared" / "models" / "unet2d_nuclei_broad"
REPEATS = 1
"""In each process."""
BORDER = 64


def compare(model: Path, peer: str | None, rounds: int, side: int) -> None:
    """Print what both libraries take, and how far their results are apart."""
    script = str(Path(__file__).with_name("one_prediction.py"))
    test = np.load(model / "test_input.npy").astype(np.uint16)
    wider = [(0, side - size) for size in test.shape[2:]]
    image = np.pad(test, [(0, 0), (0, 0), *wider], mode="symmetric")
    print(f"{model.name}, {side} x {side}, median of {rounds} processes in turns")
    with tempfile.TemporaryDirectory() as folder:
        path, result = Path(folder) / "image.npy", Path(folder) / "result_{who}.npy"
        np.save(path, image)

        def arguments(block: dict[str, int] | None) -> tuple[object, ...]:
            return model / "bioimageio.yaml", path, json.dumps(block), REPEATS, result

        runs = in_turns(peer, rounds, script, *arguments(None))
        for who, found in runs.items():
            print(f"{who:7} {_line(found)}", flush=True)
        if peer:
            print(f"largest difference of the results: {_differences(result)}")
            print(f"theirs, whole: {_line([measure(peer, script, 'theirs', *arguments({}))])}")


def _line(found: list[dict[str, Any]]) -> str:
    if errors := [run["error"] for run in found if "error" in run]:
        return str(errors[0])
    total, bare, own, times = (median(found, key) for key in ("total", "bare", "own", "times"))
    shape = " x ".join(str(size) for size in found[0]["shape"][2:])
    return (
        f"{found[0]['blocks']} blocks of {shape}: {total:.2f} s, forward passes alone {bare:.2f} s:"
        f" {total / bare:.3f} times; {times:.3f} times those within it; processor time for all but"
        f" the network {own:.3f} s"
    )


def _differences(result: Path) -> str:
    """How far the two are apart; at borders of the image bioimageio.core pads what a block sees."""
    ours, theirs = (
        np.load(str(result).format(who=who)).astype(float).squeeze() for who in ("ours", "theirs")
    )
    apart = np.abs(ours - theirs)
    inside = apart[BORDER:-BORDER, BORDER:-BORDER]
    return f"{apart.max():.2g}; farther than {BORDER} pixels from the border {inside.max():.2g}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL, help="folder of the published model")
    parser.add_argument("--peer", help="Python that has bioimageio.core")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=2048)
    options = parser.parse_args()
    if options.model.exists():
        compare(options.model, options.peer, options.rounds, options.side)
    else:
        print(f"skipped: there is no {options.model}; give the folder with --model")


if __name__ == "__main__":
    main()
