"""A folder of many small images through `predict_many` of both libraries: images per second.

Each image is a TIFF file of 128 x 128 pixels, and each result a NPY file; the network is the small
U-Net of the demo model. The time is that of the loop: opening the model, reading, predicting and
writing; imports are not counted.
Results are not compared: bioimageio.core continues an image beyond its border by the halo, and
computes more pixels.

    python benchmarks/many_images.py [--peer PYTHON] [--number 1000] [--rounds 1]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from models import write_model
from turns import in_turns, median

SIDE = 128


def ours(model: str, images: list[str], results: str) -> Iterator[Any]:
    """The predictions of this library."""
    import bioimageio_fn as fn

    return fn.predict_many(
        model=model,
        inputs=images,
        weights_format="onnx",
        save_output_path=f"{results}/{{sample_id}}.npy",
        overwrite=True,
        progressbar=False,
    )


def theirs(model: str, images: list[str], results: str) -> Iterator[Any]:
    """The predictions of bioimageio.core, whose names of samples are numbers."""
    from bioimageio.core import predict_many

    return predict_many(
        model=model,
        inputs=[{"raw": image} for image in images],
        sample_id="{i:06}",
        save_output_path=f"{results}/{{sample_id}}.npy",
    )


def once(who: str, model: str, folder: str, results: str) -> dict[str, float]:
    """Predict all images of a folder by one library."""
    os.environ["TQDM_DISABLE"] = "1"  # neither time nor lines for progress
    import importlib

    importlib.import_module({"ours": "bioimageio_fn.prediction", "theirs": "bioimageio.core"}[who])
    importlib.import_module("onnxruntime")
    predict: Callable[..., Iterator[Any]] = {"ours": ours, "theirs": theirs}[who]
    images = sorted(map(str, Path(folder).iterdir()))
    own = Path(results, who)
    own.mkdir(exist_ok=True)
    start = time.perf_counter()
    number = sum(1 for _ in predict(model, images, str(own)))
    return {"per_second": number / (time.perf_counter() - start)}


def write_nuclei(folder: Path) -> Path:
    """The demo model, as both libraries read it."""
    import bioimageio_fn as fn

    cast = {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}
    normalise = {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}}
    return write_model(
        folder,
        (fn.demo_model() / "weights.onnx").read_bytes(),
        smallest=64,
        step=4,
        halo=28,
        dtypes=("uint16", "float32"),
        before=[cast, normalise, cast],
        after=[{"id": "sigmoid"}],
    )


def write_images(folder: Path, number: int) -> None:
    """Images of smooth noise, each another one; their names are numbers."""
    import tifffile

    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(number):
        coarse = random.integers(100, 4000, (SIDE // 8, SIDE // 8))
        image = np.kron(coarse, np.ones((8, 8))).astype(np.uint16)
        tifffile.imwrite(folder / f"{i:06}.tif", image)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", help="Python that has bioimageio.core")
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, results = Path(temporary, "images"), Path(temporary, "results")
        write_images(folder, options.number)
        results.mkdir()
        model = write_nuclei(Path(temporary, "model"))
        runs = in_turns(options.peer, options.rounds, __file__, model, folder, results)
        print(f"{options.number} images of {SIDE} x {SIDE}, images per second, loop as a whole")
        for who, own in runs.items():
            print(f"{who:8}{median(own, 'per_second'):8.1f}")
        if "theirs" in runs:
            times = median(runs["ours"], "per_second") / median(runs["theirs"], "per_second")
            print(f"{times:.1f} times as many")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        print(json.dumps(once(*sys.argv[2:])))
    else:
        main()
