"""Images whose pixels are not as large as those of the model."""

import warnings

import attrs
import numpy as np
import pytest
from descriptions import axis05, contract_of, model05, ref, sized, tensor05, write
from hypothesis import given
from hypothesis import strategies as st
from stored import stored

import bioimageio_fn as fn
from bioimageio_fn.calibration import Calibration, PixelSize
from bioimageio_fn.errors import AxesError, DataWarning, OperationError
from bioimageio_fn.rescaling import rescaled, rescaled_sizes
from bioimageio_fn.tasks import final_sizes, samples_of, task_of


def micrometers(axes, value):
    return Calibration({axis: PixelSize(value, "micrometer") for axis in axes})


def model(*, scale=0.5, unit="micrometer", out_scale=1.0, offset=0, dtype="float32", z=False):
    """A model whose pixels are so large; its output has `out_scale` times as many of them."""
    known = {"unit": unit} if unit else {}
    space = ["z", "y", "x"] if z else ["y", "x"]
    return model05(
        [
            tensor05(
                "raw",
                [
                    axis05("b"),
                    axis05("c", 1),
                    *(axis05(a, sized(4, 1), scale=scale, **known) for a in space),
                ],
            )
        ],
        [
            tensor05(
                "out",
                [
                    axis05("b"),
                    axis05("c", 1),
                    *(
                        axis05(a, ref("raw", a, offset), scale=scale / out_scale, **known)
                        for a in space
                    ),
                ],
                dtype=dtype,
            )
        ],
    )


def pipeline_of(folder, backend=lambda x: (x,), **options):
    return fn.create_prediction_pipeline(write(folder, model(**options)), backend=backend)


def smooth(y, x):
    """An image that has nothing fine in it."""
    where = np.sin(np.linspace(0, 3, y))[:, None] + np.cos(np.linspace(0, 4, x))[None]
    return where.astype("float32")


def image(y, x, pixel):
    return fn.Tensor(smooth(y, x), "yx", micrometers("yx", pixel))


# ---------------------------------------------------------------- sizes


@given(st.floats(0.1, 2), st.integers(4, 30), st.integers(4, 30))
def test_pixels_are_then_as_large_as_those_of_the_model(pixel, y, x):
    contract = contract_of(model(scale=0.5))
    sample = fn.Sample({"raw": fn.Tensor(np.zeros((y, x)), "yx", micrometers("yx", pixel))})

    sizes = rescaled_sizes(sample, contract)
    result = rescaled(sample, sizes)["raw"]

    if 1 / 1.1 <= pixel / 0.5 <= 1.1:
        assert not sizes
        return
    for axis, size in {"y": y, "x": x}.items():
        assert result.sizes[axis] == max(1, round(size * pixel / 0.5))
        # the extent stays
        extent = result.sizes[axis] * result.calibration.pixel_sizes[axis].value
        assert extent == pytest.approx(size * pixel)


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [
        (500, "nanometer", {}),
        (0.52, "micrometer", {}),
        (1, "micrometer", {"y": 80, "x": 40}),
        (1e-3, "millimeter", {"y": 80, "x": 40}),
        (250, "nanometer", {"y": 20, "x": 10}),
    ],
)
def test_units_are_compared(size, unit, expected):
    known = Calibration({a: PixelSize(size, unit) for a in "yx"})
    sample = fn.Sample({"raw": fn.Tensor(np.zeros((40, 20)), "yx", known)})

    assert rescaled_sizes(sample, contract_of(model())).get("raw", {}) == expected


def test_each_axis_is_rescaled_by_itself():
    plane = micrometers("yx", 0.5).pixel_sizes
    known = Calibration({"z": PixelSize(2, "micrometer"), **plane})
    sample = fn.Sample({"raw": fn.Tensor(np.zeros((10, 30, 40)), "zyx", known)})

    assert rescaled_sizes(sample, contract_of(model(z=True))) == {"raw": {"z": 40}}


