"""The files of a description: found alike in both formats, and never opened."""

import hashlib

import bioimageio.spec
import pytest
from descriptions import build, image04, image05, torchscript, write

import bioimageio_fn as fn
from bioimageio_fn.contract.files import FileRef, weights_refs
from bioimageio_fn.contract.files import refs_of_test_tensors as tensor_refs


def load(path):
    return fn.load_description(path, perform_io_checks=False)


@pytest.fixture(params=[image05, image04], ids=["0.5", "0.4"])
def folder(request, tmp_path):
    write(tmp_path / "m", request.param(dtype="uint8"))
    return tmp_path / "m"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("make", [image05, image04])
def test_a_written_folder_is_a_model_of_its_format_for_the_format_library_too(tmp_path, make):
    model = make()
    path = write(tmp_path, model)

    # bioimageio.spec leaves the file open, which only it can mend
    description = bioimageio.spec.load_description(path, perform_io_checks=False)

    assert description.type == "model"
    assert type(description).__module__.endswith("v0_" + model["format_version"].split(".")[1])


def test_weights_are_found_by_format_with_their_hash(folder):
    refs = weights_refs(load(folder / "bioimageio.yaml"))

    assert list(refs) == ["onnx"]
    assert str(refs["onnx"].source) == str(folder / "weights.onnx")
    assert refs["onnx"].sha256 == digest(folder / "weights.onnx")
    assert refs["onnx"].name == "weights.onnx"


def test_test_tensors_are_found_by_id(folder):
    description = load(folder / "bioimageio.yaml")
    inputs, outputs = (tensor_refs(description, kind) for kind in ("inputs", "outputs"))

    assert {name: ref.name for name, ref in inputs.items()} == {"raw": "raw.npy"}
    assert {name: ref.name for name, ref in outputs.items()} == {"out": "out.npy"}
    assert str(inputs["raw"].source) == str(folder / "raw.npy")


def test_only_0_5_says_what_a_test_tensor_hashes_to(tmp_path):
    new = tensor_refs(load(write(tmp_path / "new", image05())), "inputs")["raw"]
    old = tensor_refs(load(write(tmp_path / "old", image04())), "inputs")["raw"]

    assert new.sha256 == digest(tmp_path / "new" / "raw.npy")
    assert old.sha256 is None


def test_nothing_is_opened(folder):
    path = folder / "bioimageio.yaml"
    for file in folder.iterdir():
        if file != path:
            file.unlink()
    description = load(path)

    assert weights_refs(description)["onnx"].name == "weights.onnx"
    assert tensor_refs(description, "inputs")["raw"].name == "raw.npy"


def test_a_test_tensor_that_is_not_there_is_none():
    refs = tensor_refs(build(image05()), "inputs")

    assert refs == {"raw": None}


def test_several_formats_of_weights_are_all_found(tmp_path):
    import torch
    from descriptions import onnx_identity

    contents = {
        "torchscript": torchscript(torch.nn.Identity()),
        "onnx": onnx_identity(["raw"], ["out"]),
    }
    refs = weights_refs(load(write(tmp_path, image05(), weights=contents)))

    assert {name: ref.name for name, ref in refs.items()} == {
        "torchscript": "weights.pt",
        "onnx": "weights.onnx",
    }


def test_a_file_ref_is_a_value():
    assert FileRef("https://x/a/b.npy", "0") == FileRef("https://x/a/b.npy", "0")
    assert FileRef("https://x/a/b.npy", None).name == "b.npy"
