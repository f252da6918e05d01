"""What other programs find in the images that this package writes: axes, sizes, names, labels."""

import h5py
import numpy as np
import ome_zarr_models
import pytest
import tifffile
import zarr
from bioio import BioImage

from bioimageio_fn.axes import as_axes
from bioimageio_fn.calibration import Calibration, PixelSize
from bioimageio_fn.errors import FileWriteError
from bioimageio_fn.io.attributes import calibration_of
from bioimageio_fn.io.images import write_image
from bioimageio_fn.tensor import Tensor

NAMES = ['DAPI <&> "β-actin"', "phase {1}"]
CALIBRATION = Calibration(
    {
        "time": PixelSize(2, "minute"),
        "z": PixelSize(0.5, "micrometer"),
        "y": PixelSize(100, "nanometer"),
        "x": PixelSize(120, "nanometer"),
    },
    NAMES,
)
PIXELS = np.random.default_rng(0).random((3, 2, 4, 30, 41)).astype("float32")
LABELS = np.random.default_rng(0).integers(0, 50, (300, 521), "int32")

LAYOUTS = ["tczyx", "zyxct", "xyzct", "ctzyx"]


def turned(layout, pixels=PIXELS):
    """The same image with its axes in another order."""
    return Tensor(
        pixels.transpose([as_axes("tczyx").index(a) for a in as_axes(layout)]), layout, CALIBRATION
    )


@pytest.mark.filterwarnings("ignore:.*the parser argument is ignored")  # bioio's own use of it
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif", "a.ome.zarr"])
def test_bioio_finds_pixels_axes_sizes_and_names(tmp_path, name, layout):
    path = write_image(tmp_path / name, turned(layout))

    image = BioImage(path)

    assert image.dims.order == "TCZYX"
    np.testing.assert_array_equal(image.data, PIXELS)
    assert image.physical_pixel_sizes == (0.5, 100, 120)
    assert list(image.channel_names) == NAMES


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif"])
def test_ome_xml_and_the_tags_of_resolution_have_the_pixel_size(tmp_path, name):
    path = write_image(tmp_path / name, turned("tczyx"))

    with tifffile.TiffFile(path) as file:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        tags = file.pages[0].tags
    found = {key: pixels[key] for key in pixels if "Size" in key or "Time" in key}
    assert found == {
        "SizeX": 41,
        "SizeY": 30,
        "SizeZ": 4,
        "SizeC": 2,
        "SizeT": 3,
        "PhysicalSizeX": 120,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 100,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 0.5,
        "PhysicalSizeZUnit": "µm",
        "TimeIncrement": 2,
        "TimeIncrementUnit": "min",
    }
    assert tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
    numerator, denominator = tags["XResolution"].value
    assert numerator / denominator == pytest.approx(1e7 / 120)


def test_a_size_without_a_unit_that_ome_has_is_no_micrometer(tmp_path):
    sizes = {"y": PixelSize(2), "x": PixelSize(3, "furlong"), "time": PixelSize(4)}
    path = write_image(
        tmp_path / "a.ome.tif", Tensor(np.ones((2, 4, 5)), "tyx", Calibration(sizes))
    )

    with tifffile.TiffFile(path) as file:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]) == (2, 3)
    assert {pixels["PhysicalSizeXUnit"], pixels["PhysicalSizeYUnit"]} == {"reference frame"}
    assert "TimeIncrement" not in pixels


@pytest.mark.parametrize("calibration", [CALIBRATION, Calibration()], ids=["known", "unknown"])
@pytest.mark.parametrize("layout", ["tczyx", "zyx", "yx", "cyx"])
def test_ome_zarr_is_what_its_models_take(tmp_path, layout, calibration):
    shape = [{"t": 2, "c": 2, "z": 3}.get(a, 530) for a in layout]
    pixels = np.random.default_rng(0).integers(0, 999, shape, "uint16")
    path = write_image(tmp_path / "a.ome.zarr", Tensor(pixels, layout, calibration))

    group = zarr.open_group(path, mode="r")
    image = ome_zarr_models.open_ome_zarr(group)
    (scales,) = image.ome_attributes.multiscales

    assert [axis.name for axis in scales.axes] == list(layout)
    assert [level.path for level in scales.datasets] == ["0", "1", "2"]
    by_axis = dict(zip(as_axes(layout), scales.axes, strict=True))
    for axis, described in by_axis.items():
        known = calibration.pixel_sizes.get(axis)
        assert described.unit == (known.unit if known else None)
        i = as_axes(layout).index(axis)
        for k, level in enumerate(scales.datasets):
            size = (known.value if known else 1) * (2**k if axis in ("y", "x") else 1)
            assert level.coordinateTransformations[0].scale[i] == pytest.approx(size)
    half = pixels.reshape(*shape[:-2], 265, 2, 265, 2).mean((-3, -1))
    assert group["1"].shape == half.shape
    np.testing.assert_allclose(group["1"][...], half, atol=0.51)
    assert (group["2"].shape[-1], group["2"].dtype) == (133, np.dtype("uint16"))


def test_ome_zarr_names_its_channels_and_the_range_of_each(tmp_path):
    pixels = np.stack([np.full((300, 300), 7), np.full((300, 300), 9)]).astype("uint8")
    pixels[1, :100] = 200
    path = write_image(tmp_path / "a.ome.zarr", Tensor(pixels, "cyx", CALIBRATION))

    channels = zarr.open_group(path, mode="r").attrs["ome"]["omero"]["channels"]

    assert [channel["label"] for channel in channels] == NAMES
    assert channels[0]["window"] == {"min": 0, "max": 255, "start": 7, "end": 7}
    assert channels[1]["window"] == {"min": 0, "max": 255, "start": 9, "end": 200}


