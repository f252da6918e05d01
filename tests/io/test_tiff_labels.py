"""TIFF files say little, much, or nonsense of their pixels."""

import numpy as np
import pytest
import tifffile
import written

from bioimageio_fn.calibration import UNKNOWN, Calibration, PixelSize
from bioimageio_fn.errors import FileReadError
from bioimageio_fn.io.images import open_image, write_image
from bioimageio_fn.io.labelled import open_labelled, open_tensor
from bioimageio_fn.tensor import Tensor

PLANE = np.arange(20 * 24, dtype="uint16").reshape(20, 24)


def ome_xml(pixels, channels='<Channel ID="Channel:0"/>', planes='<TiffData IFD="0"/>'):
    start = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    sizes = 'SizeX="24" SizeY="20" SizeZ="1" SizeT="1" Type="uint16" DimensionOrder="XYCZT"'
    return (
        f'{start} UUID="urn:uuid:1"><Image ID="Image:0"><Pixels ID="Pixels:0" {sizes} {pixels}>'
        f"{channels}{planes}</Pixels></Image></OME>"
    )


def tiff(path, xml, **options):
    tifffile.imwrite(path, PLANE, description=xml.encode(), metadata=None, **options)
    return path


@pytest.mark.parametrize(
    ("attributes", "sizes"),
    [
        ('PhysicalSizeX="0.5"', {"x": PixelSize(0.5, "micrometer")}),
        ('PhysicalSizeX="500" PhysicalSizeXUnit="nm"', {"x": PixelSize(500, "nanometer")}),
        ('PhysicalSizeX="2" PhysicalSizeXUnit="pixel"', {}),
        ('PhysicalSizeX="2" PhysicalSizeXUnit="reference frame"', {"x": PixelSize(2)}),
        ('PhysicalSizeX="0" PhysicalSizeY="-1"', {}),
        ('PhysicalSizeX="NaN" PhysicalSizeY="wide"', {}),
        ('TimeIncrement="20" TimeIncrementUnit="ms"', {"time": PixelSize(20, "millisecond")}),
    ],
)
def test_sizes_of_ome_tiff_are_known_if_they_make_sense(tmp_path, attributes, sizes):
    path = tiff(tmp_path / "a.ome.tif", ome_xml(f'SizeC="1" {attributes}'))

    assert open_tensor(path).calibration.pixel_sizes == sizes


def test_names_of_channels_are_what_the_file_says_and_no_numbers(tmp_path):
    channels = '<Channel ID="Channel:0" SamplesPerPixel="1" Name="007"/>'
    path = tiff(tmp_path / "a.ome.tif", ome_xml('SizeC="1"', channels))

    assert open_tensor(path).calibration.channel_names == ("007",)


def test_xml_that_declares_entities_is_not_read(tmp_path):
    xml = ome_xml('SizeC="1" PhysicalSizeX="1"', '<Channel ID="Channel:0" Name="&n;"/>')
    head, rest = xml.split("?>", 1)
    path = tiff(tmp_path / "a.ome.tif", f'{head}?><!DOCTYPE OME [<!ENTITY n "name">]>{rest}')

    assert open_tensor(path).calibration == UNKNOWN


def test_colours_of_ome_tiff_are_channels_that_have_no_names(tmp_path):
    colours = np.stack([PLANE.astype("uint8")] * 3, -1)
    metadata = {"axes": "YXS", "Channel": {"Name": "colours"}}
    tifffile.imwrite(tmp_path / "a.ome.tif", colours, photometric="rgb", metadata=metadata)

    tensor = open_tensor(tmp_path / "a.ome.tif")

    assert tensor.axes == ("y", "x", "channel")
    assert tensor.calibration.channel_names == ()


