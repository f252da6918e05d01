"""What blocks do to a prediction is measured as it is: how much, where, and of which kind."""

import attrs
import numpy as np
import pytest
from descriptions import axis05, build, image04, image05, model05, ref, sized, tensor05
from hypothesis import given, settings
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.errors import AxesError, BlockError
from bioimageio_fn.seams import measure_seams


def box(reach):
    """The mean of the neighbours of each pixel along the axes in space, zeros beyond the border."""

    def forward(array):
        result, n = array.astype("float64"), 2 * reach + 1
        for axis in range(2, array.ndim):
            widths = [(reach, reach) if a == axis else (0, 0) for a in range(array.ndim)]
            wide = np.pad(result, widths)
            result = np.lib.stride_tricks.sliding_window_view(wide, n, axis).mean(-1)
        return (result,)

    return forward


def centered(array):
    """The image without its mean: what a network with an instance norm would see."""
    return (array - array.mean(tuple(range(2, array.ndim)), keepdims=True),)


def pixels(*shape, seed=0):
    """An image without zeros, so that those beyond the end of a block show."""
    return np.random.default_rng(seed).uniform(1, 2, (1, 1, *shape)).astype("float32")


def opened(backend, *, space="yx", halo=0, build_model=image05, **fields):
    model = build_model(space=space, halo=halo, **fields)
    if fields.get("out_dtype") == "bool":
        model["outputs"][0]["data"]["values"] = [False, True]
    return fn.create_prediction_pipeline(build(model), backend=backend)


def reaching(reach, halo, space="yx", smallest=None):
    return opened(box(reach), space=space, halo=halo, size=sized(smallest or 2 * halo + 1, 1))


# ---------------------------------------------------------------- the three verdicts


@st.composite
def halved(draw):
    """An image that is cut in two where halos of `halo` have room, in one or two dimensions."""
    halo = draw(st.integers(0, 5))
    space = draw(st.sampled_from(["x", "yx"]))
    return halo, space, [draw(st.integers(4 * halo + 16, 70)) for _ in space]


@settings(max_examples=60)
@given(halved(), st.data())
def test_a_reach_within_the_halo_equals_the_whole(case, data):
    halo, space, shape = case
    reach = data.draw(st.integers(0, halo))

    (seams,) = measure_seams(reaching(reach, halo, space), pixels(*shape))

    assert seams.verdict == "equal"
    assert seams.share == 0
    assert seams.difference <= seams.tolerance
    assert "out: blocks equal the whole" in str(seams)


@settings(max_examples=60)
@given(halved(), st.integers(1, 3))
def test_a_reach_beyond_the_halo_differs_at_the_seams(case, beyond):
    halo, space, shape = case

    (seams,) = measure_seams(reaching(halo + beyond, halo, space), pixels(*shape))

    assert seams.verdict == "seams"
    assert seams.difference > seams.tolerance
    assert 0 < seams.share < 1
    assert 0 <= seams.distance < beyond
    assert f"out: differs at seams: the halo of {halo} is shorter than what" in str(seams)


