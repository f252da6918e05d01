"""Tensors: named views that never change; NumPy is the oracle of what is done to them."""

import copy
import pickle

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LAZY_TOO, LIBRARIES, axes, tensors, widths

from bioimageio_fn.arrays import DTYPES
from bioimageio_fn.errors import ArrayError, AxesError, CastWarning, SizeError
from bioimageio_fn.tensor import (
    PAD_MODES,
    Tensor,
    astype,
    crop,
    drop_axes,
    insert_axes,
    pad,
    slice_axes,
    stack,
    transpose,
)

FEW = settings(max_examples=60)
# dtypes that every library can index, so that they are compared with NumPy
COMMON = ("bool", "uint8", "int16", "int32", "int64", "float32", "float64")


def in_library(tensor, library):
    return Tensor(LAZY_TOO[library](np.array(tensor.data)), tensor.axes)


def image():
    return Tensor(np.arange(6.0).reshape(2, 3), "yx")


# the record


def test_a_tensor_is_frozen_and_has_slots():
    tensor = image()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        tensor.axes = ("y", "x")
    assert not hasattr(tensor, "__dict__")
    with pytest.raises(TypeError, match="unhashable"):
        hash(tensor)


def test_the_repr_says_axes_sizes_dtype_and_library_and_no_numbers():
    assert repr(image()) == "Tensor(y=2, x=3, dtype=float64)"
    assert repr(Tensor(np.float32(7), "")) == "Tensor(dtype=float32)"
    assert repr(Tensor(torch.zeros(2), "x")) == "Tensor(x=2, dtype=float32, torch.Tensor)"


def test_data_are_a_read_only_view_that_is_not_copied_and_the_owner_keeps_writing():
    array = np.zeros((2, 3))
    tensor = Tensor(array, "yx")
    assert np.shares_memory(tensor.data, array)
    assert array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        tensor.data[0, 0] = 1
    view = np.asarray(tensor)
    assert np.shares_memory(view, array)
    assert not view.flags.writeable


def test_numpy_conversion_keeps_to_the_protocol():
    tensor = image()
    assert np.asarray(tensor, "float32").dtype == "float32"
    assert np.array(tensor).flags.writeable
    assert not np.shares_memory(np.array(tensor), tensor.data)
    with pytest.raises(ValueError, match="[Cc]opy"):
        np.asarray(tensor, "float32", copy=False)
    with_gradient = Tensor(torch.ones(2, requires_grad=True), "x")
    assert np.asarray(with_gradient).tolist() == [1, 1]


def test_lists_and_numbers_become_arrays():
    assert Tensor([[1, 2]], "yx").shape == (1, 2)
    assert Tensor(1.5, "").shape == ()
    assert Tensor(np.uint8(3), []).dtype == "uint8"


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, None]),
        np.array([1j]),
        np.array(["a"]),
        np.array(["2020-01-01"], "datetime64[D]"),
        np.zeros(1, [("a", "f4")]),
        ["a", "b"],
    ],
    ids=["object", "complex", "str", "datetime", "struct", "list of str"],
)
def test_what_is_not_real_numbers_is_refused(array):
    with pytest.raises(ArrayError) as caught:
        Tensor(array, "x")
    text = str(caught.value)
    assert text.startswith("a tensor holds real numbers or truth values: expected a boolean")
    assert "of shape (" in text
    assert str(np.asarray(array).dtype) in text


def test_masked_arrays_are_refused_with_the_way_out():
    masked = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    with pytest.raises(ArrayError, match=r"would lose its mask; fill it: array\.filled"):
        Tensor(masked, "x")


def test_complex_arrays_of_other_libraries_are_refused_too():
    with pytest.raises(ArrayError, match="real numbers"):
        Tensor(torch.zeros(2, dtype=torch.complex64), "x")


def test_ragged_lists_are_refused_by_an_error_of_ours():
    with pytest.raises(ArrayError):
        Tensor([[1.0], [1.0, 2.0]], "yx")


@pytest.mark.parametrize("names", ["y", "yxc", ""])
def test_the_wrong_number_of_axes_is_an_error_with_both_numbers(names):
    with pytest.raises(AxesError) as caught:
        Tensor(np.zeros((2, 3)), names)
    assert caught.value.expected == "2 axes for shape (2, 3)"
    assert caught.value.got.startswith(f"{len(names)} (")


