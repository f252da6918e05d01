"""A plan says where everything lies before anything is read, and refuses what can not be right."""

import pickle

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
from hypothesis import given
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.blocks.choose import MemoryModel
from bioimageio_fn.blocks.plan import plan_blocks
from bioimageio_fn.blocks.records import block_metas
from bioimageio_fn.contract.records import ParameterizedSize, admits
from bioimageio_fn.errors import (
    AxesError,
    BioimageioFnWarning,
    BlockError,
    MissingMemberError,
    SizeError,
    UnknownMemberError,
)
from bioimageio_fn.tensor import Tensor


def shape(y=50, x=50, batch=1, channel=1):
    return {"raw": {"batch": batch, "channel": channel, "y": y, "x": x}}


def planned(contract, shapes, **options):
    return plan_blocks(contract, shapes, **options)


IMAGE = contract_of(image05(halo=2))


# ---------------------------------------------------------------- what is planned


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 6), st.integers(0, 6))
def test_every_block_is_of_a_size_that_the_model_takes(y, x, n, m):
    block = {"y": 8 + 4 * n, "x": 8 + 4 * m}
    plan = planned(IMAGE, shape(y, x), block_shape=block)

    for meta in block_metas(plan):
        for axis, asked in block.items():
            size = meta.regions["raw"][axis].size
            assert admits(ParameterizedSize(8, 4), size)
            assert size <= asked
            assert meta.regions["out"][axis].size == size


@given(st.integers(1, 60), st.integers(1, 60))
def test_without_a_block_shape_a_sample_is_one_block_of_the_nearest_size(y, x):
    plan = planned(IMAGE, shape(y, x))
    (meta,) = block_metas(plan)

    assert plan.count == 1
    for axis, size in (("y", y), ("x", x)):
        block = meta.regions["raw"][axis]
        assert (block.start, block.stop, block.outer_start, block.outer_stop) == (0, size, 0, size)
        assert block.size == max(8, -(-size // 4) * 4)


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.5, 0.25, 1 / 3, 0.33, 0.65 / 0.162])
@pytest.mark.parametrize("size", [16, 18, 26, 96])
def test_a_size_that_the_model_takes_is_never_padded(scale, size):
    # an output may drop the rest of a pixel (the text: fractions are rounded down); a model's own
    # test tensors have to reach the network as they are
    contract = contract_of(image05(size=sized(16, 2), scale=scale))
    plan = planned(contract, shape(size, size))

    assert plan.count == 1
    assert plan.axes[2].places["raw", "y"][0].size == size


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([8, 12, 20]))
def test_outputs_are_tiled_exactly_once(y, x, block):
    plan = planned(IMAGE, shape(y, x), block_shape={"y": block, "x": block})
    counts = {name: np.zeros((y, x), int) for name in ("raw", "out")}
    for meta in block_metas(plan):
        for name, count in counts.items():
            r = meta.regions[name]
            count[r["y"].start : r["y"].stop, r["x"].start : r["x"].stop] += 1

    assert all((count == 1).all() for count in counts.values())


def test_blocks_are_numbered_in_order_the_last_axis_fastest():
    plan = planned(IMAGE, shape(16, 24), block_shape={"y": 12, "x": 12})
    metas = list(block_metas(plan))
    corners = [(m.regions["raw"]["y"].start, m.regions["raw"]["x"].start) for m in metas]

    assert [m.index for m in metas] == list(range(plan.count))
    assert {m.count for m in metas} == {plan.count}
    assert corners == sorted(corners)


@pytest.mark.parametrize(
    ("scale", "offset", "size", "expected"),
    [(2, 0, 50, 100), (0.5, 0, 51, 25), (0.25, 0, 50, 12), (3, 0, 11, 33), (1, -4, 50, 46)],
)
def test_an_output_has_the_size_that_follows_from_the_sample_not_from_its_padding(
    scale, offset, size, expected
):
    contract = contract_of(image05(scale=scale, offset=offset))

    for block in (None, {"y": 12, "x": 12}):
        plan = planned(contract, shape(size, size), block_shape=block)
        assert plan.sizes["out"] == {"batch": 1, "channel": 1, "y": expected, "x": expected}


