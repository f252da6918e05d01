"""How far a network looks is measured as it is, whatever its steps, scales and numbers of axes."""

import numpy as np
import pytest
from descriptions import axis05, build, image05, model05, ref, sized, step, tensor05
from hypothesis import given, settings
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.errors import BlockError
from bioimageio_fn.seams import measure_seams
from bioimageio_fn.validation.reach import measure_reach


def looking(before, after, axes=(-1,)):
    """A network that adds pixels from `before` back to `after` ahead, along some axes."""

    def forward(array):
        result = array.astype("float64")
        for axis in axes:
            line = np.moveaxis(result, axis, 0)
            widths = [(before + 1, after)] + [(0, 0)] * (result.ndim - 1)
            sums = np.cumsum(np.pad(line, widths), 0)
            result = np.moveaxis(sums[before + after + 1 :] - sums[: -before - after - 1], 0, axis)
        return (result.astype("float32"),)

    return forward


def pipeline_of(backend, *, size=None, halo=0, space="yx", **fields):
    size = size or sized(4 + 4 * halo, 4)
    described = build(image05(space=space, halo=halo, size=size, **fields))
    return fn.create_prediction_pipeline(described, backend=backend)


def image(*shape, seed=0):
    return np.random.default_rng(seed).random((1, 1, *shape)).astype("float32")


@settings(max_examples=20)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 50), st.sampled_from([1, 2]))
def test_each_direction_is_measured_and_held_against_the_halo(before, after, halo, dimensions):
    space = "zyx"[-dimensions:]
    pipeline = pipeline_of(looking(before, after), halo=halo, space=space)
    given_image = image(*[20] * dimensions)

    reaches = {reach.axis: reach for reach in measure_reach(pipeline, given_image)}

    assert set(reaches) == set(space)
    x = reaches.pop("x")
    # what lies before a seam changes with what is behind it as far as pixels look ahead
    assert (x.before, x.after) == (after, before)
    assert x.farthest == max(before, after)
    assert x.covered == (max(before, after) <= halo)
    assert ("is enough" if x.covered else "is too small") in str(x)
    assert x.size > 2 * x.farthest
    assert all(other.farthest == 0 for other in reaches.values())


def test_volumes_are_measured_too():
    reaches = measure_reach(pipeline_of(looking(3, 1, (2, 4)), space="zyx"), image(9, 9, 9))

    assert [(r.axis, r.before, r.after) for r in reaches] == [
        ("z", 1, 3),
        ("y", 0, 0),
        ("x", 1, 3),
    ]


@settings(max_examples=20)
@given(st.integers(0, 20), st.integers(0, 20))
def test_it_is_what_a_halo_has_to_cover(reach, halo):
    pipeline = pipeline_of(looking(reach, reach), halo=halo, size=sized(2 * halo + 1, 1))

    x = measure_reach(pipeline, image(60, 60))[-1]
    plan = fn.default_plan(pipeline, image(60, 128), block_shape={"x": 2 * halo + 40})
    (seams,) = measure_seams(pipeline, image(60, 128), plan)

    assert x.covered == (seams.verdict == "equal")


def test_what_is_said():
    pipeline = pipeline_of(looking(22, 20), halo=16)

    y, x = measure_reach(pipeline, image(40, 40))

    assert str(x) == (
        "out, axis x: halo 16 is too small: pixels up to 22 away change the output (tested on 68"
        " pixels)"
    )
    assert str(y) == (
        "out, axis y: halo 16 is enough: pixels up to 0 away change the output (tested on 68"
        " pixels)"
    )


def centered(array):
    return (array - array.mean((2, 3), keepdims=True),)


def test_no_halo_is_enough_for_a_network_that_looks_at_the_whole_image():
    for reach in measure_reach(pipeline_of(centered, halo=8), image(50, 50), longest=300):
        assert reach.whole
        assert not reach.covered
        assert reach.size == 256
        assert str(reach).endswith(
            "no halo is long enough: pixels change the output as far away as was tested, 128 of"
            " 256, or everywhere (halo 8)"
        )


def test_the_image_grows_until_the_reach_ends_in_it():
    x = measure_reach(pipeline_of(looking(150, 0)), image(30, 30))[-1]
    limited = measure_reach(pipeline_of(looking(150, 0)), image(30, 30), longest=200)[-1]

    assert (x.after, x.size, x.whole) == (150, 512, False)
    assert (limited.after, limited.size, limited.whole) == (64, 128, True)


def pooled(array):
    """Pixels in squares of 8, each of which looks at its neighbours: a small U-Net."""
    b, c, y, x = array.shape
    coarse = array.reshape(b, c, y // 8, 8, x // 8, 8).max((3, 5))
    wide = np.pad(coarse, [(0, 0), (0, 0), (1, 1), (1, 1)])
    seen = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), (2, 3)).sum((-2, -1))
    return (array + seen.repeat(8, 2).repeat(8, 3),)


