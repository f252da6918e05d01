"""Packages that are saved: with the weights that are wanted, whole or not at all."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bioimageio.spec import get_validation_context
from converting import model

import bioimageio_fn as fn
from bioimageio_fn.errors import DescriptionError, FileWriteError, WeightsFormatError

SAVES = [fn.save_bioimageio_package, fn.save_bioimageio_package_as_folder]
MODELS = {"one": ("raw",), "two": ("raw", "aux")}
BOTH = pytest.mark.parametrize("save", SAVES, ids=["zip", "folder"])


@BOTH
@pytest.mark.parametrize(
    ("order", "packed", "left"),
    [
        (["onnx"], "weights.onnx", "weights.pt"),
        (["keras_v3", "torchscript", "onnx"], "weights.pt", "weights.onnx"),
    ],
    ids=["onnx", "torchscript"],
)
def test_only_the_first_of_the_weights_that_are_wanted_is_packed(
    save, order, packed, left, tmp_path, demo
):
    path = save(fn.demo_model(), output_path=tmp_path / "model.zip", weights_priority_order=order)

    names = zipfile.ZipFile(path).namelist() if path.is_file() else [p.name for p in path.iterdir()]
    assert packed in names
    assert left not in names
    assert "bioimageio.yaml" in names
    saved = fn.load_model(path)
    (entry,) = saved.weights.available_formats.values()
    assert entry.parent is None  # nothing is there that it could be made of
    image = np.arange(64 * 80, dtype="uint16").reshape(64, 80)
    np.testing.assert_allclose(fn.predict(model=path, inputs=image), demo(image), atol=1e-5)


@BOTH
def test_one_format_may_be_named_alone(save, tmp_path):
    path = save(fn.demo_model(), output_path=tmp_path / "m.zip", weights_priority_order="onnx")

    assert list(fn.load_model(path).weights.available_formats) == ["onnx"]


@BOTH
@pytest.mark.parametrize("source", ["fields", "file"])
def test_what_is_invalid_is_not_packed(save, source, tmp_path):
    file = tmp_path / "bioimageio.yaml"
    file.write_text("{type: model, format_version: 0.5.14}", encoding="utf-8")
    given = file if source == "file" else {"type": "model", "format_version": "0.5.14"}

    with pytest.raises(DescriptionError, match="the description is invalid: got "):
        save(given, output_path=tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_code_is_packed_with_the_weights_that_need_it(tmp_path):
    source, direct = model("pytorch_state_dict", tmp_path)
    archive = fn.save_bioimageio_package(source, output_path=tmp_path / "a.zip")
    inputs = fn.test_inputs(source)
    expected = direct(np.asarray(inputs["raw"]))[0]
    shutil.rmtree(source.parent)

    result = fn.predict(model=archive, inputs=inputs, trust_code=True)

    np.testing.assert_allclose(np.asarray(result["out"]), expected, atol=1e-5)


@BOTH
def test_weights_that_are_not_there_are_an_error_and_nothing_is_written(save, tmp_path):
    with pytest.raises(
        WeightsFormatError, match="none of these weights: expected one of onnx, torch.*got keras_v3"
    ):
        save(fn.demo_model(), output_path=tmp_path / "model", weights_priority_order=["keras_v3"])
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_what_can_not_be_packed_whole_is_not_packed(save, tmp_path):
    folder = Path(shutil.copytree(fn.demo_model(), tmp_path / "model"))
    (folder / "weights.pt").unlink()
    (tmp_path / "out").mkdir()
    before = tmp_path / "out" / "model.zip"

    with pytest.raises(Exception, match=r"weights\.pt"):
        save(folder, output_path=before)

    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(FileWriteError, match="expected a new or empty folder"):
        fn.save_bioimageio_package_as_folder(fn.demo_model(), output_path=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@BOTH
def test_packages_whose_files_have_the_same_names_do_not_get_in_each_other_s_way(save, tmp_path):
    before = dict(get_validation_context().known_files)
    sources = [model("torchscript", tmp_path / kind, inputs=i)[0] for kind, i in MODELS.items()]

    for number, source in enumerate([*sources, *sources]):
        path = save(fn.load_model(source), output_path=tmp_path / f"{number}")
        assert fn.test_inputs(path) == fn.test_inputs(source)
    assert get_validation_context().known_files == before
