"""Models whose outputs are made into objects, run as users do: whole, padded, and in blocks."""

import attrs
import numpy as np
import pytest
from descriptions import axis05, build, model05, ref, sized, step, tensor05

import bioimageio_fn as fn

N_RAYS = 8
SHAPES = [(48, 40), (51, 43), (50, 42), (47, 61)]


def model(grid, *, smallest=(16, 8), kind="stardist"):
    stardist = step(
        "stardist_postprocessing",
        prob_threshold=0.5,
        nms_threshold=0.3,
        n_rays=N_RAYS,
        grid=[grid, grid],
        b=0,
    )
    cellpose = step(
        "cellpose_flow_dynamics",
        cellprob_threshold=0.0,
        flow_threshold=0.0,
        do_3D=False,
        min_size=4,
    )
    axes = [axis05("b"), axis05("y", sized(*smallest)), axis05("x", sized(*smallest))]
    return build(
        model05(
            [tensor05("raw", axes)],
            [
                tensor05(
                    "out",
                    [
                        axis05("b"),
                        axis05("c", 1),
                        axis05("y", ref("raw", "y"), halo=2 * grid),
                        axis05("x", ref("raw", "x"), halo=2 * grid),
                    ],
                    dtype="int32" if kind == "stardist" else "uint16",
                    steps=[stardist if kind == "stardist" else cellpose],
                )
            ],
        )
    )


def dots(shape, every=12):
    """An image with a mark at the center of each object."""
    image = np.zeros(shape, "float32")
    image[6::every, 6::every] = 1
    return image


def stars(grid):
    """A network that makes a disc of radius 4 at each mark, on a coarse grid."""

    def forward(raw):
        coarse = raw[:, ::grid, ::grid] if grid == 1 else blocks_of_marks(raw, grid)
        rays = np.full((len(raw), N_RAYS, *coarse.shape[1:]), 4 / grid * grid, "float32")
        return (np.concatenate([coarse[:, None], rays], axis=1),)

    return forward


def blocks_of_marks(raw, grid):
    """Whether there is a mark in each square of the grid, where the last ones may be cut off."""
    b, y, x = raw.shape
    full = np.zeros((b, -(-y // grid) * grid, -(-x // grid) * grid), raw.dtype)
    full[:, :y, :x] = raw
    return full.reshape(b, -(-y // grid), grid, -(-x // grid), grid).max(axis=(2, 4))


def flows(raw):
    """A network for cellpose: flows to the nearest mark, within 4 pixels of it."""
    b, y, x = raw.shape
    out = np.zeros((b, 3, y, x), "float32")
    out[:, 2] = -5
    marks = [(i, *m) for i in range(b) for m in np.argwhere(raw[i] > 0)]
    yy, xx = np.mgrid[:y, :x]
    for i, cy, cx in marks:
        dy, dx = cy - yy, cx - xx
        distance = np.sqrt(dy**2 + dx**2)
        near = distance <= 4
        out[i, 2][near] = 5
        scale = 5 / np.maximum(distance, 1)
        out[i, 0][near], out[i, 1][near] = (dy * scale)[near], (dx * scale)[near]
    return (out,)


def count_of(shape, every=12):
    return len(range(6, shape[0], every)) * len(range(6, shape[1], every))


@pytest.mark.parametrize("grid", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_stardist_gives_the_objects_of_the_image_whole_and_in_blocks(shape, grid):
    pipeline = fn.create_prediction_pipeline(model(grid), backend=stars(grid))
    image = dots(shape)
    whole = np.asarray(pipeline(image))
    assert whole.shape == (1, 1, *shape)
    assert whole.dtype == "int32"
    assert np.unique(whole).tolist() == list(range(count_of(shape) + 1))
    marked = whole[0, 0][image > 0]
    assert (marked > 0).all()
    assert len(set(marked.tolist())) == count_of(shape)
    sample = fn.as_sample(image, pipeline.contract)
    plan = fn.default_plan(pipeline, sample, block_shape={"y": 24, "x": 24})
    assert plan.count > 1
    np.testing.assert_array_equal(np.asarray(fn.run(pipeline, sample, plan)), whole)


@pytest.mark.parametrize("shape", SHAPES)
def test_cellpose_gives_the_objects_of_the_image_whole_and_in_blocks(shape):
    pipeline = fn.create_prediction_pipeline(model(1, kind="cellpose"), backend=flows)
    image = dots(shape)
    whole = np.asarray(pipeline(image))
    assert whole.shape == (1, 1, *shape)
    assert whole.dtype == "uint16"
    assert len(np.unique(whole)) == count_of(shape) + 1


def test_the_contract_tells_what_the_network_gives_and_what_users_get():
    contract = fn.model_contract(model(2))
    (raw,), (described,) = contract.raw_outputs, contract.outputs
    assert raw.axis("channel").size.size == N_RAYS + 1
    assert described.axis("channel").size.size == 1
    assert (raw.axis("y").size.of(51), described.axis("y").size.of(51)) == (26, 51)
    assert (raw.axis("y").halo, described.axis("y").halo) == (2, 4)


def test_steps_over_space_see_the_image_and_not_its_padding():
    shape = (45, 38)
    image = np.random.default_rng(0).random(shape).astype("float32")
    seen = []

    def look(sample):
        seen.append(sample["out"].shape)
        return sample

    axes = [axis05("b"), axis05("y", sized(16, 8)), axis05("x", sized(16, 8))]
    out = [axis05("b"), axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    for where in ("pre", "post"):
        steps = {where: [step("softmax", axis="y")]}
        described = build(
            model05(
                [tensor05("raw", axes, steps=steps.get("pre", []))],
                [tensor05("out", out, steps=steps.get("post", []))],
            )
        )
        pipeline = fn.create_prediction_pipeline(described, backend=lambda x: (x,))
        pipeline = attrs.evolve(pipeline, postprocess=fn.compose(pipeline.postprocess, look))
        powers = np.exp(image)
        sample = fn.as_sample(image, pipeline.contract)
        plan = fn.default_plan(pipeline, sample, block_shape={"y": 24, "x": 24})
        for result in (pipeline(sample), fn.run(pipeline, sample, plan)):
            np.testing.assert_allclose(np.asarray(result)[0], powers / powers.sum(0), rtol=1e-5)
    assert set(seen) == {(1, *shape)}
    assert len(seen) == 4
