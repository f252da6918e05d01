"""Axes that a model does not have are looped over."""

from functools import partial

import numpy as np
import pytest
import strategies
from descriptions import axis05, contract_of, image05, model05, ref, sized, step, tensor05, write
from hypothesis import given
from hypothesis import strategies as st
from stored import Recording, stored

import bioimageio_fn as fn
from bioimageio_fn.calibration import Calibration, PixelSize
from bioimageio_fn.errors import AxesError, SizeError
from bioimageio_fn.planes import Stack, placed, planes, run_planes, stack_of, unplaned
from bioimageio_fn.spec import tensor_spec
from bioimageio_fn.tensor import transpose

GREY = contract_of(image05())
FLAT = contract_of(
    model05(
        [tensor05("raw", [axis05("y", sized(8, 4)), axis05("x", sized(8, 4))])],
        [tensor05("out", [axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))])],
    )
)


def numbered(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def doubled(array):
    return (2 * array,)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """A model that doubles each pixel of an image."""
    path = write(tmp_path_factory.mktemp("twice"), image05())
    return fn.create_prediction_pipeline(path, backend=doubled)


# ---------------------------------------------------------------- what planes are


@given(strategies.tensors(min_dims=1, max_dims=4), st.data())
def test_planes_put_together_are_the_sample(tensor, data):
    looped = data.draw(st.lists(st.sampled_from(tensor.axes), unique=True))
    behind = {a: tensor.axes[tensor.axes.index(a) + 1 :] for a in tensor.axes if a in looped}
    stack = Stack({a: tensor.sizes[a] for a in behind}, behind)
    sample = fn.Sample({"raw": tensor}, id="a")

    parts = list(planes(sample, stack))

    assert len(parts) == stack.count
    assert all(set(part["raw"].axes).isdisjoint(looped) for _, part in parts)
    assert unplaned(parts[::-1], stack) == sample


@given(strategies.axes(max_size=6), strategies.axes(max_size=6))
def test_axes_that_are_looped_over_keep_their_places(image, described):
    extra = [a for a in image if a not in described]
    stack = Stack(dict.fromkeys(extra, 2), {a: image[image.index(a) + 1 :] for a in extra})

    result = placed(described, stack)

    assert [a for a in result if a in described] == list(described)
    assert sorted(result) == sorted({*described, *extra})
    if [a for a in image if a in described] == list(described):
        assert [a for a in result if a in image] == list(image)


@pytest.mark.parametrize(
    ("axes", "contract", "expected"),
    [
        ("tyx", GREY, "btcyx"),
        ("zyx", GREY, "bczyx"),
        ("tzcyx", GREY, "btzcyx"),
        ("tczyx", GREY, "btczyx"),
        ("yxt", GREY, "bcyxt"),
        ("tbzyx", FLAT, "tbzyx"),
    ],
)
def test_where_axes_are_in_the_result(axes, contract, expected):
    # the channel of an image of one channel is the model's
    tensor = fn.Tensor(np.zeros([1 if a == "c" else 2 for a in axes]), axes)
    if axes == "tyx":
        expected = "bctyx"

    stack = stack_of(fn.Sample({"raw": tensor}), contract)

    assert (
        placed(contract.outputs[0].axis_ids, stack)
        == fn.Tensor(np.zeros([1] * len(expected)), expected).axes
    )


def test_axes_of_size_1_are_not_looped_over():
    tensor = fn.Tensor(np.zeros((1, 1, 1, 9, 9)), "tczyx")

    assert stack_of(fn.Sample({"raw": tensor}), GREY).count == 1


def test_a_stack_of_nothing_is_refused(demo):
    with pytest.raises(SizeError, match="no planes.*'raw', axis 'time'.*got 0"):
        fn.predict(model=demo, inputs=np.zeros((0, 64, 64)), axes="tyx")


def test_channels_are_not_looped_over():
    named = Calibration({}, ["DAPI", "GFP", "RFP"])
    with pytest.raises(
        AxesError, match=r"without channels.*3 channels \(DAPI, GFP, RFP\).*channels="
    ):
        stack_of(fn.Sample({"raw": fn.Tensor(np.zeros((3, 9, 9)), "cyx", named)}), FLAT)


def test_axes_with_other_names_are_not_looped_over_where_the_model_needs_one():
    sample = fn.Sample({"raw": fn.Tensor(numbered(4, 9, 9), ["z", "height", "width"])})

    with pytest.raises(AxesError, match="lacks an axis.*'y'.*got z, height, width; if they"):
        stack_of(sample, GREY)


def test_of_what_is_on_disk_a_plane_is_read_where_it_is_asked_for():
    source = Recording(numbered(4, 9, 9))
    stack = Stack({"t": 4}, {"t": ("y", "x")})

    plane = list(planes(fn.Sample({"raw": fn.Tensor(source, "tyx")}), stack))[2][1]
    assert source.reads.sum() == 0
    part = plane["raw"].data[3:5, 7]

    assert source.reads.sum() == source.reads[2, 3:5, 7].sum() == 2
    np.testing.assert_array_equal(part, source.array[2, 3:5, 7])


# ---------------------------------------------------------------- planes predicted


@pytest.mark.parametrize("axes", ["zyx", "tzyx", "tczyx", "xzyt", "yxi"])
def test_every_plane_is_predicted_and_stands_in_its_place(twice, axes):
    tensor = fn.Tensor(numbered(*[{"c": 1, "t": 2, "z": 3, "i": 3}.get(a, 9) for a in axes]), axes)

    result = fn.predict(model=twice, inputs=tensor)["out"]

    there = [a for a in result.axes if a in tensor.axes]
    first = transpose(result, [a for a in result.axes if a not in there] + there)
    single = np.asarray(first).reshape([tensor.sizes[a] for a in there])
    np.testing.assert_array_equal(single, 2 * np.asarray(transpose(tensor, there)))


def test_planes_are_measured_one_by_one(demo):
    dark = np.random.default_rng(0).integers(0, 100, (70, 80)).astype("uint16")
    stack = np.stack([dark, 10 * dark, dark + 500])

    result = fn.predict(model=demo, inputs=fn.Tensor(stack, "zyx"))["probability"]

    assert result.axes == ("batch", "channel", "z", "y", "x")
    for i, plane in enumerate(stack):
        np.testing.assert_array_equal(np.asarray(result)[:, :, i], demo(plane))


def test_a_data_set_is_carried_from_plane_to_plane_in_predict_many(tmp_path):
    measured = step("zero_mean_unit_variance", axes=["batch", "y", "x"])
    path = write(tmp_path, image05(pre=[measured]))
    pipeline = fn.create_prediction_pipeline(path, backend=lambda x: (x,))
    first, second = numbered(9, 9), 100 + 7 * numbered(9, 9)
    stack = fn.Tensor(np.stack([first, second]), "tyx")

    (many,) = fn.predict_many(model=pipeline, inputs=[stack])
    alone = fn.predict(model=pipeline, inputs=stack)
    expected = list(fn.predict_many(model=pipeline, inputs=[first, second]))

    for i in range(2):
        np.testing.assert_array_equal(np.asarray(many["out"])[:, :, i], expected[i]["out"])
        np.testing.assert_array_equal(
            np.asarray(alone["out"])[:, :, i], pipeline([first, second][i])["out"]
        )


@pytest.mark.parametrize("suffix", [".zarr", ".h5", ".npy", ".ome.zarr", ".ome.tif", ".tif"])
def test_planes_are_written_one_by_one_into_one_file(twice, tmp_path, suffix):
    source = Recording(numbered(2, 3, 50, 60))
    path = tmp_path / f"out{suffix}"
    told = []

    result = fn.predict(
        model=twice,
        inputs=fn.Tensor(source, "tzyx"),
        save_output_path=path,
        input_block_shape={"y": 32, "x": 60},
        on_progress=lambda *n: told.append(n),
    )["out"]

    assert (result.axes, result.shape) == (
        ("batch", "channel", "time", "z", "y", "x"),
        (1, 1, 2, 3, 50, 60),
    )
    np.testing.assert_array_equal(np.asarray(result)[0, 0], 2 * source.array)
    if "ome" not in suffix and suffix != ".tif":
        np.testing.assert_array_equal(stored(path)[0, 0], 2 * source.array)
    # small files of packed pixels are read at once
    assert type(result.data) is not np.ndarray or "tif" in suffix
    assert told[0] == (0, 12)
    assert told[-1] == (12, 12)
    assert sorted(told) == told


def test_planes_in_memory_are_written_once(twice):
    stack = numbered(3, 9, 9)
    made = []

    def create(name, spec):
        made.append((name, spec.axes, spec.shape))
        return np.zeros(spec.shape, spec.dtype)

    sample = fn.Sample({"raw": fn.Tensor(stack, "zyx")}, id="s")
    result = run_planes(partial(fn.run, twice), sample, stack_of(sample, GREY), create=create)

    assert made == [("out", ("batch", "channel", "z", "y", "x"), (1, 1, 3, 9, 9))]
    assert result.id == "s"
    np.testing.assert_array_equal(np.asarray(result)[0, 0], 2 * stack)


def test_what_is_needed_for_a_while_is_there_once_for_all_planes():
    stack = fn.Tensor(numbered(3, 8, 8), "zyx")
    made = []

    def scratch(name, spec):
        made.append(name)
        return np.zeros(spec.shape, spec.dtype)

    def run_one(plane, *, create, scratch, on_progress):
        raw, whole = (make("out", tensor_spec(plane["raw"])) for make in (scratch, create))
        other = scratch("out", tensor_spec(plane["raw"]))
        raw[...] = plane["raw"].data
        other[...] = 1
        whole[...] = 2 * raw + other
        return fn.Sample({"out": fn.Tensor(whole, plane["raw"].axes)})

    sample = fn.Sample({"raw": stack})
    result = run_planes(run_one, sample, stack_of(sample, GREY), scratch=scratch)

    np.testing.assert_array_equal(np.asarray(result), 2 * numbered(3, 8, 8) + 1)
    assert made == ["out", "out"]


def test_pixel_sizes_of_planes_are_known_of_the_result(twice, tmp_path):
    sizes = {"z": PixelSize(2, "micrometer"), "y": PixelSize(0.5, "micrometer")}
    stack = fn.Tensor(numbered(3, 9, 9), "zyx", Calibration(sizes))

    for path in (None, tmp_path / "a.zarr"):
        result = fn.predict(model=twice, inputs=stack, save_output_path=path)
        assert dict(result["out"].calibration.pixel_sizes) == sizes


def test_one_of_several_inputs_may_be_the_same_for_all_planes(tmp_path):
    axes = [axis05("b"), axis05("c", 1), axis05("y", sized(8, 4)), axis05("x", sized(8, 4))]
    outs = [axis05("b"), axis05("c", 1), axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    path = write(
        tmp_path, model05([tensor05("raw", axes), tensor05("mask", axes)], [tensor05("out", outs)])
    )
    pipeline = fn.create_prediction_pipeline(path, backend=lambda raw, mask: (raw * mask,))
    raw, mask = numbered(3, 9, 9), numbered(9, 9) % 2

    result = fn.predict(model=pipeline, inputs={"raw": fn.Tensor(raw, "zyx"), "mask": mask})

    np.testing.assert_array_equal(np.asarray(result)[0, 0], raw * mask)
    with pytest.raises(
        SizeError, match="same number of planes.*'mask', axis 'z'.*expected 3, got 2"
    ):
        fn.predict(
            model=pipeline,
            inputs={"raw": fn.Tensor(raw, "zyx"), "mask": fn.Tensor(raw[:2], "zyx")},
        )


def test_a_memory_limit_is_measured_once_for_all_planes(twice, monkeypatch):
    from bioimageio_fn import predicting

    measured = []
    measure = predicting.measured_memory
    monkeypatch.setattr(
        predicting, "measured_memory", lambda *a, **o: measured.append(a) or measure(*a, **o)
    )
    stack = fn.Tensor(numbered(4, 30, 30), "tyx")

    result = fn.predict(model=twice, inputs=stack, memory_limit="2GB")

    assert len(measured) == 1
    np.testing.assert_array_equal(np.asarray(result)[0, 0], 2 * np.asarray(stack))


def test_a_pipeline_takes_one_plane_and_says_so(twice):
    with pytest.raises(AxesError, match="no such axis.*'raw', axis 'z'.*call `predict`"):
        twice(fn.Tensor(numbered(3, 9, 9), "zyx"))


def test_planes_whose_results_differ_in_size_are_refused():
    stack = Stack({"z": 2}, {"z": ("x",)})
    parts = [({"z": i}, fn.Sample({"a": fn.Tensor(np.zeros(i + 1), "x")})) for i in range(2)]

    with pytest.raises(SizeError, match="different form.*'a'"):
        unplaned(parts, stack)
