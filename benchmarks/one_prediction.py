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
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partialmethod
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
def instead(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """A method in which the function gets the method that it stands for, and its arguments."""
    method = getattr(owner, name)
    setattr(owner, name, partialmethod(function, method))
    try:
        yield
    finally:
        setattr(owner, name, method)


def given(predict: Callable[[], Array]) -> tuple[Array, list[dict[str, Array]]]:
    """A prediction, and what the network is given for each of its blocks."""
    feeds: list[dict[str, Array]] = []

    def run(session: Any, run: Any, names: Any, feed: dict[str, Array], *options: Any) -> Any:
        feeds.append({name: array.copy() for name, array in feed.items()})
        return run(session, names, feed, *options)

    with instead(onnxruntime.InferenceSession, "run", run):
        return predict(), feeds


def accounted(predict: Callable[[], Array]) -> dict[str, float]:
    """What other work on the machine hardly changes, of one prediction.

    Returns:
        `own`: processor time, in seconds, of all threads of Python for all but the network.
        `times`: time of the prediction, as a multiple of what the network took within it.
    """
    inside: list[tuple[float, float]] = []
    threads: list[float] = []

    def run(session: Any, run: Any, *arguments: Any) -> Any:
        start = _now()
        result = run(session, *arguments)
        inside.append(_since(start))
        return result

    def run_thread(thread: Any, run: Any) -> None:
        run(thread)
        threads.append(time.thread_time())

    with (
        instead(onnxruntime.InferenceSession, "run", run),
        instead(threading.Thread, "run", run_thread),
    ):
        start = _now()
        predict()
        seconds, processor = _since(start)
    network, on_it = (sum(found) for found in zip(*inside, strict=True))
    return {"own": processor + sum(threads) - on_it, "times": seconds / network}


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.thread_time()


def _since(start: tuple[float, float]) -> tuple[float, float]:
    seconds, processor = _now()
    return seconds - start[0], processor - start[1]


def measured(model: str, predict: Callable[[], Array], repeats: int, result: str) -> dict[str, Any]:
    """Medians of the repeats.

    Returns:
        In seconds: `total`, the prediction; `bare`, the network alone on the same blocks. `own` and
        `times` of `accounted`. The number and the shape of the blocks.
    """
    predicted, feeds = given(predict)
    np.save(result, predicted)
    weights = Path(model).parent / "weights.onnx"
    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    found = []
    for _ in range(repeats):
        total = _seconds(predict)
        bare = _seconds(lambda: [session.run(None, feed) for feed in feeds])
        found.append({"total": total, "bare": bare, **accounted(predict)})
    medians = {key: statistics.median(each[key] for each in found) for key in found[0]}
    shape = next(iter(feeds[0].values())).shape
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
