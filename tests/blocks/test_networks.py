"""Blockwise equals whole for random networks, run by onnxruntime, borders included.

A network is drawn as a list of layers. From these follows, exactly, what its description has to
say: the scale of its output, the step of its sizes, and how far its pixels see.
"""

import itertools
import math
import warnings
from fractions import Fraction

import attrs
import numpy as np
import onnxruntime
import pytest
from descriptions import axis05, build, model05, ref, sized, tensor05
from hypothesis import event, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import bioimageio_fn as fn
from bioimageio_fn.errors import BackendError, BioimageioFnWarning, BlockError

# ---------------------------------------------------------------- layers, and what follows of them


@attrs.frozen
class Layer:
    """A convolution (`conv`), a pooling by 2 (`max`, `mean`), `up` by 2, or a `relu`."""

    kind: str
    kernel: int = 1
    stride: int = 1

    @property
    def scale(self):
        """Pixels that it gives for each that it takes."""
        return {"conv": Fraction(1, self.stride), "relu": Fraction(1), "up": Fraction(2)}.get(
            self.kind, Fraction(1, 2)
        )

    def reads(self, low, high):
        """First and last pixel from which those from `low` to `high` are computed."""
        if self.kind == "conv":
            return low * self.stride - self.kernel // 2, high * self.stride + self.kernel // 2
        if self.kind == "up":
            return low // 2, high // 2
        return (low, high) if self.kind == "relu" else (2 * low, 2 * high + 1)


CONVS = [Layer("conv", k) for k in (1, 3, 5)]
STRIDED = [Layer("conv", k, s) for s in (2, 4) for k in (1, 3, 5)]
POOLS = [Layer("max"), Layer("mean")]
UP, RELU = Layer("up"), Layer("relu")


@attrs.frozen
class Network:
    """Layers one after another, on one channel in 2 or 3 dimensions.

    Args:
        layers: the layers.
        space: its axes in space.
        channels: channels that each convolution gives.
        seed: of its weights.
    """

    layers: tuple[Layer, ...] = attrs.field(converter=tuple)
    space: str = "yx"
    channels: int = 1
    seed: int = 0

    @property
    def out_channels(self):
        """Channels of its output."""
        return self.channels if any(layer.kind == "conv" for layer in self.layers) else 1

    @property
    def scales(self):
        """Pixels behind each layer for each pixel of the input."""
        return list(itertools.accumulate((layer.scale for layer in self.layers), Fraction.__mul__))

    @property
    def scale(self):
        """Pixels of the output for each pixel of the input."""
        return self.scales[-1]

    @property
    def step(self):
        """What sizes and starts are multiples of, so that every layer has whole pixels."""
        return math.lcm(*(scale.denominator for scale in self.scales))

    @property
    def reach(self):
        """Pixels of the output, at an end, that depend on what lies beyond that end."""
        first = next(n for n in itertools.count() if self._reads(n)[0] >= 0)
        last = next(n for n in itertools.count() if self._reads(-1 - n)[1] < 0)
        return max(first, last)

    @property
    def halo(self):
        """The reach, rounded up to whole pixels of the input, as the format asks for."""
        return int(math.ceil(self.reach / self.scale) * self.scale)

    def _reads(self, pixel):
        low = high = pixel
        for layer in reversed(self.layers):
            low, high = layer.reads(low, high)
        return low, high


@pytest.mark.parametrize(
    ("layers", "scale", "step", "reach"),
    [
        ([RELU], 1, 1, 0),
        ([Layer("conv", 5), Layer("conv", 3)], 1, 1, 3),
        ([Layer("max"), Layer("mean")], Fraction(1, 4), 4, 0),
        ([Layer("conv", 5, 4)], Fraction(1, 4), 4, 1),
        ([Layer("max"), Layer("conv", 3), UP], 1, 2, 2),
        ([UP, Layer("conv", 3)], 2, 1, 1),
        ([UP, Layer("conv", 3, 4)], Fraction(1, 2), 2, 1),
    ],
)
def test_scale_step_and_reach_of_networks_are_as_by_hand(layers, scale, step, reach):
    network = Network(layers)

    assert (network.scale, network.step, network.reach) == (scale, step, reach)


