"""A model of several inputs and outputs, of different axes, sizes and halos, against bare NumPy."""

import attrs
import numpy as np
import pytest

import bioimageio_fn as fn
from bioimageio_fn.contract.records import (
    AnySize,
    AxisContract,
    FixedSize,
    ModelContract,
    ParameterizedSize,
    ReferencedSize,
    TensorContract,
)
from bioimageio_fn.errors import MissingMemberError
from bioimageio_fn.ops.records import ScaleRange, Sigmoid, ZeroMeanUnitVariance

FREE = ParameterizedSize(8, 4)
EPS = 1e-6


def tensor(name, sizes, operations, *, halo=0, optional=False):
    kinds = {"batch": "batch", "channel": "channel"}
    axes = tuple(
        AxisContract(axis, kinds.get(axis, "space"), rule, 0 if axis in kinds else halo)
        for axis, rule in sizes.items()
    )
    return TensorContract(name, axes, "float32", tuple(operations), optional=optional)


def like_raw(*axes, scale=1):
    return {axis: ReferencedSize("raw", axis, scale) for axis in axes}


INPUTS = (
    tensor(
        "raw",
        {"batch": AnySize(), "channel": FixedSize(1), "y": FREE, "x": FREE},
        [ZeroMeanUnitVariance(axes="yx")],
    ),
    tensor("turned", {"batch": AnySize(), **like_raw("x", "y")}, [ScaleRange(axes="yx")]),
    tensor(
        "mask",
        {"batch": AnySize(), **like_raw("y", "x")},
        [ZeroMeanUnitVariance(axes="yx")],
        optional=True,
    ),
)
OUTPUTS = (
    tensor("flat", {"batch": AnySize(), **like_raw("y", "x")}, [Sigmoid()], halo=1),
    tensor(
        "large",
        {"batch": AnySize(), "channel": FixedSize(2), **like_raw("y", "x", scale=2)},
        [ScaleRange(axes="yx", reference="raw")],
        halo=2,
    ),
)


def twice(array):
    return np.repeat(np.repeat(array, 2, -2), 2, -1)


def network(raw, turned, mask):
    total = np.asarray(raw)[:, 0] + np.moveaxis(np.asarray(turned), 1, 2)
    total = total if mask is None else total + np.asarray(mask)
    return total, twice(np.stack([total, -total], 1))


@pytest.fixture
def pipeline():
    raw_outputs = tuple(attrs.evolve(o, dtype=None, operations=()) for o in OUTPUTS)
    contract = ModelContract("m", INPUTS, OUTPUTS, raw_outputs)
    chains = [
        tuple(fn.Transform(op, t.id) for t in tensors for op in t.operations)
        for tensors in (INPUTS, OUTPUTS)
    ]
    return fn.Pipeline(contract, chains[0], network, chains[1])


def arrays(batch, *, mask):
    rng = np.random.default_rng(batch)
    given = {"raw": rng.random((batch, 1, 21, 30)), "turned": rng.random((batch, 30, 21))}
    given |= {"mask": rng.random((batch, 21, 30))} if mask else {}
    return {name: array.astype("float32") for name, array in given.items()}


def normalised(a):
    return (a - a.mean((-2, -1), keepdims=True)) / (a.std((-2, -1), keepdims=True) + EPS)


def in_range(a, of):
    low, high = of.min((-2, -1), keepdims=True), of.max((-2, -1), keepdims=True)
    return (a - low) / (high - low + EPS)


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("blocks", [False, True])
def test_every_tensor_is_processed_by_its_own_steps_and_statistics(pipeline, batch, mask, blocks):
    given = arrays(batch, mask=mask)
    wide = {name: array.astype("float64") for name, array in given.items()}
    turned = np.moveaxis(wide["turned"], 1, 2)
    total = normalised(wide["raw"][:, 0]) + in_range(turned, turned)
    total += normalised(wide["mask"]) if mask else 0
    large = in_range(twice(np.stack([total, -total], 1)), wide["raw"])
    options = {"block_shape": {"y": 8, "x": 12, "batch": 1}} if blocks else {}
    plan = fn.default_plan(pipeline, given, **options)

    result = fn.run(pipeline, given, plan)

    assert plan.count == (20 * batch if blocks else 1)
    assert list(result.members) == ["flat", "large"]
    np.testing.assert_allclose(np.asarray(result["flat"]), 1 / (1 + np.exp(-total)), atol=1e-5)
    np.testing.assert_allclose(np.asarray(result["large"]), large, atol=1e-5)


def test_a_missing_required_input_is_named_and_one_array_is_not_enough(pipeline):
    given = arrays(1, mask=False)

    with pytest.raises(MissingMemberError, match="'turned'"):
        pipeline({"raw": given["raw"]})
    with pytest.raises(MissingMemberError, match="a mapping with raw, turned"):
        pipeline(given["raw"])
