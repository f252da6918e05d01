"""Axis ids: one form for letters and words; wrong ones are named in the error."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import IDS, axes

from bioimageio_fn.axes import Axis, AxisId, MemberId, as_axes, axis_type, permutation
from bioimageio_fn.errors import AxesError

LETTERS = {"b": "batch", "c": "channel", "s": "channel", "t": "time", "i": "index"}


@pytest.mark.parametrize(("letter", "word"), LETTERS.items())
def test_a_letter_and_its_word_are_the_same_id(letter, word):
    same = {AxisId(letter), AxisId(letter.upper()), AxisId(word), AxisId(word.upper())}
    assert same == {word}
    assert as_axes(letter) == as_axes(word) == as_axes([letter]) == as_axes([word]) == (word,)


@pytest.mark.parametrize("axis", ["x", "channel", "height"])
def test_axis_ids_are_strings_that_survive_pickle_and_copy(axis):
    ours = AxisId(axis)
    assert ours == axis
    assert hash(ours) == hash(axis)
    for twin in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        assert type(twin) is AxisId
        assert twin == axis
    assert type(pickle.loads(pickle.dumps(MemberId("raw")))) is MemberId


@pytest.mark.parametrize("axis", ["", "1", "a b", "x-y", 1, None, 2.0])
def test_what_is_no_identifier_is_no_axis(axis):
    with pytest.raises(AxesError, match="not an axis id: expected a letter") as caught:
        AxisId(axis)
    assert caught.value.got == repr(axis)


@given(axes(0, 6))
def test_as_axes_is_idempotent_and_takes_any_iterable(ids):
    once = as_axes(ids)
    assert once == as_axes(once) == as_axes(iter(ids)) == tuple(ids)
    assert all(type(a) is AxisId for a in once)


@pytest.mark.parametrize("wrong", ["yy", ["x", "X"], "cs", ["c", "channel"], ("b", "x", "batch")])
def test_an_axis_named_twice_is_an_error_that_names_it(wrong):
    with pytest.raises(AxesError, match="an axis is named twice") as caught:
        as_axes(wrong)
    assert caught.value.axis in ("y", "x", "channel", "batch")
    assert caught.value.got == repr(wrong)


def test_a_word_as_a_string_of_letters_is_an_error_with_the_way_out():
    with pytest.raises(AxesError) as caught:
        as_axes("height")
    assert str(caught.value) == (
        "a string of axes has one letter for each: expected letters of 'bcistxyz', "
        "got 'height'; give words as a list: ['height']"
    )
    assert as_axes(["height"]) == ("height",)


def test_types_are_told_from_ids_and_unknown_ones_have_to_be_given():
    kinds = ["batch", "channel", "time", "index", "space", "space", "space"]
    assert [axis_type(a) for a in "bctizyx"] == kinds
    with pytest.raises(AxesError) as caught:
        axis_type("height")
    assert caught.value.axis == "height"
    assert caught.value.remedy == "give Axis(id, type)"
    assert Axis("b") == Axis("batch", "batch")
    assert Axis("height", "space").type == "space"
    with pytest.raises(ValueError, match="volume"):
        Axis("height", "volume")


@given(st.permutations(IDS), st.permutations(IDS))
def test_a_permutation_brings_what_is_there_into_the_order_wanted(have, want):
    assert [have[i] for i in permutation(have, want)] == want


@pytest.mark.parametrize("want", ["y", "yxc", "yz", ""])
def test_a_permutation_of_other_axes_is_an_error(want):
    with pytest.raises(AxesError, match="not the same axes") as caught:
        permutation(as_axes("yx"), as_axes(want))
    assert caught.value.expected == as_axes(want)
    assert caught.value.got == ("y", "x")
