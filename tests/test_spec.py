"""Specs: what a sample looks like, hashable by value."""

import copy
import pickle

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from strategies import LIBRARIES, tensors

from bioimageio_fn.errors import AxesError
from bioimageio_fn.sample import Sample
from bioimageio_fn.spec import SampleSpec, TensorSpec, sample_spec, tensor_spec
from bioimageio_fn.tensor import Tensor


@given(tensors())
@settings(max_examples=40)
def test_the_spec_of_a_tensor_is_its_axes_sizes_and_dtype(tensor):
    spec = tensor_spec(tensor)
    assert (spec.axes, spec.shape, spec.dtype) == (tensor.axes, tensor.shape, tensor.dtype)
    assert spec.sizes == tensor.sizes
    assert all(type(size) is int for size in spec.shape)


def test_tensors_of_every_library_have_the_same_spec():
    array = np.zeros((2, 3), "float32")
    specs = {tensor_spec(Tensor(make(array), "yx")) for make in LIBRARIES.values()}
    assert specs == {TensorSpec("yx", (2, 3), "float32")}


def test_specs_are_frozen_hashable_values_that_pickle():
    spec = sample_spec(Sample({"raw": Tensor(np.zeros((2, 3), "uint8"), "yx")}))
    same = SampleSpec({"raw": TensorSpec(["y", "x"], [2, 3], "uint8")})
    assert spec == same
    assert hash(spec) == hash(same)
    for twin in (pickle.loads(pickle.dumps(spec)), copy.deepcopy(spec)):
        assert twin == spec
        assert hash(twin) == hash(spec)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        spec.members["raw"].dtype = "int8"
    with pytest.raises(TypeError):
        spec.members["raw"] = None
    assert repr(spec.members["raw"]) == "TensorSpec(axes=('y', 'x'), shape=(2, 3), dtype='uint8')"


@pytest.mark.parametrize("other", [("xy", (2, 3), "uint8"), ("yx", (3, 2), "uint8")])
def test_specs_differ_where_tensors_would(other):
    assert TensorSpec("yx", (2, 3), "uint8") != TensorSpec(*other)
    assert TensorSpec("yx", (2, 3), "uint8") != TensorSpec("yx", (2, 3), "int8")


def test_a_spec_with_more_or_fewer_sizes_than_axes_is_an_error():
    with pytest.raises(AxesError, match="one size for each axis") as caught:
        TensorSpec("yx", (2,), "uint8")
    assert (caught.value.expected, caught.value.got) == (("y", "x"), (2,))
    with pytest.raises(AxesError):
        attrs.evolve(TensorSpec("yx", (2, 3), "uint8"), axes="yxc")
