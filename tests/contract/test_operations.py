"""Steps of a description become records with every keyword kept; unknown ones are named."""

import pytest
from descriptions import contract_of, image04, image05, step, step04

from bioimageio_fn.errors import OperationError
from bioimageio_fn.ops.records import (
    Binarize,
    Clip,
    EnsureDtype,
    FixedZeroMeanUnitVariance,
    ScaleLinear,
    ScaleRange,
    Sigmoid,
    ZeroMeanUnitVariance,
)

FLOAT = EnsureDtype("float32")


def read05(*steps, where="pre", **options):
    contract = contract_of(image05(**{where: steps}, **options))
    return (contract.inputs if where == "pre" else contract.outputs)[0].operations


def read04(*steps, where="pre", **options):
    contract = contract_of(image04(**{where: steps}, **options))
    return (contract.inputs if where == "pre" else contract.outputs)[0].operations


# ---------------------------------------------------------------- format 0.5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (step("binarize", threshold=0.25), Binarize(0.25)),
        (
            step("binarize", threshold=[0.1, 0.2], axis="channel"),
            Binarize([0.1, 0.2], axis="channel"),
        ),
        (
            step("fixed_zero_mean_unit_variance", mean=3, std=2),
            FixedZeroMeanUnitVariance(3.0, 2.0, eps=0.0),
        ),
        (
            step("fixed_zero_mean_unit_variance", mean=[1, 2], std=[3, 4], axis="channel"),
            FixedZeroMeanUnitVariance([1, 2], [3, 4], axis="channel"),
        ),
        (step("scale_linear", gain=2, offset=-1), ScaleLinear(2.0, -1.0)),
        (
            step("scale_linear", gain=[2, 3], offset=[0, 1], axis="channel"),
            ScaleLinear([2, 3], [0, 1], axis="channel"),
        ),
        (
            step("scale_linear", gain=[2, 3], offset=5, axis="channel"),
            ScaleLinear([2, 3], [5, 5], axis="channel"),
        ),
        (step("sigmoid"), Sigmoid()),
        (
            step("zero_mean_unit_variance", axes=["channel", "y", "x"], eps=0.01),
            ZeroMeanUnitVariance(0.01, axes=("channel", "y", "x"), scope="sample"),
        ),
        (
            step("zero_mean_unit_variance", axes=["batch", "y", "x"]),
            ZeroMeanUnitVariance(1e-6, axes=("batch", "y", "x"), scope="dataset"),
        ),
        (step("zero_mean_unit_variance"), ZeroMeanUnitVariance(1e-6, scope="dataset")),
        (
            step("scale_range", min_percentile=1, max_percentile=99.5, axes=["y", "x"], eps=0.05),
            ScaleRange(1, 99.5, eps=0.05, axes=("y", "x"), scope="sample"),
        ),
        (
            step("clip", min_percentile=2, max_percentile=98, axes=["y", "x"]),
            Clip(min_percentile=2, max_percentile=98, axes=("y", "x"), scope="sample"),
        ),
        (
            step("clip", min_percentile=2, max=9.5),
            Clip(min_percentile=2, max=9.5, scope="dataset"),
        ),
        (step("ensure_dtype", dtype="uint8"), EnsureDtype("uint8")),
    ],
    ids=lambda v: v["id"] if isinstance(v, dict) else "",
)
def test_a_step_of_0_5_keeps_every_keyword(given, expected):
    # between two other steps, so that neither cast of the format touches it
    first, *steps, last = read05(step("sigmoid"), given, step("sigmoid"), channels=2)[1:]

    assert (first, last) == (Sigmoid(), FLOAT)
    assert steps == [expected, Sigmoid()]


def test_the_format_casts_before_the_first_step_and_after_the_last():
    assert read05(dtype="uint8") == (EnsureDtype("uint8"),)
    assert read05(step("sigmoid")) == (FLOAT, Sigmoid(), FLOAT)
    assert read05(step("sigmoid"), where="post") == (Sigmoid(), FLOAT)
    assert read05(where="post", out_dtype="uint16") == (EnsureDtype("uint16"),)


def test_a_cast_that_is_described_is_not_undone_by_one_to_the_described_type():
    cast = step("ensure_dtype", dtype="float32")

    assert read05(cast, dtype="uint16") == (FLOAT,)
    assert read05(cast, step("sigmoid"), cast, dtype="uint16") == (FLOAT, Sigmoid(), FLOAT)


@pytest.mark.parametrize("where", ["pre", "post"])
def test_a_last_binarize_is_followed_by_a_cast_to_the_described_type(where):
    steps = read05(step("binarize", threshold=0.5), where=where, dtype="uint8", out_dtype="uint8")

    assert steps[-2:] == (Binarize(0.5), EnsureDtype("uint8"))


def test_a_reference_tensor_is_kept():
    steps = read05(step("scale_range", reference_tensor="raw", axes=["y", "x"]), where="post")

    assert steps[0] == ScaleRange(reference="raw", axes=("y", "x"))


