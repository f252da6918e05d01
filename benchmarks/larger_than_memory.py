"""A Zarr array larger than memory, predicted into another: time, and memory beyond the imports.

The network is one 3 x 3 convolution; image and kernel are integers, so that the result is exact,
and NumPy checks it in windows of the whole, corners included. The image is uint16, written chunk by
chunk with content that is quick to compress; all files are removed at the end. A first, small image
is also given to bioimageio.core: the Zarr array, and then the same as an array in memory.

    python benchmarks/larger_than_memory.py [--peer PYTHON] [--side 60000] [--memory 1GB] [--at DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from models import KERNEL, smooth, write_model
from turns import measure, peak_memory

Array = np.ndarray[Any, Any]
CHUNK, WINDOW, SMALL = 1024, 256, 4000
SIXTEENTHS = 4096
"""What the convolution is divided by: 16 for the kernel, 256 from uint16 to uint8."""


def content(y: Array, x: Array) -> Array:
    """The image at some places, as uint16: plateaus of 64 x 64 pixels."""
    return ((y // 64 * 3701 + x // 64 * 1009) % 65536).astype(np.uint16)


def part(top: int, left: int, bottom: int, right: int) -> Array:
    """A region of the image."""
    return content(np.arange(top, bottom)[:, None], np.arange(left, right))


def expected(top: int, left: int, bottom: int, right: int, side: int) -> Array:
    """The prediction of a region; beyond the border of the image lies 0."""
    y, x = np.arange(top - 1, bottom + 1)[:, None], np.arange(left - 1, right + 1)
    inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
    wider = np.where(inside, content(y, x), 0).astype(np.int64)
    summed = np.zeros((bottom - top, right - left), np.int64)
    for (i, j), weight in np.ndenumerate(KERNEL):
        summed += weight * wider[i : i + bottom - top, j : j + right - left]
    return (summed // SIXTEENTHS).astype(np.uint8)


def write_image(path: Path, side: int) -> None:
    """The image as a Zarr array, chunk by chunk."""
    import zarr

    array = zarr.create_array(path, shape=(side, side), chunks=(CHUNK, CHUNK), dtype="uint16")
    for top in range(0, side, CHUNK):
        for left in range(0, side, CHUNK):
            bottom, right = min(top + CHUNK, side), min(left + CHUNK, side)
            array[top:bottom, left:right] = part(top, left, bottom, right)


def ours(model: str, path: str, result: str, memory: str) -> None:
    """From a Zarr array to a Zarr array."""
    import bioimageio_fn as fn

    fn.predict(model=model, inputs=path, save_output_path=result, memory_limit=memory)


def theirs(model: str, path: str, result: str, memory: str) -> None:
    """From what it can read, or a NumPy file as an array in memory, to a NumPy file."""
    del memory
    from bioimageio.core import predict

    inputs: Any = np.load(path) if path.endswith(".npy") else Path(path)
    sample = predict(model=model, inputs=inputs, blocksize_parameter=10)
    np.save(result, sample.members["out"].data)


def once(who: str, model: str, path: str, result: str, memory: str) -> None:
    """Print the seconds, and the memory beyond that of the imports; an error is a result too."""
    if who == "ours":
        import zarr  # noqa: F401

        import bioimageio_fn as fn

        fn.predict(model=model, inputs=np.zeros((64, 64), np.uint16))  # imports what it needs
    else:
        import bioimageio.core  # noqa: F401
        import onnxruntime  # noqa: F401
    before = peak_memory()
    start = time.perf_counter()
    try:
        {"ours": ours, "theirs": theirs}[who](model, path, result, memory)
    except Exception as error:  # noqa: BLE001
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak": peak_memory() - before, "imports": before}))


def check(result: Path, side: int, windows: int = 20) -> None:
    """Compare windows of the result with NumPy: the four corners, and random ones.

    Raises:
        ValueError: if a pixel is wrong.
    """
    import zarr

    array: Any = zarr.open_array(result, mode="r")
    rng, last = np.random.default_rng(0), side - WINDOW
    places = [(0, 0), (0, last), (last, 0), (last, last)]
    for top, left in [*places, *rng.integers(0, last, (windows, 2)).tolist()]:
        bottom, right = top + WINDOW, left + WINDOW
        got = array[..., top:bottom, left:right].reshape(WINDOW, WINDOW)
        wrong = (got != expected(top, left, bottom, right, side)).sum()
        if wrong:
            raise ValueError(f"{wrong} pixels from ({top}, {left}) on are wrong")
    print(
        f"    {windows + 4} windows of {WINDOW} x {WINDOW} are exact; {array.dtype} {array.shape}"
    )


def described(folder: Path) -> Path:
    """The model."""
    steps = [
        {"id": "scale_linear", "kwargs": {"gain": 1 / SIXTEENTHS}},
        {"id": "ensure_dtype", "kwargs": {"dtype": "uint8"}},
    ]
    return write_model(
        folder, smooth(), halo=1, step=16, smallest=64, dtypes=("uint16", "uint8"),
        before=[{"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}], after=steps,
    )  # fmt: skip


def report(what: str, found: dict[str, Any], side: int) -> None:
    """One line."""
    if "error" in found:
        print(f"{what}: {found['error']}")
        return
    print(
        f"{what}: {found['seconds']:.1f} s, {side**2 / found['seconds'] / 1e6:.1f} million pixels"
        f" a second, peak memory {found['peak']:.0f} MiB beyond the {found['imports']:.0f} MiB of"
        " the imports",
        flush=True,
    )


def compare(peer: str | None, side: int, memory: str, at: str | None) -> None:
    """Write the image, predict it, check the result, remove all."""
    with tempfile.TemporaryDirectory(dir=at) as name:
        folder = Path(name)
        model, image, result = described(folder / "model"), folder / "in.zarr", folder / "out.zarr"
        start = time.perf_counter()
        write_image(image, side)
        print(
            f"{side} x {side} uint16 Zarr, chunks of {CHUNK} x {CHUNK}, {2 * side**2 / 2**30:.2f}"
            f" GiB, written in {time.perf_counter() - start:.1f} s; memory limit {memory}"
        )
        ours = measure(sys.executable, __file__, "ours", model, image, result, memory)
        report("ours, Zarr to Zarr", ours, side)
        if "error" not in ours:
            check(result, side)
        if peer is not None:
            beside(peer, folder, side)


def beside(peer: str, folder: Path, side: int) -> None:
    """What bioimageio.core does with the Zarr array, and with the image in memory."""
    np.save(folder / "in.npy", part(0, 0, side, side))
    for what, path in {"the Zarr": "in.zarr", "in memory": "in.npy"}.items():
        arguments = (folder / "model" / "bioimageio.yaml", folder / path, folder / "theirs.npy", "")
        report(f"theirs, {what}", measure(peer, __file__, "theirs", *arguments), side)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python that has bioimageio.core")
    parser.add_argument("--side", type=int, default=60_000)
    parser.add_argument("--memory", default="1GB", help="limit that predict is given")
    parser.add_argument("--at", help="folder for the files; by default that of temporary files")
    parser.add_argument("--once", nargs=5)
    options = parser.parse_args()
    if options.once:
        once(*options.once)
    else:
        small = min(options.side, SMALL)
        compare(options.peer, small, options.memory, options.at)
        if options.side > small:
            compare(None, options.side, options.memory, options.at)


if __name__ == "__main__":
    main()