def test_channels_of_another_number_have_no_names(tmp_path):
    path = write_image(
        tmp_path / "a.ome.zarr", Tensor(np.ones((3, 4, 5), "float32"), "cyx", CALIBRATION)
    )

    assert "omero" not in zarr.open_group(path, mode="r").attrs["ome"]


@pytest.mark.parametrize(
    ("dtype", "asked", "expected"),
    [("int32", None, True), ("bool", None, True), ("uint16", None, False), ("uint16", True, True),
     ("int32", False, False), ("float32", None, False)],
)  # fmt: skip
def test_labels_say_so_and_keep_their_values_in_every_level(tmp_path, dtype, asked, expected):
    labels = (LABELS * 7 % 31).astype(dtype)
    path = write_image(tmp_path / "a.ome.zarr", Tensor(labels, "yx", CALIBRATION), labels=asked)

    group = zarr.open_group(path, mode="r")
    assert ("image-label" in group.attrs["ome"]) == expected
    assert group["0"].dtype == ("uint8" if dtype == "bool" else dtype)
    np.testing.assert_array_equal(group["0"][...], labels)
    if expected:
        ome_zarr_models.v05.image_label.ImageLabel.from_zarr(group)
        assert set(np.unique(group["2"][...])) <= set(np.unique(labels).tolist())


def image_with_labels(path):
    image = ome_zarr_models.open_ome_zarr(zarr.open_group(path, mode="r"))
    return [] if image.labels is None else image.labels.label_paths


def test_labels_join_an_image_that_is_there(tmp_path):
    path = write_image(tmp_path / "cells.ome.zarr", Tensor(np.ones((2, 600, 521), "f"), "cyx"))
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*") if p.is_file()}

    for name in ("nuclei", "membranes", "nuclei"):
        write_image(path / "labels" / name, Tensor(LABELS, "yx", CALIBRATION))

    assert image_with_labels(path) == ["nuclei", "membranes"]
    assert {p.name for p in (path / "labels").iterdir()} == {"zarr.json", "nuclei", "membranes"}
    group = zarr.open_group(path / "labels" / "nuclei", mode="r")
    np.testing.assert_array_equal(group["0"][...], LABELS)
    assert group.attrs["ome"]["image-label"]["source"] == {"image": "../../"}
    assert len(list(group.array_keys())) == 3  # as many levels as the image
    assert {p: p.stat().st_mtime_ns for p in before} == before


@pytest.mark.parametrize(
    ("path", "pixels", "reason"),
    [
        ("cells.ome.zarr/nuclei", LABELS, "a path that ends in .zarr, or in .zarr/labels/NAME"),
        ("cells.ome.zarr/labels/a/b", LABELS, "or in .zarr/labels/NAME"),
        ("cells.ome.zarr/labels/a", LABELS / 2, "can not hold these values.*integers"),
        ("none.ome.zarr/labels/a", LABELS, "can not get labels.*nothing there"),
        ("plain.zarr/labels/a", LABELS, "an OME-Zarr image of version 0.5, got something else"),
    ],
)
def test_labels_have_one_place_in_an_image(tmp_path, path, pixels, reason):
    write_image(tmp_path / "cells.ome.zarr", Tensor(np.ones((60, 50), "float32"), "yx"))
    write_image(tmp_path / "plain.zarr", Tensor(np.ones((60, 50), "float32"), "yx"))
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(FileWriteError, match=reason):
        write_image(tmp_path / path, Tensor(pixels, "yx"))

    assert sorted(tmp_path.rglob("*")) == before


def test_an_image_with_labels_is_not_replaced(tmp_path):
    image = Tensor(np.ones((60, 50), "float32"), "yx")
    path = write_image(tmp_path / "cells.ome.zarr", image)
    write_image(path, image)
    write_image(path / "labels" / "nuclei", Tensor(LABELS, "yx"))

    with pytest.raises(FileWriteError, match="an OME-Zarr image alone.*got one with labels"):
        write_image(path, image)

    assert image_with_labels(path) == ["nuclei"]


def test_arrays_in_hdf5_and_plain_zarr_keep_their_calibration(tmp_path):
    tensor = turned("zyxct")
    write_image(tmp_path / "a.zarr", tensor)
    write_image(tmp_path / "a.h5", tensor)

    assert calibration_of(zarr.open_array(tmp_path / "a.zarr").attrs["calibration"]) == CALIBRATION
    with h5py.File(tmp_path / "a.h5") as file:
        attributes = dict(file["data"].attrs)
    assert calibration_of(attributes["calibration"]) == CALIBRATION
    np.testing.assert_allclose(attributes["element_size_um"], [0.5, 0.1, 0.12])


def test_what_is_not_known_is_not_written(tmp_path):
    some = Calibration({"x": PixelSize(1, "micrometer"), "y": PixelSize(1)})
    write_image(tmp_path / "a.h5", Tensor(np.ones((4, 5)), "yx", some))
    write_image(tmp_path / "b.h5", Tensor(np.ones((4, 5)), "yx"))

    with h5py.File(tmp_path / "a.h5") as file, h5py.File(tmp_path / "b.h5") as other:
        assert "element_size_um" not in file["data"].attrs
        assert "calibration" not in other["data"].attrs
