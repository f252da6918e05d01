"""Devices are spelled alike; by default it is one GPU if there is one, and never more."""

import pytest

from bioimageio_fn.backends.devices import place, spelled
from bioimageio_fn.errors import DeviceError

TWO_GPUS = ("cpu", "cuda:0", "cuda:1")


@pytest.mark.parametrize(
    ("name", "spelling"),
    [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("mps", "mps"), (None, None)],
)
def test_every_device_has_one_spelling(name, spelling):
    assert spelled(name) == spelling


@pytest.mark.parametrize("name", ["cuda:", "cuda:x", "cuda:-1", "gpu", "CUDA", "cpu:0", "", 0])
def test_what_is_no_device_is_refused(name):
    with pytest.raises(DeviceError, match=f"no such device: expected cpu, cuda.*got {name}"):
        spelled(name)


@pytest.mark.parametrize(
    ("available", "chosen"), [(TWO_GPUS, "cuda:0"), (("cpu", "mps"), "mps"), (("cpu",), "cpu")]
)
def test_by_default_it_is_one_gpu_or_the_cpu(available, chosen):
    assert place(None, available, "torch") == chosen


def test_a_device_that_is_there_is_taken():
    assert place("cuda:1", TWO_GPUS, "torch") == "cuda:1"
    assert place("cpu", TWO_GPUS, "torch") == "cpu"


def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(
        DeviceError, match=r"torch .*: expected cpu or cuda:0 or cuda:1, got cuda:2"
    ):
        place("cuda:2", TWO_GPUS, "torch")