@pytest.mark.parametrize("size", [sized(24, 8), 64])
def test_a_network_that_pools_is_measured_where_blocks_may_begin(size):
    reaches = measure_reach(pipeline_of(pooled, halo=8, size=size), image(64, 64))

    assert [(r.before, r.after, r.covered) for r in reaches] == [(8, 8, True)] * 2


def test_statistics_of_preprocessing_and_postprocessing_are_no_reach():
    pre = [step("zero_mean_unit_variance", axes=["y", "x"])]
    post = [step("scale_range", axes=["y", "x"])]
    pipeline = pipeline_of(looking(3, 3, (2, 3)), halo=4, pre=pre, post=post)

    reaches = measure_reach(pipeline, image(40, 40))

    assert [(r.before, r.after) for r in reaches] == [(3, 3)] * 2


def several(raw, aux):
    """Two outputs of two inputs: at half the size of a wide look, and with borders cut off."""
    (wide,) = looking(5, 5, (2, 3))(raw)
    (other,) = looking(2, 0, (2, 3))(aux)
    valid = np.lib.stride_tricks.sliding_window_view(raw, (7, 7), (2, 3)).mean((-2, -1))
    return (wide + other)[..., ::2, ::2], valid


def test_outputs_of_other_sizes_are_measured_in_their_own_pixels():
    axes = [axis05("b"), axis05("c", 1)]
    model = model05(
        [
            tensor05("raw", [*axes, *(axis05(a, sized(16, 2)) for a in "yx")]),
            tensor05("aux", [*axes, *(axis05(a, ref("raw", a)) for a in "yx")]),
        ],
        [
            tensor05("half", [*axes, *(axis05(a, ref("raw", a), scale=2, halo=2) for a in "yx")]),
            tensor05("valid", [*axes, *(axis05(a, ref("raw", a, -6)) for a in "yx")]),
        ],
    )
    pipeline = fn.create_prediction_pipeline(build(model), backend=several)

    found = measure_reach(pipeline, {"raw": image(30, 30), "aux": image(30, 30, seed=1)})

    assert [(r.output, r.axis, r.before, r.after, r.halo) for r in found] == [
        *[("half", "y", 2, 3, 2), ("valid", "y", 0, 0, 0)],
        *[("half", "x", 2, 3, 2), ("valid", "x", 0, 0, 0)],
    ]


def test_a_batch_of_real_images_that_are_dark_is_enough():
    """A network that sees only what is bright."""
    dark = np.zeros((3, 1, 40, 40), "uint16")
    dark[:, :, 3, 4] = 500

    def forward(array):
        return looking(4, 4, (2, 3))(np.maximum(array - 100, 0))

    pipeline = pipeline_of(forward, halo=4)

    assert [r.farthest for r in measure_reach(pipeline, dark)] == [4, 4]
    assert [r.farthest for r in measure_reach(pipeline, np.zeros((1, 1, 40, 40)))] == [0, 0]


def test_a_size_at_which_nothing_can_be_cut_is_an_error():
    with pytest.raises(BlockError, match="can not meet within an image .axis 'y'.: expected"):
        measure_reach(pipeline_of(looking(1, 1), size=1), image(1, 1))


def test_an_axis_that_can_not_be_cut_keeps_no_other_from_being_measured():
    """One plane, as of a network for images that is described with z."""
    axes = [axis05("b"), axis05("c", 1), axis05("z", 1), axis05("y", sized(8, 4))]
    like = [axis05("b"), axis05("c", 1), axis05("z", 1), axis05("y", ref("raw", "y"), halo=2)]
    described = build(model05([tensor05("raw", axes)], [tensor05("out", like)]))
    pipeline = fn.create_prediction_pipeline(described, backend=looking(2, 2))

    (reach,) = measure_reach(pipeline, np.random.default_rng(0).random((1, 1, 1, 16)))

    assert (reach.axis, reach.farthest, reach.covered) == ("y", 2, True)


def test_outputs_that_follow_no_axis_have_no_reach():
    """As a list of what was detected."""
    found = [axis05("i", {"min": 1, "max": None}), axis05("c", 4)]
    axes = [axis05("b"), axis05("c", 1), axis05("y", sized(8, 4)), axis05("x", sized(8, 4))]
    described = build(model05([tensor05("raw", axes)], [tensor05("out", found)]))
    pipeline = fn.create_prediction_pipeline(
        described, backend=lambda array: (np.ones((3, 4), "float32"),)
    )

    assert measure_reach(pipeline, image(16, 16)) == ()


def test_a_published_network_looks_farther_than_its_halo(real_model):
    """Blocks with its halo differ from the whole by up to 4e-3."""
    with fn.create_prediction_pipeline(real_model, weights_format="torchscript") as pipeline:
        reaches = measure_reach(pipeline, fn.test_inputs(real_model))

    for reach in reaches:
        assert reach.halo == 32 < reach.farthest < 64
        assert "halo 32 is too small: pixels up to 4" in str(reach)
