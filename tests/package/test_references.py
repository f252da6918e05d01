"""Files that a description refers to lie in its package, whatever field names them."""

import json
import os
import shutil
from pathlib import Path

import pytest
from descriptions import axis05, build, image04, image05, model05, ref, sized, tensor05, write

import bioimageio_fn as fn
from bioimageio_fn.errors import UnsafePackageError

OUTSIDE = [
    "../secret.md",
    "sub/../../secret.md",
    "..",
    "C:/secret.md",
    "..\\secret.md",
    "file:///etc/passwd",
    "file:/etc/passwd",
]


def with_fields(path, change):
    model = json.loads(path.read_text(encoding="utf-8"))
    change(model)
    path.write_text(json.dumps(model), encoding="utf-8")
    return path


@pytest.fixture
def path05(tmp_path):
    return write(tmp_path / "package", image05())


@pytest.fixture
def path04(tmp_path):
    return write(tmp_path / "package", image04())


@pytest.mark.parametrize("checks", [False, True])
@pytest.mark.parametrize("source", OUTSIDE)
def test_a_path_that_leads_out_is_refused(path05, source, checks):
    (path05.parents[1] / "secret.md").write_text("secret", encoding="utf-8")
    with_fields(path05, lambda m: m["weights"]["onnx"].update(source=source))

    with pytest.raises(UnsafePackageError, match="weights.onnx.source is a file outside") as caught:
        fn.load_description(path05, perform_io_checks=checks)

    assert (
        "secret" in str(caught.value) or "passwd" in str(caught.value) or ".." in str(caught.value)
    )


def test_an_absolute_path_is_refused(path05, tmp_path):
    secret = tmp_path / "secret.onnx"
    secret.write_bytes(b"secret")
    with_fields(path05, lambda m: m["weights"]["onnx"].update(source=str(secret)))

    with pytest.raises(UnsafePackageError, match="it is an absolute path: got .*secret.onnx"):
        fn.load_description(path05, perform_io_checks=False)


FIELDS_05 = {
    "documentation.source": lambda m, s: m["documentation"].update(source=s + ".md"),
    "attachments.0.source": lambda m, s: m.update(attachments=[{"source": s}]),
    "covers.0.source": lambda m, s: m.update(covers=[{"source": s + ".png"}]),
    "inputs.0.test_tensor.source": lambda m, s: m["inputs"][0]["test_tensor"].update(
        source=s + ".npy"
    ),
    "outputs.0.sample_tensor.source": lambda m, s: m["outputs"][0].update(
        sample_tensor={"source": s + ".npy"}
    ),
    "outputs.0.postprocessing.0.source": lambda m, s: m["outputs"][0].update(
        postprocessing=[{"id": "custom", "callable": "f", "source": s + ".py", "sha256": "0" * 64}]
    ),
    "weights.onnx.external_data.source": lambda m, s: m["weights"]["onnx"].update(
        external_data={"source": s + ".data", "sha256": "0" * 64}
    ),
    "weights.pytorch_state_dict.architecture.source": lambda m, s: m["weights"].update(
        pytorch_state_dict={
            "source": "w.pt",
            "sha256": "0" * 64,
            "pytorch_version": "2.0",
            "architecture": {"source": s + ".py", "callable": "Net", "sha256": "0" * 64},
        }
    ),
}


@pytest.mark.parametrize("field", FIELDS_05)
def test_every_field_of_format_0_5_is_checked(path05, field):
    with_fields(path05, lambda m: FIELDS_05[field](m, "../secret"))

    with pytest.raises(UnsafePackageError, match=f"^{field} is a file outside of the package"):
        fn.load_description(path05, perform_io_checks=False)


FIELDS_04 = {
    "documentation": lambda m: m.update(documentation="../secret.md"),
    "test_inputs.0": lambda m: m.update(test_inputs=["../secret.npy"]),
    "attachments.files.0": lambda m: m.update(attachments={"files": ["../secret"]}),
    "weights.pytorch_state_dict.architecture.source_file": lambda m: m["weights"].update(
        pytorch_state_dict={
            "source": "w.pt",
            "sha256": "0" * 64,
            "architecture": "../secret.py:Net",
            "architecture_sha256": "0" * 64,
        }
    ),
    "weights.onnx.dependencies.file": lambda m: m["weights"]["onnx"].update(
        dependencies="conda:../secret.yaml"
    ),
}


