"""What described sizes, halos and padding give, in one piece and in blocks, against bare NumPy.

Each section is something that a pipeline of this format has been seen to get wrong. Images and
networks are made of small whole numbers, so that sums are exact and results can be compared bit for
bit; what can not come out right from blocks has to be refused before anything runs.
"""

from contextlib import nullcontext

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
    step,
    tensor05,
)

import bioimageio_fn as fn
from bioimageio_fn.errors import (
    ArrayError,
    BioimageioFnError,
    BioimageioFnWarning,
    BlockError,
    SizeError,
)
from bioimageio_fn.tensor import pad

SIZE = sized(16, 4)


def identity(*arrays):
    return arrays


def pixels(*shape, seed=0):
    """Small whole numbers as float32."""
    return np.random.default_rng(seed).integers(0, 10, shape).astype("float32")


def valid(a, reach):
    """The sum of the neighbours of each pixel that has all of them."""
    n = 2 * reach + 1
    return np.lib.stride_tricks.sliding_window_view(a, (n, n), (-2, -1)).sum((-2, -1))


def grown(a, n, mode="constant"):
    return np.pad(a, [(0, 0)] * (a.ndim - 2) + [(n, n)] * 2, mode)


def near(a, reach):
    """The sum of the neighbours of each pixel, with zeros beyond the border."""
    return valid(grown(a, reach), reach)


