"""A keyword that makes no sense is refused when the pipeline is made, before any data are read."""

import pytest
from descriptions import (
    axis05,
    build,
    image04,
    image05,
    model05,
    ref,
    sized,
    step,
    step04,
    tensor05,
)

import bioimageio_fn as fn
from bioimageio_fn.errors import (
    AxesError,
    DescriptionError,
    OperationError,
    SizeError,
    UnknownMemberError,
)

CYX = ["channel", "y", "x"]


def made(model):
    return fn.create_prediction_pipeline(build(model), backend=lambda *arrays: arrays)


def in_0_5(where, given, channels=3):
    return image05(channels=channels, **{where: [given]})


# what the format itself refuses comes as an invalid description
BY_THE_FORMAT = [
    step("scale_range", min_percentile=-1),
    step("scale_range", max_percentile=101),
    step("scale_range", min_percentile=60, max_percentile=40),
    step("clip", min_percentile=101),
    step("clip"),
    step("clip", min=0, min_percentile=5),
    step("zero_mean_unit_variance", eps=-1),
    step("zero_mean_unit_variance", eps=0),
    step("fixed_zero_mean_unit_variance", mean=1, std=0),
    step("fixed_zero_mean_unit_variance", mean=[1, 2], std=[1], axis="channel"),
    step("scale_linear", gain=[1, 2], offset=[1], axis="channel"),
    step("scale_linear", gain=1, offset=0),
    step("scale_linear", gain=2, axis="batch"),
    step("binarize", threshold=[], axis="channel"),
    step("binarize", threshold="high"),
    step("ensure_dtype", dtype="complex64"),
    step("no_such_step"),
]


@pytest.mark.parametrize("given", BY_THE_FORMAT, ids=str)
@pytest.mark.parametrize("where", ["pre", "post"])
def test_what_the_format_refuses_is_an_invalid_description(given, where):
    with pytest.raises(DescriptionError, match="the description is invalid"):
        made(in_0_5(where, given))


# what it lets pass is refused when the pipeline is made
BY_US = [
    (step("clip", min=5, max=1), OperationError, "min is above max"),
    (step("clip", min_percentile=60, max_percentile=40), OperationError, "in the wrong order"),
    (step("zero_mean_unit_variance", axes=["z"]), AxesError, "no such axis .*axis 'z'"),
    (step("scale_range", axes=["y", "time"]), AxesError, "no such axis .*axis 'time'"),
    (step("clip", max_percentile=50, axes=["q"]), AxesError, "no such axis .*axis 'q'"),
    (step("binarize", threshold=[1, 2], axis="channel"), OperationError, "3 values, got 2"),
    (step("binarize", threshold=[1, 2], axis="z"), AxesError, "no such axis .*axis 'z'"),
    (step("scale_linear", gain=[1, 2], axis="channel"), OperationError, "3 values, got 2"),
    (
        step("fixed_zero_mean_unit_variance", mean=[1, 2], std=[1, 1], axis="channel"),
        OperationError,
        "3 values, got 2",
    ),
    (step("softmax", axis="z"), AxesError, "no such axis .*axis 'z'"),
    (step("scale_range", reference_tensor="nothing"), UnknownMemberError, "'nothing'"),
]


@pytest.mark.parametrize(("given", "error", "match"), BY_US, ids=lambda v: str(v)[:60])
@pytest.mark.parametrize("where", ["pre", "post"])
def test_what_the_format_lets_pass_is_refused_when_the_pipeline_is_made(given, error, match, where):
    with pytest.raises((error, DescriptionError), match=f"{match}|the description is invalid"):
        made(in_0_5(where, given))


BEHIND_THE_NETWORK = [
    (step("scale_mean_variance", reference_tensor="nothing"), UnknownMemberError, "'nothing'"),
    (
        step("stardist_postprocessing", prob_threshold=0.5, nms_threshold=0.3, n_rays=32,
             grid=[2, 2], b=-1),
        OperationError,
        "b is negative",
    ),
    (
        step("stardist_postprocessing", prob_threshold=2, nms_threshold=0.3, n_rays=32,
             grid=[1, 1], b=1),
        OperationError,
        "prob_threshold is a fraction",
    ),
    (
        step("stardist_postprocessing", prob_threshold=0.5, nms_threshold=0.3, n_rays=32,
             grid=[1, 1, 1], b=1, anisotropy=[1, 1, 1]),
        AxesError,
        "axis 'z'",
    ),
    (
        step("cellpose_flow_dynamics", cellprob_threshold=0, flow_threshold=-1, do_3D=False),
        OperationError,
        "flow_threshold is a squared error",
    ),
    (
        step("cellpose_flow_dynamics", cellprob_threshold=0, flow_threshold=1, do_3D=True),
        AxesError,
        "axis 'z'",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "match"), BEHIND_THE_NETWORK, ids=lambda v: str(v)[:60])