# ---------------------------------------------------------------- format 0.4


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (step04("binarize", threshold=0.25), Binarize(0.25)),
        (step04("clip", min=-1, max=3.5), Clip(min=-1, max=3.5)),
        (step04("scale_linear", gain=2, offset=-1), ScaleLinear(2.0, -1.0)),
        (
            step04("scale_linear", gain=[2, 3], offset=[1, 0], axes="yx"),
            ScaleLinear([2, 3], [1, 0], axis="channel"),
        ),
        (
            step04("scale_linear", gain=[2, 3], offset=7, axes="yx"),
            ScaleLinear([2, 3], 7, axis="channel"),
        ),
        (step04("sigmoid"), Sigmoid()),
        (
            step04("zero_mean_unit_variance", mode="per_sample", axes="yx", eps=0.05),
            ZeroMeanUnitVariance(0.05, axes=("y", "x"), scope="sample"),
        ),
        (
            step04("zero_mean_unit_variance", mode="per_dataset", axes="cyx"),
            ZeroMeanUnitVariance(1e-6, axes=("batch", "channel", "y", "x"), scope="dataset"),
        ),
        (
            step04("zero_mean_unit_variance", mode="fixed", axes="cyx", mean=1, std=2, eps=0.1),
            FixedZeroMeanUnitVariance(1, 2, eps=0.1),
        ),
        (
            step04("zero_mean_unit_variance", mode="fixed", axes="yx", mean=[1, 2], std=[3, 4]),
            FixedZeroMeanUnitVariance([1, 2], [3, 4], axis="channel", eps=1e-6),
        ),
        (
            step04("scale_range", mode="per_sample", axes="yx", min_percentile=1, eps=0.02),
            ScaleRange(1, 100, eps=0.02, axes=("y", "x"), scope="sample"),
        ),
        (
            step04("scale_range", mode="per_dataset", axes="yx", max_percentile=98),
            ScaleRange(0, 98, axes=("batch", "y", "x"), scope="dataset"),
        ),
    ],
    ids=lambda v: (
        f"{v['name']} {v.get('kwargs', {}).get('mode', '')}" if isinstance(v, dict) else ""
    ),
)
def test_a_step_of_0_4_keeps_every_keyword(given, expected):
    assert read04(given, channels=2) == (FLOAT, expected, FLOAT)


@pytest.mark.parametrize(
    "given",
    [
        step04("scale_linear", gain=[2, 3], offset=[0, 0], axes="x"),
        step04("scale_linear", gain=[2, 3], offset=[0, 0], axes="cyx"),
        step04("scale_linear", gain=[2, 3], offset=[0, 0]),
        step04("zero_mean_unit_variance", mode="fixed", axes="x", mean=[1, 2], std=[3, 4]),
        step04("zero_mean_unit_variance", mode="fixed", axes="cyx", mean=[1, 2], std=[3, 4]),
    ],
)
def test_a_list_of_0_4_that_could_lie_along_several_axes_or_none_is_refused(given):
    with pytest.raises(OperationError, match="along which axis.*exactly one axis besides batch"):
        read04(given, channels=2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_network_of_0_4_gets_float32(dtype):
    given = read04(step04("sigmoid"), dtype=dtype)

    assert given == (EnsureDtype(dtype), Sigmoid(), FLOAT)


def test_an_output_of_0_4_is_cast_to_its_type_behind_its_steps():
    steps = read04(step04("binarize", threshold=0.5), where="post", out_dtype="uint8")

    assert steps == (Binarize(0.5), EnsureDtype("uint8"))


def test_a_reference_tensor_of_0_4_is_kept():
    given = step04("scale_range", mode="per_sample", axes="yx", reference_tensor="raw")

    assert read04(given, where="post")[0] == ScaleRange(axes=("y", "x"), reference="raw")


# ---------------------------------------------------------------- both


TWINS = [
    (step("sigmoid"), step04("sigmoid")),
    (step("binarize", threshold=0.5), step04("binarize", threshold=0.5)),
    (step("clip", min=0, max=2), step04("clip", min=0, max=2)),
    (step("scale_linear", gain=2, offset=1), step04("scale_linear", gain=2, offset=1, axes="yx")),
    (
        step("scale_linear", gain=[2, 3], offset=[1, 1], axis="channel"),
        step04("scale_linear", gain=[2, 3], offset=[1, 1], axes="yx"),
    ),
    (
        step("zero_mean_unit_variance", axes=["y", "x"], eps=0.01),
        step04("zero_mean_unit_variance", mode="per_sample", axes="yx", eps=0.01),
    ),
    (
        step("zero_mean_unit_variance", axes=["batch", "y", "x"]),
        step04("zero_mean_unit_variance", mode="per_dataset", axes="yx"),
    ),
    (
        step("scale_range", axes=["channel", "y", "x"], min_percentile=1, max_percentile=99),
        step04("scale_range", mode="per_sample", axes="cyx", min_percentile=1, max_percentile=99),
    ),
]


@pytest.mark.parametrize("twins", TWINS, ids=lambda t: t[0]["id"])
@pytest.mark.parametrize("where", ["pre", "post"])
def test_a_step_of_0_4_and_its_twin_of_0_5_are_the_same_record(twins, where):
    new, old = twins

    assert read05(new, where=where, channels=2) == read04(old, where=where, channels=2)


def test_only_0_4_has_an_eps_beside_a_fixed_std():
    # what the two formats really say differently: (x - mean) / (std + eps) against / std
    new = read05(step("fixed_zero_mean_unit_variance", mean=1, std=2))[1]
    old = read04(step04("zero_mean_unit_variance", mode="fixed", axes="cyx", mean=1, std=2))[1]

    assert (new.eps, old.eps) == (0.0, 1e-6)
    assert (new.mean, new.std, new.axis) == (old.mean, old.std, old.axis)