# ---------------------------------------------------------------- networks as ONNX


def onnx_file(network):
    rng = np.random.default_rng(network.seed)
    nodes, weights, channels, name = [], [], 1, "raw"
    for i, layer in enumerate(network.layers):
        after = "out" if i + 1 == len(network.layers) else f"behind{i}"
        more = _weights(layer, i, channels, network, rng)
        nodes.append(_node(layer, [name, *more], after, len(network.space)))
        weights += [numpy_helper.from_array(array, key) for key, array in more.items() if key]
        channels, name = network.channels if layer.kind == "conv" else channels, after
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("raw", "out")]
    graph = helper.make_graph(nodes, "random", ports[:1], ports[1:], weights)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def _weights(layer, i, channels, network, rng):
    dims = len(network.space)
    if layer.kind == "conv":
        shape = (network.channels, channels, *[layer.kernel] * dims)
        kernel = rng.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
        # with a bias, zeros beyond a border are no zeros in the next layer
        bias = rng.standard_normal(network.channels)
        return {f"w{i}": kernel.astype("float32"), f"b{i}": bias.astype("float32")}
    if layer.kind == "up":
        return {"": None, f"scales{i}": np.array([1, 1, *[2] * dims], "float32")}
    return {}


def _node(layer, inputs, output, dims):
    if layer.kind == "conv":
        return helper.make_node(
            "Conv", inputs, [output],
            kernel_shape=[layer.kernel] * dims,
            strides=[layer.stride] * dims,
            pads=[layer.kernel // 2] * 2 * dims,
        )  # fmt: skip
    if layer.kind == "up":
        return helper.make_node(
            "Resize", inputs, [output],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )  # fmt: skip
    if layer.kind == "relu":
        return helper.make_node("Relu", inputs, [output])
    kind = {"max": "MaxPool", "mean": "AveragePool"}[layer.kind]
    return helper.make_node(kind, inputs, [output], kernel_shape=[2] * dims, strides=[2] * dims)


class Recording:
    """A network as a backend, which remembers the sizes that it was run on."""

    def __init__(self, network):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            onnx_file(network), options, providers=["CPUExecutionProvider"]
        )
        self.sizes = []

    def __call__(self, array):
        self.sizes.append(array.shape[2:])
        return tuple(self.session.run(None, {"raw": np.ascontiguousarray(array)}))


# ---------------------------------------------------------------- descriptions, images and blocks


def described(network, sizes, *, halo=None, pad="symmetric"):
    """The description of a network.

    Args:
        network: the network.
        sizes: for each axis in space, its sizes: the smallest and their step, or the only one.
        halo: halo of the output, if it is not that of the network.
        pad: how an image is padded to a valid size.
    """
    halo = network.halo if halo is None else halo
    more = {"scale": float(1 / network.scale)} | ({"halo": halo} if halo else {})
    return model05(
        [
            tensor05(
                "raw",
                [
                    axis05("b"),
                    axis05("c", 1),
                    *(axis05(a, n if isinstance(n, int) else sized(*n)) for a, n in sizes.items()),
                ],
                pad={"mode": pad},
            )
        ],
        [
            tensor05(
                "out",
                [
                    axis05("b"),
                    axis05("c", network.out_channels),
                    *(axis05(a, ref("raw", a), **more) for a in sizes),
                ],
            )
        ],
    )


@attrs.frozen
class Case:
    """A network with its description, an image, and the blocks asked for.

    Args:
        network: the network.
        sizes: for each axis, the smallest size and the step that are described, or the only size.
        shape: pixels of the image along each axis.
        block: pixels of a block, along the axes that are cut.
        halo: halo of the output, if it is not that of the network.
        pad: how the image is padded to a valid size.
    """

    network: Network
    sizes: dict[str, tuple[int, int] | int]
    shape: dict[str, int]
    block: dict[str, int]
    halo: int | None = None
    pad: str = "symmetric"

    def opened(self):
        """Pipeline, sample, and what the pipeline's network was run on so far."""
        backend = Recording(self.network)
        model = build(described(self.network, self.sizes, halo=self.halo, pad=self.pad))
        pipeline = fn.create_prediction_pipeline(model, backend=backend)
        rng = np.random.default_rng(self.network.seed)
        image = rng.standard_normal((1, 1, *self.shape.values()), "float32")
        return pipeline, fn.as_sample(image, pipeline.contract), backend.sizes