@settings(max_examples=60)
@given(halved())
def test_a_network_that_looks_at_the_whole_image_differs_everywhere(case):
    halo, space, shape = case
    image = pixels(*shape) + np.arange(shape[-1], dtype="float32")  # parts have means of their own

    # the longest axis is the last one: along the other one all parts might have the same mean
    block = {"x": max(2 * halo + 1, shape[-1] // 2 + halo)}
    pipeline = opened(centered, space=space, halo=halo, size=sized(2 * halo + 1, 1))
    (seams,) = measure_seams(pipeline, image, fn.default_plan(pipeline, image, block_shape=block))

    assert seams.verdict == "everywhere"
    assert seams.distance is None
    assert seams.share > 0.5
    assert "out: differs everywhere: the network looks at the whole image" in str(seams)


@pytest.mark.parametrize(("halo", "verdict"), [(3, "seams"), (4, "equal")])
def test_the_halo_is_that_of_the_caller(halo, verdict):
    (seams,) = measure_seams(reaching(4, 1), pixels(40, 50), halo=halo)

    assert seams.verdict == verdict
    assert seams.halo == {"x": halo}


@pytest.mark.parametrize("space", ["x", "yx"])
@pytest.mark.parametrize(("reach", "verdict"), [(2, "equal"), (3, "seams")])
def test_a_model_of_0_4_is_measured_alike(space, reach, verdict):
    new = opened(box(reach), space=space, halo=2, size=sized(8, 4))
    old = opened(box(reach), space=space, halo=2, build_model=image04)
    image = pixels(*(40, 52)[-len(space) :])

    assert measure_seams(new, image) == measure_seams(old, image)
    assert measure_seams(new, image)[0].verdict == verdict


# ---------------------------------------------------------------- what is said of the largest one


def marked(*marks):
    """A network that changes single pixels of blocks of 20: the first has what its marks say."""

    def forward(array):
        result = array.copy()
        if array.shape[-1] == 20 and array[0, 0, 0, 0] == 1:  # not the whole, and the first block
            for (y, x), value in marks:
                result[0, 0, y, x] = value
        return (result,)

    return forward


def measured(backend, image, block=20, **fields):
    pipeline = opened(backend, size=sized(12, 4), halo=4, **fields)
    plan = fn.default_plan(pipeline, image, block_shape={"x": block})
    return measure_seams(pipeline, image, plan)


def counted(*shape, dtype="float32"):
    return np.arange(1, np.prod(shape) + 1).reshape(1, 1, *shape).astype(dtype)


def test_the_largest_difference_is_found_with_its_place_and_distance():
    # blocks of 20 with a halo of 4 meet at x = 16
    image = counted(12, 32)
    (seams,) = measured(marked(((3, 13), image[0, 0, 3, 13] + 7), ((2, 15), 77)), image)

    assert (seams.difference, seams.low, seams.high) == (7, 1, 384)
    assert seams.where == {"batch": 0, "channel": 0, "y": 3, "x": 13}
    assert (seams.distance, seams.share, seams.halo) == (2, 2 / 384, {"x": 4})
    assert str(seams) == (
        "out: differs at seams: the halo of 4 is shorter than what the network sees; the largest"
        " difference is 7, where the whole has 1 to 384, at batch=0, channel=0, y=3, x=13, 2 pixels"
        " from the nearest seam; 0.52 % of the pixels differ by more than 0.004"
    )


def test_halos_that_differ_are_said_by_axis():
    pipeline = reaching(3, 1)
    image = pixels(40, 40)
    plan = fn.default_plan(pipeline, image, block_shape={"y": 20, "x": 20}, halo={"y": 1, "x": 2})
    (seams,) = measure_seams(pipeline, image, plan)

    assert "the halo of y=1, x=2 is shorter" in str(seams)


def test_blocks_that_are_the_whole_bit_for_bit_say_nothing_else():
    (seams,) = measured(lambda a: (a,), counted(12, 32))

    assert (seams.difference, seams.where, seams.distance) == (0, {}, None)
    assert str(seams) == "out: blocks equal the whole"


@pytest.mark.parametrize(
    ("dtype", "there", "instead", "difference"),
    [
        ("uint8", 0, 255, 255),
        ("uint8", 255, 0, 255),
        ("int8", -128, 127, 255),
        ("int8", 127, -128, 255),
        ("uint16", 3, 2, 1),
        ("int32", -(2**31), 2**31 - 1, 2**32 - 1),
        ("int64", 2**62, 2**62 + 1, 1),
        ("int64", -(2**63), 2**63 - 1, 2.0**64),
        ("uint64", 2**64 - 1, 2**64 - 2, 1),
        ("bool", False, True, 1),
        ("bool", True, False, 1),
        ("float32", 5, 5.5, 0.5),
        ("float64", -1e308, 1e308, np.inf),
        ("float32", 5, np.nan, np.inf),
        ("float32", np.nan, 5, np.inf),
        ("float32", np.inf, 5, np.inf),
        ("float32", np.inf, -np.inf, np.inf),
    ],
)
def test_differences_are_exact_in_every_type(dtype, there, instead, difference):
    image = counted(12, 32) % 2
    given = image.astype(dtype)
    given[0, 0, 4, 12] = there

    def backend(array):
        at_left = array.shape[-1] == 20 and array[0, 0, 0, 0] == image[0, 0, 0, 0]
        starts = 0 if array.shape[-1] == 32 or at_left else 12
        result = given[..., starts : starts + array.shape[-1]].copy()
        if at_left:
            result[0, 0, 4, 12] = instead
        return (result,)

    image[0, 0, 0, 0], image[0, 0, 0, 12] = 1, 0  # tells the blocks apart
    (seams,) = measured(backend, image, out_dtype=dtype)

    assert seams.difference == difference
    assert seams.share == 1 / 384
    assert (seams.where["y"], seams.where["x"], seams.distance) == (4, 12, 3)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_nan_equals_nan_and_infinity_itself(odd):
    def backend(array):
        return (np.where(array % 3 == 0, odd, array).astype("float32"),)

    (seams,) = measured(backend, counted(12, 32))

    assert (seams.verdict, seams.difference) == ("equal", 0)
    assert (seams.low, seams.high) == (1, 383)


def test_of_nothing_but_nan_there_is_no_range():
    (seams,) = measured(lambda a: (a * np.float32("nan"),), counted(12, 32))

    assert np.isnan([seams.low, seams.high]).all()
    assert seams.verdict == "equal"


def test_a_tolerance_is_for_floats_alone():
    image = counted(12, 32)
    change = ((3, 13), 109)  # by 1 of 384
    for tolerance, verdict in ((1e-5, "seams"), (0.01, "equal")):
        backend = marked(((3, 13), image[0, 0, 3, 13] + 1))
        pipeline = opened(backend, size=sized(12, 4), halo=4)
        plan = fn.default_plan(pipeline, image, block_shape={"x": 20})
        (seams,) = measure_seams(pipeline, image, plan, tolerance=tolerance)

        assert (seams.verdict, seams.difference) == (verdict, 1)
    labels = opened(
        lambda a: (marked(change)(a)[0].astype("uint16"),),
        size=sized(12, 4), halo=4, out_dtype="uint16",
    )  # fmt: skip
    (seams,) = measure_seams(labels, image, plan, tolerance=0.01)

    assert (seams.verdict, seams.tolerance) == ("seams", 0)


@pytest.mark.parametrize("tolerance", [-1, float("nan")])
def test_a_tolerance_that_makes_no_sense_is_refused(tolerance):
    with pytest.raises(BlockError, match="tolerance is not negative: expected 0 or more, got"):
        measure_seams(reaching(1, 1), pixels(20, 20), tolerance=tolerance)


# ---------------------------------------------------------------- outputs


def test_each_output_has_a_record_in_pixels_of_its_own():
    def follow(name, scale, halo):
        axes = [axis05(a, ref("raw", a), scale=1 / scale, halo=halo) for a in "yx"]
        return tensor05(name, [axis05("b"), axis05("c"), *axes])

    size = sized(16, 2)
    inputs = [tensor05("raw", [axis05("b"), axis05("c"), axis05("y", size), axis05("x", size)])]
    outputs = [follow("same", 1, 4), follow("half", 0.5, 2), follow("double", 2.0, 8)]

    def backend(a):
        (seen,) = box(5)(a)  # one more than the halo
        (near,) = box(1)(a)
        half = near.reshape(*a.shape[:2], a.shape[2] // 2, 2, a.shape[3] // 2, 2).mean((3, 5))
        return near, half, seen.repeat(2, axis=2).repeat(2, axis=3)

    pipeline = fn.create_prediction_pipeline(build(model05(inputs, outputs)), backend=backend)
    same, half, double = measure_seams(pipeline, pixels(40, 60))

    assert [r.output for r in (same, half, double)] == ["same", "half", "double"]
    assert [r.verdict for r in (same, half, double)] == ["equal", "equal", "seams"]
    assert double.distance < 2
    assert double.where["x"] >= 30  # the seam is at 60 of 120


def test_labels_that_are_numbered_in_the_whole_are_compared_as_they_are():
    from test_labels import dots, flows, model

    image = dots((64, 96))
    pipeline = fn.create_prediction_pipeline(model(1, kind="cellpose"), backend=flows)

    (seams,) = measure_seams(pipeline, image)

    assert (seams.verdict, seams.low, seams.high > 20) == ("equal", 0, True)


def test_labels_larger_than_what_they_are_made_of_have_seams_in_their_own_pixels():
    from test_labels import dots, model, stars

    def forgetful(raw):  # a block that is not the whole sees nothing of the objects at its end
        (array,) = stars(2)(raw)
        if raw.shape[-1] < 96:
            array[:, 0, :, [0, 1, 2, -3, -2, -1]] = 0
        return (array,)

    pipeline = fn.create_prediction_pipeline(model(2), backend=forgetful)
    plan = fn.default_plan(pipeline, dots((64, 96)), block_shape={"x": 56})
    (seams,) = measure_seams(pipeline, dots((64, 96)), plan)

    assert seams.verdict != "equal"
    assert seams.low == 0


def finding(fewest):
    """A pipeline that finds one object more in blocks of 20, each of which is a row of a table."""

    def forward(array):
        return (np.full_like(array, array.shape[-1] == 20),)

    def rows(sample):
        count = fewest + int(np.asarray(sample).any())
        return fn.Sample({"out": fn.Tensor(np.zeros((count, 2), "float32"), "ic")})

    return attrs.evolve(opened(forward, size=sized(12, 4), halo=4), postprocess=(rows,))


def test_an_output_that_has_another_size_in_blocks_is_named():
    with pytest.raises(BlockError, match="another size in blocks.*'out'.*'index': 3.*'index': 4"):
        measure_seams(finding(3), counted(12, 32))


def test_outputs_of_which_nothing_is_there_are_equal():
    pipeline = attrs.evolve(
        finding(0),
        postprocess=(lambda _: fn.Sample({"out": fn.Tensor(np.zeros((0, 2), "float32"), "ic")}),),
    )
    (seams,) = measure_seams(pipeline, counted(12, 32))

    assert (seams.verdict, seams.difference, seams.share) == ("equal", 0, 0)
    assert np.isnan([seams.low, seams.high]).all()


def test_an_output_that_no_seam_can_be_seen_in_differs_everywhere():
    def total(sample):
        table = np.asarray(sample).sum(keepdims=True)[0, 0]
        return fn.Sample({"out": fn.Tensor(table.astype("float32"), "ic")})

    pipeline = attrs.evolve(finding(0), postprocess=(total,))
    (seams,) = measure_seams(pipeline, counted(12, 32))

    assert (seams.verdict, seams.distance, seams.share) == ("everywhere", None, 1)
    assert seams.difference == 12 * 32


# ---------------------------------------------------------------- plans


class Counting:
    """A network that remembers the sizes it was run on."""

    def __init__(self, reach=1):
        self.reach, self.sizes = reach, []

    def __call__(self, array):
        self.sizes.append(array.shape[2:])
        return box(self.reach)(array)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((40, 60), {(40, 60), (40, 36)}),
        ((60, 40), {(60, 40), (36, 40)}),
        ((12, 32), {(12, 32), (12, 20)}),
        ((41, 16), {(44, 16), (28, 16)}),
    ],
)
def test_without_a_plan_the_longest_axis_is_halved(shape, sizes):
    backend = Counting()
    measure_seams(opened(backend, halo=4, size=sized(12, 4)), pixels(*shape))

    assert set(backend.sizes) == sizes
    assert len(backend.sizes) == 3


def test_an_axis_that_can_not_be_halved_leaves_it_to_the_next():
    # y takes one size only
    y, x = axis05("y", 64), axis05("x", sized(12, 4))
    out = [axis05(a, ref("raw", a), halo=4) for a in "yx"]
    model = model05(
        [tensor05("raw", [axis05("b"), axis05("c"), y, x])],
        [tensor05("out", [axis05("b"), axis05("c"), *out])],
    )
    backend = Counting()
    pipeline = fn.create_prediction_pipeline(build(model), backend=backend)

    measure_seams(pipeline, pixels(64, 40))

    assert set(backend.sizes) == {(64, 40), (64, 24)}


def test_inputs_whose_sizes_have_different_steps_are_halved_at_a_common_size():
    inputs = [
        tensor05(name, [axis05("b"), axis05("c"), axis05("x", sized(12, step))])
        for name, step in (("a", 4), ("b", 12))
    ]
    outputs = [tensor05("out", [axis05("b"), axis05("c"), axis05("x", ref("a", "x"), halo=1)])]
    seen = set()

    def backend(a, b):
        seen.add(a.shape[-1])
        return box(1)(a + b)

    pipeline = fn.create_prediction_pipeline(build(model05(inputs, outputs)), backend=backend)
    (seams,) = measure_seams(pipeline, {"a": pixels(60), "b": pixels(60, seed=1)})

    assert seams.verdict == "equal"
    assert seen == {60, 36}


def test_samples_of_a_batch_have_no_seams():
    pipeline = reaching(2, 1)
    batch = np.concatenate([pixels(30, 40, seed=i) for i in range(3)])
    whole, blocks = (
        fn.default_plan(pipeline, batch, block_shape={"batch": 1, **more})
        for more in ({}, {"x": 20})
    )

    assert measure_seams(pipeline, batch)[0].verdict == "seams"
    assert measure_seams(pipeline, batch, blocks)[0].halo == {"x": 1}
    with pytest.raises(BlockError, match="no seams: got 3 blocks of batch=1.*several blocks"):
        measure_seams(pipeline, batch, whole)


def test_a_network_of_one_sample_at_a_time_is_measured_too():
    model = image05(size=sized(3, 1), halo=1)
    for tensor in (*model["inputs"], *model["outputs"]):
        tensor["axes"][0]["size"] = 1
    pipeline = fn.create_prediction_pipeline(build(model), backend=box(2))
    batch = np.concatenate([pixels(30, 40, seed=i) for i in range(3)])

    assert measure_seams(pipeline, batch)[0].verdict == "seams"


def refused(match, pipeline, image, *args, **options):
    """Refused before the network runs."""
    with pytest.raises(BlockError, match=match):
        measure_seams(pipeline, image, *args, **options)
    assert pipeline.backend.sizes == []


def test_a_plan_of_one_block_is_refused_with_what_to_do():
    pipeline, image = opened(Counting(), halo=2), pixels(20, 24)
    plan = fn.default_plan(pipeline, image)

    refused("no seams: got 1 block of.*several blocks.*smaller block shape", pipeline, image, plan)


def test_a_plan_and_a_halo_are_refused():
    pipeline, image = opened(Counting(), halo=2), pixels(20, 24)
    plan = fn.default_plan(pipeline, image, block_shape={"x": 12})

    refused("blocks of a plan have their halo.*a plan or a halo", pipeline, image, plan, halo=3)


def test_a_plan_for_another_sample_is_refused():
    pipeline = opened(Counting(), halo=2)
    plan = fn.default_plan(pipeline, pixels(20, 32), block_shape={"x": 12})

    refused("made for another sample", pipeline, pixels(20, 24), plan)


def test_a_model_of_fixed_size_has_no_whole_of_a_larger_sample():
    pipeline = opened(Counting(), halo=4, size=64)

    refused(
        "does not take this sample in one piece.*axis 'x'.*at most 64, got 100; .*min and step",
        pipeline,
        pixels(64, 100),
    )
    refused("can not be cut into two blocks: got 1 block.*smaller halo", pipeline, pixels(64, 64))


@pytest.mark.parametrize(("halo", "shape"), [(0, (8, 8)), (4, (8, 12)), (24, (40, 50))])
def test_a_sample_that_can_not_be_halved_is_refused(halo, shape):
    refused("can not be cut into two", opened(Counting(), halo=1), pixels(*shape), halo=halo)


@pytest.mark.parametrize(
    ("halo", "error", "match"),
    [(-1, BlockError, "halo is negative"), ({"z": 1}, AxesError, "halo names an axis.*'z'")],
)
def test_a_halo_that_makes_no_sense_is_refused_as_by_a_plan(halo, error, match):
    with pytest.raises(error, match=match):
        measure_seams(reaching(1, 1), pixels(20, 20), halo=halo)


# ---------------------------------------------------------------- a published network


@pytest.mark.parametrize(
    ("halo", "verdict", "low", "high"),
    [(None, "seams", 1e-4, 1e-1), (64, "equal", 0, 1e-5)],
)
def test_the_published_network_sees_further_than_its_halo(
    real_model, nuclei, halo, verdict, low, high
):
    pipeline = fn.create_prediction_pipeline(real_model / "parameterized.bioimageio.yaml")
    image = np.tile(nuclei[0], (1, 2))[:, :700]

    (seams,) = measure_seams(pipeline, image, halo=halo)

    assert seams.verdict == verdict
    assert low <= seams.difference <= high
    if halo is None:
        assert seams.halo == {"x": 32}
        assert seams.distance < 32
