"""A network on several devices: side by side, one call for each replica at a time."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import attrs
import numpy as np
import pytest

import bioimageio_fn as fn
from bioimageio_fn.backends.recipe import Network, Recipe
from bioimageio_fn.backends.replicas import Replicas
from bioimageio_fn.backends.signature import Port
from bioimageio_fn.errors import DeviceError

X = np.random.default_rng(0).random((1, 1, 64, 64)).astype("float32")


@attrs.frozen
class Meeting(Recipe):
    """A network whose calls wait for one another: alone, each would wait for ever."""

    framework: ClassVar[str] = "test"
    party: ClassVar[threading.Barrier]
    running: ClassVar[list]

    def available(self):
        return ("cpu", "cuda:0", "cuda:1")

    def open(self, path, device):
        def run(feed, wanted):
            self.running.append(device)
            Meeting.party.wait(timeout=20)
            return [feed["x"]]

        return Network([Port("x")], [Port("y")], run)


@pytest.fixture
def meeting(tmp_path):
    (tmp_path / "weights").touch()
    Meeting.party, Meeting.running = threading.Barrier(2), []
    return Meeting(tmp_path / "weights")


@pytest.mark.parametrize("devices", [("cuda:0", "cuda:1"), ("cpu", "cpu")])
def test_calls_run_side_by_side_on_all_replicas(meeting, devices):
    replicas = Replicas(attrs.evolve(meeting, device=device) for device in devices)

    with replicas, ThreadPoolExecutor(6) as pool:
        results = list(pool.map(replicas, [np.full(2, i) for i in range(6)]))

    assert [r[0].tolist() for r in results] == [[i, i] for i in range(6)]
    assert sorted(meeting.running) == sorted(devices * 3)
    assert (replicas.parallel, replicas.devices) == (2, devices)


def test_a_replica_that_fails_is_free_again(meeting):
    replicas = Replicas([attrs.evolve(meeting, device="cpu")])

    for _ in range(3):
        with pytest.raises(RuntimeError, match="one array for each"):
            replicas()
    Meeting.party = threading.Barrier(1)
    assert replicas(np.ones(1))[0].tolist() == [1]


def test_several_devices_make_replicas_that_give_what_one_gives():
    backend = fn.load_backend(fn.demo_model(), device=["cpu", "cpu"])
    alone = fn.load_backend(fn.demo_model(), device="cpu")

    assert isinstance(backend, Replicas)
    assert backend.replicas == (alone, alone)
    assert backend.signature == alone.signature
    np.testing.assert_array_equal(backend(X), alone(X))
    assert pickle.loads(pickle.dumps(backend)) == backend


def test_replicas_close_twice_and_open_again():
    with fn.load_backend(fn.demo_model(), device=["cpu", "cpu"]) as backend:
        first = backend(X)
    backend.close()

    np.testing.assert_array_equal(backend(X), first)


def test_one_device_in_a_list_is_one_recipe():
    one = fn.load_backend(fn.demo_model(), device=["cpu"])

    assert one == fn.load_backend(fn.demo_model(), device="cpu")


def test_a_pipeline_takes_several_devices():
    pipeline = fn.create_prediction_pipeline(fn.demo_model(), devices=["cpu", "cpu"])
    image = np.zeros((64, 64), "uint16")

    assert pipeline.backend.parallel == 2
    np.testing.assert_array_equal(
        pipeline(image), fn.predict(model=fn.demo_model(), inputs=image, devices="cpu")
    )


def test_no_device_or_one_that_is_not_there_is_refused():
    with pytest.raises(DeviceError, match="no device to run on"):
        fn.load_backend(fn.demo_model(), device=[])
    with pytest.raises(DeviceError, match="got cuda:7"):
        fn.load_backend(fn.demo_model(), device=["cpu", "cuda:7"])
