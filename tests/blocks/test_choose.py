"""Blocks that nobody asked for: the fewest pixels that can be computed, proved by brute force."""

import itertools
import math

import numpy as np
import pytest
from descriptions import axis05, contract_of, image04, image05, model05, ref, sized, tensor05
from hypothesis import assume, given
from hypothesis import strategies as st

from bioimageio_fn.blocks.choose import PIXELS, Choices, MemoryModel, fewest_pixels
from bioimageio_fn.blocks.plan import plan_blocks
from bioimageio_fn.errors import AxesError, BioimageioFnWarning, BlockError


def shape(y=50, x=50, batch=1, channel=1):
    return {"raw": {"batch": batch, "channel": channel, "y": y, "x": x}}


def within(pixels):
    """A limit of so many pixels for a block."""
    return MemoryModel(fixed=0, per_pixel=1, limit=pixels)


def computed(plan):
    return plan.count * plan.pixels


def blocks_of(plan):
    return {axis.name: axis.grid.block for axis in plan.axes}


def every_plan(contract, shapes, axes):
    """All plans that can be made by naming the size of a block along some axes."""
    plans = []
    sizes = next(iter(shapes.values()))
    for blocks in itertools.product(*(range(1, sizes[a] + 20) for a in axes)):
        try:
            plans.append(
                plan_blocks(contract, shapes, block_shape=dict(zip(axes, blocks, strict=True)))
            )
        except BlockError:
            continue
    return plans


@st.composite
def cases(draw):
    low, by = draw(st.integers(2, 12)), draw(st.integers(1, 5))
    scale = draw(st.sampled_from([1.0, 1.0, 2.0, 0.5]))
    halo = draw(st.integers(0, 2))
    axes = [axis05("b"), axis05("y", sized(low, by)), axis05("x", sized(low, by))]
    follow = [
        axis05("y", ref("raw", "y"), scale=1 / scale, **({"halo": 2 * halo} if halo else {})),
        axis05("x", ref("raw", "x"), **({"halo": 1} if halo else {})),
    ]
    model = model05([tensor05("raw", axes)], [tensor05("out", [axis05("b"), *follow])])
    assume(4 * halo < int(low * min(scale, 1)))  # else it is no valid description
    shapes = {"raw": {"batch": 1, "y": draw(st.integers(2, 40)), "x": draw(st.integers(2, 24))}}
    return model, shapes, draw(st.integers(100, 1500))


@given(cases())
def test_no_plan_within_the_budget_computes_fewer_pixels(case):
    model, shapes, budget = case
    contract = contract_of(model)
    fitting = [p for p in every_plan(contract, shapes, "yx") if p.pixels <= budget]
    assume(fitting)

    plan = plan_blocks(contract, shapes, memory=within(budget))

    def rank(p):
        y, x = (blocks_of(p)[a] for a in "yx")
        return computed(p), p.count, max(y, x) / min(y, x)

    assert plan.pixels <= budget
    assert rank(plan) == min(map(rank, fitting))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 30)), min_size=1, max_size=4))
