"""Ctrl-C: a real process and a real signal, while blocks are short, and while one takes long."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from descriptions import image05, sized, write

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


MAIN = """
import signal
# where tests run in the background, it is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
from bioimageio_fn.cli.main import main
main()
"""


def convolution(size):
    """A network that sums up so many pixels in both directions: the larger, the longer it takes."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.ones((1, 1, size, size), "float32"), "weights")
    pad = size // 2
    node = helper.make_node("Conv", ["raw", "weights"], ["out"], pads=[pad] * 4)
    shape = ["batch", 1, "y", "x"]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("raw", "out")]
    graph = helper.make_graph([node], "slow", ports[:1], ports[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def started(tmp_path, kernel, shape, block, name):
    """A prediction in a process of its own, in the middle of its blocks."""
    model = write(tmp_path / "m", image05(size=sized(8, 4)), weights={"onnx": convolution(kernel)})
    np.save(tmp_path / "a.npy", np.zeros(shape, "float32"))
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", MAIN, "predict", str(model), str(tmp_path / "a.npy")),
            *("-o", str(out / name), "--block-shape", str(block)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not any(out.iterdir()):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(0.5)  # the files are made before the network is opened
    return process, out


@pytest.mark.parametrize(
    ("kernel", "shape", "block", "name"),
    [
        (3, (1, 1, 4000, 4000), 32, "a.npy"),
        (3, (1, 1, 4000, 4000), 32, "a.ome.zarr"),
        (201, (1, 1, 1200, 2400), 1200, "a.ome.tif"),
    ],
    ids=["short blocks", "short blocks of Zarr", "long blocks"],
)
def test_ctrl_c_stops_within_a_second_and_leaves_what_stood_there(
    tmp_path, kernel, shape, block, name
):
    process, out = started(tmp_path, kernel, shape, block, name)

    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        said, noted = process.communicate(timeout=60)
    finally:
        process.kill()
    seconds = time.monotonic() - start

    assert process.returncode == 130, noted
    assert said == ""
    assert "stopped" in noted
    assert "Traceback" not in noted
    assert list(out.iterdir()) == []
    assert seconds < 2  # one, and what a busy machine takes