def test_a_block_shape_by_tensor_is_the_same_as_by_axis():
    assert planned(IMAGE, shape(), block_shape={"raw": {"x": 12}}) == planned(
        IMAGE, shape(), block_shape={"x": 12}
    )


def test_an_int_as_halo_is_that_of_every_axis_in_space():
    contract = contract_of(image05())
    block = {"y": 20, "x": 20}

    by_int = planned(contract, shape(), block_shape=block, halo=4)
    by_axis = planned(contract, shape(), block_shape=block, halo={"y": 4, "x": 4})

    assert by_int == by_axis
    assert by_int.count > planned(contract, shape(), block_shape=block).count


def test_a_halo_of_the_caller_stands_in_the_place_of_the_described_one():
    block = {"y": 12, "x": 12}
    none = planned(IMAGE, shape(), block_shape=block, halo=0)

    assert none.count == planned(contract_of(image05()), shape(), block_shape=block).count
    assert none.count < planned(IMAGE, shape(), block_shape=block).count


def test_a_halo_is_in_pixels_of_the_input():
    contract = contract_of(image05(scale=2))
    plan = planned(contract, shape(), block_shape={"y": 16}, halo={"y": 3})
    (left, right, *_) = plan.axes[2].places["out", "y"]

    assert right.start - right.outer_start >= 6
    assert left.outer_stop - left.stop >= 6


# ---------------------------------------------------------------- fixed sizes and signatures


@pytest.mark.parametrize("size", [65, 66, 100, 128, 200])
def test_a_fixed_model_takes_a_larger_image_in_blocks_of_its_size(size):
    contract = contract_of(image05(size=64, halo=8))
    plan = planned(contract, shape(size, 64))
    metas = list(block_metas(plan))

    assert plan.count > 1
    assert {m.regions["raw"]["y"].size for m in metas} == {64}
    assert plan.axes[2].places["out", "y"][-1].stop == size


@pytest.mark.parametrize("halo", [8, 16])
def test_a_fixed_model_takes_a_larger_image_on_the_step_that_is_assumed(halo):
    contract = contract_of(image05(size=64, halo=halo))
    plan = planned(contract, shape(65, 64))

    assert plan.sizes["out"]["y"] == 65
    assert plan.axes[2].grid.starts == (0, 32)


@pytest.mark.parametrize(("halo", "step"), [(17, 16), (20, 16), (28, 8), (31, 2)])
def test_a_fixed_model_takes_a_larger_image_whatever_its_halo_but_not_in_silence(halo, step):
    # the step of 32 is assumed, the halo is described: there is room between the halos
    contract = contract_of(image05(size=64, halo=halo))
    with pytest.warns(
        BioimageioFnWarning,
        match=f"axis 'y' of tensor 'raw' the halo leaves room only.*multiples of {step} pixels,"
        ".*multiples of 32: results may differ.*take a smaller halo.*min and step",
    ) as caught:
        plan = planned(contract, shape(65, 64))

    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert plan.sizes["out"]["y"] == 65
    assert plan.axes[2].grid.starts[1] == step


def test_a_sample_smaller_than_a_fixed_model_is_padded():
    plan = planned(contract_of(image05(size=64, halo=8)), shape(30, 64))

    assert plan.count == 1
    assert plan.axes[2].places["raw", "y"][0].padding == 34
    assert plan.sizes["out"]["y"] == 30


def test_numbers_written_twice_in_0_4_do_not_keep_a_larger_image_out():
    model = image04()
    model["inputs"][0]["shape"] = model["outputs"][0]["shape"] = [1, 1, 64, 64]
    plan = planned(contract_of(model), shape(100, 64))

    assert plan.count == 2
    assert plan.sizes["out"]["y"] == 100


@given(st.integers(1, 60))
def test_a_network_that_is_fixed_limits_a_description_that_is_not(size):
    plan = planned(IMAGE, shape(size, 20), signature={"raw": (1, 1, 24, 20)})

    assert {m.regions["raw"]["y"].size for m in block_metas(plan)} == {24}
    assert all(start % 4 == 0 for start in plan.axes[2].grid.starts)


