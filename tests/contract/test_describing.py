"""From records back to descriptions; round trips of drawn descriptions are in test_strategies."""

import pytest

from bioimageio_fn.axes import as_axes
from bioimageio_fn.contract.describing import describe_0_4, describe_0_5
from bioimageio_fn.contract.operations import operation_0_5
from bioimageio_fn.errors import OperationError
from bioimageio_fn.ops.custom import Custom
from bioimageio_fn.ops.instance_records import CellposeFlowDynamics, StardistPostprocessing
from bioimageio_fn.ops.records import (
    Binarize,
    Clip,
    EnsureDtype,
    FixedZeroMeanUnitVariance,
    ScaleLinear,
    ScaleRange,
    Softmax,
    ZeroMeanUnitVariance,
)

BCYX = as_axes("bcyx")


@pytest.mark.parametrize(
    "op",
    [
        StardistPostprocessing(
            prob_threshold=0.5, nms_threshold=0.3, n_rays=32, grid=(2, 2), b=((1, 2), (3, 4))
        ),
        StardistPostprocessing(
            prob_threshold=0.5,
            nms_threshold=0.3,
            n_rays=96,
            grid=(1, 2, 2),
            b=2,
            anisotropy=(2, 1, 1),
            overlap_label=-1,
        ),
        CellposeFlowDynamics(
            cellprob_threshold=0,
            flow_threshold=0.4,
            do_3D=True,
            min_size=3,
            output_dtype="uint32",
        ),
    ],
    ids=["stardist", "stardist 3D", "cellpose"],
)
def test_labels_are_described_with_every_keyword(op):
    from bioimageio.spec.model import v0_5
    from pydantic import TypeAdapter

    described = TypeAdapter(v0_5.PostprocessingDescr).validate_python(describe_0_5(op))
    assert operation_0_5(described) == op


def test_a_custom_step_is_described_by_its_file():
    step = Custom("Watershed", "post.py", "0" * 64, {"levels": [1, 2], "deep": {"a": None}})
    assert describe_0_5(step) == {
        "id": "custom",
        "callable": "Watershed",
        "source": "post.py",
        "sha256": "0" * 64,
        "kwargs": {"levels": [1, 2], "deep": {"a": None}},
    }


@pytest.mark.parametrize(
    "op",
    [
        FixedZeroMeanUnitVariance(1, 2, eps=0.1),
        ZeroMeanUnitVariance(axes="yx", scope="dataset"),
        ScaleRange(axes="byx", scope="sample"),
        ZeroMeanUnitVariance(0.5, axes="yx"),
        ScaleLinear(1, 0),
        Softmax("batch"),
        EnsureDtype("float16"),
    ],
    ids=str,
)
def test_format_0_5_has_no_words_for_some_records(op):
    with pytest.raises(OperationError, match="format 0.5 can not describe"):
        describe_0_5(op)


@pytest.mark.parametrize(
    "op",
    [
        FixedZeroMeanUnitVariance(1, 2),
        Binarize([1, 2], "channel"),
        Clip(min=1),
        Clip(min_percentile=1),
        EnsureDtype("uint8"),
        Softmax(),
        ZeroMeanUnitVariance(axes="byx", scope="sample"),
        ScaleRange(axes="yx", scope="dataset"),
    ],
    ids=str,
)
def test_format_0_4_has_no_words_for_some_records(op):
    with pytest.raises(OperationError, match="format 0.4 can not describe"):
        describe_0_4(op, BCYX)


def test_axes_that_0_4_has_no_letters_for_are_refused():
    for op in (ZeroMeanUnitVariance(axes="ty"), ScaleLinear([1, 2], [0, 0], "y")):
        with pytest.raises(OperationError, match="axes .*time"):
            describe_0_4(op, as_axes("btyx"))