def test_evolve_checks_again():
    with pytest.raises(AxesError, match="number of axes"):
        attrs.evolve(image(), axes="bcyx")
    with pytest.raises(ArrayError, match="real numbers"):
        attrs.evolve(image(), data=np.array([["a"]]))
    evolved = attrs.evolve(image(), data=np.ones((1, 1)))
    assert not evolved.data.flags.writeable


@given(tensors(nan=True, inf=True))
@FEW
def test_pickled_and_copied_tensors_are_equal_and_still_read_only(tensor):
    for twin in (
        pickle.loads(pickle.dumps(tensor)),
        pickle.loads(pickle.dumps(tensor, 2)),
        copy.deepcopy(tensor),
        copy.copy(tensor),
    ):
        assert twin == tensor
        assert twin.axes == tensor.axes
        assert not twin.data.flags.writeable
        assert not np.asarray(twin).flags.writeable


def test_equality_is_by_axes_dtype_shape_and_values_with_nan_equal_to_nan():
    a = Tensor(np.array([[1.0, np.nan], [3.0, 4.0]]), "yx")
    same = Tensor(np.array([[1.0, np.nan], [3.0, 4.0]]), "yx")
    assert (a == same) is True
    assert a == Tensor(torch.tensor([[1.0, np.nan], [3.0, 4.0]], dtype=torch.float64), "yx")
    assert a == Tensor(np.asarray(a).astype(">f8"), "yx")
    assert (a != Tensor(np.asarray(a).astype("float32"), "yx")) is True
    assert a != Tensor(np.asarray(a), "xy")
    assert a != Tensor(np.asarray(a)[:1], "yx")
    assert a != Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]), "yx")
    assert a != Tensor(np.array([[1.0, np.nan], [3.0, 5.0]]), "yx")
    assert a != "a tensor"
    assert Tensor(np.zeros(2, "uint8"), "x") != Tensor(np.zeros(2, "int8"), "x")


def test_a_memory_map_is_sliced_without_being_read(tmp_path):
    file = tmp_path / "big"
    with file.open("wb") as out:
        out.truncate(1 << 40)  # sparse: no machine reads a terabyte in a test
    big = Tensor(np.memmap(file, "uint8", "r", shape=(1 << 20, 1 << 20)), "yx")
    part = slice_axes(big, {"y": (5, 7), "x": (0, 3)})
    assert isinstance(part.data, np.memmap)
    assert np.shares_memory(part.data, big.data)
    assert np.asarray(crop(part, {"x": (1, 0)})).tolist() == [[0, 0], [0, 0]]


def test_only_the_region_asked_for_is_read_of_a_lazy_source():
    class Lazy:
        shape = (1000, 1000)
        dtype = np.dtype("uint8")
        keys = []  # noqa: RUF012

        def __getitem__(self, key):
            self.keys.append(key)
            return np.zeros(self.shape, self.dtype)[key]

        def __array__(self, dtype=None, copy=None):
            raise AssertionError("read whole")

    part = slice_axes(Tensor(Lazy(), "yx"), {"x": (2, 5)})
    assert part.shape == (1000, 3)
    assert Lazy.keys == [(slice(None), slice(2, 5))]


# pad and crop


@pytest.mark.parametrize("library", LAZY_TOO)
@pytest.mark.parametrize("mode", PAD_MODES)
@given(data=st.data())
@FEW
def test_pad_is_that_of_numpy_and_crop_is_its_inverse(library, mode, data):
    tensor = data.draw(tensors(COMMON, min_dims=1, nan=True, inf=True))
    wide = data.draw(widths(tensor))
    given_ = in_library(tensor, library)
    padded = pad(given_, wide, mode=mode)
    oracle = np.pad(np.asarray(tensor), [wide.get(a, (0, 0)) for a in tensor.axes], mode=mode)
    assert padded.dtype == tensor.dtype
    np.testing.assert_array_equal(np.asarray(padded), oracle)
    assert type(padded.data) is type(given_.data)
    assert crop(padded, wide) == tensor


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", "float16"])
@pytest.mark.parametrize("mode", PAD_MODES)
def test_pad_of_torch_takes_the_dtypes_that_torch_only_stores(dtype, mode):
    tensor = Tensor(np.arange(3).astype(dtype), "x")
    padded = pad(in_library(tensor, "torch"), {"x": (4, 5)}, mode=mode)
    assert padded == pad(tensor, {"x": (4, 5)}, mode=mode)