@st.composite
def networks(draw):
    space = draw(st.sampled_from(["yx", "yx", "zyx"]))
    kernels = (1, 3, 5) if space == "yx" else (1, 3)
    layers, scale = [], Fraction(1)
    for _ in range(draw(st.integers(1, 4))):
        kinds = [CONVS, [s for s in STRIDED if scale * s.scale >= Fraction(1, 4)], [RELU]]
        kinds += [POOLS] * (scale > Fraction(1, 4)) + [[UP]] * (scale < 2)
        kinds = [[layer for layer in kind if layer.kernel in kernels] for kind in kinds]
        layers.append(draw(st.sampled_from(draw(st.sampled_from([k for k in kinds if k])))))
        scale *= layers[-1].scale
    return Network(layers, space, draw(st.integers(1, 3)), draw(st.integers(0, 2**16)))


def smallest_sizes(network, step):
    """Multiples of a step, from the first on in which the halo leaves something."""
    first = math.ceil((2 * network.halo + 1) / network.scale / step)
    return st.integers(first, first + 3).map(lambda n: n * step)


@st.composite
def cases(draw, *, any_block=False):
    """Networks that are described as they are; unless `any_block`, with blocks that must do."""
    network = draw(networks())
    scale = network.scale
    margin = int(2 * network.halo / scale)
    sizes, shape, block = {}, {}, {}
    for axis in network.space:
        step = network.step * draw(st.integers(1, 3))
        low = draw(smallest_sizes(network, network.step))
        enough = max(0, math.ceil((margin + step - low) / step))
        n = draw(st.integers(enough, enough + 2))
        pixels = block[axis] = low + n * step
        sizes[axis] = (low, step)
        stride = (pixels - margin) // step * step
        many = pixels + (4 if network.space == "yx" else 1) * stride
        fewest = draw(st.sampled_from([pixels + 1, math.ceil(1 / scale)]))
        shape[axis] = draw(st.integers(fewest, many))
        if any_block:
            valid = st.integers(0, n).map(lambda i, low=low, step=step: low + i * step)
            block[axis] = draw(st.one_of(valid, valid, valid, st.integers(1, pixels)))
    cut = draw(st.sets(st.sampled_from(network.space), min_size=1))
    pad = draw(st.sampled_from(["symmetric", "reflect", "edge"]))
    return Case(network, sizes, shape, {a: block[a] for a in sorted(cut)}, pad=pad)


def assert_close(blocks, whole):
    blocks, whole = np.asarray(blocks), np.asarray(whole)
    assert blocks.shape == whole.shape
    np.testing.assert_allclose(blocks, whole, rtol=0, atol=1e-5 * max(1, np.abs(whole).max()))


def check_blocks(case, **options):
    """Blocks equal the whole; their plan."""
    pipeline, sample, _ = case.opened()
    plan = fn.default_plan(pipeline, sample, block_shape=case.block, **options)
    whole = fn.run(pipeline, sample, fn.default_plan(pipeline, sample))

    assert_close(fn.run(pipeline, sample, plan), whole)
    return plan


# ---------------------------------------------------------------- blockwise equals whole


@settings(max_examples=300)
@given(cases())
def test_blocks_with_room_between_their_halos_equal_the_whole(case):
    plan = check_blocks(case)

    event(f"more than one block: {plan.count > 1}")


@settings(max_examples=200)
@given(cases(any_block=True))
def test_blocks_of_any_shape_equal_the_whole_or_are_refused_before_the_network_runs(case):
    pipeline, sample, ran = case.opened()
    try:
        fn.default_plan(pipeline, sample, block_shape=case.block)
    except BlockError:
        event("refused")
        assert not ran
        return

    check_blocks(case)


@settings(max_examples=50)
@given(cases())
def test_an_image_of_a_valid_size_gives_in_one_piece_what_the_network_gives(case):
    low = {a: smallest + step for a, (smallest, step) in case.sizes.items()}
    pipeline, sample, _ = attrs.evolve(case, shape=low).opened()
    (expected,) = pipeline.backend(np.asarray(sample))

    np.testing.assert_array_equal(np.asarray(fn.run(pipeline, sample)), expected)


