"""The grid along one axis: where blocks start, where they meet, and what each of them writes."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bioimageio_fn.blocks.grid import AxisGrid, Follower, align_step, grid_starts, place
from bioimageio_fn.blocks.sizes import common_valid, fixed_size, start_steps
from bioimageio_fn.contract.records import AnySize, FixedSize, ParameterizedSize, admits
from bioimageio_fn.errors import BlockError

SCALES = [Fraction(1), Fraction(2), Fraction(1, 2), Fraction(1, 4), Fraction(3), Fraction(1, 3)]
FOLLOWERS = st.builds(
    Follower,
    st.sampled_from(SCALES),
    st.sampled_from([0, 0, 0, -4, -1, 1, 4]).map(Fraction),
    st.integers(0, 5),
)


@st.composite
def grids(draw):
    """A grid with its step and the axes that follow it; the axis itself is the first of them."""
    low, by = draw(st.integers(1, 24)), draw(st.integers(1, 8))
    block = low + by * draw(st.integers(0, 6))
    size = draw(st.integers(1, 120))
    followers = [Follower(), *draw(st.lists(FOLLOWERS, max_size=3))]
    step = align_step(by, followers)
    padded = block + max(0, -(-(size - block) // step)) * step
    try:
        starts = grid_starts(padded, block, step, followers)
    except BlockError:
        assume(False)
    assume(all(f.of(size) >= 1 for f in followers))
    return AxisGrid(size, block, starts), step, padded, followers


@given(grids())
def test_starts_are_multiples_of_the_step_and_ascend_from_0(case):
    grid, step, _, _ = case

    assert grid.starts[0] == 0
    assert all(start % step == 0 for start in grid.starts)
    assert list(grid.starts) == sorted(set(grid.starts))


@given(grids())
def test_starts_lie_on_whole_pixels_of_every_follower(case):
    grid, _, _, followers = case

    assert all((start * f.scale).denominator == 1 for start in grid.starts for f in followers)


@given(grids())
def test_the_last_block_ends_where_the_padded_whole_ends(case):
    grid, step, padded, _ = case

    assert grid.starts[-1] + grid.block == padded
    assert padded >= grid.size
    assert padded == grid.block or padded - grid.size < step


@given(grids())
def test_own_regions_tile_every_axis_once_and_in_order(case):
    grid, _, _, followers = case
    for follower in followers:
        total = follower.of(grid.size)
        places = place(grid, follower, total)

        assert [p.start for p in places] == [0, *(p.stop for p in places[:-1])]
        assert places[-1].stop == total
        assert all(p.outer_start <= p.start <= p.stop <= p.outer_stop for p in places)


@given(grids())
def test_own_pixels_are_at_least_the_halo_away_from_every_inner_end(case):
    grid, _, _, followers = case
    for follower in followers:
        places = place(grid, follower, follower.of(grid.size))
        for left, right in itertools.pairwise(places):
            # `size` reaches beyond `outer_stop` where a block is padded
            assert left.outer_start + left.size - left.stop >= follower.halo
            assert right.start - right.outer_start >= follower.halo


@given(grids())
def test_the_first_block_has_no_halo_before_it_and_only_the_border_is_padded(case):
    grid, _, padded, followers = case
    for follower in followers:
        total = follower.of(grid.size)
        places = place(grid, follower, total)

        assert places[0].start == places[0].outer_start == 0
        assert all(p.outer_stop == total for p in places if p.padding)
        assert all(p.size == follower.of(grid.block) for p in places)
        if padded == grid.size:
            assert not any(p.padding for p in place(grid, Follower(), grid.size))


@given(grids())
def test_no_fewer_blocks_would_do(case):
    grid, step, padded, followers = case
    if len(grid.starts) > 1:
        longest = min((f.of(grid.block) - 2 * f.halo) / f.scale // step * step for f in followers)

        assert len(grid.starts) == math.ceil((padded - grid.block) / longest) + 1


def test_blocks_meet_in_the_middle_of_their_overlap():
    first, last = place(AxisGrid(24, 16, (0, 8)), Follower(halo=4), 24)

    assert (first.start, first.stop, first.outer_start, first.outer_stop) == (0, 12, 0, 16)
    assert (last.start, last.stop, last.outer_start, last.outer_stop) == (12, 24, 8, 24)


def test_a_valid_convolution_is_placed_by_its_start():
    # 12 in, 8 out; nothing of the 4 pixels is lost at a seam
    follower = Follower(offset=Fraction(-4))
    starts = grid_starts(28, 12, 4, [Follower(), follower])

    assert starts == (0, 8, 16)
    assert [(p.start, p.stop) for p in place(AxisGrid(28, 12, starts), follower, 24)] == [
        (0, 8),
        (8, 16),
        (16, 24),
    ]


@pytest.mark.parametrize(
    ("block", "step", "followers"),
    [
        (16, 16, [Follower(), Follower(halo=8)]),
        (16, 4, [Follower(), Follower(halo=8)]),
        (16, 4, [Follower(), Follower(Fraction(2), halo=15)]),
        (16, 16, [Follower(), Follower(halo=1)]),
        (4, 4, [Follower(), Follower(offset=Fraction(-4))]),
    ],
)
def test_a_block_without_room_between_its_halos_is_refused(block, step, followers):
    with pytest.raises(
        BlockError, match="no room between its halos.*expected room for a step of"
    ) as e:
        grid_starts(100, block, step, followers)
    assert e.value.got == f"{block} pixels"
    assert "larger blocks or a smaller halo" in str(e.value)


@given(st.integers(1, 12), st.lists(FOLLOWERS, max_size=3))
def test_the_aligned_step_is_the_smallest_that_does(step, followers):
    aligned = align_step(step, followers)

    def does(n):
        return n % step == 0 and all((n * f.scale).denominator == 1 for f in followers)

    assert [n for n in range(1, aligned + 1) if does(n)] == [aligned]


RULES = st.lists(
    st.one_of(
        st.builds(FixedSize, st.integers(1, 60)),
        st.builds(ParameterizedSize, st.integers(1, 30), st.integers(1, 12)),
        st.just(AnySize()),
    ),
    min_size=1,
    max_size=3,
)


@given(RULES, st.integers(1, 60))
def test_a_common_size_is_the_smallest_that_every_rule_admits(rules, size):
    brute = [n for n in range(size, 3000) if all(admits(rule, n) for rule in rules)]

    assert common_valid(rules, size) == (brute[0] if brute else None)


@given(RULES)
def test_a_fixed_size_is_one_that_every_rule_admits(rules):
    fixed = fixed_size(rules)

    if fixed is not None:
        assert all(admits(rule, fixed) for rule in rules)
        assert any(isinstance(rule, FixedSize) for rule in rules)
    elif any(isinstance(rule, FixedSize) for rule in rules):
        assert not any(all(admits(rule, n) for rule in rules) for n in range(1, 61))


@pytest.mark.parametrize(
    ("rules", "steps"),
    [
        ([ParameterizedSize(80, 16)], [16]),
        ([ParameterizedSize(80, 16), ParameterizedSize(8, 12)], [48]),
        ([ParameterizedSize(80, 16), FixedSize(96)], [16]),
        ([FixedSize(512)], [32, 16, 8, 4, 2, 1]),
        ([FixedSize(100)], [4, 2, 1]),
        ([FixedSize(99)], [1]),
        ([AnySize()], [1]),
        ([], [1]),
    ],
)
def test_the_steps_of_starts_are_those_described_else_powers_of_two(rules, steps):
    assert start_steps(rules) == steps
