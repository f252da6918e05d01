"""Test tensors with and without their halo."""

import numpy as np
import pytest
from descriptions import contract_of, image04, image05, sized

from bioimageio_fn.sample import Sample
from bioimageio_fn.tensor import Tensor
from bioimageio_fn.validation.conventions import AS_THEY_ARE, conventions, cropped, padded


def sample(size, name="raw"):
    return Sample({name: Tensor(np.arange(size * size).reshape(1, 1, size, size), "bcyx")})


def without_halo(contract, size):
    return next(c for c in conventions(contract, sample(size)) if c.pads)


def test_without_a_halo_there_is_one_convention():
    assert conventions(contract_of(image05()), sample(8)) == (AS_THEY_ARE,)


@pytest.mark.parametrize(
    ("scale", "halo", "pad", "crop"),
    # a halo is one of the output: of a larger one it is fewer pixels of the input
    [(1, 4, 4, 4), (2, 4, 2, 4), (0.5, 2, 4, 2), (0.25, 1, 4, 1)],
)
def test_inputs_grow_by_the_halo_in_their_own_pixels(scale, halo, pad, crop):
    contract = contract_of(image05(size=sized(16, 4), scale=scale, halo=halo))

    found = without_halo(contract, 16)

    assert found.pads == {"raw": {"y": pad, "x": pad}}
    assert found.crops == {"out": {"y": crop, "x": crop}}


@pytest.mark.parametrize("make", [image04, image05])
def test_valid_sizes_are_taken_as_they_are_first(make):
    contract = contract_of(
        make(smallest=16, halo=4) if make is image04 else make(size=sized(16, 4), halo=4)
    )

    assert conventions(contract, sample(16))[0] == AS_THEY_ARE


def test_a_fixed_size_without_its_halo_is_padded_first():
    contract = contract_of(image05(size=32, halo=4))

    assert conventions(contract, sample(24))[0].pads == {"raw": {"y": 4, "x": 4}}
    assert conventions(contract, sample(32))[0] == AS_THEY_ARE


@pytest.mark.parametrize("mode", ["symmetric", "edge", "reflect"])
def test_padding_is_that_of_the_description(mode):
    contract = contract_of(image05(size=sized(16, 4), halo=4, pad={"mode": mode}))
    convention = without_halo(contract, 16)

    result = np.asarray(padded(sample(16), convention, contract)["raw"])

    expected = np.pad(np.asarray(sample(16)), [(0, 0)] * 2 + [(4, 4)] * 2, mode=mode)
    np.testing.assert_array_equal(result, expected)


def test_what_is_added_is_taken_away():
    contract = contract_of(image05(size=sized(16, 4), halo=4))
    convention = without_halo(contract, 16)
    grown = padded(sample(16), convention, contract)["raw"]

    result = cropped(Sample({"out": grown}), convention)

    np.testing.assert_array_equal(np.asarray(result), np.asarray(sample(16)))


def test_what_is_smaller_than_its_halo_stays():
    contract = contract_of(image05(size=sized(16, 4), halo=4))

    small = sample(8, "out")

    assert cropped(small, without_halo(contract, 16)) == small
