"""A measure is a value and a key: equal by what is measured, refused where it makes no sense."""

import copy
import pickle

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import axes

from bioimageio_fn.errors import AxesError, OperationError
from bioimageio_fn.stats.measure import Measure

names = st.sampled_from(["mean", "std", "var"])


@given(names, st.none() | axes(), st.sampled_from(["sample", "dataset"]), st.randoms())
@settings(max_examples=40)
def test_the_order_of_axes_makes_no_difference_to_a_measure(name, reduced, scope, random):
    one = Measure(name, "raw", reduced, scope)
    shuffled = None if reduced is None else random.sample(reduced, len(reduced))
    two = Measure(name, "raw", shuffled, scope)
    assert one == two
    assert hash(one) == hash(two)
    assert {one: 1}[two] == 1
    for twin in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert twin == one
        assert hash(twin) == hash(one)


def test_measures_of_different_things_are_different():
    one = Measure("mean", "raw", "yx")
    for change in (
        {"name": "std"},
        {"member": "mask"},
        {"axes": "y"},
        {"axes": None},
        {"axes": ""},
        {"scope": "dataset"},
    ):
        assert attrs.evolve(one, **change) != one
    low = Measure("quantile", "raw", q=0.1, method="linear")
    assert low != attrs.evolve(low, q=0.2)
    assert low != attrs.evolve(low, method="inverted_cdf")
    assert Measure("mean", "raw", None) != Measure("mean", "raw", ())


def test_a_measure_is_frozen_and_readable():
    one = Measure("quantile", "raw", "xy", q=0.5, method="linear")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.q = 0.1
    assert not hasattr(one, "__dict__")
    assert repr(one) == (
        "Measure(name='quantile', member='raw', axes=('x', 'y'), scope='sample', q=0.5, "
        "method='linear')"
    )


@pytest.mark.parametrize("q", [0, 1, 0.0, 1.0, 0.5])
@pytest.mark.parametrize("method", ["linear", "inverted_cdf"])
def test_quantiles_from_0_to_1_are_measures(q, method):
    assert Measure("quantile", "raw", q=q, method=method).q == q


@pytest.mark.parametrize(
    "facts",
    [
        {"name": "quantile"},
        {"name": "quantile", "q": 0.5},
        {"name": "quantile", "method": "linear"},
        {"name": "quantile", "q": -0.1, "method": "linear"},
        {"name": "quantile", "q": 1.1, "method": "linear"},
        {"name": "quantile", "q": float("nan"), "method": "linear"},
        {"name": "mean", "q": 0.5},
        {"name": "mean", "q": 0.5, "method": "linear"},
        {"name": "mean", "q": 7.0},
    ],
    ids=str,
)
def test_q_and_method_belong_to_quantiles_alone(facts):
    with pytest.raises(OperationError, match="a quantile needs q from 0 to 1") as caught:
        Measure(member="raw", **facts)
    assert caught.value.tensor == "raw"
    assert f"name={facts['name']}, q={facts.get('q')}" in caught.value.got


def test_a_method_is_refused_where_there_is_no_quantile():
    with pytest.raises(OperationError, match="a quantile needs q"):
        Measure("mean", "raw", method="linear")


def test_a_quantile_method_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="nearest"):
        Measure("quantile", "raw", q=0.5, method="nearest")


@pytest.mark.parametrize("facts", [{"name": "median"}, {"name": "mean", "scope": "all"}], ids=str)
def test_names_and_scopes_that_do_not_exist_are_refused(facts):
    with pytest.raises(ValueError, match="must be in"):
        Measure(member="raw", **facts)


def test_axes_named_twice_are_refused():
    with pytest.raises(AxesError, match="named twice"):
        Measure("mean", "raw", "xx")