def test_a_network_that_is_fixed_at_a_size_that_is_not_described_is_refused():
    with pytest.raises(SizeError, match=r"no size suits both.*axis 'y'.*8 \+ n\*4 and 22.*got 30"):
        planned(IMAGE, shape(30), signature={"raw": (1, 1, 22, None)})


def test_a_network_that_is_fixed_in_an_input_that_follows_another_limits_that_one():
    contract = contract_of(
        model05(
            [
                tensor05("raw", [axis05("b"), axis05("y", sized(8, 4))]),
                tensor05("mask", [axis05("b"), axis05("y", ref("raw", "y"))]),
            ],
            [tensor05("out", [axis05("b"), axis05("y", ref("raw", "y"))])],
        )
    )
    sizes = {"batch": 1, "y": 40}
    plan = planned(
        contract,
        {"raw": sizes, "mask": sizes},
        signature={"raw": (None, None), "mask": (None, 16)},
    )

    assert {m.regions["mask"]["y"].size for m in block_metas(plan)} == {16}


def test_a_batch_is_cut_where_the_network_takes_one_sample():
    one = contract_of(image05())
    for options in ({"signature": {"raw": (1, None, None, None)}}, {"block_shape": {"batch": 1}}):
        plan = planned(one, shape(batch=3), **options)

        assert plan.count == 3
        assert plan.sizes["out"]["batch"] == 3


def test_a_batch_is_cut_where_the_description_takes_one_sample():
    model = image05()
    for tensor in (*model["inputs"], *model["outputs"]):
        tensor["axes"][0]["size"] = 1

    assert planned(contract_of(model), shape(batch=3)).count == 3


def test_an_absent_optional_input_takes_no_part():
    model = image05()
    model["inputs"].append(
        {**model["inputs"][0], "id": "mask", "optional": True, "preprocessing": []}
    )
    plan = planned(contract_of(model), shape(50), block_shape={"y": 12})

    assert set(plan.sizes) == {"raw", "out"}
    assert set(plan.padding) == {"raw"}


# ---------------------------------------------------------------- a plan is a value


def test_plans_are_values():
    one, other = (planned(IMAGE, shape(), block_shape={"x": 12}) for _ in range(2))

    assert one == other
    assert hash(one) == hash(other)
    assert one != planned(IMAGE, shape(), block_shape={"x": 16})
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert hash(again) == hash(one)
    assert list(block_metas(again)) == list(block_metas(one))


def test_a_plan_can_be_read():
    text = str(planned(IMAGE, shape(50, 50), block_shape={"x": 12}))

    assert text == (
        "6 blocks of batch=1, channel=1, y=52, x=12; halo y=2, x=2; overlap and padding compute"
        " 50 % more than the sample has; memory not measured"
    )
    limited = planned(IMAGE, shape(), memory=MemoryModel(fixed=5e8, per_pixel=1e6, limit=9e9))
    assert str(limited).endswith("memory about 3.20 GB")
    assert str(planned(IMAGE, shape(12, 12))).startswith(
        "1 block of batch=1, channel=1, y=12, x=12"
    )
    assert "compute 0 % more" in str(planned(IMAGE, shape(12, 12)))


class Lazy:
    """An array of which nothing may be read."""

    dtype = np.dtype("uint16")

    def __init__(self, shape):
        self.shape = shape

    def __getitem__(self, key):
        raise AssertionError(f"read {key}")

    def __array__(self, *_, **__):
        raise AssertionError("read as a whole")


@pytest.mark.parametrize("options", [{}, {"block_shape": {"y": 512, "x": 512}}], ids=str)
def test_planning_reads_no_data(options):
    pipeline = fn.create_prediction_pipeline(build(image05(halo=2)), backend=lambda a: (a,))
    sample = fn.Sample({"raw": Tensor(Lazy((1, 1, 100_000, 100_000)), "bcyx")})

    plan = fn.default_plan(pipeline, sample, **options)

    assert plan.count > 4000
    assert plan.sizes["out"] == {"batch": 1, "channel": 1, "y": 100_000, "x": 100_000}


