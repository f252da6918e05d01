"""What users give is opened, its axes are named, its channels are selected."""

import numpy as np
import pytest
from descriptions import axis05, contract_of, image05, model05, ref, sized, tensor05
from hypothesis import given
from hypothesis import strategies as st
from stored import Recording

import bioimageio_fn as fn
from bioimageio_fn.calibration import Calibration
from bioimageio_fn.errors import AxesError, SizeError, UnknownMemberError
from bioimageio_fn.inputs import read_sample, selected
from bioimageio_fn.io.images import write_image

GREY = contract_of(image05())
TWO = contract_of(
    model05(
        [
            tensor05(
                name,
                [axis05("b"), axis05("c", 1), axis05("y", sized(8, 4)), axis05("x", sized(8, 4))],
            )
            for name in ("raw", "mask")
        ],
        [tensor05("out", [axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))])],
    )
)
RAW = np.random.default_rng(0).integers(0, 999, (3, 20, 30)).astype("uint16")
NAMED = fn.Tensor(RAW, "cyx", Calibration({}, ["DAPI", "GFP", "GFP"]))


@pytest.mark.parametrize("name", ["a.npy", "a.tif", "a.zarr"])
def test_axes_that_are_given_count_more_than_those_of_a_file(tmp_path, name):
    path = write_image(tmp_path / name, fn.Tensor(RAW, "zyx"))

    sample = read_sample(path, GREY, axes="tyx")

    assert sample.id == "a"
    assert sample["raw"].axes == ("time", "y", "x")
    np.testing.assert_array_equal(sample["raw"], RAW)


@pytest.mark.parametrize(
    "given",
    [RAW, NAMED, NAMED.to_xarray(), {"raw": RAW}, RAW.tolist()],
    ids=["array", "tensor", "xarray", "mapping", "list"],
)
@pytest.mark.parametrize("axes", ["zyx", ["z", "y", "x"], {"raw": "zyx"}], ids=str)
def test_axes_are_given_for_whatever_is_given(given, axes):
    sample = read_sample(given, GREY, axes=axes)

    assert sample["raw"].axes == ("z", "y", "x")


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("yx", "number of axes"),
        ("qyx", "letter"),
        ("yyx", "twice"),
        ({"raw": "yx"}, "number of axes"),
    ],
)
def test_axes_that_are_none_of_the_image_are_refused(axes, message):
    with pytest.raises(AxesError, match=message):
        read_sample(RAW, GREY, axes=axes)


def test_axes_of_several_inputs_are_given_by_name():
    given = {"raw": RAW[0].T, "mask": RAW[0]}

    sample = read_sample(given, TWO, axes={"raw": "xy"})

    assert sample["raw"].axes == ("x", "y")
    assert sample["mask"].axes == ("batch", "channel", "y", "x")
    for option in ({"axes": "yx"}, {"channels": 0}):
        with pytest.raises(AxesError, match="of several tensors.*mapping"):
            read_sample(given, TWO, **option)
        with pytest.raises(UnknownMemberError, match="'image'.*raw, mask"):
            read_sample(given, TWO, **{name: {"image": value} for name, value in option.items()})


@given(st.lists(st.integers(-3, 2), min_size=1, max_size=5), st.booleans())
def test_channels_are_taken_in_the_order_in_which_they_are_named(channels, lazy):
    tensor = fn.Tensor(Recording(RAW) if lazy else RAW, "cyx")

    result = selected(tensor, channels, "raw")

    assert result.shape == (len(channels), 20, 30)
    np.testing.assert_array_equal(result.data[:, 3:9, 7], RAW[channels][:, 3:9, 7])
    assert not lazy or tensor.data.reads.sum() <= RAW.shape[0] * 6


@pytest.mark.parametrize(
    "channels",
    ["DAPI", ["DAPI"], 0, [0], -3, {"raw": "DAPI"}, np.int64(0), np.array([0])],
    ids=str,
)
def test_channels_have_numbers_and_names(channels):
    sample = read_sample(NAMED, GREY, channels=channels)

    assert sample["raw"].calibration.channel_names == ("DAPI",)
    np.testing.assert_array_equal(sample["raw"], RAW[:1])


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (3, "no such channel.*'raw'.*0 to 2, or one of DAPI, GFP, GFP, got 3"),
        ("Cy5", "no such channel.*got 'Cy5'"),
        ("GFP", "several channels have this name"),
        (True, "no such channel"),
        (0.5, "no such channel.*got 0.5"),
        ([], "no channel is selected"),
    ],
)
def test_channels_that_are_not_there_are_refused_with_those_that_are(channels, message):
    with pytest.raises(AxesError, match=message):
        read_sample(NAMED, GREY, channels=channels)


def test_where_no_axis_is_one_of_channels_none_can_be_selected():
    with pytest.raises(AxesError, match="no axis of this tensor is one of channels.*axes="):
        read_sample(fn.Tensor(RAW, "zyx"), GREY, channels=0)


def test_a_name_that_is_given_counts_more_than_that_of_the_sample():
    sample = fn.Sample({"raw": fn.Tensor(RAW[0], "yx")}, id="own")

    assert read_sample(sample, GREY).id == "own"
    assert read_sample(sample, GREY, sample_id="given").id == "given"


def test_one_channel_too_many_is_an_error_that_says_how_to_select(demo):
    with pytest.raises(SizeError, match=r"'channel'.*3 \(DAPI, GFP, GFP\).*channels="):
        fn.predict(model=demo, inputs=NAMED)

    result = fn.predict(model=demo, inputs=NAMED, channels="DAPI")

    assert result["probability"] == demo(RAW[0])["probability"]


@pytest.mark.parametrize("axes", ["cyx", "yxc", "xcy", "bcyx", "ycbx"])
def test_orders_are_turned_by_name(demo, axes):
    image = fn.Tensor(RAW[:1], "cyx")
    sizes = {"c": 1, "b": 1, "y": 20, "x": 30}
    turned = np.einsum(f"yx->{''.join(a for a in axes if a in 'yx')}", RAW[0])

    result = fn.predict(model=demo, inputs=turned.reshape([sizes[a] for a in axes]), axes=axes)

    assert result["probability"] == demo(image)["probability"]


def test_axes_and_channels_of_many_samples(demo):
    images = [np.moveaxis(RAW, 0, -1), np.moveaxis(RAW[::-1], 0, -1)]

    results = list(fn.predict_many(model=demo, inputs=images, axes="yxc", channels=1))

    assert results[0]["probability"] == results[1]["probability"] == demo(RAW[1])["probability"]
