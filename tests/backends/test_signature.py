"""Ports are bound by name where the names match, else by order."""

import pytest

from bioimageio_fn.backends.signature import Port, bound
from bioimageio_fn.errors import BackendError


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