def test_a_slide_is_planned_in_small_blocks_too():
    plan = planned(IMAGE, shape(100_000, 100_000), block_shape={"y": 256, "x": 256})

    assert plan.count > 150_000
    assert hash(plan) == hash(plan)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"block_shape": {"y": 10}}, BlockError,
         r"blocks of this size.*tensor 'raw', axis 'y'.*expected 8 \+ n\*4, got 10"),
        ({"block_shape": {"y": 4}}, BlockError, r"expected 8 \+ n\*4, got 4"),
        ({"block_shape": {"y": 0}}, BlockError, "got 0"),
        ({"block_shape": {"y": -8}}, BlockError, "got -8"),
        ({"block_shape": {"y": 12}, "halo": 6}, BlockError, "no room between its halos"),
        ({"block_shape": {"y": 12}, "halo": {"y": 100}}, BlockError, "no room between its halos"),
        ({"block_shape": {"z": 12}}, AxesError, "block_shape names an axis.*axis 'z'.*batch"),
        ({"block_shape": {"out": {"y": 12}}}, AxesError, "tensor 'out', axis 'y'"),
        ({"halo": {"z": 12}}, AxesError, "halo names an axis.*axis 'z'"),
        ({"block_shape": {"channel": 2}}, BlockError, "axis 'channel'.*expected 1, got 2"),
        ({"block_shape": {"y": 12}, "halo": -1}, BlockError, "halo"),
        ({"block_shape": {"y": 12}, "halo": {"y": -4}}, BlockError, "halo"),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)  # fmt: skip
def test_what_can_not_be_planned_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        planned(IMAGE, shape(), **options)


@pytest.mark.parametrize(
    ("shapes", "error", "message"),
    [
        (shape(channel=3), SizeError, "wrong number of channels.*expected 1, got 3"),
        ({"raw": {"y": 8, "x": 8}}, AxesError, "size of each axis.*tensor 'raw'"),
        ({"image": {"y": 8, "x": 8}}, UnknownMemberError, "'image'.*one of raw"),
    ],
)
def test_shapes_that_are_not_the_models_are_refused(shapes, error, message):
    with pytest.raises(error, match=message):
        planned(IMAGE, shapes)


def test_inputs_of_different_numbers_of_samples_are_refused():
    model = image05()
    model["inputs"].append({**model["inputs"][0], "id": "aux", "preprocessing": []})
    shapes = shape(batch=2) | {"aux": shape(batch=3)["raw"]}

    with pytest.raises(SizeError, match=r"number of samples.*axis 'batch'.*\[2, 3\]"):
        planned(contract_of(model), shapes)


def test_an_input_whose_size_does_not_follow_from_the_other_is_refused():
    model = model05(
        [
            tensor05("raw", [axis05("b"), axis05("y", sized(8, 4))]),
            tensor05("low", [axis05("b"), axis05("y", ref("raw", "y"), scale=2.0)]),
        ],
        [tensor05("out", [axis05("b"), axis05("y", ref("raw", "y"))])],
    )
    shapes = {"raw": {"batch": 1, "y": 21}, "low": {"batch": 1, "y": 11}}

    with pytest.raises(SizeError, match=r"tensor 'low', axis 'y'.*expected 10 pixels.*21, got 11"):
        planned(contract_of(model), shapes)
    shapes["low"]["y"] = 10
    assert planned(contract_of(model), shapes, block_shape={"y": 12}).count == 2


def of_one_output(axis, **more):
    raw = tensor05("raw", [axis05("b"), axis05("y", sized(8, 4)), *more.get("axes", [])])
    return contract_of(model05([raw], [tensor05("out", [axis05("b"), axis])]))


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (axis05("c", 3), "axis 'y'.*an output without such an axis"),
        (axis05("i", 10), "an output without such an axis"),
        (axis05("i", {"min": 1}), "axis 'index'.*known only after the run"),
        (axis05("y", 40), "an output without such an axis"),
    ],
    ids=["channels", "fixed index", "data dependent", "fixed space"],
)
def test_an_output_that_does_not_follow_is_only_for_one_block(axis, message):
    contract = of_one_output(axis)
    shapes = {"raw": {"batch": 1, "y": 40}}

    assert planned(contract, shapes).count == 1
    with pytest.raises(BlockError, match=f"tensor 'out', .*{message}.*in one piece"):
        planned(contract, shapes, block_shape={"y": 12})