@settings(max_examples=100)
@given(cases())
def test_the_network_runs_once_for_each_block_on_a_valid_size(case):
    pipeline, sample, ran = case.opened()
    plan = fn.default_plan(pipeline, sample, block_shape=case.block)
    fn.run(pipeline, sample, plan)

    assert len(ran) == plan.count
    for block in ran:
        for size, (smallest, step) in zip(block, case.sizes.values(), strict=True):
            assert size >= smallest
            assert (size - smallest) % step == 0


@settings(max_examples=100)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_blocks_does_not_matter(case, random):
    pipeline, sample, _ = case.opened()
    plan = fn.default_plan(pipeline, sample, block_shape=case.block)
    done = [forward(pipeline, block) for block in fn.split(sample, plan)]
    in_order = fn.merge(done, plan)
    random.shuffle(done)

    assert fn.merge(done, plan) == in_order
    assert_close(in_order, fn.run(pipeline, sample))


def forward(pipeline, block):
    (array,) = pipeline.backend(block.sample["raw"].data)
    out = fn.Tensor(array, pipeline.contract.tensor("out").axis_ids)
    return attrs.evolve(block, sample=fn.Sample({"out": out}, id=block.sample.id))


# ---------------------------------------------------------------- a halo below the reach shows

TIGHT = [
    [Layer("conv", 3)],
    [Layer("conv", 5), Layer("conv", 3)],
    [Layer("conv", 5, 4)],
    [Layer("conv", 5), Layer("mean")],
    [Layer("mean"), Layer("conv", 3), UP],
    [UP, Layer("conv", 3)],
]


@pytest.mark.parametrize("space", ["yx", "zyx"])
@pytest.mark.parametrize("layers", TIGHT)
def test_a_halo_of_the_reach_is_enough_and_a_smaller_one_shows(layers, space):
    network = Network(layers, space, channels=2)
    case = Case(
        network,
        sizes=dict.fromkeys(space, (16, network.step)),
        shape=dict.fromkeys(space, 20) | {"x": 41},
        block={"x": 16},
    )
    less = attrs.evolve(case, halo=network.halo - max(1, int(network.scale)))

    assert check_blocks(case).count > 1
    check_blocks(less, halo=int(network.halo / network.scale))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_blocks(less)


# ---------------------------------------------------------------- a step that is not described


@st.composite
def coarse_cases(draw):
    """Networks with pixels of 4 x 4, of which only the scale of the output tells."""
    halves = st.sampled_from([*POOLS, *(s for s in STRIDED if s.stride == 2)])
    quarter = st.sampled_from([s for s in STRIDED if s.stride == 4]).map(lambda s: [s])
    down = draw(quarter | st.lists(halves, min_size=2, max_size=2))
    others = draw(st.lists(st.sampled_from([*CONVS, RELU]), max_size=2))
    network = Network(draw(st.permutations(down + others)), seed=draw(st.integers(0, 2**16)))
    whole_pixels = draw(st.booleans())
    sizes, shape, block = {}, {}, {}
    for axis in network.space:
        step = draw(st.sampled_from([1, 2]))
        low = draw(smallest_sizes(network, 1))
        sizes[axis] = (low, step)
        block[axis] = low + step * draw(st.integers(0, 16))
        size = draw(st.integers(max(4, draw(st.sampled_from([1, low]))), 3 * max(block[axis], 4)))
        shape[axis] = size // 4 * 4 if whole_pixels else size
    return Case(network, sizes, shape, block)


@settings(max_examples=300)
@given(coarse_cases())
def test_blocks_lie_on_whole_output_pixels_where_only_the_scale_tells_their_size(case):
    pipeline, sample, ran = case.opened()
    try:
        whole = fn.run(pipeline, sample)
    except BackendError:
        event("the network gives another size than described")
        assert any(size % 4 for size in ran[0])
        return
    ran.clear()
    try:
        plan = fn.default_plan(pipeline, sample, block_shape=case.block)
    except BlockError:
        event("refused")
        assert not ran
        return
    event(f"more than one block: {plan.count > 1}")

    assert_close(fn.run(pipeline, sample, plan), whole)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("block", [24, 26])
