"""From arrays and files to predictions and files."""

import types

import numpy as np
import pytest

import bioimageio_fn as fn
from bioimageio_fn import prediction
from bioimageio_fn.errors import (
    AxesError,
    FileReadError,
    FileWriteError,
    MissingFileError,
    OperationError,
    SizeError,
)
from bioimageio_fn.io.images import read_image, write_image

IMAGE = np.random.default_rng(0).integers(0, 5000, (70, 90)).astype("uint16")


@pytest.fixture
def image_path(tmp_path):
    def write(name):
        return write_image(tmp_path / name, fn.Tensor(IMAGE, "yx"))

    return write


@pytest.mark.parametrize("name", ["cell A1.tif", "zellkern-ü.png", "cell.npy"])
@pytest.mark.parametrize("kind", [str, lambda p: p], ids=["str", "Path"])
def test_an_image_file_gives_what_its_array_gives(demo, image_path, name, kind):
    path = image_path(name)

    result = fn.predict(model=demo, inputs=kind(path))

    assert result["probability"] == demo(IMAGE)["probability"]
    assert result.id == path.stem


@pytest.mark.parametrize(
    "inputs",
    [
        IMAGE,
        fn.Tensor(IMAGE, "yx"),
        fn.Tensor(IMAGE.T, "xy"),
        fn.Sample({"raw": fn.Tensor(IMAGE, "yx")}),
        {"raw": IMAGE},
        {"raw": fn.Tensor(IMAGE[..., None], "yxc")},
        IMAGE.tolist(),
    ],
    ids=["array", "tensor", "transposed", "sample", "mapping", "labelled", "list"],
)
def test_every_kind_of_input_gives_the_same(demo, inputs):
    expected = demo(IMAGE)["probability"]

    assert fn.predict(model=demo, inputs=inputs)["probability"] == expected


def test_a_mapping_of_paths_is_read(demo, image_path):
    result = fn.predict(model=demo, inputs={"raw": image_path("a.tif")})

    assert result["probability"] == demo(IMAGE)["probability"]
    assert result.id == "a"


def test_ids_of_samples_are_kept_and_given():
    sample = fn.Sample({"raw": fn.Tensor(IMAGE, "yx")}, id="mine")

    assert fn.predict(model=fn.demo_model(), inputs=sample).id == "mine"
    assert fn.predict(model=fn.demo_model(), inputs=IMAGE, sample_id="x").id == "x"
    assert fn.predict(model=fn.demo_model(), inputs=IMAGE).id == "sample"


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_the_prediction_is_saved_as_it_is(demo, tmp_path, suffix):
    pattern = tmp_path / "new folder" / f"{{sample_id}}-{{output_id}}{suffix}"

    result = fn.predict(model=demo, inputs=IMAGE, sample_id="s", save_output_path=pattern)

    saved = read_image(tmp_path / "new folder" / f"s-probability{suffix}")
    np.testing.assert_array_equal(np.squeeze(saved), np.asarray(result)[0, 0])
    assert saved.dtype == np.float32


def test_a_probability_is_saved_as_png_in_255_steps(demo, tmp_path):
    result = fn.predict(model=demo, inputs=IMAGE, save_output_path=tmp_path / "p.png")

    saved = read_image(tmp_path / "p.png")
    np.testing.assert_allclose(saved / 255, np.asarray(result)[0, 0], atol=0.5 / 255)


@pytest.mark.parametrize(
    ("path", "message"),
    [("x.jpg", "ends in"), ("x", "no suffix"), ("x.zarr/in", "got .in. in the Zarr folder")],
)
def test_a_path_that_can_not_hold_the_result_is_refused_before_anything_runs(path, message):
    def never(_):
        raise AssertionError("forward was run")

    pipeline = fn.create_prediction_pipeline(fn.demo_model(), backend=never)

    with pytest.raises(FileWriteError, match=message):
        fn.predict(model=pipeline, inputs=IMAGE, save_output_path=path)
    with pytest.raises(FileWriteError, match=message):
        fn.predict_many(model=pipeline, inputs=[IMAGE], save_output_path="{sample_id}" + path)


def test_a_missing_and_a_damaged_image_are_named(demo, tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"")

    with pytest.raises(MissingFileError, match=r"gone\.tif"):
        fn.predict(model=demo, inputs=tmp_path / "gone.tif")
    with pytest.raises(FileReadError, match=r"bad\.tif"):
        fn.predict(model=demo, inputs=tmp_path / "bad.tif")


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((5,), AxesError, "no reading fits.*'raw'.*got shape"),
        ((70, 90, 3), AxesError, "no reading fits.*channel: 1"),
        ((2, 3, 4, 5, 6), AxesError, "no reading fits"),
        ((0, 90), SizeError, "holds nothing.*'raw'"),
    ],
)
def test_an_array_that_is_no_image_of_the_model_is_refused(demo, shape, error, message):
    with pytest.raises(error, match=message) as caught:
        fn.predict(model=demo, inputs=np.zeros(shape))
    assert isinstance(caught.value, ValueError)