def pool(a, n):
    """The sum of n x n pixels; what is left over is dropped."""
    h, w = (s // n for s in a.shape[-2:])
    return a[..., : h * n, : w * n].reshape(*a.shape[:-2], h, n, w, n).sum((-3, -1))


def mirrored(a, size):
    """An image continued to the right as by the default of inputs."""
    return np.pad(a, [(0, 0)] * (a.ndim - 2) + [(0, size - s) for s in a.shape[-2:]], "symmetric")


def watching(net, seen):
    """A network that notes the sizes in space of all that it gets."""

    def watch(*arrays):
        seen.extend(a.shape[-2:] for a in arrays)
        return net(*arrays)

    return watch


def pipeline(model, net=identity):
    return fn.create_prediction_pipeline(build(model), backend=net)


def in_blocks(p, inputs, **shape):
    plan = fn.default_plan(p, inputs, block_shape=shape)
    assert plan.count > 1
    return fn.run(p, inputs, plan)


def both(p, inputs, **shape):
    """The outputs from one piece, and from blocks."""
    return fn.run(p, inputs), in_blocks(p, inputs, **shape)


def refused(p, inputs, match, **shape):
    with pytest.raises(BlockError, match=match):
        fn.default_plan(p, inputs, block_shape=shape)


def warned_of_finer_grid(room):
    """Blocks of fixed size are right for these networks, which halve nothing; nobody knows that."""
    if room >= 32:
        return nullcontext()
    return pytest.warns(BioimageioFnWarning, match=f"multiples of {room} pixels.*multiples of 32:")


def same(ours, theirs):
    np.testing.assert_array_equal(np.asarray(ours), theirs)


def taking(name, *, size=SIZE, **fields):
    """An input b, c, y, x."""
    return tensor05(
        name, [axis05("b"), axis05("c"), axis05("y", size), axis05("x", size)], **fields
    )


def giving(name, *, halo=0, of="raw", axes="bcyx", ids=None, **fields):
    """An output whose axes in space follow those of an input."""
    more, ids = {"halo": halo} if halo else {}, ids or {}
    follow = [axis05(a) if a in "bc" else axis05(ids.get(a, a), ref(of, a), **more) for a in axes]
    return tensor05(name, follow, **fields)


# ---------------------------------------------------------------- steps along an axis that is cut


@pytest.mark.parametrize("where", ["pre", "post"])
def test_a_softmax_along_a_cut_axis_with_a_halo_sums_to_one(where):
    p = pipeline(image05(size=SIZE, halo=4, **{where: [step("softmax", axis="y")]}))
    image = pixels(32, 24)
    exact = np.exp(image.astype("float64"))
    exact /= exact.sum(0)

    for result in both(p, image, y=16, x=16):
        np.testing.assert_allclose(np.asarray(result).sum(2), 1, rtol=1e-6)
        np.testing.assert_allclose(np.asarray(result)[0, 0], exact, atol=1e-7)


# ---------------------------------------------------------------- outputs


@pytest.mark.parametrize("halo", [0, 2])
@pytest.mark.parametrize("size", [16, 40])
def test_an_output_without_a_channel_is_there_in_one_piece_and_in_blocks(size, halo):
    model = model05([taking("raw")], [giving("out", axes="byx", halo=halo)])
    p = pipeline(model, lambda a: (near(a[:, 0], halo),))
    image = pixels(1, 1, size, 40)

    for result in both(p, image, x=16):
        assert list(result.members) == ["out"]
        same(result, near(image[:, 0], halo))


@pytest.mark.parametrize("order", [("big", "small"), ("small", "big")])
def test_outputs_of_different_halos_each_have_room_for_their_own(order):
    reach = {"big": 6, "small": 2}
    model = model05([taking("raw")], [giving(name, halo=reach[name]) for name in order])
    p = pipeline(model, lambda a: tuple(near(a, reach[name]) for name in order))
    image = pixels(1, 1, 40, 40)

    for result in both(p, image, y=20, x=20):
        for name in order:
            assert result[name].shape == (1, 1, 40, 40)
            same(result[name], near(image, reach[name]))


@pytest.mark.parametrize("order", [("near", "point"), ("point", "near")])
def test_an_output_without_halo_beside_one_with_halo_has_the_size_of_the_image(order):
    reach = {"near": 4, "point": 0}
    model = model05([taking("raw")], [giving(name, halo=reach[name]) for name in order])
    p = pipeline(model, lambda a: tuple(near(a, reach[name]) for name in order))
    image = pixels(1, 1, 40, 40)

    for result in both(p, image, y=16):
        for name in order:
            assert result[name].shape == (1, 1, 40, 40)
            same(result[name], near(image, reach[name]))


@pytest.mark.parametrize(("n", "size"), [(2, 41), (2, 43), (3, 40), (4, 42)])
def test_blocks_of_a_network_with_larger_pixels_start_on_its_pixels(n, size):
    model = image05(size=sized(12, n), scale=1 / n)
    p = pipeline(model, lambda a: (pool(a, n),))
    image = pixels(1, 1, size, size)

    for result in both(p, image, y=12, x=12):
        same(result, pool(image, n))


@pytest.mark.parametrize(("n", "size"), [(2, 41), (2, 43), (3, 40), (4, 42)])
def test_so_do_blocks_with_a_halo_whatever_the_step_of_their_size(n, size):
    model = image05(size=sized(24, 1), scale=1 / n, halo=2)
    p = pipeline(model, lambda a: (near(pool(a, n), 2),))
    image = pixels(1, 1, size, size)

    for result in both(p, image, y=24, x=24):
        same(result, near(pool(image, n), 2))


def test_inputs_of_different_axis_order_are_cut_at_the_same_places():
    turned = tensor05("b", [axis05("x", ref("a", "x")), axis05("y", ref("a", "y")), axis05("b")])
    model = model05([taking("a"), turned], [giving("out", of="a", axes="byx")])
    p = pipeline(model, lambda a, b: (a[:, 0] - b.transpose(2, 1, 0),))
    image = pixels(1, 1, 40, 52)

    for result in both(p, {"a": image, "b": image[:, 0].transpose(2, 1, 0)}, y=16, x=20):
        assert result["out"].shape == (1, 40, 52)
        assert not np.asarray(result).any()


def extremes(a):
    return (np.stack([a.min((1, 2, 3)), a.max((1, 2, 3))], 1),)


EXTREMES = model05([taking("raw")], [tensor05("out", [axis05("b"), axis05("c", 2)])])


def test_an_output_of_the_whole_image_is_not_taken_from_parts_of_it():
    p = pipeline(EXTREMES, extremes)
    image = np.random.default_rng(0).normal(9, 5, (1, 1, 40, 40)).astype("float32")

    same(p(image), [[image.min(), image.max()]])
    refused(p, image, "tensor 'out'.*in one piece", y=16)


def test_an_output_of_each_image_is_put_together_along_the_batch():
    p = pipeline(EXTREMES, extremes)
    batch = pixels(3, 1, 16, 20) * np.arange(1, 4).reshape(3, 1, 1, 1)

    for result in both(p, batch.astype("float32"), batch=1):
        same(result, np.stack([batch.min((1, 2, 3)), batch.max((1, 2, 3))], 1))


@pytest.mark.parametrize("alike", [True, False], ids=["as many in each block", "anywhere"])
def test_an_output_whose_size_depends_on_the_data_is_not_taken_from_blocks(alike):
    points = tensor05("out", [axis05("i", {"min": 1}), axis05("c", 2)])
    p = pipeline(
        model05([taking("raw")], [points]), lambda a: (np.argwhere(a[0, 0]).astype("float32"),)
    )
    image = np.zeros((1, 1, 48, 48), "float32")
    if alike:
        image[..., ::16, :] = np.tile([1] * 5 + [0] * 11, 3)
    else:
        image.flat[np.random.default_rng(0).choice(image.size, 45, replace=False)] = 1

    result = p(image)

    assert result["out"].shape == (45, 2)
    same(result, np.argwhere(image[0, 0]))
    refused(p, image, "tensor 'out', axis 'index'.*only after the run.*in one piece", y=16, x=16)


@pytest.mark.parametrize(
    ("offset", "halo", "net"),
    [
        (-4, 0, lambda a: valid(a, 2)),
        (-4, 1, lambda a: near(valid(a, 2), 1)),
        (4, 3, lambda a: near(grown(a, 2), 1)),
    ],
    ids=["valid", "valid with halo", "larger"],
)
def test_an_output_that_is_smaller_or_larger_by_some_pixels_is_whole_from_blocks(offset, halo, net):
    p = pipeline(image05(size=SIZE, offset=offset, halo=halo), lambda a: (net(a),))
    image = pixels(1, 1, 40, 44)

    for result in both(p, image, y=16, x=20):
        assert result["out"].shape == (1, 1, 40 + offset, 44 + offset)
        same(result, net(image))


@pytest.mark.parametrize("order", [("o1", "o2"), ("o2", "o1")])
def test_a_size_may_refer_to_a_fixed_axis_of_another_output(order):
    yx = [axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    outputs = {
        "o1": tensor05("o1", [axis05("b"), axis05("i", 3), *yx]),
        "o2": tensor05("o2", [axis05("b"), axis05("i", ref("o1", "index", 2)), *yx]),
    }
    sizes = {"o1": 3, "o2": 5}

    def powers(a):
        return tuple(np.concatenate([a * (i + 1) for i in range(sizes[n])], 1) for n in order)

    p = pipeline(model05([taking("raw")], [outputs[n] for n in order]), powers)
    image = pixels(1, 1, 40, 40)

    for result in both(p, image, y=16, x=16):
        for name, array in zip(order, powers(image), strict=True):
            same(result[name], array)


def test_a_size_that_refers_to_a_fixed_output_is_not_taken_from_parts_of_the_image():
    outputs = [
        tensor05("o1", [axis05("b"), axis05("y", 10)]),
        tensor05("o2", [axis05("b"), axis05("y", ref("o1", "y", 2))]),
    ]

    def net(a):
        return a[:, 0, :10].sum(-1), a[:, 0, :12].max(-1)

    p = pipeline(model05([taking("raw")], outputs), net)
    batch = pixels(3, 1, 40, 40)

    for result in both(p, batch, batch=2):
        for name, array in zip(("o1", "o2"), net(batch), strict=True):
            same(result[name], array)
    refused(p, batch, "tensor 'o1'.*in one piece", y=16)


# ---------------------------------------------------------------- statistics that keep a cut axis


def kept(x, axes, function):
    """The function of each part that the axes leave, of shape b, c, y, x."""
    return function(x.astype("float64"), tuple("bcyx".index(a[0]) for a in axes))


def normalised(x, axes):
    mean, std = (kept(x, axes, lambda v, a, f=f: f(v, a, keepdims=True)) for f in (np.mean, np.std))
    return (x - mean) / (std + 1e-6)


def quantiles(x, axes, method):
    return kept(x, axes, lambda v, a: np.quantile(v, [0.1, 0.9], a, keepdims=True, method=method))


def ranged(x, axes):
    low, high = quantiles(x, axes, "linear")
    return (x - low) / (high - low + 1e-6)


def clipped(x, axes):
    return np.clip(x, *quantiles(x, axes, "inverted_cdf"))


PERCENTILES = {"min_percentile": 10, "max_percentile": 90}
KEEPING = {
    "zero_mean_unit_variance": ({}, normalised),
    "scale_range": (PERCENTILES, ranged),
    "clip": (PERCENTILES, clipped),
}


@pytest.mark.parametrize("where", ["pre", "post"])
@pytest.mark.parametrize("axes", [["y", "x"], ["channel"], ["channel", "x"]], ids=" ".join)
@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("cut", [{"batch": 1}, {"y": 16}, {"batch": 2, "y": 16, "x": 20}], ids=str)
def test_statistics_that_keep_an_axis_are_those_of_each_place_along_it(name, axes, where, cut):
    kwargs, exact = KEEPING[name]
    model = image05(size=SIZE, channels=2, halo=2, **{where: [step(name, axes=axes, **kwargs)]})
    batch = np.random.default_rng(0).normal(5, 2, (3, 2, 41, 28)).astype("float32")
    batch *= np.array([1, 10, 100], "float32").reshape(3, 1, 1, 1)

    for result in both(pipeline(model), batch, **cut):
        np.testing.assert_allclose(np.asarray(result), exact(batch, axes), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("where", ["pre", "post"])
def test_values_along_a_cut_axis_belong_to_its_whole(where):
    gain, offset = pixels(40, seed=1).tolist(), pixels(40, seed=2).tolist()
    steps = [step("scale_linear", axis="y", gain=gain, offset=offset)]
    image = pixels(3, 1, 40, 28)

    for result in both(pipeline(image05(size=SIZE, **{where: steps})), image, batch=1, y=16):
        same(result, image * np.reshape(gain, (40, 1)) + np.reshape(offset, (40, 1)))


# ---------------------------------------------------------------- inputs


@pytest.mark.parametrize(("size", "block", "fed"), [(10, 16, 16), (16, 56, 16), (18, 24, 20)])
@pytest.mark.parametrize("halo", [0, 4])
def test_an_image_smaller_than_the_block_goes_in_one_piece(size, block, fed, halo):
    seen = []
    net = watching(lambda a: (near(a, halo),), seen)
    p = pipeline(image05(size=SIZE, halo=halo), net)
    image = pixels(1, 1, size, size)
    plan = fn.default_plan(p, image, block_shape={"y": block, "x": block})

    result = fn.run(p, image, plan)

    assert seen == [(fed, fed)]
    same(result, near(mirrored(image, fed), halo)[..., :size, :size])


def test_an_image_smaller_than_the_block_along_one_axis_is_cut_along_the_other():
    p = pipeline(image05(size=SIZE, halo=4), lambda a: (near(a, 4),))
    image = pixels(1, 1, 16, 60)

    same(in_blocks(p, image, y=24, x=24), near(image, 4))


def aligned(rule):
    axes = [axis05("b"), axis05("c"), *(axis05(a, rule(a)) for a in "yx")]
    return model05([taking("a"), tensor05("b", axes)], [giving("out", of="a", halo=4)])


@pytest.mark.parametrize(
    "rule", [lambda axis: ref("a", axis), lambda _: SIZE], ids=["one follows", "alike"]
)
def test_a_halo_that_refers_to_one_of_two_aligned_inputs_is_that_of_both(rule):
    seen = []
    p = pipeline(aligned(rule), watching(lambda a, b: (near(a, 4) - near(b, 3),), seen))
    a, b = pixels(1, 1, 40, 40), pixels(1, 1, 40, 40, seed=1)

    whole = p({"a": a, "b": b})
    assert seen == [(40, 40)] * 2
    blocks = in_blocks(p, {"a": a, "b": b}, y=16, x=20)

    assert set(seen[2:]) == {(16, 20)}
    for result in (whole, blocks):
        same(result, near(a, 4) - near(b, 3))


@pytest.mark.parametrize(
    "steps", [[], [step("zero_mean_unit_variance")]], ids=["plain", "measured"]
)
@pytest.mark.parametrize("given", [False, True])
def test_an_optional_input_may_be_absent(steps, given):
    mask = tensor05("m", giving("m")["axes"], optional=True, steps=steps)
    model = model05([taking("raw"), mask], [giving("out")])
    p = pipeline(model, lambda a, m: (a if m is None else a + m,))
    image, more = pixels(1, 1, 40, 40), pixels(1, 1, 40, 40, seed=1)
    added = normalised(more, "bcyx") if steps else more

    for result in both(p, {"raw": image} | ({"m": more} if given else {}), y=16, x=16):
        np.testing.assert_allclose(np.asarray(result), image + added * given, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [[], [step("scale_linear", gain=2, offset=1)]])
def test_an_input_without_axes_in_space_goes_to_every_block_whole(steps):
    vector = tensor05("v", [axis05("i", 3)], steps=steps)
    model = model05([taking("raw"), vector], [giving("out", halo=2)])
    p = pipeline(model, lambda a, v: (near(a, 2) * v[0] + v[1] - v[2],))
    image, v = pixels(2, 1, 40, 40), np.array([3, 50, 7], "float32")
    given = v * 2 + 1 if steps else v

    for result in both(p, {"raw": image, "v": v}, batch=1, y=16, x=20):
        same(result, near(image, 2) * given[0] + given[1] - given[2])


def test_an_input_without_axes_in_space_is_cut_along_the_batch_as_the_image_is():
    vector = tensor05("v", [axis05("b"), axis05("c", 2)])
    model = model05([taking("raw"), vector], [giving("out", halo=2)])
    p = pipeline(model, lambda a, v: (near(a, 2) * v[:, :1, None, None] + v[:, 1:, None, None],))
    image, v = pixels(3, 1, 40, 40), pixels(3, 2, seed=1)

    for result in both(p, {"raw": image, "v": v}, batch=1, y=16):
        same(result, near(image, 2) * v[:, 0].reshape(3, 1, 1, 1) + v[:, 1].reshape(3, 1, 1, 1))


# ---------------------------------------------------------------- halo


def test_output_axes_may_have_other_names_than_those_of_the_input():
    model = model05([taking("raw")], [giving("out", halo=2, ids={"y": "h", "x": "w"})])
    p = pipeline(model, lambda a: (near(a, 2),))
    image = pixels(1, 1, 40, 40)

    for result in both(p, image, y=16, x=20):
        assert result["out"].sizes == {"batch": 1, "channel": 1, "h": 40, "w": 40}
        same(result, near(image, 2))


@pytest.mark.parametrize(
    ("size", "halo", "given"), [(64, 8, 64), (sized(16, 16), 4, 48), (32, 0, 32), (32, 8, 32)]
)
def test_an_image_of_a_described_size_reaches_the_network_as_it_is(size, halo, given):
    seen = []
    p = pipeline(image05(size=size, halo=halo), watching(lambda a: (near(a, halo),), seen))
    image = pixels(1, 1, given, given)

    result = fn.predict(model=p, inputs=image)

    assert seen == [(given, given)]
    same(result, near(image, halo))


@pytest.mark.parametrize(("size", "halo", "room"), [(64, 8, 32), (32, 0, 32), (32, 8, 16)])
def test_a_larger_image_reaches_a_network_of_fixed_size_in_blocks_of_that_size(size, halo, room):
    seen = []
    p = pipeline(image05(size=size, halo=halo), watching(lambda a: (near(a, halo),), seen))
    image = pixels(1, 1, 96, 96)

    with warned_of_finer_grid(room):
        result = fn.predict(model=p, inputs=image)

    assert len(seen) > 1
    assert set(seen) == {(size, size)}
    same(result, near(image, halo))


# ---------------------------------------------------------------- padding

PADS = {
    "symmetric": {"mode": "symmetric"},
    "reflect": {"mode": "reflect"},
    "edge": {"mode": "edge"},
    "constant": {"mode": "constant", "value": 0},
}


@pytest.mark.parametrize("mode", PADS.values(), ids=PADS)
@pytest.mark.parametrize("axes", [None, ["y", "x"], ["channel", "y"]])
def test_statistics_are_those_of_the_image_without_its_padding(mode, axes):
    given = {} if axes is None else {"axes": axes}
    model = image05(size=SIZE, halo=4, pad=mode, pre=[step("zero_mean_unit_variance", **given)])
    image = np.random.default_rng(0).normal(10, 3, (1, 1, 41, 43)).astype("float32")

    for result in both(pipeline(model), image, y=20, x=24):
        exact = normalised(image, axes or "bcyx")
        np.testing.assert_allclose(np.asarray(result), exact, atol=1e-6)


@pytest.mark.parametrize("value", [300, -1, 0.5])
@pytest.mark.parametrize("blocks", [False, True])
def test_a_pad_value_that_an_integer_image_can_not_hold_reaches_the_network_as_it_is(value, blocks):
    seen = []

    def net(a):
        seen.append(a)
        return (a,)

    p = pipeline(image05(size=SIZE, pad={"mode": "constant", "value": value}), net)
    image = pixels(17, 17).astype("uint8")
    if blocks:
        same(in_blocks(p, image, y=16, x=16), image[None, None])
    else:
        same(p(image), image[None, None])

    last = seen[-1][0, 0]
    assert last[-1, -1] == value
    assert last[-4:][:, -4:].tolist() == [[image[16, 16], *[value] * 3], *[[value] * 4] * 3]


@pytest.mark.parametrize("value", [300, -1, 0.5])
def test_a_pad_value_that_the_described_type_can_not_hold_never_reaches_the_network(value):
    seen = []
    model = image05(size=SIZE, dtype="uint8", pad={"mode": "constant", "value": value})
    p = pipeline(model, watching(identity, seen))

    with pytest.raises(ArrayError, match="can not hold the pad value.*expected uint8"):
        p(np.ones((17, 17), "uint8"))
    assert seen == []


@pytest.mark.parametrize("value", [300, -1, 0.5])
def test_a_pad_value_that_the_described_type_can_not_hold_is_refused_by_the_plan(value):
    model = image05(size=SIZE, dtype="uint8", pad={"mode": "constant", "value": value})
    p = pipeline(model)

    with pytest.raises(BioimageioFnError, match="pad value"):
        fn.default_plan(p, np.ones((33, 16), "uint8"), block_shape={"y": 16})


@pytest.mark.parametrize("value", [300, -1, 0.5])
def test_such_a_pad_value_does_not_matter_to_an_image_that_needs_no_padding(value):
    model = image05(size=SIZE, dtype="uint8", pad={"mode": "constant", "value": value})
    image = pixels(1, 1, 32, 32).astype("uint8")

    for result in both(pipeline(model), image, y=16):
        same(result, image)


def test_padding_by_a_constant_keeps_the_type():
    image = fn.Tensor(pixels(2, 2).astype("uint8"), "yx")

    for options, value in (({}, 0), ({"value": 255}, 255)):
        padded = pad(image, {"x": (1, 2)}, mode="constant", **options)
        assert padded.dtype == "uint8"
        same(padded, np.pad(image.data, [(0, 0), (1, 2)], constant_values=value))


@pytest.mark.parametrize("value", [300, -1, 0.5, np.nan])
def test_padding_by_a_constant_that_the_type_can_not_hold_is_refused(value):
    image = fn.Tensor(pixels(2, 2).astype("uint8"), "yx")

    with pytest.raises(ArrayError, match="can not hold the pad value"):
        pad(image, {"x": (1, 0)}, mode="constant", value=value)


# ---------------------------------------------------------------- types of outputs


@pytest.mark.parametrize(
    ("given", "described"),
    [("uint8", "uint8"), ("int32", "int32"), ("float16", "float32"), ("int32", "float32")],
)
@pytest.mark.parametrize("steps", [[], [step("scale_linear", gain=2, offset=3)]])
def test_outputs_from_blocks_have_the_described_type_and_the_values_of_the_whole(
    given, described, steps
):
    # a warning of a cast would be an error here
    model = image05(size=SIZE, halo=2, post=steps, out_dtype=described)
    p = pipeline(model, lambda a: (near(a, 1).astype(given),))
    image = pixels(1, 1, 41, 41)
    exact = near(mirrored(image, 44), 1)[..., :41, :41]

    for result in both(p, image, y=16, x=20):
        assert result["out"].dtype == described
        same(result, exact * 2 + 3 if steps else exact)


# ---------------------------------------------------------------- format 0.4


@pytest.mark.parametrize(
    ("offset", "net"),
    [(0, lambda a: near(a, 4)), (-2, lambda a: near(valid(a, 2), 2))],
    ids=["same size", "smaller"],
)
def test_a_model_of_0_4_runs_in_blocks_with_its_halo(offset, net):
    seen = []
    model = image04(smallest=16, halo=4, offset=offset)
    p = pipeline(model, watching(lambda a: (net(a),), seen))
    image = pixels(1, 1, 40, 44)

    whole = p(image)
    assert seen == [(40, 44)]
    blocks = in_blocks(p, image, y=20, x=24)

    assert set(seen[1:]) == {(20, 24)}
    for result in (whole, blocks):
        same(result, net(image))


@pytest.mark.parametrize(("size", "padded"), [(32, 32), (40, 48), (64, 64)])
def test_a_model_of_0_4_of_fixed_size_runs_in_blocks_of_that_size(size, padded):
    seen = []
    model = image04(halo=4)
    model["inputs"][0]["shape"] = [1, 1, 32, 32]
    p = pipeline(model, watching(lambda a: (near(a, 4),), seen))
    image = pixels(1, 1, size, size)

    with warned_of_finer_grid(16 if size > 32 else 32):
        result = p(image)

    assert set(seen) == {(32, 32)}
    same(result, near(mirrored(image, padded), 4)[..., :size, :size])


# ---------------------------------------------------------------- sizes that are not valid


@pytest.mark.parametrize("size", [SIZE, 16], ids=["free", "fixed"])
def test_a_block_of_twice_the_halo_is_refused_where_it_has_seams(size):
    p = pipeline(image05(size=size), lambda a: (near(a, 8),))
    image = pixels(1, 1, 40, 16)

    with pytest.raises(BlockError, match="no room between its halos.*got 16 pixels"):
        fn.default_plan(p, image, block_shape={"y": 16}, halo=8)
    plan = fn.default_plan(p, image[..., :16, :], block_shape={"y": 16}, halo=8)
    same(fn.run(p, image[..., :16, :], plan), near(image[..., :16, :], 8))


def test_a_block_with_room_for_one_step_between_its_halos_is_enough():
    p = pipeline(image05(size=SIZE), lambda a: (near(a, 6),))
    image = pixels(1, 1, 40, 16)
    plan = fn.default_plan(p, image, block_shape={"y": 16}, halo=6)

    assert plan.count > 1
    same(fn.run(p, image, plan), near(image, 6))


@pytest.mark.parametrize("halo", [0, 4])
def test_an_image_of_another_size_is_padded_to_the_next_valid_one(halo):
    seen = []
    p = pipeline(image05(size=SIZE, halo=halo), watching(lambda a: (near(a, halo),), seen))
    image = pixels(1, 1, 43, 43)

    result = p(image)

    assert seen == [(44, 44)]
    same(result, near(mirrored(image, 44), halo)[..., :43, :43])


@pytest.mark.parametrize("block", [17, 51, 15, 12])
def test_a_block_of_a_size_that_is_not_described_is_refused(block):
    refused(pipeline(image05(size=SIZE)), pixels(60, 60), rf"16 \+ n\*4, got {block}", y=block)


# ---------------------------------------------------------------- blocks by their parameter


CONTRACT = contract_of(image05(size=SIZE))


def blocks_of(y=100, x=100, batch=1, **options):
    """The size of the blocks that are planned, by axis."""
    shapes = {"raw": {"batch": batch, "channel": 1, "y": y, "x": x}}
    plan = fn.plan_blocks(CONTRACT, shapes, **options)
    sizes = {axis.name: axis.grid.block for axis in plan.axes}
    del sizes["channel"]
    return sizes


@pytest.mark.parametrize(("n", "size"), [(0, 16), (1, 20), (10, 56)])
def test_a_parameter_of_n_gives_blocks_of_min_and_n_steps(n, size):
    assert blocks_of(blocksize_parameter=n) == {"batch": 1, "y": size, "x": size}
    by_axis = blocks_of(blocksize_parameter={"y": n, "x": 2})
    assert by_axis == {"batch": 1, "y": size, "x": 24}


def test_a_parameter_is_capped_at_the_image():
    assert blocks_of(16, 18, blocksize_parameter=10) == {"batch": 1, "y": 16, "x": 20}
    assert blocks_of(10, 100, blocksize_parameter=0) == {"batch": 1, "y": 16, "x": 16}


def test_blocks_of_a_parameter_of_zero_give_the_whole():
    p = pipeline(image05(size=SIZE, halo=4), lambda a: (near(a, 4),))
    image = pixels(1, 1, 40, 44)
    sizes = {"raw": fn.as_sample(image, p.contract)["raw"].sizes}
    plan = fn.plan_blocks(p.contract, sizes, blocksize_parameter=0)

    assert plan.count > 1
    same(fn.run(p, image, plan), near(image, 4))


@pytest.mark.parametrize(("asked", "size"), [(1, 1), (2, 2), (3, 3), (8, 3)])
def test_a_batch_size_is_capped_at_the_batch(asked, size):
    assert blocks_of(batch=3, batch_size=asked)["batch"] == size


@pytest.mark.parametrize("options", [{}, {"block_shape": {"batch": 1}}, {"batch_size": 2}], ids=str)
def test_an_empty_batch_is_refused(options):
    with pytest.raises(SizeError, match="axis 'batch'"):
        blocks_of(batch=0, **options)


@pytest.mark.parametrize("options", [{}, {"block_shape": {"batch": 1}}], ids=str)
def test_a_sample_of_an_empty_batch_is_refused(options):
    p = pipeline(image05(size=SIZE))
    for empty in (np.zeros((0, 1, 16, 16)), fn.Tensor(np.zeros((0, 1, 16, 16)), "bcyx")):
        with pytest.raises(SizeError):
            fn.default_plan(p, empty, **options)
        with pytest.raises(SizeError):
            fn.predict(model=p, inputs=empty)
