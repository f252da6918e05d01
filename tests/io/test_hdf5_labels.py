"""HDF5 files have many ways to name axes, and one for pixel sizes."""

import json

import h5py
import numpy as np
import pytest

from bioimageio_fn.calibration import PixelSize
from bioimageio_fn.io.labelled import open_labelled


def scales(data):
    for dimension, axis in zip(data.dims, "zyx", strict=True):
        scale = data.file.create_dataset(f"of/{axis}", data=np.arange(4))
        scale.make_scale()
        dimension.attach_scale(scale)


def labels(data):
    for dimension, axis in zip(data.dims, ("Z", "Y", "X"), strict=True):
        dimension.label = axis


def one_label(data):
    data.dims[0].label = "z"


def attribute(**attributes):
    def write(data):
        data.attrs.update(attributes)

    return write


TAGS = json.dumps({"axes": [{"key": axis, "resolution": 0} for axis in "zyx"]})
WAYS = {
    "labels": labels,
    "scales": scales,
    "letters": attribute(axes="zyx"),
    "bytes": attribute(axes=np.bytes_("ZYX")),
    "names": attribute(axes=["z", "y", "x"]),
    "tags": attribute(axistags=TAGS),
    "nonsense first": attribute(axes="q?", axistags=TAGS),
}
NO_WAYS = {
    "nothing": attribute(),
    "one label": one_label,
    "too few": attribute(axes="yx"),
    "doubled": attribute(axes="yyx"),
    "a number": attribute(axes=5),
    "no JSON": attribute(axistags="z y x"),
    "other JSON": attribute(axistags="[5]"),
    "no tags": attribute(axistags='{"axes": 5}'),
}


def opened(tmp_path, write, **attributes):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("raw", data=np.zeros((4, 4, 4)))
        data.attrs.update(attributes)
        write(data)
    return open_labelled(tmp_path / "a.h5/raw")


@pytest.mark.parametrize("way", WAYS)
def test_axes_are_named_in_the_ways_of_other_programs(tmp_path, way):
    assert opened(tmp_path, WAYS[way]).axes == ("z", "y", "x")


@pytest.mark.parametrize("way", NO_WAYS)
def test_axes_without_names_stay_so(tmp_path, way):
    assert opened(tmp_path, NO_WAYS[way]).axes is None


@pytest.mark.parametrize(
    ("axes", "given", "expected"),
    [
        ("zyx", [3, 2, 1], {"z": 3, "y": 2, "x": 1}),
        ("xyz", [1, 2, 3], {"z": 3, "y": 2, "x": 1}),
        ("cyx", [3, 2, 1], {"y": 2, "x": 1}),
        ("cyx", [2, 1], {"y": 2, "x": 1}),
        (None, [3, 2, 1], {"z": 3, "y": 2, "x": 1}),
        (None, [2, 1], {"y": 2, "x": 1}),
        ("zyx", [0, 2, 1], {"y": 2, "x": 1}),
        ("zyx", [5, 4, 3, 2, 1], {}),
        ("zyx", 5, {}),
    ],
)
def test_element_sizes_are_those_of_space(tmp_path, axes, given, expected):
    write = attribute() if axes is None else attribute(axes=axes)

    sizes = opened(tmp_path, write, element_size_um=given).calibration.pixel_sizes

    assert sizes == {axis: PixelSize(size, "micrometer") for axis, size in expected.items()}