def test_steps_behind_the_network_are_checked_too(given, error, match):
    with pytest.raises((error, DescriptionError), match=f"{match}|the description is invalid"):
        made(in_0_5("post", given, channels=1))


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (
            step04("scale_linear", gain=[1, 2], offset=[0, 0], axes="yx"),
            OperationError,
            "3 values, got 2",
        ),
        (
            step04("scale_linear", gain=[1, 2, 3], offset=[1, 0, 0], axes="x"),
            OperationError,
            "along which axis this list",
        ),
        (
            step04("zero_mean_unit_variance", mode="fixed", mean=[1, 2], std=[1, 1], axes="yx"),
            OperationError,
            "3 values, got 2",
        ),
        (step04("zero_mean_unit_variance", mode="per_sample", axes="zyx"), AxesError, "axis 'z'"),
        (
            step04("scale_range", mode="per_sample", axes="yx", max_percentile=101),
            DescriptionError,
            "invalid",
        ),
        (step04("clip", min=3, max=2), OperationError, "min is above max"),
        (
            step04("scale_range", mode="per_sample", axes="yx", reference_tensor="nothing"),
            UnknownMemberError,
            "'nothing'",
        ),
    ],
    ids=lambda v: str(v)[:60],
)
def test_malformed_keywords_of_0_4_are_refused_alike(given, error, match):
    with pytest.raises((error, DescriptionError), match=f"{match}|the description is invalid"):
        made(image04(channels=3, pre=[given]))


def two_inputs(reference, *, optional=False, axes=("y", "x"), over=("y", "x")):
    aux = [axis05("b"), *(axis05(a, sized(4, 1)) for a in axes)]
    raw = [axis05("b"), axis05("y", sized(4, 1)), axis05("x", sized(4, 1))]
    out = [axis05("b"), axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    given = step("scale_range", reference_tensor=reference, axes=list(over))
    return model05(
        [tensor05("raw", raw), tensor05("aux", aux, optional=optional)],
        [tensor05("out", out, steps=[given])],
    )


def test_a_reference_has_the_axes_that_are_measured_and_is_always_there():
    assert made(two_inputs("aux"))
    with pytest.raises(AxesError, match="axis 'x'"):
        made(two_inputs("aux", axes=("y", "z")))
    with pytest.raises(AxesError, match="axis 'z'"):
        made(two_inputs("aux", axes=("z", "y", "x")))
    with pytest.raises(OperationError, match=r"this one is optional .*tensor 'aux'"):
        made(two_inputs("aux", optional=True))


def test_a_reference_that_keeps_an_axis_has_its_size():
    def channels(n):
        return [axis05("b"), axis05("c", n), axis05("y", sized(4, 1)), axis05("x", sized(4, 1))]

    follows = [axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    given = step("scale_range", reference_tensor="aux", axes=["y", "x"])
    out = tensor05("out", [axis05("b"), axis05("c", 3), *follows], steps=[given])
    for n, fits in ((3, True), (1, True), (2, False)):
        model = model05([tensor05("raw", channels(3)), tensor05("aux", channels(n))], [out])
        if fits:
            assert made(model)
        else:
            with pytest.raises(SizeError, match=r"keeps an axis .*expected 3, got 2"):
                made(model)


def test_labels_that_can_not_come_of_a_grid_are_refused():
    model = image05(
        size=31,
        post=[
            step(
                "stardist_postprocessing",
                prob_threshold=0.5,
                nms_threshold=0.3,
                n_rays=32,
                grid=[2, 2],
                b=1,
            )
        ],
    )
    model["outputs"][0]["axes"][2]["size"] = 31
    model["outputs"][0]["axes"][3]["size"] = 31
    with pytest.raises((DescriptionError, SizeError), match="a multiple of the grid"):
        made(model)
