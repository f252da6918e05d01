"""OME-Zarr: the full resolution, or what a path says; where several images are, they are listed."""

import shutil

import numpy as np
import pytest
import written
import zarr

from bioimageio_fn.calibration import UNKNOWN, PixelSize
from bioimageio_fn.errors import FileReadError, MissingFileError
from bioimageio_fn.io.images import open_image
from bioimageio_fn.io.labelled import open_labelled, open_tensor

ARRAY = written.pixels("cyx")
SIZES = {"y": 0.25, "x": 0.125}
VERSIONS = [written.ome_zarr_0_4, written.ome_zarr_0_5]


def micrometers(tensor):
    assert {size.unit for size in tensor.calibration.pixel_sizes.values()} <= {"micrometer"}
    return {axis: size.value for axis, size in tensor.calibration.pixel_sizes.items()}


@pytest.fixture(params=VERSIONS)
def image(request, tmp_path):
    return request.param(tmp_path, ARRAY, "cyx", SIZES, ("DAPI", "GFP"))


def test_without_a_path_it_is_the_full_resolution(image):
    tensor = open_tensor(image)

    np.testing.assert_array_equal(tensor, ARRAY)
    assert tensor.axes == ("channel", "y", "x")
    assert micrometers(tensor) == SIZES
    assert tensor.calibration.channel_names == ("DAPI", "GFP")


def test_a_path_picks_another_level_with_its_own_pixel_sizes(image):
    tensor = open_tensor(image / "1")

    np.testing.assert_array_equal(tensor, ARRAY[:, ::2, ::2])
    assert tensor.axes == ("channel", "y", "x")
    assert micrometers(tensor) == {"y": 0.5, "x": 0.25}
    assert tensor.calibration.channel_names == ("DAPI", "GFP")
    assert open_tensor(image / "0") == open_tensor(image)
    with pytest.raises(MissingFileError, match=r"there is no array 7 in"):
        open_tensor(image / "7")


def test_a_path_picks_labels(tmp_path, image):
    version = "0.4" if image.name.startswith("a") else "0.5"
    labels = ARRAY[0] % 7
    for name in ("nuclei", "cells"):
        written.ome_zarr(image / "labels" / name, labels, "yx", SIZES, (), version)

    tensor = open_tensor(image / "labels/nuclei")

    np.testing.assert_array_equal(tensor, labels)
    assert (tensor.axes, micrometers(tensor)) == (("y", "x"), SIZES)
    np.testing.assert_array_equal(open_image(image), ARRAY)
    assert open_image(image / "labels/nuclei/1").shape == (10, 12)


def test_an_archive_may_hold_the_folder_of_the_image(tmp_path):
    """As programs of desktops make them."""
    path = written.ome_zarr(tmp_path / "a.zarr", ARRAY, "cyx", SIZES, ())
    (tmp_path / "made").mkdir()
    shutil.copytree(path, tmp_path / "made/a.zarr")
    (tmp_path / "made/__MACOSX").mkdir()
    (tmp_path / "made/__MACOSX/._a.zarr").touch()
    shutil.make_archive(tmp_path / "b", "zip", tmp_path / "made")

    assert open_tensor(tmp_path / "b.zip") == open_tensor(path)
    assert open_tensor(tmp_path / "b.zip/a.zarr/1") == open_tensor(path / "1")


def test_an_archive_of_something_else_is_an_error(tmp_path):
    (tmp_path / "made/folder").mkdir(parents=True)
    (tmp_path / "made/folder/a.txt").touch()
    shutil.make_archive(tmp_path / "b", "zip", tmp_path / "made")

    with pytest.raises(FileReadError, match=r"there is no Zarr array or group in .*b\.zip"):
        open_tensor(tmp_path / "b.zip")


@pytest.mark.parametrize("write", VERSIONS)
def test_images_in_a_group_are_listed(tmp_path, write):
    """As in plates, and in what bioformats2raw writes."""
    first = write(tmp_path, ARRAY, "cyx", SIZES, ())
    plate, zarr_format = tmp_path / "plate.zarr", 2 if write is written.ome_zarr_0_4 else 3
    for group in ("", "A", "A/1", "B", "B/2"):
        zarr.create_group(plate / group, zarr_format=zarr_format)
    for well in ("A/1/0", "A/1/1", "B/2/0"):
        shutil.copytree(first, plate / well)

    reason = r"plate\.zarr holds several arrays: .*such as .*plate\.zarr/A/1/0, got A/1/0, A/1/1, B"
    with pytest.raises(FileReadError, match=reason):
        open_tensor(plate)
    assert open_tensor(plate / "A/1/1") == open_tensor(first)
    assert open_tensor(plate / "B") == open_tensor(first)  # holds only one


