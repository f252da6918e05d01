"""What blocks cost: planning, pixels computed, and time beside the bare network.

    python benchmarks/blocks.py [--rounds 5]

The figures of one process, each the median of the rounds. The network is an identity made with
`onnx`, and the demo model.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bioimageio_fn as fn
from bioimageio_fn.axes import axis_type
from bioimageio_fn.blocks.choose import PIXELS
from bioimageio_fn.contract.records import (
    AnySize,
    AxisContract,
    FixedSize,
    ModelContract,
    ParameterizedSize,
    ReferencedSize,
    TensorContract,
)
from bioimageio_fn.errors import BlockError


def contract_of(space: str, smallest: int, step: int, halo: int) -> ModelContract:
    """A model that gives an output of the size of its input."""
    fixed = [
        AxisContract("batch", "batch", AnySize()),
        AxisContract("channel", "channel", FixedSize(1)),
    ]
    given = [AxisContract(a, axis_type(a), ParameterizedSize(smallest, step)) for a in space]
    follow = [AxisContract(a, axis_type(a), ReferencedSize("raw", a), halo=halo) for a in space]
    raw = TensorContract("raw", (*fixed, *given), "float32")
    out = TensorContract("out", (*fixed, *follow), "float32")
    return ModelContract("benchmark", (raw,), (out,), (out,))


def shapes(space: str, sizes: tuple[int, ...]) -> dict[str, dict[str, int]]:
    """The sizes of an image."""
    return {"raw": {"batch": 1, "channel": 1, **dict(zip(space, sizes, strict=True))}}


def median_seconds(function: Callable[[], Any], rounds: int) -> float:
    """The median of the times that a call takes, behind one that does not count."""
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def planning(rounds: int) -> None:
    """Time to plan, and pixels computed beside the best of all valid plans."""
    for step in (16, 1):
        contract = contract_of("yx", 80, step, 32)
        image = shapes("yx", (100_000, 100_000))
        seconds = median_seconds(lambda c=contract, i=image: fn.plan_blocks(c, i), rounds)
        print(f"plan 100000 x 100000, sizes 80 + n*{step}: {1e3 * seconds:.1f} ms")
    for space, sizes, halo in (("yx", (2048, 2048), 32), ("zyx", (128, 1024, 1024), 16)):
        contract, image = contract_of(space, 80, 16, halo), shapes(space, sizes)
        plan = fn.plan_blocks(contract, image)
        best = best_by_force(contract, image, space, sizes)
        print(f"{' x '.join(map(str, sizes))}: {plan}")
        print(f"    computes {plan.count * plan.pixels} pixels, the best of all plans {best}")


def best_by_force(
    contract: ModelContract,
    image: dict[str, dict[str, int]],
    space: str,
    sizes: tuple[int, ...],
) -> int:
    """The fewest pixels that any valid block shape computes, of those not over the budget."""
    along: list[list[tuple[int, int]]] = []
    for axis, size in zip(space, sizes, strict=True):
        found = []
        for block in range(80, size + 16, 16):
            try:
                plan = fn.plan_blocks(contract, image, block_shape={axis: block})
            except BlockError:
                continue
            grid = next(a.grid for a in plan.axes if a.name == axis)
            found.append((grid.block, len(grid.starts)))
        along.append(found)
    return min(
        math.prod(block * count for block, count in pick)
        for pick in itertools.product(*along)
        if math.prod(block for block, _ in pick) <= PIXELS
    )


def identity(folder: Path) -> Callable[[np.ndarray[Any, Any]], tuple[Any, ...]]:
    """An ONNX network that gives what it gets, run by onnxruntime."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    shape = ["b", 1, "y", "x"]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("raw", "out")]
    node = helper.make_node("Identity", ["raw"], ["out"])
    graph = helper.make_graph([node], "identity", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "identity.onnx")
    session = onnxruntime.InferenceSession(
        folder / "identity.onnx", providers=["CPUExecutionProvider"]
    )
    return lambda x: tuple(session.run(["out"], {"raw": x}))


def overhead(rounds: int) -> None:
    """Time per block beyond the network's own."""
    contract = contract_of("yx", 128, 16, 0)
    image = np.random.default_rng(0).random((1, 1, 4096, 4096), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        network = identity(Path(folder))
        pipeline = fn.Pipeline(contract, (), network, ())
        plan = fn.default_plan(pipeline, image, block_shape={"y": 128, "x": 128})
        blocks = [np.ascontiguousarray(b.sample["raw"].data)
                  for b in fn.split(fn.as_sample(image, contract), plan)]  # fmt: skip
        bare = median_seconds(lambda: [network(b) for b in blocks], rounds)
        ours = median_seconds(lambda: fn.run(pipeline, image, plan), rounds)
    print(
        f"{plan.count} blocks of 128 x 128: {1e3 * (ours - bare) / plan.count:.3f} ms for each"
        f" beyond the {1e3 * bare / plan.count:.3f} ms of an identity in ONNX"
    )


def beside_the_network(rounds: int) -> None:
    """Time of a prediction beside that of the forward passes alone, for the demo model."""
    pipeline = fn.create_prediction_pipeline(fn.demo_model(), weights_format="onnx")
    image = np.random.default_rng(0).integers(0, 4096, (2048, 2048), dtype=np.uint16)
    plan = fn.default_plan(pipeline, image, block_shape={"y": 512, "x": 512})
    blocks = [np.ascontiguousarray(b.sample["raw"].data, dtype=np.float32)
              for b in fn.split(fn.as_sample(image, pipeline.contract), plan)]  # fmt: skip
    bare = median_seconds(lambda: [pipeline.backend(b) for b in blocks], rounds)
    ours = median_seconds(lambda: fn.run(pipeline, image, plan), rounds)
    print(
        f"demo model, {plan.count} blocks of 512 x 512: {ours:.2f} s, its forward passes alone"
        f" {bare:.2f} s: {ours / bare:.3f} times"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    planning(rounds)
    overhead(rounds)
    beside_the_network(rounds)


if __name__ == "__main__":
    main()
