"""Outputs are calibrated as the images that they are made of."""

import pickle

import numpy as np
import pytest
from descriptions import axis05, contract_of, model05, ref, sized, tensor05
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn import Calibration, PixelSize, Tensor
from bioimageio_fn.contract.calibrating import output_calibrations
from bioimageio_fn.errors import AxesError
from bioimageio_fn.tensor import astype, crop, drop_axes, insert_axes, pad, transpose

MICROMETER = "micrometer"


def contract(in_scale=1.0, out_scale=1.0, out_size=None):
    raw = tensor05(
        "raw",
        [axis05("channel", 1), axis05("y", sized(8, 8)), axis05("x", sized(8, 8), scale=in_scale)],
    )
    size = ref("raw", "x") if out_size is None else out_size
    out = tensor05(
        "out",
        [axis05("channel", 1), axis05("y", ref("raw", "y")), axis05("x", size, scale=out_scale)],
    )
    return contract_of(model05([raw], [out]))


@given(st.floats(1e-3, 1e3), st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]))
def test_a_pixel_of_an_output_is_as_large_as_the_input_pixels_that_it_is_made_of(size, ratio):
    image = Calibration({"x": PixelSize(size, MICROMETER), "y": PixelSize(2 * size, "nm")})

    found = output_calibrations(contract(1.0, ratio), {"raw": image})["out"].pixel_sizes

    assert found["x"].unit == MICROMETER
    assert found["x"].value == pytest.approx(size * ratio)
    assert found["y"] == image.pixel_sizes["y"]


def test_an_axis_of_fixed_size_takes_the_described_ratio():
    image = Calibration({"x": PixelSize(3, MICROMETER)})

    found = output_calibrations(contract(0.5, 1.0, out_size=4), {"raw": image})["out"]

    assert found.pixel_sizes["x"] == PixelSize(6, MICROMETER)


def test_what_is_not_known_of_the_image_is_not_made_up():
    assert not output_calibrations(contract(0.5, 0.5), {})["out"].pixel_sizes


def test_functions_that_keep_pixels_keep_what_is_known_of_them():
    known = Calibration({"x": PixelSize(0.1, MICROMETER)}, ["DAPI"])
    tensor = Tensor(np.zeros((1, 4, 6), "uint8"), "cyx", known)

    for made in (
        crop(tensor, {"x": (1, 1)}),
        pad(tensor, {"x": (1, 1)}),
        transpose(tensor, "xyc"),
        drop_axes(tensor, "c"),
        insert_axes(tensor, "b"),
        astype(tensor, "float32"),
        pickle.loads(pickle.dumps(tensor)),
    ):
        assert made.calibration == known


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf")])
def test_a_pixel_without_extent_is_refused(size):
    with pytest.raises(AxesError, match="larger than 0"):
        PixelSize(size)
