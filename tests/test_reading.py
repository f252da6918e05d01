"""What users give is read as the described tensor, or refused with what was expected."""

import itertools

import numpy as np
import pytest
import strategies
from descriptions import axis05, contract_of, image05, model05, ref, sized, tensor05
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.contract.records import AnySize, AxisContract, FixedSize, TensorContract
from bioimageio_fn.errors import (
    ArrayError,
    AxesError,
    MissingMemberError,
    SizeError,
    UnknownMemberError,
)
from bioimageio_fn.reading import as_sample, read_array, read_tensor, readings
from bioimageio_fn.sample import Sample
from bioimageio_fn.tensor import Tensor, insert_axes, transpose

GREY = contract_of(image05(size=sized(16, 16)))
RGB = contract_of(image05(size=sized(16, 16), channels=3))
VOLUME = contract_of(image05(size=sized(8, 8), space="zyx"))
COLOUR_VOLUME = contract_of(image05(size=sized(8, 8), space="zyx", channels=3))
SERIES = contract_of(
    model05(
        [
            tensor05(
                "raw",
                [
                    axis05("b"),
                    axis05("t", sized(2, 1)),
                    axis05("c", 1),
                    axis05("y", sized(16, 16)),
                    axis05("x", sized(16, 16)),
                ],
            )
        ],
        [tensor05("out", [axis05("b"), axis05("y", ref("raw", "y"))])],
    )
)