def test_many_samples_load_the_model_once(monkeypatch):
    made = []
    create = prediction.create_prediction_pipeline

    def counted(*args, **options):
        made.append(args)
        return create(*args, **options)

    monkeypatch.setattr(prediction, "create_prediction_pipeline", counted)
    images = (IMAGE + i for i in range(5))

    results = list(fn.predict_many(model=fn.demo_model(), inputs=images))

    assert len(made) == 1
    assert [r.id for r in results] == [
        "sample000",
        "sample001",
        "sample002",
        "sample003",
        "sample004",
    ]


def test_many_samples_open_the_session_once(monkeypatch):
    import onnxruntime

    opened = []
    original = onnxruntime.InferenceSession

    def counted(*args, **options):
        opened.append(args)
        return original(*args, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counted)
    pipeline = fn.create_prediction_pipeline(fn.demo_model(), weights_format="onnx")
    pipeline.close()

    list(fn.predict_many(model=pipeline, inputs=[IMAGE] * 4))

    assert len(opened) == 1


def test_many_samples_are_run_one_by_one_when_asked_for(demo):
    taken = []

    def images():
        for i in range(3):
            taken.append(i)
            yield IMAGE

    results = fn.predict_many(model=demo, inputs=images())

    assert isinstance(results, types.GeneratorType)
    next(results)
    assert taken == [0]


def test_many_samples_are_saved_under_their_names(demo, image_path, tmp_path):
    paths = [image_path("a.tif"), image_path("b.png")]

    list(fn.predict_many(model=demo, inputs=paths, save_output_path=tmp_path / "{sample_id}_p.npy"))

    assert {p.name for p in tmp_path.glob("*_p.npy")} == {"a_p.npy", "b_p.npy"}


def test_the_number_of_a_sample_is_filled_in_and_other_braces_stay(demo):
    results = fn.predict_many(model=demo, inputs=[IMAGE] * 2, sample_id="{x}-{i:02}")

    assert [r.id for r in results] == ["{x}-00", "{x}-01"]
    with pytest.raises(OperationError, match="no such format of a number.*i:q"):
        fn.predict_many(model=demo, inputs=[IMAGE], sample_id="{i:q}")


@pytest.mark.parametrize(
    "inputs", [{"raw": IMAGE}, "a.tif", fn.Sample({}), fn.Tensor(IMAGE, "yx"), None, 3]
)
def test_one_sample_in_place_of_many_is_refused_at_once(demo, inputs):
    with pytest.raises(AxesError, match="takes many samples"):
        fn.predict_many(model=demo, inputs=inputs)


def test_many_samples_into_one_file_are_refused_at_once(demo):
    with pytest.raises(FileWriteError, match=r"expected \{sample_id\} in the path"):
        fn.predict_many(model=demo, inputs=[IMAGE], save_output_path="one.tif")


# ---------------------------------------------------------------- files that are there


@pytest.mark.parametrize("name", ["out.npy", "out.zarr", "out.ome.tif", "out.h5"])
def test_a_file_that_is_there_is_not_replaced_unasked(demo, tmp_path, name):
    def never(_):
        raise AssertionError("forward was run")

    path = tmp_path / name
    other = fn.create_prediction_pipeline(fn.demo_model(), backend=never)
    first = fn.predict(model=demo, inputs=IMAGE, save_output_path=path)
    kept = read_image(path)

    with pytest.raises(FileWriteError, match=f"{name} is there already.*overwrite"):
        fn.predict(model=other, inputs=IMAGE + 1, save_output_path=path)
    with pytest.raises(FileWriteError, match="is there already.*overwrite"):
        list(
            fn.predict_many(
                model=other, inputs=[IMAGE], save_output_path=tmp_path / f"{{sample_id}}{name[3:]}",
                sample_id="out",
            )
        )  # fmt: skip
    np.testing.assert_array_equal(read_image(path), kept)
    second = fn.predict(model=demo, inputs=IMAGE.T, save_output_path=path, overwrite=True)

    assert np.asarray(second).shape[2:] == np.asarray(first).shape[:1:-1]
    assert np.squeeze(read_image(path)).shape == IMAGE.T.shape


# ---------------------------------------------------------------- steps left out


def test_steps_may_be_left_out(tmp_path):
    seen = []

    def forward(x):
        seen.append(x)
        return (x + 5,)

    pipeline = fn.create_prediction_pipeline(fn.demo_model(), backend=forward)
    image = np.random.default_rng(0).random((70, 90)).astype("float32")

    plain = fn.predict(
        model=pipeline, inputs=image, skip_preprocessing=True, skip_postprocessing=True
    )
    (many,) = fn.predict_many(model=pipeline, inputs=[image], skip_postprocessing=True)
    usual = pipeline(image)

    np.testing.assert_array_equal(np.asarray(plain)[0, 0], image + 5)
    np.testing.assert_array_equal(seen[0][0, 0, :70, :90], image)
    np.testing.assert_array_equal(seen[1], seen[2])
    np.testing.assert_allclose(1 / (1 + np.exp(-np.asarray(many))), usual, rtol=1e-5)
    # what the network gives is no probability, which a PNG could hold
    with pytest.raises(FileWriteError, match="PNG"):
        fn.predict(
            model=pipeline, inputs=image, skip_postprocessing=True,
            save_output_path=tmp_path / "a.png",
        )  # fmt: skip