def test_a_data_dependent_output_takes_no_batch_in_parts():
    contract = of_one_output(axis05("i", {"min": 1}))

    with pytest.raises(BlockError, match="axis 'index'"):
        planned(contract, {"raw": {"batch": 2, "y": 40}}, block_shape={"batch": 1})


@pytest.mark.parametrize(("concatenable", "halo"), [(True, 0), (False, 0), (False, 1)])
def test_time_is_cut_only_if_it_is_concatenable_or_has_a_halo(concatenable, halo):
    more = {"halo": halo} if halo else {}
    contract = contract_of(
        model05(
            [tensor05("raw", [axis05("b"), axis05("t", sized(4, 1), concatenable=concatenable)])],
            [tensor05("out", [axis05("b"), axis05("t", ref("raw", "time"), **more)])],
        )
    )
    shapes = {"raw": {"batch": 1, "time": 10}}

    assert planned(contract, shapes).count == 1
    if concatenable or halo:
        assert planned(contract, shapes, block_shape={"time": 4}).count > 1
    else:
        with pytest.warns(BioimageioFnWarning, match="'time'.*not described as concatenable"):
            planned(contract, shapes, block_shape={"time": 4})


def test_a_fixed_time_axis_that_can_not_be_cut_is_refused():
    contract = contract_of(
        model05(
            [tensor05("raw", [axis05("b"), axis05("t", 5)])],
            [tensor05("out", [axis05("b"), axis05("t", ref("raw", "time"))])],
        )
    )

    with pytest.raises(SizeError, match="longer than the model takes.*'time'.*expected 5, got 9"):
        planned(contract, {"raw": {"batch": 1, "time": 9}})


def test_a_sample_of_which_nothing_would_be_left_is_refused():
    contract = contract_of(image05(offset=-4))

    assert planned(contract, shape(5, 20)).sizes["out"]["y"] == 1
    with pytest.raises(SizeError, match="too small.*tensor 'out', axis 'y'.*got 0"):
        planned(contract, shape(4, 20))


def test_two_wishes_for_axes_that_go_together_must_agree():
    model = image05()
    model["inputs"].append({**model["inputs"][0], "id": "aux", "preprocessing": []})
    shapes = shape() | {"aux": shape()["raw"]}

    with pytest.raises(BlockError, match="axis 'y'"):
        planned(contract_of(model), shapes, block_shape={"raw": {"y": 12}, "aux": {"y": 16}})


# ---------------------------------------------------------------- odd requests

NO_NUMBERS = [
    12.0, 12.5, np.float32(12), "12", "a", b"12", True, np.True_, [12], (12,), np.array([12]),
    float("nan"), float("inf"), 12j, object(),
]  # fmt: skip
SIZES = ["block_shape", "blocksize_parameter", "halo"]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("odd", NO_NUMBERS, ids=repr)
def test_a_request_that_is_no_whole_number_is_refused_and_never_rounded(name, odd):
    with pytest.raises(BlockError, match=f"{name} is not given in whole numbers: .*'y': 256, 'x'"):
        planned(IMAGE, shape(), **{name: odd})
    for asked in ({"y": odd}, {"raw": {"y": odd}}, {("raw", "y"): odd}):
        with pytest.raises(BlockError, match=f"{name} is not.*axis 'y'.*expected an integer") as e:
            planned(IMAGE, shape(), **{name: asked})
        assert e.value.got == repr(odd)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("odd", [{"y": None}, {"raw": {"y": {"y": 12}}}], ids=str)
def test_a_request_of_nothing_for_an_axis_is_refused(name, odd):
    with pytest.raises(BlockError, match=f"{name} is not given in whole numbers.*axis 'y'"):
        planned(IMAGE, shape(), **{name: odd})


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("empty", [{}, {"raw": {}}], ids=str)
def test_a_request_for_no_axis_asks_for_nothing(name, empty):
    # a block shape that names no axis is the whole; for a halo that is as good as none
    plan = planned(IMAGE, shape(), **{name: empty})

    assert plan == planned(IMAGE, shape(), block_shape={})


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(
    "odd",
    [{1: 12}, {None: 12}, {"": 12}, {("raw",): 12}, {("raw", "y", "x"): 12}, {"raw": {1: 12}},
     {"depth": 12}, {"other": {"y": 12}}, {("other", "y"): 12}],
    ids=str,
)  # fmt: skip
def test_a_request_for_an_axis_that_is_not_there_is_refused(name, odd):
    with pytest.raises(AxesError, match=f"not an axis id|{name} names an axis that the inputs do"):
        planned(IMAGE, shape(), **{name: odd})


