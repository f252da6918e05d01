"""Opening packages: paths are answered at once, files are checked before they are used."""

import io
import json
import shutil
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import bioimageio_fn as fn
from bioimageio_fn.contract.files import FileRef
from bioimageio_fn.errors import (
    DescriptionError,
    FileReadError,
    HashMismatchError,
    MissingFileError,
)
from bioimageio_fn.package import local_file
from bioimageio_fn.package.tensors import _load_npy

# the format library does not close the files that it hashes
LEAVES_FILES_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def copy(tmp_path):
    """A copy of the demo model that may be spoiled."""
    return Path(shutil.copytree(fn.demo_model(), tmp_path / "model"))


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a request was made")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def edit(folder, old, new):
    path = folder / "bioimageio.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def zipped(folder, target):
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return target


@LEAVES_FILES_OPEN
def test_a_folder_its_yaml_and_a_zip_of_it_give_the_same_model(copy, tmp_path, no_network):
    sources = [copy, str(copy), copy / "bioimageio.yaml", zipped(copy, tmp_path / "model.zip")]

    names = {fn.load_model(source).name for source in sources}

    assert names == {"Nuclei in fluorescence images (demo)"}


def test_a_model_runs_from_its_zip(copy, tmp_path, demo, monkeypatch, no_network):
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    source = zipped(copy, tmp_path / "model.zip")
    image = np.arange(2000).reshape(40, 50)

    for weights_format in ("onnx", "torchscript"):
        result = fn.predict(model=source, inputs=image, weights_format=weights_format)
        np.testing.assert_allclose(np.asarray(result), np.asarray(demo(image)), atol=1e-5)
    assert fn.test_inputs(source) == fn.test_inputs(copy)
    assert (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "source", ["missing/model.zip", "./pkg", "gone.yaml", Path("pkg"), "~/gone"]
)
def test_what_looks_like_a_path_is_answered_within_a_second_and_without_a_request(
    source, no_network
):
    start = time.monotonic()

    with pytest.raises(MissingFileError, match="no such file or folder") as caught:
        fn.predict(model=source, inputs=np.zeros((4, 4)))

    assert time.monotonic() - start < 1
    assert isinstance(caught.value, FileNotFoundError)


def test_a_bare_word_that_is_no_model_names_both_meanings():
    with pytest.raises(MissingFileError, match="no such file or model id: not-a-model"):
        fn.load_model("not-a-model")


@pytest.mark.parametrize("weights", ["weights.onnx", "weights.pt"])
def test_changed_weights_are_refused(copy, weights):
    (copy / weights).write_bytes((copy / weights).read_bytes() + b"\0")
    weights_format = {"weights.onnx": "onnx", "weights.pt": "torchscript"}[weights]

    with pytest.raises(HashMismatchError, match=f"{weights} is not the file") as caught:
        fn.predict(model=copy, inputs=np.zeros((64, 64)), weights_format=weights_format)

    assert isinstance(caught.value, ValueError)


def test_weights_changed_after_the_pipeline_was_made_are_refused(copy):
    pipeline = fn.create_prediction_pipeline(copy, weights_format="onnx")
    (copy / "weights.onnx").write_bytes(b"other")

    with pytest.raises(HashMismatchError, match="was changed"):
        pipeline(np.zeros((64, 64)))


def test_missing_weights_are_named(copy):
    (copy / "weights.onnx").unlink()

    with pytest.raises(MissingFileError, match=r"weights\.onnx"):
        fn.create_prediction_pipeline(copy, weights_format="onnx")


def test_a_wrong_test_tensor_is_refused(copy):
    np.save(copy / "test_input.npy", np.zeros((1, 1, 64, 64), "uint16"))

    with pytest.raises(HashMismatchError, match=r"test_input\.npy"):
        fn.test_inputs(copy)


def test_a_test_tensor_that_is_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)

    with pytest.raises(FileReadError, match=r"x\.npy"):
        _load_npy(FileRef(path, None))


def npy(shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(npy("(10**15,)"), id="computed"),
        pytest.param(npy(f"({10**15},)"), id="huge"),
        pytest.param(npy(f"({10**30}, 0)"), id="huge and empty"),
        pytest.param(npy("(-1,)") + bytes(4), id="negative"),
        pytest.param(npy("((((("), id="unclosed"),
        pytest.param(npy("(" * 3000), id="deep"),
        pytest.param(npy("(1L, "), id="of Python 2"),
        pytest.param(npy("(4,)") + bytes(4), id="cut"),
        pytest.param(npz(), id="archive"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_test_tensor_that_is_broken_is_an_error_of_ours(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)

    with pytest.raises(FileReadError, match=r"can not read x\.npy as a NumPy array: ."):
        _load_npy(FileRef(tmp_path / "x.npy", None))


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_test_tensor_is_read_as_it_was_saved(tmp_path, shape, order):
    array = np.asarray(np.random.default_rng(0).random(shape), ">f4", order=order)
    np.save(tmp_path / "x.npy", array)

    read = _load_npy(FileRef(tmp_path / "x.npy", None))

    np.testing.assert_array_equal(read, array, strict=True)
    assert type(read) is np.ndarray


@LEAVES_FILES_OPEN
def test_an_invalid_description_says_what_is_wrong(copy):
    edit(copy, "step: 4", "step: -4")

    with pytest.raises(DescriptionError, match="invalid.*step"):
        fn.load_model(copy)
    assert isinstance(fn.load_description(copy), fn.InvalidDescr)


@pytest.mark.parametrize("text", ["", "just words", "[1, 2]", "{unclosed", "a: *b"])
def test_a_file_that_is_no_description_is_an_error(tmp_path, text):
    path = tmp_path / "bioimageio.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(DescriptionError, match=r"bioimageio\.yaml|invalid"):
        fn.load_model(path)


def test_a_folder_without_a_description_is_an_error(tmp_path):
    with pytest.raises(DescriptionError, match="bioimageio.yaml"):
        fn.load_model(tmp_path)


def test_another_resource_is_no_model(tmp_path):
    fields = {
        "type": "dataset",
        "format_version": "0.3.0",
        "name": "cells",
        "description": "cells",
        "authors": [{"name": "A"}],
        "cite": [{"text": "t", "url": "https://example.com"}],
        "license": "MIT",
    }
    (tmp_path / "bioimageio.yaml").write_text(json.dumps(fields), encoding="utf-8")

    with pytest.raises(DescriptionError, match="expected a model, got dataset"):
        fn.load_model(tmp_path, perform_io_checks=False)


def test_test_tensors_are_samples_of_the_described_tensors():
    inputs, outputs = fn.test_inputs(fn.demo_model()), fn.test_outputs(fn.demo_model())

    assert inputs["raw"].axes == outputs["probability"].axes == ("batch", "channel", "y", "x")
    assert (inputs["raw"].dtype, outputs["probability"].dtype) == ("uint16", "float32")


def test_a_local_file_stays_where_it_is(tmp_path):
    path = tmp_path / "w.onnx"
    path.write_bytes(b"x")

    assert local_file(FileRef(path, None)) == path


def test_a_wrong_sha256_of_the_description_itself_is_refused():
    with pytest.raises(HashMismatchError):
        fn.load_description(fn.demo_model(), sha256="0" * 64)


def test_a_zip_without_a_description_is_named(tmp_path):
    path = tmp_path / "empty.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")

    with pytest.raises(
        DescriptionError, match=r"can not load a description from .*empty\.zip: got"
    ):
        fn.load_model(path)
