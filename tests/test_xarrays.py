"""Tensors as labelled arrays of xarray, and back."""

import subprocess
import sys

import dask.array
import numpy as np
import pytest
import strategies
import torch
import xarray
from hypothesis import given
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.calibration import UNKNOWN, Calibration, PixelSize
from bioimageio_fn.errors import AxesError, SizeError
from bioimageio_fn.tensor import transpose

UNITS = st.sampled_from(["micrometer", "nanometer", "second", None])
PIXELS = st.builds(PixelSize, st.floats(1e-6, 1e6), UNITS)


@given(strategies.tensors(max_dims=4), st.data())
def test_a_tensor_is_what_its_data_array_says(tensor, data):
    axes = [axis for axis in tensor.axes if axis != "channel"]
    known = data.draw(st.lists(st.sampled_from(axes), unique=True) if axes else st.just([]))
    sizes = {axis: data.draw(PIXELS) for axis in known}
    names = [f"dye {i}" for i in range(tensor.sizes.get("channel", 0))]
    calibrated = fn.Tensor(tensor.data, tensor.axes, Calibration(sizes, names))

    array = calibrated.to_xarray()

    assert fn.Tensor.from_xarray(array) == calibrated
    assert array.dims == tensor.axes


def test_dimensions_may_be_cut_and_turned_in_xarray():
    raw = fn.Tensor(
        np.arange(60.0).reshape(3, 4, 5),
        "cyx",
        Calibration({"x": PixelSize(0.5, "micrometer")}, ["a", "b", "c"]),
    )

    array = raw.to_xarray().sel(channel=["c"]).isel(x=slice(1, 4)).transpose("x", "channel", "y")
    again = fn.Tensor.from_xarray(array)

    assert again.axes == ("x", "channel", "y")
    assert again.calibration.channel_names == ("c",)
    assert again.calibration.pixel_sizes["x"] == PixelSize(0.5, "micrometer")
    np.testing.assert_array_equal(transpose(again, "cyx"), np.asarray(raw)[2:, :, 1:4])


@pytest.mark.parametrize(
    ("units", "expected"),
    [("µm", "micrometer"), ("um", "micrometer"), ("nm", "nanometer"), ("furlong", None), (5, None)],
)
def test_units_of_others_are_those_of_the_format(units, expected):
    coordinate = ("x", [0.0, 0.5, 1.0], {"units": units})
    array = xarray.DataArray(np.zeros(3), dims="x", coords={"x": coordinate})

    assert fn.Tensor.from_xarray(array).calibration.pixel_sizes == {"x": PixelSize(0.5, expected)}


def test_coordinates_that_number_the_pixels_are_no_pixel_size():
    array = xarray.DataArray(np.zeros(3), dims="x", coords={"x": np.arange(3)})

    assert fn.Tensor.from_xarray(array).calibration == UNKNOWN


@pytest.mark.parametrize("values", [[0.0, 1.0, 3.0], [2.0, 1.0, 0.0], list("abc"), [np.nan] * 3])
def test_coordinates_that_are_no_grid_are_no_pixel_size(values):
    array = xarray.DataArray(np.zeros(3), dims="x", coords={"x": values})

    assert fn.Tensor.from_xarray(array).calibration.pixel_sizes == {}


def test_names_that_are_not_one_for_each_channel_are_left_out():
    tensor = fn.Tensor(np.zeros((2, 3)), "cx", Calibration({}, ["only one"]))

    assert "channel" not in tensor.to_xarray().coords


def test_what_is_lazy_in_xarray_stays_lazy():
    tensor = fn.Tensor(dask.array.zeros((4, 5), chunks=2), "yx")

    array = tensor.to_xarray()

    assert isinstance(array.data, dask.array.Array)
    assert isinstance(fn.Tensor.from_xarray(array).data, dask.array.Array)


def test_other_libraries_become_numpy():
    assert isinstance(fn.Tensor(torch.zeros(2, 3), "yx").to_xarray().data, np.ndarray)


def test_a_prediction_of_one_tensor_is_a_data_array(demo):
    image = fn.Tensor(np.zeros((64, 70)), "yx", Calibration({"x": PixelSize(0.2, "micrometer")}))

    array = demo(image).to_xarray()

    assert (array.name, array.dims) == ("probability", ("batch", "channel", "y", "x"))
    assert float(array.x[1]) == 0.2
    with pytest.raises(SizeError, match="one member"):
        fn.Sample({"a": image, "b": image}).to_xarray()


def test_a_data_array_is_read_by_its_dimensions(demo):
    image = np.random.default_rng(0).random((70, 90))
    array = xarray.DataArray(image.T, dims=("x", "y"))

    assert demo(array)["probability"] == demo(image)["probability"]
    assert fn.predict(model=demo, inputs=array)["probability"] == demo(image)["probability"]
    with pytest.raises(AxesError, match="lacks an axis"):
        demo(xarray.DataArray(image))


def test_xarray_is_not_imported_before_it_is_used():
    code = (
        "import sys, numpy as np, bioimageio_fn as fn;"
        "p = fn.create_prediction_pipeline(fn.demo_model(), weights_format='onnx');"
        "fn.predict(model=p, inputs=np.zeros((64, 64)));"
        "assert not {'xarray', 'pandas', 'scipy', 'dask'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
