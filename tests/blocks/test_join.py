"""Joins: every pixel is written, weights sum to 1, and blocks may come in any order."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from descriptions import contract_of, image05, sized
from hypothesis import assume, given
from hypothesis import strategies as st

from bioimageio_fn.blocks.grid import AxisGrid, Follower, align_step, grid_starts, place
from bioimageio_fn.blocks.join import crop, gaussian, join_weights, linear
from bioimageio_fn.blocks.merge import merge
from bioimageio_fn.blocks.plan import plan_blocks
from bioimageio_fn.blocks.records import BlockPlan, PlannedAxis
from bioimageio_fn.blocks.split import split
from bioimageio_fn.errors import BlockError
from bioimageio_fn.sample import Sample
from bioimageio_fn.tensor import Tensor

JOINS = [crop, linear, gaussian]


@st.composite
def axes(draw):
    """One direction, cut into blocks, and an axis that follows it."""
    by = draw(st.integers(1, 6))
    block, size = by * draw(st.integers(2, 12)), draw(st.integers(1, 150))
    scale = draw(st.sampled_from([Fraction(1), Fraction(2), Fraction(1, 2)]))
    followers = [Follower(), Follower(scale, halo=draw(st.integers(0, 4)))]
    step = align_step(by, followers)
    padded = block + max(0, -(-(size - block) // step)) * step
    try:
        grid = AxisGrid(size, block, grid_starts(padded, block, step, followers))
    except BlockError:
        assume(False)
    totals = [f.of(size) for f in followers]
    assume(min(totals) >= 1)
    keys = [("raw", "x"), ("out", "x")]
    places = {k: place(grid, f, n) for k, f, n in zip(keys, followers, totals, strict=True)}
    return PlannedAxis("x", grid, places)


@given(axes(), st.sampled_from(JOINS))
def test_weights_sum_to_one_at_every_pixel(axis, join):
    for key, weights in join_weights(BlockPlan((axis,), {}, {}), join).items():
        total = np.zeros(axis.places[key][-1].stop)
        for start, w in weights.items():
            assert (w >= 0).all()
            total[start : start + len(w)] += w
        np.testing.assert_allclose(total, 1, atol=1e-12)


@given(axes())
def test_the_weights_of_a_crop_are_the_regions_that_blocks_own(axis):
    for key, weights in join_weights(BlockPlan((axis,), {}, {}), crop).items():
        for p in axis.places[key]:
            inside = np.arange(p.outer_start, p.outer_stop)
            own = (p.start <= inside) & (inside < p.stop)
            assert weights[p.outer_start].tolist() == own.astype(float).tolist()


def parts(dtype="float32", library=np.asarray, pixels=(50, 37)):
    array = np.random.default_rng(0).normal(size=(1, 1, *pixels)).astype(dtype)
    contract = contract_of(image05(halo=2, size=sized(12, 4)))
    sample = Sample({"raw": Tensor(library(array), "bcyx")}, id="s")
    plan = plan_blocks(contract, {"raw": sample["raw"].sizes}, block_shape={"y": 16, "x": 12})
    return sample, plan


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("library", [np.asarray, torch.asarray])
@given(random=st.randoms(use_true_random=False))
def test_every_join_undoes_split_whatever_the_order_of_the_blocks(join, library, random):
    sample, plan = parts(library=library)
    blocks = list(split(sample, plan))
    random.shuffle(blocks)

    merged = merge(blocks, plan, join=join)

    assert type(merged["raw"].data) is type(sample["raw"].data)
    assert (merged.id, merged["raw"].dtype) == ("s", "float32")
    np.testing.assert_allclose(merged, sample, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("join", [linear, gaussian])
def test_a_blend_turns_a_step_into_a_ramp_that_has_no_holes(join):
    sample, plan = parts()
    values = {block.meta.index: float(block.meta.index) for block in split(sample, plan)}
    constant = [
        Sample({"raw": Tensor(np.full(b.sample["raw"].shape, values[b.meta.index]), "bcyx")})
        for b in split(sample, plan)
    ]
    blocks = [type(b)(data, b.meta) for b, data in zip(split(sample, plan), constant, strict=True)]
    rows = np.asarray(merge(blocks, plan, join=join))[0, 0, 0]
    steps = np.asarray(merge(blocks, plan))[0, 0, 0]

    assert 0 < np.abs(np.diff(rows)).max() < 0.9
    assert np.abs(np.diff(steps)).max() == 1
    assert (rows.min(), rows.max()) == (steps.min(), steps.max())


def test_a_blend_of_whole_numbers_is_refused_and_a_crop_is_not():
    sample, plan = parts("uint8")

    with pytest.raises(BlockError, match="blend has fractions.*tensor 'raw'.*got uint8"):
        merge(split(sample, plan), plan, join=linear)
    assert merge(split(sample, plan), plan)["raw"] == sample["raw"]


# ---------------------------------------------------------------- into anything


@pytest.mark.parametrize("join", JOINS)
def test_blocks_are_written_into_what_is_given(join, tmp_path):
    sample, plan = parts()
    made = {}

    def create(name, spec):
        made[name] = np.lib.format.open_memmap(
            tmp_path / f"{name}.npy", "w+", spec.dtype, spec.shape
        )
        made[name][...] = np.nan  # what stood there must not be blended in
        return made[name]

    merged = merge(split(sample, plan), plan, join=join, create=create)

    np.testing.assert_allclose(np.load(tmp_path / "raw.npy"), np.asarray(sample), atol=1e-6)
    assert np.shares_memory(merged["raw"].data, made["raw"])


@pytest.mark.parametrize("version", [2, 3])
def test_blocks_are_written_into_zarr(version, tmp_path):
    import zarr

    sample, plan = parts("uint8", pixels=(120, 90))

    def create(name, spec):
        return zarr.create_array(
            tmp_path / name, shape=spec.shape, dtype=spec.dtype, chunks=(1, 1, 32, 32),
            zarr_format=version,
        )  # fmt: skip

    merge(split(sample, plan), plan, create=create)

    np.testing.assert_array_equal(zarr.open_array(tmp_path / "raw")[:], np.asarray(sample))


def test_one_block_is_written_too():
    sample, _ = parts()
    contract = contract_of(image05(halo=2))
    plan = plan_blocks(contract, {"raw": sample["raw"].sizes}, block_shape={})
    target = np.zeros(sample["raw"].shape, "float32")

    merge(split(sample, plan), plan, create=lambda name, spec: target)

    np.testing.assert_array_equal(target, np.asarray(sample))