def described(folder, **multiscale):
    """An image whose metadata no library would write."""
    zarr.create_array(folder / "0", data=ARRAY, zarr_format=2)
    group = zarr.open_group(folder, mode="a", zarr_format=2)
    group.attrs["multiscales"] = [{"datasets": [{"path": "0"}], **multiscale}]
    return folder


@pytest.mark.parametrize(
    ("multiscale", "axes", "sizes"),
    [
        ({"axes": ["c", "y", "x"]}, ("channel", "y", "x"), {}),
        ({"axes": [{"name": "stain", "type": "channel"}, {"name": "y"}, {"name": "x"}]}, ..., {}),
        ({"axes": ["c", "y", "y"]}, None, {}),
        ({"axes": [{"name": "c"}, {"name": None}, {"name": "x"}]}, None, {}),
        ({"axes": ["y", "x"]}, None, {}),
        ({}, None, {}),
        (
            {
                "axes": ["c", {"name": "y", "unit": "nanometer"}, {"name": "x"}],
                "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 0.5]}],
            },
            ...,
            {"y": PixelSize(1, "nanometer"), "x": PixelSize(0.5)},
        ),
        (
            {
                "axes": ["c", {"name": "y", "unit": "micrometer"}, {"name": "x", "unit": "µm"}],
                "coordinateTransformations": [{"type": "scale", "scale": [1, 0, 2]}],
            },
            ...,
            {"x": PixelSize(2, "micrometer")},
        ),
    ],
    ids=["0.3", "typed", "doubled", "unnamed", "too few", "0.1", "no unit", "no extent"],
)
def test_other_metadata_are_read_as_far_as_they_make_sense(tmp_path, multiscale, axes, sizes):
    image = open_labelled(described(tmp_path / "a.zarr", **multiscale))

    np.testing.assert_array_equal(image.data, ARRAY)
    assert image.axes == (("channel", "y", "x") if axes is ... else axes)
    assert image.calibration.pixel_sizes == sizes


def test_images_of_the_first_versions_have_five_axes(tmp_path):
    zarr.create_array(tmp_path / "a.zarr/0", data=written.pixels("tczyx"), zarr_format=2)
    group = zarr.open_group(tmp_path / "a.zarr", mode="a", zarr_format=2)
    group.attrs["multiscales"] = [{"version": "0.1", "datasets": [{"path": "0"}]}]

    assert open_tensor(tmp_path / "a.zarr").axes == ("time", "channel", "z", "y", "x")


@pytest.mark.parametrize(
    "multiscale", [{"datasets": []}, {"datasets": [{"path": "gone"}]}, {"datasets": 5}]
)
def test_an_image_without_its_pixels_is_an_error(tmp_path, multiscale):
    with pytest.raises(FileReadError, match=r"a\.zarr"):
        open_tensor(described(tmp_path / "a.zarr", **multiscale))


def test_an_image_does_not_lead_out_of_its_folder(tmp_path):
    zarr.create_array(tmp_path / "secret.zarr", data=ARRAY, zarr_format=2)
    path = described(tmp_path / "a.zarr", datasets=[{"path": "../secret.zarr"}])

    with pytest.raises(FileReadError, match=r"a\.zarr"):
        open_tensor(path)


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (["c", "y", "x"], ("channel", "y", "x")),
        (["dim_0", "dim_1", "dim_2"], None),
        ([None, "y", "x"], None),
        (["y", "y", "x"], None),
    ],
    ids=["names", "numbers", "missing", "doubled"],
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_names_of_plain_arrays_are_axes_if_they_are_names(tmp_path, zarr_format, names, axes):
    options = {"dimension_names": names} if zarr_format == 3 else {}
    array = zarr.create_array(tmp_path / "a.zarr", data=ARRAY, zarr_format=zarr_format, **options)
    if zarr_format == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = names

    image = open_labelled(tmp_path / "a.zarr")

    assert (image.axes, image.calibration) == (axes, UNKNOWN)