def numbered(shape, dtype="float32"):
    """An array in which every value says where it stood."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def repr_id(value):
    """A short id for a case: contracts by what they take."""
    inputs = getattr(value, "inputs", None)
    return str(value) if inputs is None else f"{inputs[0].axes[1].size}c{len(inputs[0].axes)}d"


def read(array, contract):
    return as_sample(array, contract)["raw"]


# ---------------------------------------------------------------- arrays without labels


@pytest.mark.parametrize(
    ("contract", "shape", "where"),
    [
        # where: index into (array dimensions) for y, x (and z, channel)
        (GREY, (512, 513), "yx"),
        (GREY, (512, 513, 1), "yx."),
        (GREY, (1, 512, 513), ".yx"),
        (GREY, (1, 1, 512, 513), "..yx"),
        (GREY, (1, 512, 513, 1), ".yx."),
        (GREY, (1, 1, 1, 60, 61), "...yx"),
        (GREY, (512, 513, 1, 1), "yx.."),
        (GREY, (5, 1, 60, 61), "b.yx"),
        (GREY, (1, 1, 1, 61), "..yx"),
        (RGB, (50, 60, 3), "yxc"),
        (RGB, (3, 50, 60), "cyx"),
        (RGB, (1, 50, 60, 3), ".yxc"),
        (RGB, (1, 3, 50, 60), ".cyx"),
        (RGB, (3, 3, 3), "cyx"),
        (RGB, (1, 3, 3, 3), ".cyx"),
        (RGB, (2, 3, 50, 60), "bcyx"),
        (RGB, (3, 50, 60, 1), "cyx."),
        (VOLUME, (20, 30, 40), "zyx"),
        (VOLUME, (1, 20, 30, 40), ".zyx"),
        (VOLUME, (20, 30, 40, 1), "zyx."),
        (VOLUME, (1, 1, 20, 30, 40), "..zyx"),
        (VOLUME, (20, 1, 30, 40), "z.yx"),
        (VOLUME, (2, 1, 20, 30, 40), "b.zyx"),
        (COLOUR_VOLUME, (20, 30, 40, 3), "zyxc"),
        (COLOUR_VOLUME, (3, 20, 30, 40), "czyx"),
        (COLOUR_VOLUME, (20, 3, 30, 40), "zcyx"),
        (COLOUR_VOLUME, (3, 3, 3, 3), "czyx"),
        (SERIES, (7, 30, 40), "tyx"),
        (SERIES, (1, 7, 1, 30, 40), ".t.yx"),
        (SERIES, (7, 30, 40, 1), "tyx."),
    ],
    ids=repr_id,
)
def test_accepted_readings(contract, shape, where):
    array = numbered(shape)
    names = {"b": "batch", "c": "channel", "t": "time"}
    kept = [names.get(letter, letter) for letter in where if letter != "."]
    plain = array.reshape([s for s, letter in zip(shape, where, strict=True) if letter != "."])
    described = contract.inputs[0].axis_ids
    missing = [axis for axis in described if axis not in kept]

    expected = transpose(insert_axes(Tensor(plain, kept), missing), described)

    assert read(array, contract) == expected


@pytest.mark.parametrize(
    ("contract", "shape"),
    [
        (GREY, (50, 60, 3)),
        (GREY, (3, 50, 60)),
        (GREY, (1, 50, 60, 3)),
        (GREY, (1, 3, 50, 60)),
        (GREY, (5, 60, 60)),
        (GREY, (60,)),
        (GREY, ()),
        (GREY, (2, 2, 2, 60, 60)),
        (RGB, (50, 60)),
        (RGB, (50, 60, 1)),
        (RGB, (50, 60, 4)),
        (RGB, (4, 50, 60)),
        (RGB, (1, 1, 50, 60)),
        (VOLUME, (30, 40)),
        (VOLUME, (2, 20, 30, 40)),
    ],
    ids=repr_id,
)
def test_an_array_that_does_not_fit_is_refused_and_the_error_lists_what_is_expected(
    contract, shape
):
    with pytest.raises(AxesError) as caught:
        read(np.zeros(shape, "uint8"), contract)

    error = caught.value
    described = ", ".join(f"{a.id}: {a.size}" for a in contract.inputs[0].axes)
    assert error.tensor == "raw"
    assert f"({described})" in str(error)
    assert f"shape {shape}" in str(error)
    assert error.remedy


def test_a_shape_that_can_be_read_in_two_ways_lists_both():
    # two channels of nothing but 2 x 2: every end can be the channel
    contract = contract_of(image05(size=sized(16, 16), channels=5))
    shape = (40, 5, 5)

    with pytest.raises(AxesError, match="several ways") as caught:
        read(np.zeros(shape), contract)

    text = str(caught.value)
    assert "(y=40, channel=5, x=5) or (y=40, x=5, channel=5)" in text
    assert "Tensor(array, 'ycx')" in text
    assert len(readings(shape, contract.inputs[0])) == 2


def test_of_several_readings_the_one_with_most_of_space_wins():
    axes = [axis05("b"), axis05("t", sized(1, 1)), *(axis05(a, sized(1, 1)) for a in "zyx")]
    contract = contract_of(
        model05([tensor05("raw", axes)], [tensor05("out", [axis05("b"), axis05("i", 2)])])
    )

    # a volume at one time, not a film of one plane
    assert read(np.zeros((20, 30, 40)), contract).shape == (1, 1, 20, 30, 40)


def test_a_reading_that_is_listed_can_be_given():
    contract = contract_of(image05(size=sized(16, 16), channels=5))

    tensor = read(Tensor(np.zeros((40, 5, 5)), "yxc"), contract)

    assert tensor.shape == (1, 5, 40, 5)


@pytest.mark.parametrize("shape", [(0, 60), (60, 0), (0, 1, 60, 60), (1, 0, 60, 60), (0,)])
def test_an_array_that_holds_nothing_is_refused(shape):
    with pytest.raises(SizeError, match="holds nothing.*tensor 'raw'") as caught:
        read(np.zeros(shape), GREY)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("thing", ["image.tif", __import__("pathlib").Path("image.tif")])
def test_a_path_is_no_array(thing):
    with pytest.raises(ArrayError, match="a path is not an array.*image.tif.*read_image"):
        read(thing, GREY)


def test_nested_lists_are_arrays():
    assert read([[1, 2, 3], [4, 5, 6]], GREY).data.tolist() == [[[[1, 2, 3], [4, 5, 6]]]]
    with pytest.raises(ArrayError, match="no numbers of an image.*lists of the same lengths"):
        read([[1, 2, 3], [4]], GREY)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.sampled_from([GREY, RGB, VOLUME]))
def test_a_reading_is_a_reordering_of_the_array_or_an_error(shape, contract):
    array = numbered(shape)
    try:
        tensor = read(array, contract)
    except AxesError:
        return

    sizes = tensor.sizes
    assert tensor.axes == contract.inputs[0].axis_ids
    assert sorted(s for s in tensor.shape if s > 1) == sorted(s for s in shape if s > 1)
    assert sizes["channel"] == contract.inputs[0].axis("channel").size.size
    # axes in space are never swapped
    space = [a for a in tensor.axes if a in "zyx"]
    strides = [tensor.data.strides[tensor.axes.index(a)] for a in space if sizes[a] > 1]
    assert strides == sorted(strides, reverse=True)
    assert np.shares_memory(tensor.data, array)


# ---------------------------------------------------------------- labelled tensors


AXES = st.lists(
    st.sampled_from(["batch", "channel", "time", "z", "y", "x"]), unique=True, min_size=1
)


def described(axes, sizes):
    """A contract of any axes, fixed in its channels."""
    types = {"batch": "batch", "channel": "channel", "time": "time"}
    rules = [FixedSize(sizes[a]) if a == "channel" else AnySize() for a in axes]
    return TensorContract(
        "raw",
        tuple(AxisContract(a, types.get(a, "space"), r) for a, r in zip(axes, rules, strict=True)),
        "float32",
    )


@given(AXES, st.data())
def test_a_labelled_tensor_is_the_same_sample_in_any_order_of_its_axes(axes, data):
    sizes = {axis: data.draw(st.integers(1, 4)) for axis in axes}
    contract = described(axes, sizes)
    tensor = Tensor(numbered([sizes[a] for a in axes]), axes)
    order = data.draw(st.permutations(axes))

    assert read_tensor(transpose(tensor, order), contract) == read_tensor(tensor, contract)
    assert read_tensor(tensor, contract) == tensor


@given(AXES, st.data())
def test_single_axes_may_be_left_out_or_added_where_they_are_labelled(axes, data):
    sizes = {axis: data.draw(st.integers(1, 3)) for axis in axes}
    contract = described(axes, sizes)
    tensor = Tensor(numbered([sizes[a] for a in axes]), axes)
    left_out = data.draw(st.sets(st.sampled_from([a for a in axes if sizes[a] == 1] or [None])))
    kept = [a for a in axes if a not in left_out]
    given_ = insert_axes(Tensor(tensor.data.reshape([sizes[a] for a in kept]), kept), ["extra"])

    result = read_tensor(given_, contract)

    assert result == tensor
    assert np.shares_memory(result.data, tensor.data) or result.data.size == 1


@given(AXES, st.data())
def test_the_values_are_those_of_the_array_by_named_index(axes, data):
    sizes = {axis: data.draw(st.integers(1, 3)) for axis in axes}
    order = data.draw(st.permutations(axes))
    array = numbered([sizes[a] for a in order])
    result = read_tensor(Tensor(array, order), described(axes, sizes))

    for index in itertools.product(*(range(sizes[a]) for a in axes)):
        at = dict(zip(axes, index, strict=True))
        assert result.data[index] == array[tuple(at[a] for a in order)]


def test_a_labelled_tensor_is_never_guessed_at():
    # as an array it would be read with its channels last
    with pytest.raises(SizeError, match="'channel'.*expected 3, got 50"):
        read(Tensor(np.zeros((50, 3, 60)), "cyx"), RGB)


@pytest.mark.parametrize(
    ("tensor", "contract", "error", "message"),
    [
        (Tensor(np.zeros((4, 30, 40)), "tyx"), GREY, AxesError,
         "no such axis.*tensor 'raw', axis 'time'.*expected axes batch.*got 4 pixels.*select one"),
        (Tensor(np.zeros((40,)), "x"), VOLUME, AxesError,
         "lacks an axis.*axis '[zy]'.*expected axes batch, channel, z, y, x.*got x"),
        (Tensor(np.zeros((30, 40)), "yx"), RGB, AxesError, "lacks an axis.*axis 'channel'"),
        (Tensor(np.zeros((3, 30, 40)), "cyx"), GREY, SizeError,
         "does not take this size.*axis 'channel'.*expected 1, got 3"),
        (Tensor(np.zeros((0, 40)), "yx"), GREY, SizeError, "axis 'y'.*got 0"),
        (Tensor(np.zeros((0, 30, 40)), "byx"), GREY, SizeError, "axis 'batch'.*got 0"),
    ],
    ids=["surplus axis", "missing space", "missing channel", "channels", "no rows", "no batch"],
)  # fmt: skip
def test_a_labelled_tensor_that_does_not_fit_is_refused(tensor, contract, error, message):
    with pytest.raises(error, match=message):
        read(tensor, contract)


# ---------------------------------------------------------------- samples


TWO = contract_of(
    model05(
        [
            tensor05("raw", [axis05("b"), axis05("y", 8), axis05("x", 8)]),
            tensor05("aux", [axis05("b"), axis05("i", 3)]),
            tensor05("mask", [axis05("b"), axis05("y", 8), axis05("x", 8)], optional=True),
        ],
        [tensor05("out", [axis05("b"), axis05("y", ref("raw", "y"))])],
    )
)


def test_members_come_in_the_described_order_whatever_order_they_are_given_in():
    given_ = {"mask": np.zeros((8, 8)), "aux": np.zeros((1, 3)), "raw": np.zeros((8, 8))}

    assert list(as_sample(given_, TWO).members) == ["raw", "aux", "mask"]


@pytest.mark.parametrize("mask", [{}, {"mask": None}])
def test_an_optional_input_may_be_missing(mask):
    sample = as_sample({"raw": np.zeros((8, 8)), "aux": np.zeros((1, 3)), **mask}, TWO)

    assert list(sample.members) == ["raw", "aux"]


def test_a_required_input_may_not_be_missing():
    with pytest.raises(MissingMemberError, match=r"'aux'.*expected aux \(batch.*index: 3.*got raw"):
        as_sample({"raw": np.zeros((8, 8))}, TWO)


def test_a_name_that_the_model_does_not_know_is_refused():
    with pytest.raises(UnknownMemberError, match="'image'.*expected one of raw, aux, mask"):
        as_sample({"image": np.zeros((8, 8))}, TWO)


def test_one_array_is_not_enough_for_two_inputs():
    with pytest.raises(MissingMemberError, match=r"expected a mapping with raw, aux.*\{id: array"):
        as_sample(np.zeros((8, 8)), TWO)


def test_a_sample_keeps_its_id_and_its_statistics():
    sample = Sample({"raw": Tensor(np.zeros((20, 20)), "yx")}, stat={"m": 1.0}, id="own")

    read_ = as_sample(sample, GREY, sample_id="other")

    assert (read_.id, dict(read_.stat)) == ("own", dict(sample.stat))
    assert as_sample(np.zeros((20, 20)), GREY, sample_id="other").id == "other"


# ---------------------------------------------------------------- nothing is copied or changed


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (1, 20, 30, 1), (1, 1, 20, 30)])
def test_data_are_shared_not_copied(shape):
    array = numbered(shape)

    assert np.shares_memory(read(array, GREY).data, array)
    assert read_array(array, GREY.inputs[0]).data.base is not None


def test_the_callers_array_stays_writable_and_the_tensor_is_not():
    array = numbered((20, 30))
    tensor = read(array, GREY)

    assert array.flags.writeable
    assert not tensor.data.flags.writeable


@given(strategies.arrays(dtypes=("uint8", "float32"), shape=(7, 5, 3)))
def test_any_layout_of_memory_is_read_alike(array):
    tensor = read(array, RGB)

    np.testing.assert_array_equal(tensor.data[0], np.moveaxis(array, 2, 0))
    assert np.shares_memory(tensor.data, array)


def test_arrays_of_other_libraries_are_read_where_they_are():
    import torch

    array = torch.arange(7 * 5 * 3).reshape(7, 5, 3)
    tensor = read(array, RGB)

    assert isinstance(tensor.data, torch.Tensor)
    assert tensor.shape == (1, 3, 7, 5)
    assert tensor.data.data_ptr() == array.data_ptr()


class Lazy:
    """An array on disk, of which nothing may be read yet."""

    dtype = np.dtype("uint16")

    def __init__(self, shape):
        self.shape = shape

    def __getitem__(self, key):
        raise AssertionError(f"read {key}")

    def __array__(self, *_, **__):
        raise AssertionError("read as a whole")


def test_a_lazy_array_of_the_described_axes_is_not_read():
    assert read(Lazy((1, 1, 10**5, 10**5)), GREY).shape == (1, 1, 10**5, 10**5)
