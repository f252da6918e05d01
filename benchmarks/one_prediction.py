"""One model on one image by one library, in blocks, beside the bare network.

What holds here: the bare network gets the very arrays that the library gave it in a first call,
which is not timed, in a session of its own with the same settings; both take turns in one process.

    python benchmarks/one_prediction.py --once ours|theirs MODEL IMAGE.npy BLOCK REPEATS RESULT.npy

`{who}` in RESULT.npy is filled in. An error of the library is printed as a result.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]
Block = dict[str, int] | None
"""Pixels by axis; {} for the whole image at once; None for the blocks that the library chooses."""


def ours(model: str, image: Array, block: Block) -> Callable[[], Array]:
    """A prediction by this library, ready to be called."""
    import bioimageio_fn as fn

    pipeline = fn.create_prediction_pipeline(model, weights_format="onnx")
    plan = fn.default_plan(pipeline, image, block_shape=block)
    return lambda: np.asarray(fn.run(pipeline, image, plan))


def theirs(model: str, image: Array, block: Block) -> Callable[[], Array]:
    """A prediction by bioimageio.core; preprocessing changes the sample, so each has its own."""
    from bioimageio.core import create_prediction_pipeline
    from bioimageio.core.digest_spec import create_sample_for_model
    from bioimageio.spec import load_model_description

    description = load_model_description(model)
    pipeline = create_prediction_pipeline(description, weights_format="onnx")
    pipeline.load()

    def predict() -> Array:
        sample = create_sample_for_model(description, inputs=image)
        if block is None:
            result = pipeline.predict_sample_with_blocking(sample)
        elif not block:
            result = pipeline.predict_sample_without_blocking(sample)
        else:
            shape = {pipeline.input_ids[0]: {"batch": 1, "channel": 1, **block}}
            result = pipeline.predict_sample_with_fixed_blocking(sample, shape)
        return np.asarray(result.members[pipeline.output_ids[0]].data)

    return predict


@contextmanager
def watched(see: Callable[[dict[str, Array]], None]) -> Iterator[list[float]]:
    """The processor time that this thread spends in each run of the network by onnxruntime.

    Args:
        see: called with what the network is given.
    """
    seconds: list[float] = []
    run = onnxruntime.InferenceSession.run

    def timed(session: Any, names: Any, feed: dict[str, Array], *options: Any) -> Any:
        see(feed)
        start = time.thread_time()
        result = run(session, names, feed, *options)
        seconds.append(time.thread_time() - start)
        return result

    onnxruntime.InferenceSession.run = timed
    try:
        yield seconds
    finally:
        onnxruntime.InferenceSession.run = run


def measured(model: str, predict: Callable[[], Array], repeats: int, result: str) -> dict[str, Any]:
    """Medians of the repeats.

    Returns:
        `total` and `bare`, in seconds: the prediction, and the bare network on the same blocks;
        `own`: processor time of this thread for all but the network, which other work on the
        machine does not lengthen; the number and shape of the blocks.
    """
    feeds: list[dict[str, Array]] = []
    with watched(lambda feed: feeds.append({n: a.copy() for n, a in feed.items()})):
        np.save(result, predict())
    weights = Path(model).parent / "weights.onnx"
    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    times: dict[str, list[float]] = {"total": [], "bare": [], "own": []}
    for _ in range(repeats):
        times["total"].append(_seconds(predict))
        times["bare"].append(_seconds(lambda: [session.run(None, feed) for feed in feeds]))
        with watched(lambda _: None) as inside:
            start = time.thread_time()
            predict()
        times["own"].append(time.thread_time() - start - sum(inside))
    shape = next(iter(feeds[0].values())).shape
    medians = {key: statistics.median(found) for key, found in times.items()}
    return {**medians, "blocks": len(feeds), "shape": shape}


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Read the command line."""
    _, _, who, model, image, block, repeats, result = sys.argv
    os.environ["TQDM_DISABLE"] = "1"  # neither time nor lines for progress
    try:
        predict = {"ours": ours, "theirs": theirs}[who](model, np.load(image), json.loads(block))
        print(json.dumps(measured(model, predict, int(repeats), result.format(who=who))))
    except Exception as error:  # noqa: BLE001
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))


if __name__ == "__main__":
    main()
