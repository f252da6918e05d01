"""A prepared chain gives what the chain gives."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import chains, tensors

from bioimageio_fn.arrays import saturated
from bioimageio_fn.errors import AxesError, BioimageioFnWarning
from bioimageio_fn.ops.chain import apply, is_joinable
from bioimageio_fn.ops.fitting import fit
from bioimageio_fn.ops.prepared import applied, prepared
from bioimageio_fn.ops.records import EnsureDtype, ScaleLinear, Softmax
from bioimageio_fn.ops.transform import Transform
from bioimageio_fn.sample import Sample
from bioimageio_fn.spec import sample_spec
from bioimageio_fn.tensor import Tensor


@given(st.data())
@settings(max_examples=100)
def test_any_pointwise_chain_gives_what_it_gives_unprepared(data):
    tensor = data.draw(tensors())
    chain = data.draw(chains(tensor, max_size=4))
    sample = Sample({"raw": tensor})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BioimageioFnWarning)
        bound = fit(chain, sample)
        ready = prepared(bound, sample_spec(sample))
        if not all(is_joinable((0, step)) for step in bound):
            assert ready is None
            return
        lost, lost_before = set(), set()
        expected = apply(bound, sample, lost=lost_before)
        actual = applied(ready, sample, lost)

    assert actual["raw"] == expected["raw"]
    assert lost == lost_before


def test_what_changes_nothing_gives_the_sample_itself():
    sample = Sample({"raw": Tensor(np.ones((2, 3), "float32"), "yx")})
    ready = prepared([Transform(EnsureDtype("float32"), "raw")], sample_spec(sample))

    assert applied(ready, sample, set()) is sample


def test_each_tensor_has_its_own_steps():
    sample = Sample({"a": Tensor([1.0], "x"), "b": Tensor([2.0], "x"), "c": Tensor([3.0], "x")})
    chain = [Transform(ScaleLinear(2.0), "a"), Transform(ScaleLinear(10.0), "b")] * 2
    made = applied(prepared(chain, sample_spec(sample)), sample, set())

    assert [float(t.data[0]) for t in made.members.values()] == [4, 200, 3]


def test_what_a_cast_loses_is_told():
    sample = Sample({"raw": Tensor([300.0], "x")})
    lost = set()
    made = applied(
        prepared([Transform(EnsureDtype("uint8"), "raw")], sample_spec(sample)), sample, lost
    )

    assert (made["raw"].data.tolist(), lost) == ([255], {"uint8"})
    assert saturated(np.array([300.0]), "uint8")[1]


def test_a_step_that_does_not_fit_is_refused_when_it_is_prepared():
    sample = Sample({"raw": Tensor([1.0], "x")})

    with pytest.raises(AxesError):
        prepared([Transform(Softmax("channel"), "raw")], sample_spec(sample))