@pytest.mark.parametrize("library", LAZY_TOO)
@pytest.mark.parametrize(
    ("dtype", "value"),
    [("bool", True), ("uint8", 255), ("uint8", 7.0), ("int8", -128), ("float32", 0.1)],
)
def test_constant_pads_with_the_value_given(library, dtype, value):
    tensor = in_library(Tensor(np.zeros((2, 1), dtype), "yx"), library)
    padded = np.asarray(pad(tensor, {"x": (1, 2)}, mode="constant", value=value))
    oracle = np.pad(np.zeros((2, 1), dtype), ((0, 0), (1, 2)), constant_values=value)
    np.testing.assert_array_equal(padded, oracle)
    assert padded.dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("uint8", 0.5),
        ("int8", 128),
        ("bool", 2),
        ("uint8", float("nan")),
        ("int64", 2.0**63),
        ("uint16", float("inf")),
    ],
)
def test_a_pad_value_that_the_dtype_can_not_hold_is_an_error(dtype, value):
    with pytest.raises(ArrayError, match="can not hold the pad value") as caught:
        pad(Tensor(np.zeros(2, dtype), "x"), {"x": (1, 1)}, mode="constant", value=value)
    assert caught.value.expected == dtype
    assert caught.value.got is value


def test_pad_refuses_what_makes_no_sense():
    with pytest.raises(SizeError, match="a pad width is negative") as caught:
        pad(image(), {"x": (2, -1)})
    assert (caught.value.axis, caught.value.got) == ("x", (2, -1))
    with pytest.raises(AxesError, match="no such axis") as caught:
        pad(image(), {"z": (0, 0)})
    assert (caught.value.axis, caught.value.expected) == ("z", "one of y, x")
    empty = Tensor(np.zeros((0, 3)), "yx")
    for mode in PAD_MODES[1:]:
        with pytest.raises(SizeError, match="nothing is there to continue") as caught:
            pad(empty, {"y": (1, 0)}, mode=mode)
        assert (caught.value.axis, caught.value.got) == ("y", 0)
    assert pad(empty, {"y": (1, 2)}, mode="constant").shape == (3, 3)


def test_a_pad_mode_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="wrap"):
        pad(image(), {"x": (1, 1)}, mode="wrap")


# slicing, cropping


@given(st.data())
@FEW
def test_a_slice_is_that_of_numpy_and_shares_memory(data):
    tensor = data.draw(tensors(min_dims=1))
    regions = {}
    for axis, size in tensor.sizes.items():
        if data.draw(st.booleans()):
            regions[axis] = tuple(
                sorted((data.draw(st.integers(0, size)), data.draw(st.integers(0, size))))
            )
    part = slice_axes(tensor, regions)
    key = tuple(slice(*regions.get(a, (None,))) for a in tensor.axes)
    np.testing.assert_array_equal(np.asarray(part), np.asarray(tensor)[key])
    assert part.axes == tensor.axes
    assert 0 in part.shape or np.shares_memory(part.data, tensor.data)
    for library in ("torch", "array_api_strict"):
        if tensor.dtype in COMMON:
            assert slice_axes(in_library(tensor, library), regions) == part


@pytest.mark.parametrize("region", [(-1, 2), (0, 4), (2, 1), (4, 4)])
def test_a_region_that_leaves_the_tensor_is_an_error(region):
    with pytest.raises(SizeError, match="this region is not within the tensor") as caught:
        slice_axes(image(), {"x": region})
    assert caught.value.axis == "x"
    assert caught.value.expected == "0 <= start <= stop <= 3"
    assert caught.value.got == str(region)


@pytest.mark.parametrize("wide", [(2, 2), (-1, 0), (0, -1), (4, 0)])
def test_crop_refuses_more_than_there_is(wide):
    with pytest.raises(SizeError, match="not within the tensor"):
        crop(image(), {"x": wide})


@pytest.mark.parametrize("function", [slice_axes, crop, pad])
def test_letters_and_words_name_the_same_axis(function):
    tensor = Tensor(np.zeros((2, 3)), "bx")
    assert function(tensor, {"b": (0, 1)}) == function(tensor, {"batch": (0, 1)})
    with pytest.raises(AxesError, match="no such axis"):
        function(tensor, {"c": (0, 1)})


# other functions


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@FEW
def test_a_transposition_and_the_one_back_are_identity(library, data):
    tensor = data.draw(tensors(COMMON, nan=True))
    given_ = in_library(tensor, library)
    order = data.draw(st.permutations(tensor.axes))
    turned = transpose(given_, order)
    oracle = np.transpose(np.asarray(tensor), [tensor.axes.index(a) for a in order])
    np.testing.assert_array_equal(np.asarray(turned), oracle)
    assert turned.axes == tuple(order)
    assert transpose(turned, tensor.axes) == tensor
    assert transpose(given_, tensor.axes) is given_