def test_the_full_resolution_of_a_pyramid_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("bioimageio_fn.io.tiff.READ_ELEMENTS", 0)  # nothing is small
    array = np.random.default_rng(0).integers(0, 99, (3, 100, 90), "uint16")
    options = {"tile": (16, 16), "compression": "zlib", "photometric": "minisblack"}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(array, subifds=1, metadata={"axes": "ZYX", "PhysicalSizeX": 0.5}, **options)
        file.write(array[:, ::2, ::2], subfiletype=1, **options)

    tensor = open_tensor(tmp_path / "a.ome.tif")

    np.testing.assert_array_equal(tensor.data[1:, 30:60], array[1:, 30:60])
    assert tensor.axes == ("z", "y", "x")
    assert tensor.calibration.pixel_sizes == {"x": PixelSize(0.5, "micrometer")}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # tifffile leaves the others open
def test_an_image_in_several_files_is_one_and_a_missing_one_is_an_error(tmp_path):
    part = (
        '<TiffData FirstC="{0}" IFD="0"><UUID FileName="{0}.ome.tif">urn:uuid:{0}</UUID></TiffData>'
    )
    planes = "".join(part.format(i) for i in range(2))
    for i in range(2):
        xml = ome_xml('SizeC="2"', '<Channel ID="Channel:0"/>' * 2, planes)
        xml = xml.replace('UUID="urn:uuid:1"', f'UUID="urn:uuid:{i}"')
        tiff(tmp_path / f"{i}.ome.tif", xml, compression="zlib")

    assert open_tensor(tmp_path / "0.ome.tif").sizes == {"channel": 2, "y": 20, "x": 24}

    (tmp_path / "1.ome.tif").unlink()
    with pytest.raises(FileReadError, match=r"pages of .*0\.ome\.tif are missing, or files beside"):
        open_tensor(tmp_path / "0.ome.tif")


def test_a_truncated_ome_tiff_is_an_error(tmp_path):
    array = written.pixels("tcyx")
    path = written.ome_tiff(tmp_path, array, "tcyx", {}, ("a", "b"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    with pytest.raises(FileReadError, match=r"a\.ome\.tif"):
        np.asarray(open_tensor(path))


@pytest.mark.parametrize("kind", ["imagej", "pages"])
def test_a_file_that_lost_its_last_pages_is_an_error(tmp_path, kind):
    stack = np.random.default_rng(0).integers(0, 99, (4, 30, 40), "uint8")
    with tifffile.TiffWriter(tmp_path / "a.tif", imagej=kind == "imagej") as file:
        for plane in [stack] if kind == "imagej" else stack:
            file.write(plane, metadata={"axes": "ZYX"} if kind == "imagej" else None)
    np.testing.assert_array_equal(open_image(tmp_path / "a.tif"), stack)
    content = (tmp_path / "a.tif").read_bytes()

    for kept in (0.3, 0.6, 0.9):
        (tmp_path / "a.tif").write_bytes(content[: int(len(content) * kept)])
        with pytest.raises(
            FileReadError, match=r"pages are missing in .*a\.tif|the end of .*a\.tif is missing"
        ):
            open_image(tmp_path / "a.tif")


@pytest.mark.parametrize("metadata", [None, {"axes": "ZYX"}], ids=["pages", "shaped"])
def test_packed_pixels_that_are_lost_are_told_before_they_are_read(tmp_path, monkeypatch, metadata):
    monkeypatch.setattr("bioimageio_fn.io.tiff.READ_ELEMENTS", 0)  # nothing is small
    stack = np.random.default_rng(0).integers(0, 99, (3, 100, 90), "uint8")
    options = {"tile": (32, 32), "compression": "zlib", "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata=metadata, **options)
    np.testing.assert_array_equal(open_image(tmp_path / "a.tif"), stack)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[:-100])

    with pytest.raises(FileReadError, match=r"the end of .*a\.tif is missing: expected"):
        open_image(tmp_path / "a.tif")


def test_a_file_that_lost_its_description_at_its_end_is_an_error(tmp_path):
    tensor = Tensor(written.pixels("cyx"), "cyx", Calibration({"x": PixelSize(1)}, ["a", "b"]))
    path = write_image(tmp_path / "a.ome.tif", tensor)
    with tifffile.TiffFile(path) as file:
        described = file.pages.first.tags[270].valueoffset
    content = path.read_bytes()
    assert described > max(file.pages.first.dataoffsets)
    path.write_bytes(content[: described + 5])

    with pytest.raises(FileReadError, match=r"the end of .*a\.ome\.tif is missing"):
        open_tensor(path)


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((20, 24), {}, ("y", "x")),
        ((5, 20, 24), {"photometric": "minisblack"}, None),
        ((20, 24, 3), {"photometric": "rgb"}, ("y", "x", "channel")),
        ((3, 20, 24), {"photometric": "rgb", "planarconfig": "separate"}, ("channel", "y", "x")),
        ((2, 20, 24, 3), {"photometric": "rgb", "metadata": {"axes": "CYXS"}}, None),
        ((2, 20, 24), {"photometric": "minisblack", "metadata": {"axes": "AYX"}}, ("angle",)),
        ((2, 20, 24), {"photometric": "minisblack", "metadata": {"axes": "QYX"}}, None),
    ],
    ids=["plane", "pages", "rgb", "planar", "rgb channels", "angles", "other"],
)
def test_a_plain_tiff_names_what_it_can(tmp_path, shape, options, axes):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, "uint8"), **options)

    found = open_labelled(tmp_path / "a.tif")

    assert found.data.shape == shape
    assert found.axes == ((*axes, "y", "x") if axes == ("angle",) else axes)
    assert found.calibration == UNKNOWN


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("NONE", {}),
        ("INCH", {}),  # 300 of them in an inch say how it is to be printed
        ("CENTIMETER", {"y": 5000, "x": 2500}),
        ("MILLIMETER", {"y": 500, "x": 250}),
        ("MICROMETER", {"y": 0.5, "x": 0.25}),
    ],
)
def test_the_resolution_of_a_plain_tiff_is_read_in_units_of_microscopes(tmp_path, unit, expected):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, resolution=(4, 2), resolutionunit=unit)

    sizes = open_tensor(tmp_path / "a.tif").calibration.pixel_sizes

    assert sizes == {axis: PixelSize(value, "micrometer") for axis, value in expected.items()}