def test_blocks_of_a_network_of_stride_4_are_really_cut_where_no_step_tells_of_it(step, block):
    network = Network([Layer("conv", 3), Layer("mean"), Layer("conv", 3), Layer("max")])
    case = Case(network, {"y": (22, step), "x": (24, step)}, {"y": 50, "x": 90}, {"x": block})

    assert check_blocks(case).count > 3


# ---------------------------------------------------------------- a fixed size tells no step


def fixed_case(network, size, shape, *, pad="symmetric"):
    """A network that is described to take one size, and an image that is larger."""
    return Case(network, dict.fromkeys(network.space, size), shape, {}, pad=pad)


@st.composite
def fixed_cases(draw):
    network = attrs.evolve(draw(networks()), space="yx")
    fewest = math.floor(2 * network.halo / network.scale) // network.step + 1
    size = network.step * draw(st.integers(fewest, fewest + 6))
    shape = {a: draw(st.integers(size, 3 * size)) for a in network.space}
    return fixed_case(network, size, shape, pad=draw(st.sampled_from(["symmetric", "edge"])))


def bare_whole(case, pipeline, sample, plan):
    """What the network gives of the image in one piece, padded to where the last block ends."""
    ends = {axis.name: axis.grid.starts[-1] + axis.grid.block for axis in plan.axes}
    widths = [(0, 0), (0, 0), *((0, ends[a] - case.shape[a]) for a in case.network.space)]
    (array,) = pipeline.backend(np.pad(np.asarray(sample), widths, mode=case.pad))
    height, width = (plan.sizes["out"][a] for a in case.network.space)
    return array[..., :height, :width]


@settings(max_examples=200)
@given(fixed_cases())
def test_blocks_of_a_fixed_size_equal_the_whole_or_are_refused_or_warned_of(case):
    pipeline, sample, ran = case.opened()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plan = fn.default_plan(pipeline, sample)
    except (BlockError, BioimageioFnWarning) as refusal:
        event(f"refused: {type(refusal).__name__}")
        assert not ran
        return
    event(f"more than one block: {plan.count > 1}")

    assert_close(fn.run(pipeline, sample, plan), bare_whole(case, pipeline, sample, plan))


def test_a_fixed_size_whose_halo_leaves_no_room_for_the_step_of_the_network_is_warned_of():
    # of 12 pixels the halo leaves 2, but the network halves twice: its blocks are really wrong
    network = Network([Layer("conv", 3, 4), UP, UP, Layer("conv", 3)])
    assert (network.step, network.reach, network.halo) == (4, 5, 5)
    case = fixed_case(network, 12, {"y": 12, "x": 40})
    pipeline, sample, _ = case.opened()

    with pytest.warns(
        BioimageioFnWarning,
        match=r"axis 'x' of tensor 'raw'.*multiples of 2 pixels.*fixed size.*multiples of 4: .*"
        "smaller halo.*min and step",
    ) as caught:
        plan = fn.default_plan(pipeline, sample)

    assert len(caught) == 1
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_close(fn.run(pipeline, sample, plan), bare_whole(case, pipeline, sample, plan))


def test_what_that_warning_advises_helps():
    network = Network([Layer("conv", 3, 4), UP, UP, Layer("conv", 3)])
    case = fixed_case(network, 12, {"y": 12, "x": 40})
    stepped = attrs.evolve(case, sizes={"y": (12, 4), "x": (12, 4)}, block={"x": 16})

    assert check_blocks(stepped).count > 1
    pipeline, sample, _ = case.opened()
    plan = fn.default_plan(pipeline, sample, halo=4)  # no warning, which would be an error here
    assert all(start % 4 == 0 for start in plan.axes[-1].grid.starts)


@pytest.mark.parametrize("shape", [{"y": 12, "x": 12}, {"y": 12, "x": 7}])
def test_one_block_of_a_fixed_size_is_not_warned_of(shape):
    network = Network([Layer("conv", 3, 4), UP, UP, Layer("conv", 3)])
    pipeline, sample, _ = fixed_case(network, 12, shape).opened()

    assert fn.default_plan(pipeline, sample).count == 1