def test_the_best_of_any_choices_in_any_number_of_directions_is_found(sizes):
    directions = []
    for step, total in sizes:
        found = {s: -(-total // s) for s in range(step, total + step, step)}
        directions.append(
            Choices(np.array(list(found)), np.array(list(found.values())), in_space=True)
        )
    budget = 60
    sizes = itertools.product(*(c.sizes.tolist() for c in directions))
    counts = itertools.product(*(c.counts.tolist() for c in directions))
    every = [
        (math.prod(size) * math.prod(count), list(size))
        for size, count in zip(sizes, counts, strict=True)
        if math.prod(size) <= budget
    ]
    chosen = fewest_pixels(directions, budget)

    if not every:
        assert chosen == tuple(int(c.sizes[0]) for c in directions)
        return
    best = min(pixels for pixels, _ in every)
    assert list(chosen) in [picked for pixels, picked in every if pixels == best]


def test_what_fits_is_one_block_and_no_more_than_the_budget_is_taken():
    contract = contract_of(image05(halo=2))

    assert plan_blocks(contract, shape(1400, 1400)).count == 1
    large = plan_blocks(contract, shape(5000, 7001))
    assert large.count > 1
    assert large.pixels <= PIXELS
    assert large.waste < 0.05


def test_without_a_halo_equal_plans_go_to_the_fewest_then_the_squarest_blocks():
    contract = contract_of(image05(size=sized(8, 8)))

    assert blocks_of(plan_blocks(contract, shape(64, 64), memory=within(1024))) == {
        "batch": 1, "channel": 1, "y": 32, "x": 32,
    }  # fmt: skip


def test_a_slide_of_a_hundred_thousand_pixels_each_way_is_planned():
    plan = plan_blocks(contract_of(image05(halo=32, size=sized(80, 16))), shape(100_000, 100_000))

    assert plan.pixels <= PIXELS
    assert plan.waste < 0.1


@pytest.mark.parametrize("batch", [2, 7, 64])
def test_a_batch_that_is_too_large_for_one_block_is_cut(batch):
    contract = contract_of(image05())
    plan = plan_blocks(contract, shape(1000, 1000, batch=batch))

    assert plan.pixels <= PIXELS
    assert plan.waste == 0


def test_a_model_of_fixed_size_leaves_no_choice():
    contract = contract_of(image05(size=24))

    assert blocks_of(plan_blocks(contract, shape(50, 50)))["y"] == 24


def test_time_and_outputs_that_can_not_be_joined_are_not_cut_by_themselves():
    time = contract_of(
        model05(
            [tensor05("raw", [axis05("b"), axis05("t", sized(4, 1)), axis05("x", sized(4, 1))])],
            [tensor05("out", [axis05("b"), axis05("t", ref("raw", "time")),
                              axis05("x", ref("raw", "x"))])],
        )
    )  # fmt: skip
    shapes = {"raw": {"batch": 1, "time": 40, "x": 40}}
    plan = plan_blocks(time, shapes, memory=within(400))
    assert blocks_of(plan) == {"batch": 1, "time": 40, "x": 10}

    counts = contract_of(
        model05(
            [tensor05("raw", [axis05("b"), axis05("x", sized(4, 1))])],
            [tensor05("out", [axis05("b"), axis05("i", {"min": 1})])],
        )
    )
    with pytest.raises(BlockError, match="more memory than it may"):
        plan_blocks(counts, {"raw": {"batch": 1, "x": 400}}, memory=within(100))


def test_an_explicit_block_shape_cuts_time_with_a_warning():
    contract = contract_of(
        model05(
            [tensor05("raw", [axis05("b"), axis05("t", sized(4, 1))])],
            [tensor05("out", [axis05("b"), axis05("t", ref("raw", "time"))])],
        )
    )
    with pytest.warns(BioimageioFnWarning, match="'time' of tensor 'raw' is cut.*concatenable"):
        plan = plan_blocks(contract, {"raw": {"batch": 1, "time": 10}}, block_shape={"time": 4})
    assert plan.count == 3


# ---------------------------------------------------------------- memory


def test_a_limit_below_the_smallest_block_is_refused():
    contract = contract_of(image05(halo=2))  # 8 + 4 n

    with pytest.raises(BlockError, match="takes more memory than it may.*at most [0-9.e-]+ MB"):
        plan_blocks(contract, shape(), memory=MemoryModel(fixed=0, per_pixel=10, limit=639))
    assert plan_blocks(contract, shape(), memory=MemoryModel(0, 10, 1440)).pixels == 144
    with pytest.raises(BlockError, match="takes more memory"):
        plan_blocks(contract, shape(), memory=MemoryModel(fixed=2e9, per_pixel=1, limit=1e9))


def test_a_block_shape_that_takes_more_than_the_limit_is_refused():
    contract = contract_of(image05(halo=2))

    with pytest.raises(BlockError, match="5 MB for 2500 pixels|MB for 2704 pixels"):
        plan_blocks(contract, shape(), block_shape={}, memory=MemoryModel(0, 2000, 4e6))


@given(st.integers(200, 5000), st.integers(0, 1000))
def test_more_memory_never_makes_more_work(limit, more):
    contract = contract_of(image05(halo=2))
    little, much = (
        plan_blocks(contract, shape(60, 60), memory=within(pixels))
        for pixels in (limit, limit + more)
    )
    assert computed(much) <= computed(little)


def test_a_large_limit_changes_nothing():
    contract = contract_of(image05(halo=2))
    free = plan_blocks(contract, shape(3000, 3000))
    limited = plan_blocks(contract, shape(3000, 3000), memory=MemoryModel(0, 1, 1e15))

    assert blocks_of(free) == blocks_of(limited)
    assert (free.memory, limited.memory) == (None, limited.pixels)


# ---------------------------------------------------------------- the format's parameter n


@pytest.mark.parametrize("given", [0, {"y": 0, "x": 0}, {"raw": {"y": 0, "x": 0}},
                                   {("raw", "y"): 0, ("raw", "x"): 0}])  # fmt: skip
def test_a_blocksize_parameter_is_n_of_the_sizes_also_where_it_is_zero(given):
    plan = plan_blocks(contract_of(image05()), shape(), blocksize_parameter=given)  # 8 + 4 n

    assert blocks_of(plan) == {"batch": 1, "channel": 1, "y": 8, "x": 8}


@given(st.integers(0, 30), st.integers(1, 60))
def test_a_parameter_means_the_block_shape_that_it_stands_for(n, size):
    contract = contract_of(image05(halo=2))
    by_shape = {"block_shape": {"y": 8 + 4 * n, "x": 8 + 4 * n}}

    assert plan_blocks(contract, shape(size, size), blocksize_parameter=n) == plan_blocks(
        contract, shape(size, size), **by_shape
    )


def test_a_parameter_is_for_0_4_too():
    contract = contract_of(image04())
    plan = plan_blocks(contract, shape(), blocksize_parameter=1)

    assert blocks_of(plan)["y"] == 12


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"blocksize_parameter": -1}, BlockError, "negative"),
        ({"blocksize_parameter": {"z": 1}}, AxesError, "axis 'z'"),
        ({"blocksize_parameter": {"channel": 1}}, BlockError, "no sizes to choose from.*channel"),
        ({"blocksize_parameter": 1, "block_shape": {"y": 8}}, BlockError, "both say"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        plan_blocks(contract_of(image05()), shape(), **options)


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize(("batch", "asked", "block", "stack"), [(1, 4, 1, 4), (3, 4, 3, 1),
                         (8, 4, 4, 1), (2, 5, 2, 2), (1, 1, 1, 1)])  # fmt: skip
def test_a_batch_size_is_filled_with_samples_and_then_with_blocks(batch, asked, block, stack):
    plan = plan_blocks(contract_of(image05()), shape(batch=batch), batch_size=asked)

    assert (blocks_of(plan)["batch"], plan.stack) == (block, stack)


def test_a_batch_size_that_is_none_or_that_the_model_does_not_take_is_refused():
    with pytest.raises(BlockError, match="axis 'batch'.*1 or more, got 0"):
        plan_blocks(contract_of(image05()), shape(), batch_size=0)
    one = contract_of(image05())
    with pytest.raises(BlockError, match="so many samples.*axis 'batch'.*got 4"):
        plan_blocks(one, shape(), batch_size=4, signature={"raw": (1, None, None, None)})


def test_stacked_blocks_stay_within_the_budget_together():
    plan = plan_blocks(contract_of(image05(halo=2)), shape(3000, 3000), batch_size=8)

    assert plan.stack == 8
    assert plan.pixels <= PIXELS