def test_an_image_is_not_distorted_where_one_of_its_sizes_is_not_known():
    sample = fn.Sample({"raw": fn.Tensor(np.zeros((10, 30, 40)), "zyx", micrometers("yx", 2))})

    with pytest.raises(AxesError, match="not known how large.*z in a unit of length"):
        rescaled_sizes(sample, contract_of(model(z=True)))
    plane = attrs.evolve(sample["raw"], data=np.zeros((1, 30, 40)))
    assert rescaled_sizes(fn.Sample({"raw": plane}), contract_of(model(z=True))) == {
        "raw": {"y": 120, "x": 160}
    }


@pytest.mark.parametrize(
    ("contract", "calibration", "message"),
    [
        (contract_of(model(unit=None)), micrometers("yx", 1), "the model does not say"),
        (contract_of(model()), Calibration(), "of the image.*no pixel size.*Calibration"),
        (contract_of(model()), Calibration({"x": PixelSize(1)}), "of the image.*no unit"),
    ],
    ids=["model", "image", "unit"],
)
def test_what_is_not_known_is_not_guessed(contract, calibration, message):
    sample = fn.Sample({"raw": fn.Tensor(np.zeros((40, 20)), "yx", calibration)})

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task_of(sample, contract)
    with pytest.raises(AxesError, match=message):
        task_of(sample, contract, rescale="auto")


def test_only_one_way_to_rescale(tmp_path):
    pipeline = pipeline_of(tmp_path)

    with pytest.raises(OperationError, match="no such way to rescale.*'auto'.*got 2"):
        fn.predict(model=pipeline, inputs=image(30, 40, 1), rescale=2)
    with pytest.raises(OperationError, match="no such way to rescale"):
        fn.predict_many(model=pipeline, inputs=[], rescale="yes")


# ---------------------------------------------------------------- a difference is said


@pytest.mark.parametrize("pixel", [0.2, 0.45, 0.56, 3])
def test_a_pixel_size_that_differs_is_said_with_both_and_the_remedy(tmp_path, pixel):
    pipeline = pipeline_of(tmp_path)

    with pytest.warns(
        DataWarning, match=f"'raw'.*x {pixel:g} micrometer, not y 0.5 .*rescale='auto'"
    ):
        result = fn.predict(model=pipeline, inputs=image(30, 40, pixel))

    np.testing.assert_array_equal(np.asarray(result)[0, 0], smooth(30, 40))


