"""Predictions in blocks: what users call, what they get, and what it costs."""

import itertools
import threading

import numpy as np
import pytest
import torch
from descriptions import (
    axis05,
    build,
    image04,
    image05,
    model05,
    ref,
    sized,
    tensor05,
    turned_and_large05,
)
from hypothesis import given
from hypothesis import strategies as st
from stored import Recording

import bioimageio_fn as fn
from bioimageio_fn.blocks.join import crop, gaussian, linear
from bioimageio_fn.errors import BackendError, BlockError


def noise(*shape):
    return np.random.default_rng(0).normal(5, 2, shape).astype("float32")


class Counting:
    """A network that adds one, and remembers the shapes that it was given."""

    def __init__(self):
        self.shapes = []

    def __call__(self, x):
        self.shapes.append(tuple(x.shape))
        return (x + 1,)


def pipeline_of(model, backend):
    return fn.create_prediction_pipeline(build(model), backend=backend)


# ---------------------------------------------------------------- batches of blocks


@given(st.integers(1, 9), st.integers(1, 3), st.sampled_from([np.asarray, torch.asarray]))
def test_blocks_in_stacks_are_the_same_and_forward_runs_once_for_each_stack(n, batch, library):
    net = Counting()
    pipeline = pipeline_of(image05(halo=2, post=[{"id": "sigmoid"}]), net)
    image = library(noise(batch, 1, 40, 33))
    plan = fn.default_plan(pipeline, image, block_shape={"y": 12, "x": 12}, batch_size=n)
    stacked = fn.run(pipeline, image, plan)
    alone = fn.default_plan(pipeline, image, block_shape={"y": 12, "x": 12, "batch": 1})

    assert len(net.shapes) == -(-plan.count // plan.stack)
    assert max(s[0] for s in net.shapes) <= n
    np.testing.assert_array_equal(stacked, fn.run(pipeline, image, alone))
    assert type(stacked["out"].data) is type(image)


def test_a_network_that_drops_samples_of_a_stack_is_named():
    pipeline = pipeline_of(image05(), lambda x: (x[:1],))
    image = noise(1, 1, 40, 40)
    plan = fn.default_plan(pipeline, image, blocksize_parameter=1, batch_size=4)

    with pytest.raises(BackendError, match="of a size that its description does not say.*batch"):
        fn.run(pipeline, image, plan)


def test_an_input_without_a_batch_axis_is_repeated_and_not_stacked():
    follow = [axis05("b"), axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    model = model05(
        [
            tensor05("raw", [axis05("b"), axis05("y", sized(8, 4)), axis05("x", sized(8, 4))]),
            tensor05("vector", [axis05("i", 3)]),
        ],
        [tensor05("out", follow)],
    )
    pipeline = pipeline_of(model, lambda x, v: (x + v.sum(),))
    image, vector = noise(1, 20, 20), np.arange(3, dtype="float32")
    inputs = {"raw": image, "vector": vector}
    plan = fn.default_plan(pipeline, inputs, blocksize_parameter=0, batch_size=4)

    assert (plan.stack, plan.count > 1) == (1, True)
    np.testing.assert_array_equal(fn.run(pipeline, inputs, plan), image + 3)


# ---------------------------------------------------------------- finished blocks


def test_blocks_come_as_soon_as_they_are_finished_and_stopping_stops():
    net = Counting()
    pipeline = pipeline_of(image05(halo=2, post=[{"id": "sigmoid"}]), net)
    image = noise(1, 1, 40, 40)
    plan = fn.default_plan(pipeline, image, block_shape={"y": 12, "x": 12})
    blocks = fn.predict_blocks(pipeline, image, plan)

    assert net.shapes == []
    first = next(blocks)
    assert len(net.shapes) == 1
    assert first.meta.count == plan.count
    rest = [first, *blocks]
    assert fn.merge(reversed(rest), plan)["out"] == fn.run(pipeline, image, plan)["out"]
    assert len(net.shapes) == 2 * plan.count


def test_what_needs_the_whole_comes_as_the_only_block():
    model = image05(post=[{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}}])
    net = Counting()
    pipeline = pipeline_of(model, net)
    image = noise(1, 1, 40, 40)
    plan = fn.default_plan(pipeline, image, block_shape={"y": 12})
    (block,) = fn.predict_blocks(pipeline, image, plan)

    assert len(net.shapes) == plan.count
    assert block.sample["out"] == fn.run(pipeline, image, plan)["out"]
    np.testing.assert_allclose(np.asarray(block.sample).mean(), 0, atol=1e-5)


def test_wrong_inputs_are_refused_when_blocks_are_asked_for_not_when_the_first_one_is():
    with pytest.raises(BlockError):
        pipeline = pipeline_of(image05(), Counting())
        plan = fn.default_plan(pipeline, noise(1, 1, 40, 40), block_shape={"y": 12})
        next(fn.predict_blocks(pipeline, noise(1, 1, 41, 40), plan))


def test_progress_is_told_for_each_block():
    told = []
    pipeline = pipeline_of(image05(), Counting())
    image = noise(1, 1, 40, 40)
    plan = fn.default_plan(pipeline, image, block_shape={"y": 20})
    list(fn.predict_blocks(pipeline, image, plan, on_progress=lambda *n: told.append(n)))

    assert told == [(i, plan.count) for i in range(plan.count + 1)]


# ---------------------------------------------------------------- joins


@pytest.mark.parametrize("join", [crop, linear, gaussian])
@pytest.mark.parametrize("post", [[], [{"id": "sigmoid"}],
                                  [{"id": "binarize", "kwargs": {"threshold": 0.5}}]])  # fmt: skip
def test_every_join_gives_the_same_where_the_halo_covers_the_reach(join, post):
    pipeline = pipeline_of(image05(halo=2, post=post), Counting())
    image = noise(1, 1, 50, 41)
    plan = fn.default_plan(pipeline, image, block_shape={"y": 12, "x": 16})
    whole = fn.predict_sample_without_blocking(pipeline, image)

    np.testing.assert_allclose(fn.run(pipeline, image, plan, join=join), whole, atol=1e-5)


# ---------------------------------------------------------------- the names that users know


@pytest.mark.parametrize("model", [image05(halo=2), image04(halo=2)], ids=["0.5", "0.4"])
def test_the_known_names_give_the_same_in_both_formats(model):
    net = Counting()
    pipeline = pipeline_of(model, net)
    image = noise(1, 1, 40, 37)
    whole = fn.predict_sample_without_blocking(pipeline, image)

    assert len(net.shapes) == 1
    for blocks in (
        fn.predict_sample_with_blocking(pipeline, image),
        fn.predict_sample_with_blocking(pipeline, image, 1, batch_size=3),
        fn.predict_sample_with_blocking(pipeline, image, {"y": 2, "x": 0}),
        fn.predict_sample_with_fixed_blocking(pipeline, image, {"y": 12, "x": 12}),
        fn.predict(model=pipeline, inputs=image, blocksize_parameter=1),
        fn.predict(model=pipeline, inputs=image, input_block_shape={"raw": {"x": 12}}),
        *fn.predict_many(model=pipeline, inputs=[image], blocksize_parameter=0 + 1),
        *fn.predict_many(model=pipeline, inputs=[image], input_block_shape={"y": 12}),
    ):
        np.testing.assert_array_equal(blocks, whole)
    assert {s[-1] for s in net.shapes[1:]} <= {8, 12, 40}


# ---------------------------------------------------------------- acceptance scenarios


def test_a1_a_volume_of_format_0_4_is_predicted_in_blocks():
    pipeline = pipeline_of(image04(space="zyx", halo=2), Counting())
    volume = noise(1, 1, 23, 64, 64)

    result = fn.predict_sample_with_blocking(pipeline, volume, 2)

    np.testing.assert_array_equal(result, volume + 1)


def test_a2_a_block_larger_than_the_image_pads_to_the_nearest_valid_size_only():
    net = Counting()
    pipeline = pipeline_of(image05(size=sized(16, 16)), net)

    result = fn.predict(model=pipeline, inputs=noise(1, 1, 130, 128), blocksize_parameter=10)

    assert result["out"].shape == (1, 1, 130, 128)
    assert net.shapes == [(1, 1, 144, 128)]


def test_a3_an_image_of_592_by_600_runs_with_a_large_halo_and_no_block_shape():
    model = image05(size=sized(208, 16), halo=92)
    image = noise(592, 600)

    np.testing.assert_array_equal(
        np.asarray(pipeline_of(model, Counting())(image))[0, 0], image + 1
    )


def test_a4_an_image_of_100_by_90_comes_back_as_100_by_90(tmp_path):
    image = tmp_path / "cells.tif"
    fn.write_image(image, fn.Tensor(noise(100, 90), "yx"))
    pipeline = pipeline_of(image05(size=sized(16, 16)), Counting())

    fn.predict(model=pipeline, inputs=image, save_output_path=tmp_path / "out.tif")

    np.testing.assert_array_equal(fn.read_image(tmp_path / "out.tif"), fn.read_image(image) + 1)


def test_a5_a_plain_dict_is_a_block_shape_of_a_model_with_one_input():
    net = Counting()
    image = noise(1, 1, 700, 600)

    result = fn.predict(
        model=pipeline_of(image05(), net),
        inputs=image,
        input_block_shape={"y": 512, "x": 512},
    )

    assert {s[2:] for s in net.shapes} == {(512, 512)}
    np.testing.assert_array_equal(result, image + 1)


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize(("pre", "passes"), [([], 1), ([{"id": "zero_mean_unit_variance",
                         "kwargs": {"axes": ["y", "x"]}}], 2)])  # fmt: skip
def test_each_pixel_is_read_once_for_each_pass_and_again_only_in_halos(pre, passes):
    pipeline = pipeline_of(image05(halo=2, pre=pre), Counting())
    source = Recording(noise(1, 1, 200, 140))
    sample = fn.Sample({"raw": fn.Tensor(source, "bcyx")})
    plan = fn.default_plan(pipeline, sample, block_shape={"y": 32, "x": 32})

    assert source.reads.sum() == 0
    fn.run(pipeline, sample, plan)
    assert source.reads.min() == passes
    assert source.reads.mean() <= passes + plan.waste


def test_two_outputs_of_different_rotation_and_scale_are_joined():
    pipeline = pipeline_of(
        turned_and_large05(),
        lambda x: (x.transpose(2, 0, 1), x.repeat(2, axis=1).repeat(2, axis=2)),
    )
    image = noise(2, 30, 21)
    plan = fn.default_plan(pipeline, image, block_shape={"y": 8, "x": 12, "batch": 1})
    result = fn.run(pipeline, image, plan)

    assert plan.count > 4
    np.testing.assert_array_equal(result["turned"], image.transpose(2, 0, 1))
    np.testing.assert_array_equal(result["large"], image.repeat(2, axis=1).repeat(2, axis=2))


# ---------------------------------------------------------------- several devices


class Parallel(Counting):
    """A network on three devices: its first three calls have to run at the same time."""

    parallel = 3

    def __init__(self):
        super().__init__()
        self.together, self.calls = threading.Barrier(3, timeout=20), itertools.count()

    def __call__(self, x):
        if next(self.calls) < 3:
            self.together.wait()
        return super().__call__(x)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_blocks_run_side_by_side_on_several_devices_and_keep_their_order(batch_size):
    net = Parallel()
    pipeline = pipeline_of(image05(halo=2), net)
    image = noise(1, 1, 38, 44)
    plan = fn.default_plan(pipeline, image, block_shape={"y": 12, "x": 16}, batch_size=batch_size)
    indices = [block.meta.index for block in fn.predict_blocks(pipeline, image, plan)]

    assert plan.count >= 6
    assert indices == list(range(plan.count))
    np.testing.assert_array_equal(fn.run(pipeline, image, plan), image + 1)