def imagej(path, axes, **metadata):
    array = written.pixels(axes)
    options = {"imagej": True, "resolution": (4, 2), "metadata": {"axes": axes.upper(), **metadata}}
    tifffile.imwrite(path, array, **options)
    return open_tensor(path).calibration


@pytest.mark.parametrize(
    ("metadata", "sizes"),
    [
        ({}, {}),
        ({"unit": "pixel", "spacing": 3}, {}),
        (
            {"unit": "micron"},
            {"y": PixelSize(0.5, "micrometer"), "x": PixelSize(0.25, "micrometer")},
        ),
        ({"unit": "furlong"}, {"y": PixelSize(0.5), "x": PixelSize(0.25)}),
        ({"finterval": 3.5}, {"time": PixelSize(3.5, "second")}),
        ({"finterval": 0}, {}),
    ],
    ids=["no unit", "pixels", "microns", "other unit", "time", "no time"],
)
def test_imagej_knows_units(tmp_path, metadata, sizes):
    assert imagej(tmp_path / "a.tif", "tcyx", **metadata).pixel_sizes == sizes


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["a", "b"] * 3, ("a", "b")),
        (["a", "a"] * 3, ()),
        (["1", "2", "3", "4", "5", "6"], ()),
        ([], ()),
    ],
    ids=["by channel", "all the same", "by plane", "none"],
)
def test_labels_of_planes_in_imagej_may_be_those_of_channels(tmp_path, labels, names):
    metadata = {"Labels": labels} if labels else {}

    assert imagej(tmp_path / "a.tif", "tcyx", **metadata).channel_names == names


def test_a_resolution_that_is_no_fraction_is_not_known(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, resolution=(4, 4), resolutionunit="CENTIMETER")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        tags = file.pages.first.tags
        tags["XResolution"].overwrite(2.0, dtype="f")
        tags["YResolution"].overwrite((1, 2, 1, 2), dtype="2I")

    tensor = open_tensor(tmp_path / "a.tif")

    assert tensor.sizes == {"y": 20, "x": 24}
    assert tensor.calibration == UNKNOWN
