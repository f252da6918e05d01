"""How many pixels the network computes for an image, by default: halo and padding counted.

Beside the fewest that any valid block shape computes, found by trying all of them, and beside
bioimageio.core, which says how it would cut; nothing is predicted.

    python benchmarks/pixels.py [--peer PYTHON]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from models import identity, write_model
from turns import in_turns

SMALLEST, STEP = 80, 16
"""Sizes of the network: `SMALLEST + n * STEP`, as of a published U-Net for nuclei."""
IMAGES: list[tuple[str, tuple[int, ...], int]] = [
    ("yx", (2048, 2048), 32),
    ("zyx", (128, 1024, 1024), 16),
]
"""Axes in space, sizes, halo."""


def ours(model: str, sizes: dict[str, int]) -> dict[str, Any]:
    """What the default plan computes, the best of all plans, and the best within their blocks."""
    import bioimageio_fn as fn
    from bioimageio_fn.blocks.choose import PIXELS

    contract = fn.model_contract(fn.load_model(model))
    image = {"raw": {"batch": 1, "channel": 1, **sizes}}
    found = {
        "by default": _planned(fn.plan_blocks(contract, image)),
        "the best of all valid plans": best_by_force(contract, image, sizes, PIXELS),
    }
    if (limit := (SMALLEST + 10 * STEP) ** len(sizes)) < PIXELS:
        small = fn.MemoryModel(fixed=0, per_pixel=1, limit=limit)
        plan = fn.plan_blocks(contract, image, memory=small)
        found["in blocks no larger than those of n=10"] = _planned(plan)
    return found


def _planned(plan: Any) -> str:
    shape = " x ".join(str(a.grid.block) for a in plan.axes if a.name in "zyx")
    return _line(plan.count * plan.pixels, plan.count, shape)


def _line(pixels: int, count: int, shape: str) -> str:
    return f"{pixels / 1e6:.2f} million pixels in {count} blocks of {shape}"


def best_by_force(
    contract: Any, image: dict[str, dict[str, int]], sizes: dict[str, int], budget: int
) -> str:
    """The fewest pixels that any valid block shape computes, of those not over the budget."""
    import bioimageio_fn as fn

    along = []
    for axis, size in sizes.items():
        found = []
        for block in range(SMALLEST, size + STEP, STEP):
            try:
                plan = fn.plan_blocks(contract, image, block_shape={axis: block})
            except fn.errors.BlockError:
                continue
            grid = next(a.grid for a in plan.axes if a.name == axis)
            found.append((grid.block, len(grid.starts)))
        along.append(found)
    fits = (p for p in itertools.product(*along) if math.prod(b for b, _ in p) <= budget)
    best = min(fits, key=lambda pick: math.prod(block * count for block, count in pick))
    shape = " x ".join(str(block) for block, _ in best)
    return _line(math.prod(b * n for b, n in best), math.prod(n for _, n in best), shape)


def theirs(model: str, sizes: dict[str, int]) -> dict[str, Any]:
    """What bioimageio.core would compute: by default, and with the largest n <= 10 that fits."""
    from bioimageio.core import create_prediction_pipeline
    from bioimageio.core.digest_spec import create_sample_for_model
    from bioimageio.spec import load_model_description

    description: Any = load_model_description(model)
    pipeline = create_prediction_pipeline(description, weights_format="onnx")
    sample = create_sample_for_model(
        description, inputs=np.zeros((1, 1, *sizes.values()), "float32")
    )
    fits = {("raw", a): min(10, (size - SMALLEST) // STEP) for a, size in sizes.items()}

    def counted(ns: Any) -> str:
        shape = description.get_tensor_sizes(ns, 1).inputs["raw"]
        try:
            count, _ = pipeline.predict_sample_with_blocking_yield_intermediates(sample, ns=ns)
        except Exception as error:  # noqa: BLE001
            return f"{type(error).__name__}: {error}"
        inside = [shape[a] for a in sizes]
        return _line(count * math.prod(inside), count, " x ".join(map(str, inside)))

    default = counted(dict.fromkeys(fits, 10))
    chosen = {} if set(fits.values()) == {10} else {f"n={list(fits.values())}": counted(fits)}
    return {"by default (n=10)": default, **chosen}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python that has bioimageio.core")
    parser.add_argument("--once", nargs=3)
    options = parser.parse_args()
    if options.once:
        who, model, sizes = options.once
        print(json.dumps({"ours": ours, "theirs": theirs}[who](model, json.loads(sizes))))
        return
    for space, sizes, halo in IMAGES:
        with tempfile.TemporaryDirectory() as folder:
            network = identity(len(space))
            model = write_model(
                Path(folder), network, space=space, smallest=SMALLEST, step=STEP, halo=halo
            )
            image = json.dumps(dict(zip(space, sizes, strict=True)))
            runs = in_turns(options.peer, 1, __file__, model, image)
        print(f"{' x '.join(map(str, sizes))}, {math.prod(sizes) / 1e6:.2f} million, halo {halo}")
        for who, (found,) in runs.items():
            for what, line in found.items():
                print(f"    {who:7} {what:40} {line}", flush=True)


if __name__ == "__main__":
    main()
