"""What users of model runners have reported, each as it has to end; numbered as they are known.

Others stand with what they are about: A11 (no request behind the first fetch) in `test_network.py`,
those of the command line in `cli/`.
"""

import socket
import time

import numpy as np
import pytest
import tifffile
from descriptions import image05, sized, step, write

import bioimageio_fn as fn
from bioimageio_fn.errors import MissingFileError, UnknownMemberError


def convolved(array):
    """A network that looks one pixel far: the sum of an image and itself, moved by a pixel."""
    moved = np.zeros_like(array)
    moved[..., :-1, :-1] = array[..., 1:, 1:]
    return (array + moved,)


def test_a4_an_image_of_any_size_is_padded_and_cropped_back(tmp_path):
    image = np.random.default_rng(0).integers(0, 999, (100, 90)).astype("uint16")
    tifffile.imwrite(tmp_path / "image.tif", image)
    model = write(tmp_path / "model", image05(size=sized(16, 16)))

    result = fn.predict(
        model=model, inputs=tmp_path / "image.tif", save_output_path=tmp_path / "out.tif"
    )

    assert result["out"].shape == (1, 1, 100, 90)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), image)


def test_a5_the_size_of_blocks_is_a_plain_mapping(tmp_path):
    path = write(tmp_path, image05(size=sized(16, 16), halo=2))
    pipeline = fn.create_prediction_pipeline(path, backend=convolved)
    image = np.random.default_rng(0).random((700, 600)).astype("float32")

    tiled = fn.predict(model=pipeline, inputs=image, input_block_shape={"y": 512, "x": 512})

    plan = fn.default_plan(pipeline, image, block_shape={"y": 512, "x": 512})
    assert plan.count > 1
    np.testing.assert_allclose(tiled, pipeline(image), atol=1e-6)


def test_a6_axes_are_matched_and_an_error_names_the_tensors(tmp_path):
    norm = step("zero_mean_unit_variance", axes=["channel", "z", "y", "x"])
    path = write(tmp_path, image05(space="zyx", channels=2, size=sized(16, 16), pre=[norm]))
    pipeline = fn.create_prediction_pipeline(path, backend=lambda x: (x,))
    array = np.random.default_rng(0).random((2, 128, 128, 128), "float32")

    result = fn.predict(model=pipeline, inputs={"raw": array})["out"]

    assert result.axes == ("batch", "channel", "z", "y", "x")
    np.testing.assert_allclose(
        np.asarray(result)[0], (array - array.mean()) / array.std(), atol=1e-3
    )
    with pytest.raises(UnknownMemberError, match="'input0'.*expected one of raw"):
        fn.predict(model=pipeline, inputs={"input0": array})


@pytest.mark.parametrize(
    ("source", "seconds"),
    # a bare word may be an id: three servers are asked, on a busy machine each takes a moment
    [("pkg", 5), ("./pkg", 1), ("models/pkg", 1), ("pkg.zip", 1)],
)
def test_a12_a_path_that_is_not_there_is_said_at_once(monkeypatch, tmp_path, source, seconds):
    def refuse(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    fn.load_model(fn.demo_model(), perform_io_checks=False)  # what is imported is imported
    begin = time.perf_counter()

    with pytest.raises(MissingFileError, match=f"no such .*{source.removeprefix('./')}"):
        fn.predict(model=source, inputs=np.zeros((64, 64)))

    assert time.perf_counter() - begin < seconds


@pytest.mark.parametrize("times", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr", ".h5", ".zarr"])
def test_a17_an_output_keeps_the_pixel_size_of_its_image(tmp_path, times, suffix):
    pixels = np.random.default_rng(0).integers(0, 999, (3, 60, 80)).astype("uint16")
    tifffile.imwrite(
        tmp_path / "cells.ome.tif",
        pixels,
        metadata={
            "axes": "ZYX",
            "PhysicalSizeX": 0.1,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": 0.1,
            "PhysicalSizeYUnit": "µm",
            "PhysicalSizeZ": 500,
            "PhysicalSizeZUnit": "nm",
        },
    )
    path = write(tmp_path / "model", image05(scale=times))

    def forward(x):
        grown = np.repeat(np.repeat(x, 2, -1), 2, -2) if times == 2 else x
        return (grown[..., ::2, ::2] if times == 0.5 else grown,)

    pipeline = fn.create_prediction_pipeline(path, backend=forward)

    result = fn.predict(
        model=pipeline,
        inputs=tmp_path / "cells.ome.tif",
        save_output_path=tmp_path / f"{{sample_id}}_{{output_id}}{suffix}",
    )
    saved = fn.open_tensor(tmp_path / f"cells_out{suffix}")

    for tensor in (result["out"], saved):
        assert [a for a in tensor.axes if tensor.sizes[a] > 1] == ["z", "y", "x"]
        known = tensor.calibration.pixel_sizes
        assert str(known["x"]) == str(known["y"]) == f"{0.1 / times:.6g} micrometer"
        size = known["z"].value * {"micrometer": 1, "nanometer": 1e-3}[known["z"].unit]
        assert size == pytest.approx(0.5)
    assert saved.sizes["x"] == 80 * times
