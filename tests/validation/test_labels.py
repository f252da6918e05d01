"""Objects are matched by overlap: every object that was tampered with is counted as what it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tampered import FATES, drawn

from bioimageio_fn.errors import ArrayError, SizeError
from bioimageio_fn.tensor import Tensor
from bioimageio_fn.validation.labels import looks_like_labels, match_objects


def tensors(*arrays, axes="yx"):
    return [Tensor(array, axes) for array in arrays]


@given(
    st.lists(st.sampled_from(FATES), min_size=1, max_size=9),
    st.integers(0, 3),
    st.permutations(range(1, 30)),
)
def test_every_object_is_counted_as_what_became_of_it(fates, new, numbers):
    expected, produced = drawn(fates, new, numbers)

    found = match_objects(*tensors(produced, expected))

    assert found.same == fates.count("same") + fates.count("eroded")
    assert found.changed == fates.count("changed")
    assert found.split == fates.count("split")
    assert found.merged == 2 * fates.count("merged")
    assert found.missing == fates.count("missing")
    assert found.new == new
    kinds = found.same + found.changed + found.split + found.merged + found.missing
    assert kinds == found.expected == expected.max()
    assert found.alike == (set(fates) <= {"same", "eroded"} and not new)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_each_expected_object_is_counted_once_whatever_came(seed, most):
    rng = np.random.default_rng(seed)
    expected, produced = rng.integers(0, most + 1, (2, 3, 6, 7))

    found = match_objects(*tensors(produced, expected, axes="cyx"))

    kinds = found.same + found.changed + found.split + found.merged + found.missing
    assert kinds == found.expected
    assert found.at_borders <= found.differing <= found.pixels == expected.size
    assert found.new <= found.produced


@given(st.integers(0, 2**32 - 1))
def test_numbers_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    expected = rng.integers(0, 5, (9, 11)).astype("uint16")
    numbers = np.append(0, 1 + rng.permutation(4)).astype("uint16")

    found = match_objects(*tensors(numbers[expected], expected))

    assert found.alike
    assert found.differing == 0
    present = np.unique(expected)
    assert found.renumbered == (numbers[present] != present).any()


def test_each_item_of_a_batch_has_objects_of_its_own():
    image = np.zeros((2, 8, 8), "int32")
    image[:, 2:6, 2:6] = 1
    gone = image.copy()
    gone[1] = 0

    found = match_objects(*tensors(gone, image, axes="byx"))

    assert (found.expected, found.same, found.missing) == (2, 1, 1)


def test_other_borders_alone_change_no_object():
    """What a GPU of another kind made of 437 of 1,016,064 pixels of a published model."""
    rng = np.random.default_rng(0)
    expected = np.kron(np.arange(1, 37).reshape(6, 6), np.pad(np.ones((148, 148), int), 10))
    produced = expected.copy()
    edge = np.argwhere((expected > 0) & (np.roll(expected, 1, 0) == 0))
    produced[tuple(edge[rng.permutation(len(edge))[:437]].T)] = 0

    found = match_objects(*tensors(produced.astype("int32"), expected.astype("int32")))

    assert found.pixels == 1_016_064
    assert str(found) == (
        "labels equal except borders: 0 objects changed; 437 of 1016064 pixels differ"
    )


def test_what_is_said_of_changed_objects():
    expected, produced = drawn(["same", "merged", "missing", "split"], 1, range(1, 9))

    assert str(match_objects(*tensors(produced, expected))) == (
        "of 5 objects: 1 same, 1 split, 2 merged, 1 missing, 1 new; 320 of 1728 pixels differ, 208"
        " of them not at a border"
    )


def test_labels_are_whole_numbers_of_one_size():
    labels = Tensor(np.ones((4, 4), "int32"), "yx")
    with pytest.raises(SizeError, match="no pixels in common"):
        match_objects(Tensor(np.ones((4, 5), "int32"), "yx"), labels)
    with pytest.raises(ArrayError, match="whole numbers: expected integers, got float32"):
        match_objects(Tensor(np.ones((4, 4), "float32"), "yx"), labels)


@given(st.integers(0, 2**32 - 1))
def test_noise_and_floats_do_not_look_like_labels(seed):
    rng = np.random.default_rng(seed)
    objects = np.kron(rng.permutation(30).reshape(5, 6), np.ones((6, 6), int)).astype("uint16")

    assert looks_like_labels(objects)
    assert not looks_like_labels(objects.astype("float32"))
    assert not looks_like_labels(rng.integers(0, 2**16, (40, 40)))
    assert not looks_like_labels(np.zeros((4, 4), int))
