"""Cutting a sample and putting it together again changes nothing; blockwise equals whole."""

from contextlib import nullcontext

import attrs
import numpy as np
import pytest
from descriptions import (
    axis05,
    build,
    contract_of,
    image04,
    image05,
    model05,
    ref,
    sized,
    tensor05,
)
from hypothesis import event, given
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.blocks.merge import merge
from bioimageio_fn.blocks.plan import plan_blocks
from bioimageio_fn.blocks.records import block_metas
from bioimageio_fn.blocks.split import split
from bioimageio_fn.contract.records import ReferencedSize, admits
from bioimageio_fn.errors import (
    BackendError,
    BioimageioFnError,
    BioimageioFnWarning,
    BlockError,
)
from bioimageio_fn.pipeline import default_plan, run
from bioimageio_fn.sample import Sample
from bioimageio_fn.tensor import Tensor


def numbers(shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(dtype)


def sample_of(**arrays):
    return Sample({name: Tensor(a, axes) for name, (a, axes) in arrays.items()}, id="s")


def plan_of(contract, sample, **options):
    return plan_blocks(contract, {n: t.sizes for n, t in sample.members.items()}, **options)


# ---------------------------------------------------------------- split


class Recording:
    """A source on disk that remembers what was read."""

    def __init__(self, array):
        self.array, self.keys = array, []
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key):
        self.keys.append(key)
        return self.array[key]

    def __array__(self, *_, **__):
        raise AssertionError("read as a whole")


def test_a_block_reads_only_its_own_region_and_only_when_it_is_asked_for():
    source = Recording(numbers((1, 1, 100, 60)))
    sample = sample_of(raw=(source, "bcyx"))
    contract = contract_of(image05(halo=2))
    plan = plan_of(contract, sample, block_shape={"y": 24})

    blocks = split(sample, plan)
    assert source.keys == []
    for number, meta in enumerate(block_metas(plan), 1):
        block = next(blocks)
        region = meta.regions["raw"]["y"]

        assert len(source.keys) == number
        assert source.keys[-1][2] == slice(region.outer_start, region.outer_stop)
        assert block.sample["raw"].sizes["y"] == 24


PADS = {
    "symmetric": {"mode": "symmetric"},
    "reflect": {"mode": "reflect"},
    "edge": {"mode": "edge"},
    "constant": {"mode": "constant", "value": 7},
}


@st.composite
def padded_cases(draw):
    low, by = draw(st.integers(1, 16)), draw(st.integers(1, 16))
    mode = draw(st.sampled_from(sorted(PADS)))
    contract = contract_of(image05(size=sized(low, by), pad=PADS[mode]))
    size = draw(st.integers(1, 60))
    block = low + by * draw(st.integers(0, 3))
    return contract, mode, size, {"y": block, "x": block}


@given(padded_cases())
def test_padding_at_the_border_equals_numpy_pad_of_the_whole(case):
    contract, mode, size, block = case
    array = numbers((1, 1, size, size))
    sample = sample_of(raw=(array, "bcyx"))
    try:
        plan = plan_of(contract, sample, block_shape=block)
    except BlockError:
        return
    after = plan.axes[2].grid.starts[-1] + plan.axes[2].grid.block - size
    value = {"constant_values": 7} if mode == "constant" else {}
    whole = np.pad(array, [(0, 0)] * 2 + [(0, after)] * 2, mode=mode, **value)

    for block in split(sample, plan):
        y, x = (block.meta.regions["raw"][a] for a in "yx")
        np.testing.assert_array_equal(
            block.sample["raw"].data,
            whole[..., y.outer_start :, x.outer_start :][..., : y.size, : x.size],
        )


def test_a_last_block_with_little_of_its_own_is_continued_like_the_whole():
    # one pixel of the last block is the image's; what follows it has to be its mirror image
    contract = contract_of(image05(size=sized(16, 16)))
    array = np.arange(17, dtype="float32").reshape(1, 1, 1, 17) * np.ones((16, 1), "float32")
    sample = sample_of(raw=(array, "bcyx"))

    *_, last = split(sample, plan_of(contract, sample, block_shape={"x": 16}))

    expected = np.pad(np.arange(17), (0, 15), mode="symmetric")[16:]
    assert last.sample["raw"].data[0, 0, 0].tolist() == expected.tolist()


