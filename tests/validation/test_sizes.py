"""The sizes at which models are tried."""

import numpy as np
import pytest
from descriptions import axis05, contract_of, image04, image05, model05, ref, sized, tensor05

from bioimageio_fn.contract.records import FixedSize, ParameterizedSize, admits
from bioimageio_fn.sample import Sample
from bioimageio_fn.tensor import Tensor
from bioimageio_fn.validation.sizes import resized, size_cases


def tried(contract, *keys):
    return [tuple(case.sizes[m][a] for m, a in keys) for case in size_cases(contract)]


@pytest.mark.parametrize("make", [image04, image05])
def test_three_sizes_and_two_batch_sizes(make):
    contract = contract_of(make())

    found = tried(contract, ("raw", "batch"), ("raw", "channel"), ("raw", "y"), ("raw", "x"))

    assert found == [(b, 1, s, s) for b in (1, 2) for s in (8, 12, 16)]


def test_a_model_of_fixed_size_is_tried_at_that_size():
    fixed = model05(
        [tensor05("raw", [axis05("b", size=1), axis05("y", 8), axis05("x", 12)])],
        [tensor05("out", [axis05("b"), axis05("y", ref("raw", "y")), axis05("x", 12)])],
    )

    assert tried(contract_of(fixed), ("raw", "batch"), ("raw", "y"), ("raw", "x")) == [(1, 8, 12)]


def test_inputs_that_follow_another_do_so():
    both = model05(
        [
            tensor05("raw", [axis05("b"), axis05("y", sized(8, 4))]),
            tensor05("aux", [axis05("b"), axis05("y", ref("raw", "y"), scale=0.5)]),
        ],
        [tensor05("out", [axis05("b"), axis05("y", ref("raw", "y"))])],
    )

    found = tried(contract_of(both), ("raw", "y"), ("aux", "y"), ("aux", "batch"))

    assert found == [(n, 2 * n, b) for b in (1, 2) for n in (8, 12, 16)]


@pytest.mark.parametrize("space", ["yx", "zyx"])
def test_all_sizes_are_valid(space):
    contract = contract_of(image05(space=space, size=sized(5, 3)))

    for case in size_cases(contract):
        for tensor in contract.inputs:
            for axis in tensor.axes:
                if isinstance(axis.size, (FixedSize, ParameterizedSize)):
                    assert admits(axis.size, case.sizes[tensor.id][axis.id])


def test_samples_are_cut_in_their_middle_or_mirrored():
    contract = contract_of(image05())
    array = np.arange(10 * 14).reshape(1, 1, 10, 14)
    sample = Sample({"raw": Tensor(array, "bcyx")})

    for case in size_cases(contract):
        size, batch = case.sizes["raw"]["y"], case.batch
        result = np.asarray(resized(sample, case)["raw"])

        expected = array
        for axis, missing in ((0, batch - 1), (2, size - 10), (3, size - 14)):
            before = abs(missing) // 2
            widths = [(0, 0)] * 4
            widths[axis] = (before, abs(missing) - before)
            if missing >= 0:
                expected = np.pad(expected, widths, mode="symmetric")
            else:
                expected = expected.take(range(before, before + size), axis)
        np.testing.assert_array_equal(result, expected)
