"""What is written is read back: values, axes, pixel sizes with units, names of channels."""

import tempfile
from typing import get_args

import numpy as np
import pytest
from bioimageio.spec.model.v0_5 import SpaceUnit, TimeUnit
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bioimageio_fn.axes import as_axes
from bioimageio_fn.calibration import Calibration, PixelSize
from bioimageio_fn.io.images import write_image
from bioimageio_fn.io.labelled import open_tensor
from bioimageio_fn.tensor import Tensor, drop_axes, transpose

EXACT = ["a.zarr", "a.h5"]
VIEWED = ["a.tif", "a.ome.tif", "a.ome.zarr"]
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
LABELS = ["uint32", "int32"]
VALUES = st.floats(1e-9, 1e9)
PRINTABLE = st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" ")
NAMES = st.text(PRINTABLE, min_size=1).map(str.strip)


@st.composite
def calibrated(draw):
    """Tensors with axes in any order, some of size 1, and some of their pixel sizes and names."""
    others = st.sets(st.sampled_from("tcz")).map(sorted)
    axes = as_axes(draw(st.permutations(["y", "x", *draw(others)])))
    shape = [draw(st.integers(1, 9)) for _ in axes]
    sizes = {}
    for axis in axes:
        if axis != "channel" and draw(st.booleans()):
            units = get_args(TimeUnit if axis == "time" else SpaceUnit)
            sizes[axis] = PixelSize(draw(VALUES), draw(st.sampled_from(units)))
    count = dict(zip(axes, shape, strict=True)).get("channel", 1)
    names = draw(st.lists(NAMES.filter(bool), min_size=count, max_size=count, unique=True))
    pixels = draw(hnp.arrays(draw(st.sampled_from(TYPES)), shape))
    return Tensor(pixels, axes, Calibration(sizes, names if draw(st.booleans()) else []))


def viewed(tensor):
    """The tensor as files for viewers hold it."""
    single = [a for a, n in tensor.sizes.items() if n == 1 and a not in ("y", "x")]
    kept = drop_axes(tensor, single)
    return transpose(kept, [a for a in as_axes("tczyx") if a in kept.axes])


@settings(max_examples=40)
@given(calibrated(), st.sampled_from([*EXACT, *VIEWED]))
def test_what_is_written_is_read_back(tensor, name):
    with tempfile.TemporaryDirectory() as folder:
        found = open_tensor(write_image(f"{folder}/{name}", tensor))
        pixels = np.asarray(found)

    expected = tensor if name in EXACT else viewed(tensor)
    assert (found.axes, found.dtype) == (expected.axes, expected.dtype)
    np.testing.assert_array_equal(pixels, np.asarray(expected))
    # viewers colour labels; channels of OME-Zarr are for images, and would say otherwise
    unnamed = name == "a.ome.zarr" and tensor.dtype in LABELS
    names = () if unnamed else tensor.calibration.channel_names
    assert found.calibration.channel_names == names
    for axis, size in tensor.calibration.pixel_sizes.items():
        if axis in found.axes:
            back = found.calibration.pixel_sizes[axis]
            assert (back.value, back.unit) == (pytest.approx(size.value), size.unit)
