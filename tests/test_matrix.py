"""Formats, orders of axes and models, from file to file, by Python and by the command line."""

import itertools

import numpy as np
import pytest
import written
from commands import document
from descriptions import image05, step, write

import bioimageio_fn as fn
from bioimageio_fn.axes import as_axes
from bioimageio_fn.tensor import drop_axes, transpose

SIZES = {"t": 2.5, "z": 0.5, "y": 0.25, "x": 0.125}
CHANNELS = ("DAPI", "GFP")
MODELS = {"grey": ("yx", 1), "colours": ("yx", 2), "volume": ("zyx", 1)}
"""Axes in space, and number of channels."""
SUFFIXES = (".ome.tif", ".tif", ".ome.zarr", ".zarr", ".h5", ".npy")
READ = {
    written.ome_tiff: ("yx", "cyx", "ztyx", "zcyx", "tczyx"),
    written.imagej_tiff: ("yx", "cyx", "zyx", "tzcyx"),
    written.shaped_tiff: ("yx", "xy", "yxc", "xtzyc"),
    written.hdf5_labels: ("yx", "zyx", "yxc", "xzcty"),
    written.zarr2: ("yx", "xyc", "ztcyx"),
    written.zarr3: ("yx", "cxy", "yxztc"),
    written.ome_zarr_0_4: ("yx", "cyx", "tczyx"),
    written.ome_zarr_0_5: ("yx", "zyx", "tczyx"),
    written.ome_zarr_zip: ("cyx", "tczyx"),
}
SIZED = {
    written.shaped_tiff: "yx",
    written.hdf5_labels: "zyx",
    written.zarr2: "",
    written.zarr3: "",
}
"""The axes along which files of some formats have pixel sizes; those of others have all."""


def _takes(model, axes):
    space, channels = MODELS[model]
    return set(space) <= set(axes) and (channels == 1 or "c" in axes)


CASES = [
    pytest.param(read, axes, model, suffix, id=f"{read.__name__}-{axes}-{model}-{suffix[1:]}")
    for (read, axes, model), suffix in zip(
        [
            (read, axes, model)
            for read, orders in READ.items()
            for axes in orders
            for model in MODELS
            if _takes(model, axes)
        ],
        itertools.cycle(SUFFIXES),
        strict=False,
    )
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models that give twice the image, and one more."""
    linear = step("scale_linear", gain=2.0, offset=1.0)
    return {
        name: write(
            tmp_path_factory.mktemp(name), image05(space=space, channels=channels, pre=[linear])
        )
        for name, (space, channels) in MODELS.items()
    }


def in_order(tensor):
    """The axes that are larger than 1, in an order that is the same for every format."""
    flat = drop_axes(tensor, [axis for axis, size in tensor.sizes.items() if size == 1])
    return transpose(flat, sorted(flat.axes))


def read_back(path, result):
    """A result of a file; one that names no axes has those of the result in memory."""
    return fn.open_tensor(path, axes=result.axes if path.suffix == ".npy" else None)


@pytest.mark.parametrize(("read", "axes", "model", "suffix"), CASES)
def test_a_file_becomes_a_file_with_the_same_axes_and_pixel_sizes(
    tmp_path, models, read, axes, model, suffix
):
    array = written.pixels(axes)
    sizes = {axis: SIZES[axis] for axis in axes if axis in SIZES}
    image = read(tmp_path, array, axes, sizes, CHANNELS if "c" in axes else ())
    one_of = "c" in axes and MODELS[model][1] == 1
    selected = np.take(array, [1], axes.index("c")) if one_of else array
    expected = in_order(fn.Tensor(2 * selected.astype("float32") + 1, axes))
    channel = 1 if read in SIZED else "GFP"

    result = fn.predict(
        model=models[model],
        inputs=image,
        channels=channel if one_of else None,
        save_output_path=tmp_path / "python" / f"{{sample_id}}_{{output_id}}{suffix}",
    )["out"]
    said = document(
        *("predict", models[model], image, "-o", tmp_path / "cli" / f"{{sample_id}}_out{suffix}"),
        *(("--channels", channel) if one_of else ()),
    )

    name = image.name.removesuffix(".zip").split(".")[0]
    paths = [tmp_path / of / f"{name}_out{suffix}" for of in ("python", "cli")]
    assert said["samples"][0]["outputs"] == {"out": str(paths[1])}
    for path in paths:
        tensor = read_back(path, result)
        found = in_order(tensor)
        assert found.axes == expected.axes
        np.testing.assert_array_equal(found, expected)
        sized = "" if suffix == ".npy" else SIZED.get(read, "tzyx")
        known = {as_axes(a)[0]: size for a, size in sizes.items() if a in sized}
        calibrated = tensor.calibration.pixel_sizes
        assert {a: s.value for a, s in calibrated.items()} == pytest.approx(known)
        assert all(
            s.unit == ("second" if a == "time" else "micrometer") for a, s in calibrated.items()
        )
