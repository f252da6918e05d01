"""Time and memory to normalise a large image, statistics included, beside bioimageio.core.

Every figure is that of the first call in a fresh process; the two libraries take turns, and the
median of the rounds is printed. `nox -s bench` makes the two environments and calls this script.

    python benchmarks/normalise.py --peer PYTHON [--rounds 7] [--side 8192]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from turns import Runs, in_turns, median, peak_memory

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uint16": lambda image: image,
    "float32": lambda image: image,
    "uint16, every other column": lambda image: image[:, ::2],
    "uint16, channel last": lambda image: image.reshape(*image.shape[:1], -1, 4).transpose(2, 0, 1),
    "uint16, transposed": lambda image: image.T,
}
STEPS: dict[str, dict[str, Any]] = {
    "zero_mean_unit_variance": {},
    "scale_range": {"min_percentile": 1, "max_percentile": 99.8},
}


def ours(image: np.ndarray, step: str, axes: tuple[str, ...]) -> Any:
    """From an array to a normalised array, through the library's records."""
    import bioimageio_fn as fn
    from bioimageio_fn.ops.records import ScaleRange, ZeroMeanUnitVariance

    records = {"zero_mean_unit_variance": ZeroMeanUnitVariance, "scale_range": ScaleRange}
    chain = [fn.Transform(records[step](axes=axes, **STEPS[step]), "raw")]
    sample = fn.Sample({"raw": fn.Tensor(image, axes)})
    return fn.apply(fn.fit(chain, sample), sample)["raw"].data


def theirs(image: np.ndarray, step: str, axes: tuple[str, ...]) -> Any:
    """The same with bioimageio.core: its measures of the sample, then its operator."""
    from bioimageio.core import AxisId, MemberId, Sample, Tensor
    from bioimageio.core.proc_ops import ScaleRange, ZeroMeanUnitVariance
    from bioimageio.core.stat_calculators import compute_sample_measures
    from bioimageio.spec.model import v0_5

    ids = tuple(AxisId(a) for a in axes)
    if step == "scale_range":
        kwargs = v0_5.ScaleRangeKwargs(axes=ids, **STEPS[step])
        operator: Any = ScaleRange.from_proc_descr(
            v0_5.ScaleRangeDescr(kwargs=kwargs), MemberId("raw")
        )
    else:
        zero_mean = v0_5.ZeroMeanUnitVarianceDescr(kwargs=v0_5.ZeroMeanUnitVarianceKwargs(axes=ids))
        operator = ZeroMeanUnitVariance.from_proc_descr(zero_mean, MemberId("raw"))
    sample = Sample(members={MemberId("raw"): Tensor(image, ids)}, stat={}, id="a")
    sample.stat.update(compute_sample_measures(operator.required_measures, sample))
    operator(sample)
    return sample.members[MemberId("raw")].data


def once(who: str, path: str, layout: str, step: str) -> None:
    """Print the seconds and the extra memory of one call."""
    image = LAYOUTS[layout](np.load(path))
    axes = ("c", "y", "x")[-image.ndim :]
    function = {"ours": ours, "theirs": theirs}[who]
    function(image[..., :8, :8].copy(), step, axes)  # imports are not what is measured
    before = peak_memory()
    start = time.perf_counter()
    result = function(image, step, axes)
    seconds = time.perf_counter() - start
    extra = max(0.0, peak_memory() - before - result.size * 4 / 2**20)
    print(json.dumps({"seconds": seconds, "extra": extra, "mean": float(np.mean(result[..., 0]))}))


def compare(peer: str, rounds: int, side: int) -> None:
    """Print a table of both libraries, for every step and every layout."""
    image = np.random.default_rng(0).integers(0, 4096, (side, side), dtype=np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        files = {"uint16": Path(folder) / "uint16.npy", "float32": Path(folder) / "float32.npy"}
        for dtype, path in files.items():
            np.save(path, image.astype(dtype))
        print(f"{side} x {side}, median of {rounds} fresh processes each, taking turns")
        for step in STEPS:
            for layout in LAYOUTS:
                path = str(files[layout.partition(",")[0]])
                report(step, layout, in_turns(peer, rounds, __file__, path, layout, step))


def report(step: str, layout: str, runs: Runs) -> None:
    """One line of the table."""
    seconds = {who: median(found, "seconds") for who, found in runs.items()}
    extra = {who: max(r["extra"] for r in found) for who, found in runs.items()}
    low, high = (pick(r["seconds"] for r in runs["ours"]) for pick in (min, max))
    print(
        f"{step:24} {layout:28} ours {seconds['ours']:.3f} s ({low:.3f} to {high:.3f})"
        f"  theirs {seconds['theirs']:.3f} s  {seconds['theirs'] / seconds['ours']:.1f} times"
        f"  beyond the float32 result: {extra['ours']:.0f} MB and {extra['theirs']:.0f} MB",
        flush=True,
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python that has bioimageio.core")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--once", nargs=4)
    options = parser.parse_args()
    if options.once:
        once(*options.once)
    elif options.peer:
        compare(options.peer, options.rounds, options.side)
    else:
        parser.error("--peer is needed")


if __name__ == "__main__":
    main()
