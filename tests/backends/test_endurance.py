"""Opening and closing, again and again and from many threads: no memory lost, no result wrong."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import pytest
from networks import images, network

import bioimageio_fn as fn
from bioimageio_fn.backends import sessions
from bioimageio_fn.backends.formats import recipe_class
from bioimageio_fn.backends.sessions import close_session, open_session

KINDS = {"onnx": "weights.onnx", "torchscript": "weights.pt"}

CYCLES = """
import sys
from pathlib import Path
import numpy as np
from bioimageio_fn.backends.formats import recipe_class

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

kind, path = sys.argv[1:]
backend = recipe_class(kind)(path, input_ids=["raw"], output_ids=["out"], device="cpu")
image = np.zeros((1, 1, 9, 13), "float32")
for _ in range(20):
    backend(image), backend.close()
before = resident()
for _ in range(1000):
    backend(image), backend.close()
print(resident() - before)
"""


@pytest.fixture(params=KINDS)
def recipe(request, tmp_path):
    kind = request.param
    content, direct = network(kind, tmp_path / "n")
    (tmp_path / KINDS[kind]).write_bytes(content)
    make = recipe_class(kind)
    return kind, make(tmp_path / KINDS[kind], input_ids=["raw"], output_ids=["out"]), direct


@pytest.mark.skipif(sys.platform != "linux", reason="the memory is asked for as on Linux")
def test_a_thousand_times_open_run_and_close_take_no_memory(recipe):
    kind, backend, _ = recipe
    command = [sys.executable, "-W", "ignore", "-c", CYCLES, kind, backend.source]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert float(done.stdout) < 20  # MB


def test_eight_threads_open_run_and_close_at_once(recipe):
    _, backend, direct = recipe
    others = [backend, attrs.evolve(backend, output_ids=())]

    def work(i):
        image = images("onnx", seed=i)
        for either in others * 5:
            np.testing.assert_allclose(either(image)[0], direct(image)[0], atol=1e-5)
            either.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_threads_that_open_different_networks_do_not_wait_for_one_another():
    meeting = threading.Barrier(2, timeout=20)

    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(lambda name: open_session(name, meeting.wait), ["one", "two"]))

    assert sorted(opened) == [0, 1]
    for name in ("one", "two"):
        close_session(name)


def test_one_network_is_opened_once_however_many_ask():
    opened = []

    def opener():
        time.sleep(0.05)
        opened.append(object())
        return opened[-1]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: open_session("same", opener), range(8)))

    assert len(opened) == 1
    assert set(results) == set(opened)
    close_session("same")


def test_a_network_that_fails_to_open_is_tried_again():
    def fails():
        raise OSError("not now")

    with pytest.raises(OSError, match="not now"):
        open_session("late", fails)
    assert open_session("late", lambda: 1) == 1
    close_session("late")


def test_closed_networks_leave_nothing_behind(recipe):
    _, backend, _ = recipe
    before = len(sessions._sessions), len(sessions._opening)

    backend(images("onnx"))
    backend.close()

    assert (len(sessions._sessions), len(sessions._opening)) == before


# ---------------------------------------------------------------- a pipeline and its network


@pytest.fixture
def opened(monkeypatch):
    """How often the demo model's network was opened."""
    from bioimageio_fn.backends.onnx import OnnxBackend

    count, open_ = [], OnnxBackend.open

    def counting(self, path, device):
        count.append(path)
        return open_(self, path, device)

    monkeypatch.setattr(OnnxBackend, "open", counting)
    return count


IMAGE = np.random.default_rng(0).integers(0, 4096, (70, 90), "uint16")


def test_predict_within_a_with_block_is_no_surprise(opened):
    with fn.create_prediction_pipeline(fn.demo_model(), weights_format="onnx") as pipeline:
        first = fn.predict(model=pipeline, inputs=IMAGE)
        second = fn.predict(model=pipeline, inputs=IMAGE)
        third = pipeline(IMAGE)

    assert len(opened) == 1
    pipeline.close()
    pipeline.close()
    for other in (second, third, pipeline(IMAGE)):
        np.testing.assert_array_equal(first, other)
    pipeline.close()


def test_many_predictions_open_the_network_once(opened):
    with fn.create_prediction_pipeline(fn.demo_model(), weights_format="onnx") as pipeline:
        results = list(fn.predict_many(model=pipeline, inputs=[IMAGE] * 5))
        assert len(opened) == 1
    list(fn.predict_many(model=fn.demo_model(), inputs=[IMAGE] * 5, weights_format="onnx"))

    assert len(opened) == 2
    assert len(results) == 5