@pytest.mark.parametrize("pixel", [0.46, 0.5, 0.54])
def test_a_pixel_size_that_is_about_the_same_is_not_said(tmp_path, pixel):
    fn.predict(model=pipeline_of(tmp_path), inputs=image(30, 40, pixel))


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("pixel", [0.2, 0.37, 0.5, 1, 1.7])
@pytest.mark.parametrize("out_scale", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("offset", [0, -4, 4])
def test_the_size_is_what_the_model_would_have_given(tmp_path, pixel, out_scale, offset):
    seen = []

    def forward(x):
        seen.append(x.shape[2:])
        size = [int(n * out_scale + offset) for n in x.shape[2:]]
        return (np.zeros((*x.shape[:2], *size), "float32"),)

    pipeline = pipeline_of(tmp_path, forward, out_scale=out_scale, offset=offset)
    raw = image(63, 90, pixel)

    result = fn.predict(model=pipeline, inputs=raw, rescale="auto")["out"]

    assert seen == [(round(63 * pixel / 0.5), round(90 * pixel / 0.5))]
    assert result.shape[2:] == (int(63 * out_scale + offset), int(90 * out_scale + offset))
    assert result.calibration.pixel_sizes["x"].value == pytest.approx(pixel / out_scale)


@pytest.mark.parametrize("pixel", [0.3, 0.5, 1.1])
@pytest.mark.parametrize("offset", [0, -6])
def test_what_comes_back_lies_where_it_was(tmp_path, pixel, offset):
    cut = -offset // 2

    def forward(x):
        return (x[..., cut : x.shape[2] - cut, cut : x.shape[3] - cut],)

    pipeline = pipeline_of(tmp_path, forward, offset=offset)

    result = fn.predict(model=pipeline, inputs=image(80, 100, pixel), rescale="auto")

    expected = smooth(80, 100)[cut : 80 - cut, cut : 100 - cut]
    inner = (0, 0, slice(6, -6), slice(6, -6))
    np.testing.assert_allclose(np.asarray(result)[inner], expected[inner[2:]], atol=0.01)


def test_labels_come_back_as_labels(tmp_path):
    labels = np.kron(np.array([[1, 7], [300, 0]]), np.ones((20, 25))).astype("uint16")

    def forward(x):
        return (np.rint(x).astype("uint16"),)

    pipeline = pipeline_of(tmp_path, forward, dtype="uint16")
    raw = fn.Tensor(labels.astype("float32"), "yx", micrometers("yx", 1))

    result = np.asarray(fn.predict(model=pipeline, inputs=raw, rescale="auto"))[0, 0]

    assert result.dtype == np.uint16
    # interpolation of the input makes others at the borders of objects, that of the output none
    inside = (slice(2, 18), slice(2, 23))
    np.testing.assert_array_equal(result[inside], labels[inside])
    np.testing.assert_array_equal(result[20:][inside], labels[20:][inside])


@pytest.mark.parametrize("suffix", [".zarr", ".npy", ".h5"])
def test_rescaled_outputs_are_written_and_the_same_in_blocks_and_planes(tmp_path, suffix):
    pipeline = pipeline_of(tmp_path / "model")
    known = micrometers("yx", 1)
    stack = fn.Tensor(np.stack([smooth(60, 80), -smooth(60, 80)]), "tyx", known)
    path = tmp_path / f"out{suffix}"

    whole = fn.predict(model=pipeline, inputs=stack, rescale="auto")["out"]
    blocks = fn.predict(
        model=pipeline,
        inputs=stack,
        rescale="auto",
        input_block_shape={"y": 50, "x": 70},
        save_output_path=path,
    )["out"]

    assert whole.sizes == {"batch": 1, "channel": 1, "time": 2, "y": 60, "x": 80}
    assert dict(whole.calibration.pixel_sizes) == dict(known.pixel_sizes)
    np.testing.assert_allclose(np.asarray(whole)[0, 0], np.asarray(stack), atol=0.01)
    np.testing.assert_allclose(stored(path), np.asarray(whole), atol=1e-5)
    np.testing.assert_array_equal(np.asarray(blocks), stored(path))


def test_a_task_knows_what_will_be_written():
    contract = contract_of(model(out_scale=2.0))
    sample = fn.Sample({"raw": fn.Tensor(np.zeros((3, 60, 80)), "zyx", micrometers("zyx", 1))})

    task = task_of(sample, contract, rescale="auto")
    parts = list(samples_of(task))
    plan = fn.plan_blocks(contract, {"raw": parts[0]["raw"].sizes})

    assert [p["raw"].shape for p in parts] == [(1, 1, 120, 160)] * 3
    assert final_sizes(task, plan) == {
        "out": {"batch": 1, "channel": 1, "z": 3, "y": 120, "x": 160}
    }


def test_an_input_without_pixel_sizes_goes_along_with_the_others():
    axes = [axis05("b"), axis05("c", 1)]
    space = [axis05(a, sized(4, 1), scale=0.5, unit="micrometer") for a in "yx"]
    follows = [axis05(a, ref("raw", a), scale=0.5, unit="micrometer") for a in "yx"]
    contract = contract_of(
        model05(
            [tensor05("raw", [*axes, *space]), tensor05("mask", [*axes, *follows])],
            [tensor05("out", [*axes, *follows])],
        )
    )
    sample = fn.Sample(
        {
            "raw": fn.Tensor(np.zeros((40, 20)), "yx", micrometers("yx", 1)),
            "mask": fn.Tensor(np.zeros((40, 20), bool), "yx"),
        }
    )

    sizes = rescaled_sizes(sample, contract)

    assert sizes["raw"] == sizes["mask"] == {"y": 80, "x": 40}
    assert rescaled(sample, sizes)["mask"].dtype == "bool"