@pytest.mark.parametrize("field", FIELDS_04)
def test_every_field_of_format_0_4_is_checked(path04, field):
    with_fields(path04, FIELDS_04[field])

    with pytest.raises(UnsafePackageError, match=f"^{field} is a file outside of the package"):
        fn.load_description(path04, perform_io_checks=False)


@pytest.mark.parametrize("checks", [False, True])
def test_a_link_that_leads_out_is_refused(path05, tmp_path, checks):
    secret = tmp_path / "secret.onnx"
    shutil.move(path05.parent / "weights.onnx", secret)
    (path05.parent / "weights.onnx").symlink_to(secret)

    with pytest.raises(UnsafePackageError, match="a link leads out of the package: got weights"):
        fn.load_description(path05, perform_io_checks=checks)


def test_a_folder_that_is_a_link_out_is_refused(path05, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (path05.parent / "sub").symlink_to(tmp_path / "elsewhere")
    with_fields(path05, lambda m: m["weights"]["onnx"].update(source="sub/weights.onnx"))

    with pytest.raises(UnsafePackageError, match="a link leads out of the package"):
        fn.load_description(path05, perform_io_checks=False)


def test_links_within_the_package_and_to_the_package_are_fine(path05, tmp_path):
    package = path05.parent
    shutil.move(package / "weights.onnx", package / "w1.onnx")
    (package / "weights.onnx").symlink_to("w1.onnx")
    (tmp_path / "link").symlink_to(package)

    for source in (package, tmp_path / "link"):
        assert fn.load_model(source, perform_io_checks=False).name == "small model"


def test_subfolders_and_urls_are_fine(path05):
    (path05.parent / "sub").mkdir()
    shutil.move(path05.parent / "weights.onnx", path05.parent / "sub" / "w.onnx")
    urls = [{"source": "https://example.com/a/../b.txt"}]
    with_fields(path05, lambda m: m["weights"]["onnx"].update(source="sub/w.onnx"))
    with_fields(path05, lambda m: m.update(attachments=urls))

    assert fn.load_model(path05, perform_io_checks=False).name == "small model"


def test_a_fifo_in_the_place_of_weights_does_not_block(path05):
    (path05.parent / "weights.onnx").unlink()
    os.mkfifo(path05.parent / "weights.onnx")

    with pytest.raises(FileNotFoundError, match="weights.onnx"):
        fn.predict(model=path05, inputs=[[0.0] * 8] * 8)


def test_a_description_from_elsewhere_is_checked_when_it_is_used(path05):
    with_fields(path05, lambda m: m["weights"]["onnx"].update(source="../weights.onnx"))
    model = build(json.loads(path05.read_text(encoding="utf-8")))

    with pytest.raises(UnsafePackageError, match="weights.onnx.source"):
        fn.create_prediction_pipeline(model)


def test_who_makes_a_description_in_python_may_name_any_file(path05):
    axes = [axis05("b"), axis05("c", 1), axis05("y", sized(8, 4)), axis05("x", sized(8, 4))]
    out = [*axes[:2], axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    weights = json.loads(path05.read_text(encoding="utf-8"))["weights"]
    weights["onnx"]["source"] = str(Path(path05.parent / "weights.onnx"))
    model = build(model05([tensor05("raw", axes)], [tensor05("out", out)], weights=weights))

    assert fn.predict(model=model, inputs=[[1.0] * 8] * 8)["out"].shape == (1, 1, 8, 8)


def test_an_invalid_description_opens_no_file(path05):
    os.mkfifo(path05.parent / "fifo")
    with_fields(path05, lambda m: m.update(attachments=[{"source": "fifo"}], unknown_field=1))

    assert isinstance(fn.load_description(path05), fn.InvalidDescr)