def test_a_transposition_to_other_axes_is_an_error():
    with pytest.raises(AxesError, match="not the same axes") as caught:
        transpose(image(), "yxc")
    assert (caught.value.expected, caught.value.got) == (("y", "x", "channel"), ("y", "x"))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("new", ["", "b", "cb", "zbc"])
def test_inserted_axes_drop_again(library, new):
    tensor = in_library(image(), library)
    wider = insert_axes(tensor, new)
    assert wider.shape == (1,) * len(new) + (2, 3)
    assert drop_axes(wider, new) == image()
    np.testing.assert_array_equal(np.asarray(wider).reshape(2, 3), np.asarray(image()))


def test_inserting_an_axis_that_is_there_or_dropping_a_long_one_is_an_error():
    with pytest.raises(AxesError, match="named twice"):
        insert_axes(image(), "x")
    with pytest.raises(SizeError, match="only an axis of size 1 can be dropped") as caught:
        drop_axes(image(), "x")
    assert (caught.value.axis, caught.value.expected, caught.value.got) == ("x", 1, 3)
    with pytest.raises(AxesError, match="no such axis"):
        drop_axes(image(), "c")
    assert drop_axes(Tensor([[5.0]], "yx"), "yx") == Tensor(5.0, "")


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=30)
def test_what_is_stacked_is_found_again_by_slicing(library, data):
    tensor = data.draw(tensors(COMMON, nan=True))
    others = [a for a in ("batch", "index") if a not in tensor.axes]
    parts = [in_library(tensor, library)] * data.draw(st.integers(1, 3))
    stacked = stack(parts, others[-1])
    assert stacked.axes == (others[-1], *tensor.axes)
    assert stacked.sizes[others[-1]] == len(parts)
    for i in range(len(parts)):
        one = slice_axes(stacked, {others[-1]: (i, i + 1)})
        assert drop_axes(one, [others[-1]]) == tensor


@pytest.mark.parametrize(
    "other",
    [
        Tensor(np.zeros((3, 2)), "yx"),
        Tensor(np.zeros((2, 3)), "zx"),
        Tensor(np.zeros((2, 3), "float32"), "yx"),
    ],
    ids=["sizes", "axes", "dtype"],
)
def test_tensors_of_different_form_do_not_stack(other):
    with pytest.raises(SizeError, match="different form can not be stacked") as caught:
        stack([image(), image(), other], "b")
    assert caught.value.got is other
    with pytest.raises(SizeError, match="nothing to stack"):
        stack([], "b")
    with pytest.raises(AxesError, match="named twice"):
        stack([image()], "x")


@pytest.mark.parametrize("dtype", DTYPES)
def test_astype_casts_without_wrapping_and_keeps_the_tensor_of_that_dtype(dtype):
    tensor = Tensor(np.array([0.0, 1.0]), "x")
    result = astype(tensor, dtype)
    assert result.dtype == dtype
    assert np.asarray(result).tolist() == [0, 1]
    assert astype(result, dtype) is result
    with pytest.warns(CastWarning):
        assert astype(Tensor([-1.0, 300.0], "x"), "uint8").data.tolist() == [0, 255]


@given(tensors(COMMON, min_dims=1, nan=True), st.data())
@FEW
def test_no_function_changes_its_tensor(tensor, data):
    array = np.array(tensor.data, order="K")
    before = array.tobytes()
    ours = Tensor(array, tensor.axes)
    axis = ours.axes[0]
    order = data.draw(st.permutations(ours.axes))
    for function in (
        lambda: slice_axes(ours, {axis: (0, 1)}),
        lambda: crop(ours, {axis: (1, 0)}),
        lambda: pad(ours, {axis: (3, 2)}),
        lambda: transpose(ours, order),
        lambda: insert_axes(ours, ["index"]),
        lambda: stack([ours, ours], "index"),
        lambda: astype(ours, "float64"),
    ):
        assert function() == function()
    assert array.tobytes() == before
    assert array.flags.writeable


@given(axes(1, 3))
@settings(max_examples=20)
def test_sizes_are_named_in_the_order_of_the_axes(ids):
    tensor = Tensor(np.zeros(tuple(range(2, 2 + len(ids)))), ids)
    assert list(tensor.sizes.items()) == list(zip(ids, tensor.shape, strict=True))