def test_a_plan_for_another_sample_is_refused_at_once():
    contract = contract_of(image05())
    small, large = (sample_of(raw=(numbers((1, 1, n, 20)), "bcyx")) for n in (20, 30))
    plan = plan_of(contract, small, block_shape={"y": 8})

    with pytest.raises(BlockError, match="another sample.*'raw', axis 'y'.*expected 20, got 30"):
        split(large, plan)


def test_a_sample_that_lacks_a_planned_tensor_is_refused():
    model = image05()
    model["inputs"].append({**model["inputs"][0], "id": "aux", "preprocessing": []})
    arrays = {name: (numbers((1, 1, 16, 16)), "bcyx") for name in ("raw", "aux")}
    sample = sample_of(**arrays)
    plan = plan_of(contract_of(model), sample, block_shape={"y": 8})

    with pytest.raises(BlockError, match="aux"):
        list(split(Sample({"raw": sample["raw"]}), plan))


# ---------------------------------------------------------------- merge undoes split


@st.composite
def whole_cases(draw):
    """A contract of one to three inputs, a sample of it, and a plan."""
    low, by = draw(st.integers(1, 10)), draw(st.integers(1, 6))
    halo = draw(st.integers(0, 2))
    scale = draw(st.sampled_from([1.0, 2.0, 0.5, 0.25, 3.0]))
    more = {"halo": 2 * halo} if halo and low * scale > 4 * halo else {}
    raw_axes = [axis05("b"), axis05("c", 2), axis05("y", sized(low, by)), axis05("x", sized(2, 3))]
    inputs = [tensor05("raw", raw_axes)]
    sizes = {"batch": draw(st.integers(1, 3)), "channel": 2, "y": draw(st.integers(4, 40))}
    sizes["x"] = draw(st.integers(1, 12))
    arrays = {"raw": (numbers([sizes[a] for a in sizes]), list(sizes))}
    if draw(st.booleans()):
        inputs.append(
            tensor05("low", [axis05("x", ref("raw", "y"), scale=2.0), axis05("b")], dtype="uint8")
        )
        arrays["low"] = (numbers((sizes["y"] // 2, sizes["batch"]), "uint8"), ["x", "batch"])
    if draw(st.booleans()):
        inputs.append(tensor05("vector", [axis05("i", 5)], dtype="int16"))
        arrays["vector"] = (numbers(5, "int16"), ["index"])
    outputs = [
        tensor05(
            "out",
            [
                axis05("b"),
                axis05("y", ref("raw", "y"), scale=1 / scale, **more),
                axis05("x", ref("raw", "x")),
            ],
        )
    ]
    model = model05(inputs, outputs)
    if build(model).validation_summary.status == "failed":
        outputs[0]["axes"][1] = axis05("y", ref("raw", "y"))
        model = model05(inputs, outputs)
    sample = sample_of(**arrays)
    options = {"block_shape": {"y": low + by * draw(st.integers(0, 5))}}
    if draw(st.booleans()):
        options["block_shape"]["x"] = 2 + 3 * draw(st.integers(0, 2))
    if draw(st.booleans()):
        options["block_shape"]["batch"] = draw(st.integers(1, 3))
    return contract_of(model), sample, options, draw(st.randoms(use_true_random=False))


@given(whole_cases())
def test_merge_undoes_split_whatever_the_order_of_the_blocks(case):
    contract, sample, options, random = case
    try:
        plan = plan_of(contract, sample, **options)
    except BlockError:
        return
    except fn.errors.SizeError:  # nothing would be left of an output of a quarter of the size
        return
    blocks = list(split(sample, plan))
    random.shuffle(blocks)

    merged = merge(blocks, plan)

    assert len(blocks) == plan.count
    assert merged == sample


@given(whole_cases(), st.data())
def test_every_block_is_a_valid_input_of_the_model_and_of_its_network(case, data):
    contract, sample, options, _ = case
    shape = options["block_shape"]
    fixed = {  # of some axes, as a network may be
        axis: shape[axis] for axis in data.draw(st.sets(st.sampled_from(["batch", "y"]))) & {*shape}
    }
    signature = {"raw": [fixed.get(axis) for axis in ("batch", "channel", "y", "x")]}
    try:
        plan = plan_of(contract, sample, **options, signature=signature)
    except (BlockError, fn.errors.SizeError):
        return
    event(f"fixed: {sorted(fixed)}")
    for block in split(sample, plan):
        sizes = {n: t.sizes for n, t in block.sample.members.items()}
        assert list(sizes) == list(sample.members)
        for name, of in sizes.items():
            for axis in contract.tensor(name, "input").axes:
                rule, size = axis.size, of[axis.id]
                if isinstance(rule, ReferencedSize):
                    assert size == rule.of(sizes[rule.tensor][rule.axis])
                else:
                    assert admits(rule, size)
        assert {axis: sizes["raw"][axis] for axis in fixed} == fixed


def test_two_axes_that_follow_one_another_are_cut_in_both_directions_or_not_at_all():
    # an image that has to be square: x refers to y, and there are blocks beside the diagonal too
    x = axis05("x", ref("raw", "y"))
    raw = tensor05("raw", [axis05("b"), axis05("y", sized(8, 4)), x])
    out = tensor05("out", [axis05("b"), axis05("y", ref("raw", "y")), x])
    contract = contract_of(model05([raw], [out]))
    sample = sample_of(raw=(numbers((1, 16, 16)), "byx"))
    try:
        plan = plan_of(contract, sample, block_shape={"y": 8})
    except BlockError:
        return
    covered = np.zeros((16, 16), int)
    for meta in block_metas(plan):
        y, x = (meta.regions["out"][a] for a in "yx")
        covered[y.start : y.stop, x.start : x.stop] += 1

    assert (covered == 1).all()
    assert merge(split(sample, plan), plan) == sample


def test_merge_keeps_the_type_and_the_library_of_the_blocks():
    import torch

    contract = contract_of(image05())
    sample = sample_of(raw=(torch.arange(400, dtype=torch.int32).reshape(1, 1, 20, 20), "bcyx"))
    merged = merge(*_split(contract, sample))

    assert isinstance(merged["raw"].data, torch.Tensor)
    assert merged["raw"].data.dtype == torch.int32
    assert torch.equal(merged["raw"].data, sample["raw"].data)


def _split(contract, sample, **options):
    plan = plan_of(contract, sample, **(options or {"block_shape": {"y": 8}}))
    return list(split(sample, plan)), plan


@pytest.fixture
def parts():
    """The four blocks of an image, and their plan."""
    contract = contract_of(image05())
    blocks, plan = _split(
        contract,
        sample_of(raw=(numbers((1, 1, 16, 16)), "bcyx")),
        block_shape={"y": 8, "x": 8},
    )
    assert plan.count == 4
    return blocks, plan


def test_a_missing_block_is_an_error_that_names_it(parts):
    blocks, plan = parts

    with pytest.raises(BlockError, match=r"blocks are missing: expected 4 blocks, got no \[2\]"):
        merge([blocks[0], blocks[1], blocks[3]], plan)
    with pytest.raises(BlockError, match="blocks are missing"):
        merge([], plan)


def test_a_doubled_block_is_an_error_that_names_it(parts):
    blocks, plan = parts

    with pytest.raises(BlockError, match="came twice.*block 1"):
        merge([*blocks, blocks[1]], plan)


def test_a_block_of_another_size_is_an_error(parts):
    blocks, plan = parts
    small = Sample({"raw": Tensor(np.zeros((1, 1, 8, 7), "float32"), "bcyx")})

    with pytest.raises(BackendError, match="tensor 'raw', axis 'x'.*expected 8, got 7"):
        merge([*blocks[:3], attrs.evolve(blocks[3], sample=small)], plan)


def test_blocks_of_a_larger_plan_are_an_error_that_says_so(parts):
    _, plan = parts
    sample = sample_of(raw=(numbers((1, 1, 16, 24)), "bcyx"))
    more, _ = _split(contract_of(image05()), sample, block_shape={"y": 8, "x": 8})

    with pytest.raises(BlockError) as caught:
        merge(more, plan)
    assert "got no []" not in str(caught.value)


def test_a_tensor_that_one_block_lacks_is_an_error_and_no_hole(parts):
    blocks, plan = parts
    lacking = attrs.evolve(blocks[2], sample=Sample({}))

    with pytest.raises(BlockError, match="raw"):
        merge([*blocks[:2], lacking, blocks[3]], plan)


def test_a_tensor_that_the_plan_does_not_place_is_an_error(parts):
    # else each block would write over the one before it
    blocks, plan = parts
    more = [
        attrs.evolve(
            block,
            sample=Sample({**block.sample.members, "count": Tensor([float(i)], "x")}),
        )
        for i, block in enumerate(blocks)
    ]

    with pytest.raises(BlockError, match="count"):
        merge(more, plan)


def test_merge_takes_one_block_at_a_time(parts):
    blocks, plan = parts
    alive = []

    def one_by_one():
        for block in blocks:
            alive.append(block.meta.index)
            yield block

    merge(one_by_one(), plan)
    assert alive == [0, 1, 2, 3]


# ---------------------------------------------------------------- blockwise equals whole


def conv(array, reach=1):
    """The mean of each pixel's neighbours, with zeros beyond the border."""
    wide = np.pad(array, [(0, 0)] * 2 + [(reach, reach)] * 2)
    return valid(wide, reach)


def valid(array, reach=2):
    """The mean of each pixel's neighbours, where all of them are there."""
    n = 2 * reach + 1
    h, w = (s - 2 * reach for s in array.shape[2:])
    parts = [array[..., i : i + h, j : j + w] for i in range(n) for j in range(n)]
    return np.mean(parts, axis=0, dtype="float64").astype("float32")


def pool(array, n):
    """The mean of n x n pixels; what is left over is dropped."""
    b, c, h, w = array.shape
    cut = array[..., : h // n * n, : w // n * n]
    return cut.reshape(b, c, h // n, n, w // n, n).mean((3, 5), dtype="float64").astype("float32")


def up(array, n):
    """Every pixel n x n times."""
    return array.repeat(n, axis=2).repeat(n, axis=3)


NETWORKS = {
    "conv": (lambda a: (conv(a),), {"halo": 1}),
    "reach of 2": (lambda a: (conv(a, 2),), {"halo": 2}),
    "U of two levels": (lambda a: (conv(up(conv(pool(conv(a), 2)), 2)) + a,), {"halo": 5}),
    "pool 2": (lambda a: (pool(conv(a), 2),), {"scale": 0.5, "halo": 1}),
    "pool 4": (lambda a: (conv(pool(a, 4)),), {"scale": 0.25, "halo": 1}),
    "pool 4 alone": (lambda a: (pool(a, 4),), {"scale": 0.25}),
    "up 2": (lambda a: (up(conv(a), 2),), {"scale": 2.0, "halo": 2}),
    "up 3": (lambda a: (conv(up(a, 3)),), {"scale": 3.0, "halo": 3}),
    "valid": (lambda a: (valid(a),), {"offset": -4}),
    "valid and conv": (lambda a: (conv(valid(a)),), {"offset": -4, "halo": 1}),
    "larger": (lambda a: (conv(np.pad(a, [(0, 0)] * 2 + [(2, 2)] * 2)),), {"offset": 4, "halo": 3}),
}


def check_blocks(model, network, image, **options):
    pipeline = fn.create_prediction_pipeline(build(model), backend=network)
    sample = fn.as_sample(image, pipeline.contract)
    plan = default_plan(pipeline, sample, **options)

    whole, blocks = run(pipeline, sample), run(pipeline, sample, plan)

    assert whole["out"].shape == blocks["out"].shape
    np.testing.assert_allclose(np.asarray(blocks), np.asarray(whole), atol=1e-5, rtol=0)
    return plan


@pytest.mark.parametrize("name", NETWORKS)
@given(
    y=st.integers(8, 60),
    x=st.integers(8, 60),
    n=st.integers(0, 4),
    seed=st.integers(0, 99),
    pad=st.sampled_from(sorted(PADS)),
)
def test_blocks_equal_the_whole_borders_included(name, y, x, n, seed, pad):
    network, options = NETWORKS[name]
    model = image05(size=sized(16, 4), pad=PADS[pad], **options)
    image = numbers((y, x), seed=seed) / np.float32(255)

    check_blocks(model, network, image, block_shape={"y": 16 + 4 * n, "x": 20})


@pytest.mark.parametrize("name", [n for n, (_, o) in NETWORKS.items() if "scale" not in o])
def test_blocks_are_really_cut(name):
    network, options = NETWORKS[name]
    plan = check_blocks(
        image05(size=sized(16, 4), **options), network, numbers((50, 61)) / 255,
        block_shape={"y": 20, "x": 16},
    )  # fmt: skip

    assert plan.count >= 12


def test_a_halo_below_the_reach_would_show():
    # the law has a condition: without it the same check fails
    network, _ = NETWORKS["reach of 2"]

    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_blocks(
            image05(size=sized(16, 4)), network, numbers((50, 50)) / 255,
            block_shape={"y": 16},
        )  # fmt: skip


@pytest.mark.parametrize("block", [16, 18])
@pytest.mark.parametrize("size", [21, 30])
def test_blocks_equal_the_whole_where_the_output_has_larger_pixels_than_the_step(size, block):
    # sizes go in steps of 2, pixels of the output in steps of 4: both have to be padded alike
    network, options = NETWORKS["pool 4"]

    check_blocks(
        image05(size=sized(16, 2), **options), network, numbers((size, size)) / 255,
        block_shape={"y": block, "x": block},
    )  # fmt: skip


@given(st.integers(45, 120), st.sampled_from(["symmetric", "reflect"]))
def test_blocks_equal_the_whole_where_a_step_is_nearly_as_long_as_a_block(size, pad):
    # the last block may be mostly padding
    check_blocks(
        image05(size=sized(20, 24), halo=8, pad=PADS[pad]), lambda a: (conv(a, 8),),
        numbers((20, size)) / 255, block_shape={"x": 44},
    )  # fmt: skip


def test_blocks_equal_the_whole_in_0_4_too():
    plan = check_blocks(
        image04(halo=2, smallest=16), lambda a: (conv(a, 2),), numbers((50, 37)) / 255,
        block_shape={"y": 20, "x": 16},
    )  # fmt: skip

    assert plan.count > 4


def test_blocks_equal_the_whole_in_a_volume_of_many_samples():
    def mean_z(a):
        wide = np.pad(a, [(0, 0)] * 2 + [(1, 1), (0, 0), (0, 0)])
        return ((wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]) / 3,)

    plan = check_blocks(
        image05(space="zyx", halo=1), mean_z, numbers((3, 1, 21, 9, 10)) / 255,
        block_shape={"z": 8, "batch": 2},
    )  # fmt: skip

    assert plan.count == 2 * len(plan.axes[2].grid.starts) > 4


@given(st.integers(30, 80), st.integers(0, 20))
def test_a_fixed_network_equals_numpy_inside_and_is_never_shifted(size, halo):
    image = numbers((size, 32)) / np.float32(255)
    pipeline = fn.create_prediction_pipeline(
        build(image05(size=32, halo=min(halo, 7))), backend=lambda a: (a * 2,)
    )
    finer = size > 32 and halo > 0  # the halo leaves no room for a step of 32
    warned = pytest.warns(BioimageioFnWarning, match="multiples of 16") if finer else nullcontext()

    with warned:
        result = pipeline(image)

    np.testing.assert_array_equal(np.asarray(result)[0, 0], image * 2)


def test_outputs_of_different_scale_and_halo_are_all_right_at_once():
    names = {"same": 1.0, "half": 0.5, "double": 2.0}
    model = image05(size=sized(16, 4))
    (out,) = model["outputs"]
    halos = {"same": 1, "half": 1, "double": 2}
    model["outputs"] = [
        {
            **out,
            "id": name,
            "axes": [
                axis05("b"),
                axis05("c"),
                *(axis05(a, ref("raw", a), scale=1 / s, halo=halos[name]) for a in "yx"),
            ],
        }
        for name, s in names.items()
    ]

    def network(a):
        return conv(a), pool(conv(a), 2), up(conv(a), 2)

    pipeline = fn.create_prediction_pipeline(build(model), backend=network)
    sample = fn.as_sample(numbers((53, 46)) / 255, pipeline.contract)
    plan = default_plan(pipeline, sample, block_shape={"y": 16, "x": 20})
    whole, blocks = run(pipeline, sample), run(pipeline, sample, plan)

    assert plan.count > 6
    for name in names:
        np.testing.assert_allclose(
            np.asarray(blocks[name]), np.asarray(whole[name]), atol=1e-5, rtol=0
        )


def test_two_inputs_of_different_axis_order_are_cut_alike():
    y, x = axis05("y", sized(8, 4)), axis05("x", sized(8, 4))
    followers = [axis05("b"), axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    model = model05(
        [tensor05("raw", [axis05("b"), y, x]), tensor05("aux", [x, y])],
        [tensor05("out", followers)],
    )
    pipeline = fn.create_prediction_pipeline(build(model), backend=lambda a, b: (a - b.T,))
    image = numbers((1, 30, 43))
    inputs = {"raw": image, "aux": image[0].T}
    plan = default_plan(pipeline, inputs, block_shape={"y": 12, "x": 8})

    assert plan.count > 6
    assert not np.asarray(run(pipeline, inputs, plan)).any()


def test_a_fixed_output_of_another_size_is_named():
    model = model05(
        [tensor05("raw", [axis05("b"), axis05("y", sized(8, 4))])],
        [tensor05("out", [axis05("b"), axis05("i", 5)])],
    )
    pipeline = fn.create_prediction_pipeline(
        build(model), backend=lambda a: (np.zeros((1, 9), "float32"),)
    )

    with pytest.raises(BackendError, match="tensor 'out', axis 'index'.*expected 5, got 9"):
        pipeline(Tensor(np.zeros((1, 8)), "by"))


def test_a_square_model_of_fixed_size_is_right_on_a_larger_image_or_refuses_it():
    x = axis05("x", ref("raw", "y"))
    raw = tensor05("raw", [axis05("b"), axis05("y", 64), x])
    out = tensor05("out", [axis05("b"), axis05("y", ref("raw", "y")), x])
    pipeline = fn.create_prediction_pipeline(
        build(model05([raw], [out])), backend=lambda a: (a + 0,)
    )
    image = numbers((1, 128, 128))
    try:
        result = pipeline(Tensor(image, "byx"))
    except BlockError:
        return

    np.testing.assert_array_equal(np.asarray(result), image)


def test_an_output_with_more_channels_than_described_is_named():
    pipeline = fn.create_prediction_pipeline(
        build(image05()), backend=lambda a: (np.concatenate([a, a], axis=1),)
    )

    for options in ({}, {"block_shape": {"y": 8}}):
        plan = default_plan(pipeline, np.zeros((16, 16)), **options)
        with pytest.raises(BackendError, match="tensor 'out', axis 'channel'.*expected 1, got 2"):
            run(pipeline, np.zeros((16, 16)), plan)


@given(st.data())
def test_any_request_is_planned_and_right_or_an_error_of_ours(data):
    """Odd requests: whatever can be planned tiles, and what can not is said plainly."""
    draw = data.draw
    low, by = draw(st.integers(1, 20)), draw(st.integers(1, 8))
    size = draw(st.one_of(st.just(sized(low, by)), st.integers(1, 40)))
    scale = draw(st.sampled_from([1.0, 2.0, 0.5, 0.25, 3.0]))
    model = image05(size=size, scale=scale, offset=draw(st.sampled_from([0, 0, -4, 4])))
    if build(model).validation_summary.status == "failed":
        return
    contract = contract_of(model)
    shapes = {"raw": {"batch": draw(st.integers(1, 3)), "channel": 1,
                      "y": draw(st.integers(1, 70)), "x": draw(st.integers(1, 70))}}  # fmt: skip
    options = {
        "block_shape": draw(st.none() | st.dictionaries(st.sampled_from(["batch", "y", "x"]),
                                                        st.integers(1, 50))),
        "halo": draw(st.none() | st.integers(0, 8)),
    }  # fmt: skip
    if draw(st.booleans()):
        options["signature"] = {"raw": (None, None, draw(st.integers(1, 64)), None)}
    try:
        plan = plan_blocks(contract, shapes, **options)
    except BioimageioFnError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert refusal.axis is not None or refusal.expected is not None
        return
    counts = {n: np.zeros([s[a] for a in ("batch", "y", "x")], int) for n, s in plan.sizes.items()}
    for meta in block_metas(plan):
        for name, count in counts.items():
            region = [meta.regions[name][a] for a in ("batch", "y", "x")]
            assert all(r.outer_start <= r.start <= r.stop <= r.outer_stop for r in region)
            count[tuple(slice(r.start, r.stop) for r in region)] += 1
    assert all((count == 1).all() for count in counts.values())
