"""Ports are bound by name where the names match, else by order."""

import pytest

from bioimageio_fn.backends.devices import cuda_index
from bioimageio_fn.backends.signature import Port, bound
from bioimageio_fn.errors import BackendError, DeviceError


@pytest.mark.parametrize(
    ("ids", "names", "order"),
    [
        (["a", "b"], ["b", "a"], ["a", "b"]),
        (["a", "b"], ["x", "y"], ["x", "y"]),
        (["a", "b"], ["b", "x"], ["b", "x"]),
        (["a"], ["x", "a"], ["a"]),
        (["a"], ["x", "y"], ["x"]),
        ([], ["x", "y"], ["x", "y"]),
    ],
)
def test_names_decide_if_all_are_there_else_the_order(ids, names, order):
    assert [port.name for port in bound(ids, [Port(name) for name in names])] == order


def test_a_network_with_too_few_ports_is_refused():
    with pytest.raises(BackendError, match="fewer inputs or outputs.*expected a, b, got x"):
        bound(["a", "b"], [Port("x")])


@pytest.mark.parametrize("device", ["cuda:", "cuda:x", "cuda:-1"])
def test_a_device_that_is_no_number_is_refused(device):
    if device == "cuda:":
        assert cuda_index(device) == 0
        return
    with pytest.raises(DeviceError, match="no such device"):
        cuda_index(device)
