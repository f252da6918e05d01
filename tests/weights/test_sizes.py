"""Sizes of a proof: allowed, different from one another, and as many as the description lets."""

from fractions import Fraction

import pytest
from descriptions import axis05, contract_of, image04, image05, model05, ref, sized, tensor05
from hypothesis import given, settings
from hypothesis import strategies as st

from bioimageio_fn.contract.records import ReferencedSize, admits
from bioimageio_fn.errors import SizeError
from bioimageio_fn.weights.sizes import axes_that_vary, proof_sizes


def sizes_of(contract, start):
    return [
        {m: tuple(axes.values()) for m, axes in s.items()} for s in proof_sizes(contract, start)
    ]


@settings(max_examples=30)
@given(
    smallest=st.integers(1, 40),
    step=st.integers(1, 17),
    n=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    version=st.sampled_from(["0.4", "0.5"]),
)
def test_three_sizes_and_two_batches_that_the_description_allows(smallest, step, n, version):
    model = (
        image05(size=sized(smallest, step))
        if version == "0.5"
        else image04(smallest=smallest, by=step)
    )
    contract = contract_of(model)
    y, x = (smallest + i * step for i in n)

    found = proof_sizes(contract, {"raw": {"batch": 1, "channel": 1, "y": y, "x": x}})

    assert found[0]["raw"] == {"batch": 1, "channel": 1, "y": y, "x": x}
    assert len({(s["raw"]["y"], s["raw"]["x"]) for s in found}) == 3
    assert [s["raw"]["batch"] for s in found] == [1, 2] * 3
    assert len({s["raw"]["y"] for s in found}) == len({s["raw"]["x"] for s in found}) == 3
    for sizes in found:
        for axis in contract.inputs[0].axes:
            assert admits(axis.size, sizes["raw"][axis.id])


@settings(max_examples=30)
@given(st.integers(0, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_axes_of_one_name_stay_of_one_size(n, step, other_step, offset):
    common = 12 * (1 + n)  # allowed by both
    model = model05(
        [
            tensor05("raw", [axis05("b"), axis05("y", sized(12, step))]),
            tensor05("mask", [axis05("b"), axis05("y", sized(12, other_step))]),
            tensor05("halved", [axis05("b"), axis05("y", ref("raw", "y", offset), scale=2)]),
        ],
        [tensor05("out", [axis05("b"), axis05("y", ref("raw", "y"))])],
    )
    contract = contract_of(model)
    start = {name: {"batch": 1, "y": common} for name in ("raw", "mask", "halved")}

    for sizes in proof_sizes(contract, start):
        assert sizes["raw"]["y"] == sizes["mask"]["y"]
        rule = contract.inputs[2].axes[1].size
        assert rule == ReferencedSize("raw", "y", Fraction(1, 2), Fraction(offset))
        assert sizes["halved"]["y"] == sizes["raw"]["y"] // 2 + offset
        for tensor in contract.inputs[:2]:
            assert admits(tensor.axes[1].size, sizes[tensor.id]["y"])


def test_axes_of_one_name_and_other_sizes_grow_by_their_own_steps():
    model = model05(
        [
            tensor05("raw", [axis05("b"), axis05("y", sized(64, 16))]),
            tensor05("coarse", [axis05("b"), axis05("y", sized(16, 4))]),
        ],
        [tensor05("out", [axis05("b"), axis05("y", ref("raw", "y"))])],
    )
    start = {"raw": {"batch": 1, "y": 64}, "coarse": {"batch": 1, "y": 16}}

    for sizes in proof_sizes(contract_of(model), start):
        assert sizes["raw"]["y"] == 4 * sizes["coarse"]["y"]


def test_what_is_fixed_stays():
    model = image05(size=32)
    model["inputs"][0]["axes"][0]["size"] = 1
    contract = contract_of(model)

    found = sizes_of(contract, {"raw": {"batch": 1, "channel": 1, "y": 32, "x": 32}})

    assert found == [{"raw": (1, 1, 32, 32)}]
    assert axes_that_vary(contract) == {"raw": ()}


def test_a_test_tensor_is_padded_to_what_is_valid_and_never_cut():
    start = {"raw": {"batch": 1, "channel": 1, "y": 5, "x": 9}}

    assert sizes_of(contract_of(image05()), start)[0] == {"raw": (1, 1, 8, 12)}
    with pytest.raises(SizeError, match=r"larger than the description allows \(tensor 'raw'"):
        proof_sizes(contract_of(image05(size=4)), start)
