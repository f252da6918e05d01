"""Commands on packages, the installation and the cache."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from commands import MODEL, document, invoke
from descriptions import image05, write

import bioimageio_fn as fn

# bioimageio.spec leaves the files open that it looks at
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_a_valid_description_is_said_to_be_valid():
    done = invoke("validate-format", MODEL)

    assert (done.exit_code, done.stdout) == (0, f"{MODEL}: valid (model of format 0.5.14)\n")
    assert document("validate-format", MODEL)["errors"] == []


def test_what_is_not_valid_is_told_field_by_field(tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(MODEL, folder)
    text = (folder / "bioimageio.yaml").read_text()
    (folder / "bioimageio.yaml").write_text(text.replace("license: MIT", "license: [none]"))

    done, said = invoke("validate-format", folder), document("validate-format", folder)

    assert done.exit_code == 1
    assert "license" in done.stdout
    assert f"{folder}: not valid" in done.stdout
    assert said["valid"] is False
    assert any("license" in error["where"] for error in said["errors"])


def test_a_file_that_is_another_one_is_not_valid(tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(MODEL, folder)
    (folder / "weights.onnx").write_bytes(b"another")

    assert invoke("validate-format", folder).exit_code == 1


def test_a_model_is_packed_and_predicts_the_same_from_its_package(tmp_path):
    target = tmp_path / "new" / "m.zip"

    done = invoke("package", MODEL, target, "--weights-format", "torchscript")

    assert (done.exit_code, done.stdout) == (0, f"{target}\n"), done.stderr
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
    assert "weights.pt" in names
    assert "weights.onnx" not in names
    assert fn.load_model(target).weights.available_formats.keys() == {"torchscript"}


def test_what_is_there_is_not_replaced_unasked(tmp_path):
    target = tmp_path / "m.zip"
    target.write_bytes(b"mine")
    (tmp_path / "folder").mkdir()

    refused = invoke("package", MODEL, target)
    folder = invoke("package", MODEL, tmp_path / "folder", "--overwrite")

    assert refused.exit_code == folder.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert target.read_bytes() == b"mine"
    assert invoke("package", MODEL, target, "--overwrite").exit_code == 0
    assert zipfile.is_zipfile(target)


def test_what_is_not_valid_is_not_packed(tmp_path):
    path = write(tmp_path / "m", image05())
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": 3}))

    done = invoke("package", path, tmp_path / "m.zip")

    assert done.exit_code == 1
    assert "the description is invalid" in done.stderr
    assert not (tmp_path / "m.zip").exists()


def test_version_names_what_a_report_needs():
    said = document("version")

    assert said["bioimageio_fn"] == fn.__version__
    assert {"python", "numpy", "onnxruntime", "bioimageio.spec", "platform"} <= said.keys()
    assert f"bioimageio_fn {fn.__version__}" in invoke("version").stdout


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, in a folder that holds something else, too."""
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path)
    (tmp_path / "bioimageio_fn" / "unpacked").mkdir(parents=True)
    (tmp_path / "bioimageio_fn" / "unpacked" / "a").write_bytes(b"1234")
    (tmp_path / f"entry__url_{'0' * 64}_contents_{'1' * 64}").write_bytes(b"12345678")
    (tmp_path / "thesis.tex").write_text("mine")
    return tmp_path


def test_the_cache_is_emptied_of_what_is_ours_and_of_nothing_else(cache):
    said, again = document("empty-cache"), document("empty-cache")

    assert said == {"folder": str(cache), "bytes": 12}
    assert again["bytes"] == 0
    assert [p.name for p in cache.iterdir()] == ["thesis.tex"]


def test_a_model_is_unpacked_again_behind_an_emptied_cache(cache, tmp_path_factory):
    target = tmp_path_factory.mktemp("package") / "m.zip"
    fn.save_bioimageio_package(MODEL, output_path=target)

    before = document("info", target)
    invoke("empty-cache")

    assert document("info", target) == before
    assert Path(cache, "bioimageio_fn").is_dir()