@pytest.mark.parametrize("number", [np.int64(12), np.uint8(12), np.array(12)], ids=repr)
def test_an_integer_of_another_library_is_one(number):
    options = {"block_shape": {"y": 12}, "halo": 2, "batch_size": 1}
    odd = {"block_shape": {"y": number}, "halo": np.int16(2), "batch_size": np.int64(1)}
    sizes = {"raw": {axis: np.int64(size) for axis, size in shape()["raw"].items()}}
    plan = planned(IMAGE, sizes, **odd)

    assert plan == planned(IMAGE, shape(), **options)
    assert "np." not in repr(plan)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("huge", [2**40, 2**63, 10**30])
def test_a_huge_request_is_planned_as_the_whole_or_refused(name, huge):
    assert planned(IMAGE, shape(), **{name: huge}).count == 1
    if name == "halo":
        with pytest.raises(BlockError, match="no room between its halos"):
            planned(IMAGE, shape(), block_shape={"y": 12}, halo=huge)


@pytest.mark.parametrize("odd", [*NO_NUMBERS, {}, {"batch": 1}], ids=repr)
def test_a_batch_size_that_is_no_whole_number_is_refused(odd):
    with pytest.raises(BlockError, match="batch_size is not.*axis 'batch'.*expected an integer"):
        planned(IMAGE, shape(), batch_size=odd)


@pytest.mark.parametrize("number", [0, -1])
def test_a_batch_of_no_samples_is_refused(number):
    with pytest.raises(BlockError, match=f"a batch has samples.*'batch'.*1 or more, got {number}"):
        planned(IMAGE, shape(), batch_size=number)
    with pytest.raises(BlockError, match=f"axis 'batch'.*got {number}"):
        planned(IMAGE, shape(), block_shape={"batch": number})


@pytest.mark.parametrize("odd", [8e9, 8, "8 GB", {"limit": 8e9}, False], ids=repr)
def test_a_memory_that_is_no_model_of_it_is_refused(odd):
    with pytest.raises(BlockError, match="memory is not told by a number.*expected MemoryModel"):
        planned(IMAGE, shape(), memory=odd)


@pytest.mark.parametrize("field", ["fixed", "per_pixel", "limit"])
@pytest.mark.parametrize("odd", [-1, float("nan"), float("inf"), "1", [1]], ids=repr)
def test_a_memory_model_of_odd_numbers_is_refused(field, odd):
    with pytest.raises(BlockError, match=f"{field} of a MemoryModel is no number of bytes.*0 or"):
        MemoryModel(**{"fixed": 0, "per_pixel": 1, "limit": 10, field: odd})


@pytest.mark.parametrize("odd", [None, {}, "raw", [("raw", {})]], ids=repr)
def test_a_plan_of_no_sizes_is_refused(odd):
    with pytest.raises(MissingMemberError, match="a plan needs the sizes of the inputs: .*raw"):
        planned(IMAGE, odd)


@pytest.mark.parametrize("odd", [None, {}, (1, 1, 50, 50), "bcyx"], ids=repr)
def test_sizes_without_axes_are_refused(odd):
    with pytest.raises(AxesError, match="size of each axis.*tensor 'raw'.*'batch', 'channel'"):
        planned(IMAGE, {"raw": odd})


@pytest.mark.parametrize("odd", [*NO_NUMBERS, None], ids=repr)
def test_a_size_of_a_sample_that_is_no_whole_number_is_refused(odd):
    with pytest.raises(BlockError, match="size of an axis is not.*tensor 'raw', axis 'y'"):
        planned(IMAGE, shape(y=odd))


@pytest.mark.parametrize("size", [0, -5])
def test_a_sample_of_no_pixels_is_refused(size):
    with pytest.raises(SizeError, match=f"'raw', axis 'y'.*expected 1 or more, got {size}"):
        planned(IMAGE, shape(y=size))
