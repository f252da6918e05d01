"""Samples: immutable mappings of tensors that keep their order."""

import copy
import pickle

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import tensors

from bioimageio_fn.axes import AxisId, MemberId
from bioimageio_fn.errors import ArrayError, SizeError, UnknownMemberError
from bioimageio_fn.sample import (
    AxisBlock,
    BlockMeta,
    Sample,
    SampleBlock,
    get_member,
    with_member,
)
from bioimageio_fn.stats.measure import Measure
from bioimageio_fn.tensor import Tensor

IMAGE = Tensor(np.arange(6.0).reshape(2, 3), "yx")
MEAN = Measure("mean", "raw")
BLOCK = AxisBlock(start=8, stop=16, outer_start=4, outer_stop=20, size=18)


@given(st.dictionaries(st.sampled_from("edcba"), tensors(nan=True), max_size=3))
@settings(max_examples=40)
def test_samples_keep_their_order_and_survive_pickle_and_copy(members):
    sample = Sample(members, stat={MEAN: 3.0}, id="one")
    for twin in (pickle.loads(pickle.dumps(sample)), copy.deepcopy(sample)):
        assert twin == sample
        assert list(twin.members) == list(members)
        assert twin.stat == sample.stat
        assert twin.id == "one"
        assert all(not t.data.flags.writeable for t in twin.members.values())


def test_a_sample_is_frozen_and_its_mappings_too():
    members = {"raw": IMAGE}
    sample = Sample(members, stat={MEAN: 3.0})
    assert not hasattr(sample, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        sample.id = "other"
    with pytest.raises(TypeError):
        sample.members["raw"] = IMAGE
    with pytest.raises(TypeError):
        sample.stat[MEAN] = 4.0
    members["mask"] = IMAGE
    assert list(sample.members) == ["raw"]


def test_numbers_in_stat_become_tensors_without_axes():
    sample = Sample({}, stat={MEAN: 3, "std": Tensor([1.0], "c")})
    assert sample.stat[MEAN] == Tensor(np.array(3.0), "")
    assert sample.stat["std"].axes == ("channel",)


def test_the_repr_is_readable_and_shows_no_numbers():
    assert repr(Sample({"raw": IMAGE})) == "Sample(raw=Tensor(y=2, x=3, dtype=float64))"
    full = Sample({"raw": IMAGE}, stat={MEAN: 3.0}, id="a")
    assert repr(full) == "Sample(raw=Tensor(y=2, x=3, dtype=float64), stat=1 measures, id='a')"
    assert repr(Sample({})) == "Sample()"


def test_equality_is_by_value():
    assert Sample({"raw": IMAGE}) == Sample({"raw": Tensor(np.array(IMAGE), "yx")})
    assert Sample({"raw": IMAGE}) != Sample({"raw": Tensor(np.zeros((2, 3)), "yx")})
    assert Sample({"raw": IMAGE}) != Sample({"other": IMAGE})
    assert Sample({"raw": IMAGE}) != Sample({"raw": IMAGE}, id="a")
    assert Sample({"raw": IMAGE}) != Sample({"raw": IMAGE}, stat={MEAN: 1.0})


@pytest.mark.parametrize("wrong", [np.zeros(2), [1.0], 3, None])
def test_a_member_that_is_no_tensor_is_an_error_that_names_it(wrong):
    with pytest.raises(ArrayError) as caught:
        Sample({"good": IMAGE, "bad": wrong})
    assert str(caught.value) == (
        f"a member of a sample is a Tensor (tensor 'bad'): got {type(wrong).__name__}; "
        "name its axes: Tensor(array, 'yx')"
    )
    with pytest.raises(ArrayError):
        attrs.evolve(Sample({"good": IMAGE}), members={"bad": wrong})


def test_an_id_that_is_no_string_is_an_error():
    with pytest.raises(TypeError, match="id"):
        Sample({}, id=3)


def test_a_member_is_found_by_name_and_a_missing_one_is_an_error_that_lists_those_there():
    sample = Sample({"raw": IMAGE, "mask": IMAGE})
    assert get_member(sample, "raw") is sample["raw"] is sample.members[MemberId("raw")]
    with pytest.raises(UnknownMemberError) as caught:
        get_member(sample, "row")
    assert str(caught.value) == (
        "no such tensor in this sample (tensor 'row'): expected one of raw, mask"
    )
    assert isinstance(caught.value, KeyError)
    with pytest.raises(UnknownMemberError, match="expected one of none"):
        Sample({})["raw"]


def test_with_member_replaces_in_place_appends_and_changes_nothing_else():
    sample = Sample({"a": IMAGE, "b": IMAGE}, stat={MEAN: 1.0}, id="i")
    new = Tensor([1.0], "x")
    changed = with_member(sample, "a", new)
    assert list(changed.members) == ["a", "b"]
    assert changed["a"] == new
    assert (changed.stat, changed.id) == (sample.stat, "i")
    assert list(with_member(sample, "c", new).members) == ["a", "b", "c"]
    assert sample["a"] == IMAGE


def test_a_sample_of_one_tensor_is_an_array():
    sample = Sample({"raw": IMAGE})
    view = np.asarray(sample)
    assert np.shares_memory(view, IMAGE.data)
    assert not view.flags.writeable
    assert np.asarray(sample, "float32").dtype == "float32"
    assert np.asarray(Sample({"raw": Tensor(torch.ones(2), "x")})).tolist() == [1, 1]
    with pytest.raises(SizeError, match="only a sample of one tensor is an array") as caught:
        np.asarray(Sample({"a": IMAGE, "b": IMAGE}))
    assert caught.value.got == "a, b"
    with pytest.raises(SizeError):
        np.asarray(Sample({}))


def test_the_padding_of_an_axis_block_is_what_exceeds_the_pixels_read():
    assert BLOCK.padding == 2
    assert attrs.evolve(BLOCK, size=16).padding == 0


@pytest.mark.parametrize(
    "change",
    [
        {"outer_start": -1},
        {"outer_start": 9},
        {"stop": 7},
        {"size": 15},
        {"stop": 21},
        {"outer_stop": 15},
    ],
    ids=str,
)
def test_an_axis_block_whose_parts_do_not_fit_is_an_error(change):
    with pytest.raises(SizeError, match="do not fit into one another"):
        attrs.evolve(BLOCK, **change)


def test_blocks_survive_pickle_and_compare_by_value():
    meta = BlockMeta(1, 4, {"raw": {"x": BLOCK, "b": BLOCK}})
    block = SampleBlock(Sample({"raw": IMAGE}), meta)
    assert list(meta.regions["raw"]) == [AxisId("x"), AxisId("batch")]
    for twin in (pickle.loads(pickle.dumps(block)), copy.deepcopy(block)):
        assert twin == block
    assert hash(meta) == hash(BlockMeta(1, 4, {"raw": {"x": BLOCK, "batch": BLOCK}}))
    with pytest.raises(TypeError):
        meta.regions["raw"]["x"] = BLOCK
    assert meta != BlockMeta(2, 4, meta.regions)
