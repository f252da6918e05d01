"""What users name is found, and it is the same model wherever it lies."""

import functools
import hashlib
import http.server
import io
import json
import os
import shutil
import sys
import threading
import zipfile
from pathlib import Path

import pytest

import bioimageio_fn as fn
from bioimageio_fn.contract.files import FileRef
from bioimageio_fn.errors import (
    DescriptionError,
    FileReadError,
    HashMismatchError,
    MissingFileError,
    UnsafePackageError,
)
from bioimageio_fn.package import local_file

# the format library does not close the files that it downloads
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NAME = "Nuclei in fluorescence images (demo)"


def zipped(folder, target):
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return target


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder that is served, its address, and an empty cache."""
    root = tmp_path / "web"
    shutil.copytree(fn.demo_model(), root / "demo")
    zipped(fn.demo_model(), root / "demo.zip")
    handler = functools.partial(Quiet, directory=root)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    monkeypatch.setattr(fn.settings, "collection_http_pattern", f"{address}/{{bioimageio_id}}.yaml")
    monkeypatch.setattr(fn.settings, "id_map", f"{address}/ids.json")
    monkeypatch.setattr(fn.settings, "id_map_draft", "")
    yield root, address
    server.shutdown()
    server.server_close()


def load(source, **options):
    return fn.load_model(source, perform_io_checks=False, progressbar=False, **options)


def test_a_url_is_a_model_and_its_files_are_beside_it(web):
    _, address = web

    model = load(f"{address}/demo/bioimageio.yaml")

    assert model.name == NAME
    assert fn.test_inputs(model) == fn.test_inputs(fn.demo_model())


def test_the_url_of_an_archive_is_a_model(web):
    root, address = web

    model = load(f"{address}/demo.zip", sha256=digest(root / "demo.zip"))

    assert model.name == NAME
    assert fn.test_inputs(model) == fn.test_inputs(fn.demo_model())


@pytest.mark.parametrize("name", ["demo.zip", "demo/bioimageio.yaml"])
def test_another_download_than_the_one_meant_is_refused(web, name):
    with pytest.raises(HashMismatchError, match="is not the file"):
        load(f"{web[1]}/{name}", sha256="0" * 64)


def test_an_id_is_asked_of_the_collection(web):
    root, _ = web
    shutil.copy(root / "demo" / "bioimageio.yaml", root / "happy-shark.yaml")

    assert load("happy-shark").name == NAME


def test_an_id_that_the_collection_does_not_know_is_looked_up_in_its_list(web):
    root, address = web
    yaml = root / "demo" / "bioimageio.yaml"
    source = f"{address}/demo/bioimageio.yaml"
    entries = {
        "happy-shark": {"source": source, "sha256": digest(yaml)},
        "sad-shark": {"source": source, "sha256": "0" * 64},
    }
    (root / "ids.json").write_text(json.dumps(entries), encoding="utf-8")

    assert load("happy-shark").name == NAME
    with pytest.raises(HashMismatchError, match="bioimageio.yaml is not the file"):
        load("sad-shark")
    with pytest.raises(MissingFileError, match="no such file or model id: lost-shark"):
        load("lost-shark")


def test_what_comes_from_the_net_is_measured_too(web):
    root, address = web
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    (root / "bomb.yaml").write_text("\n".join(lines), encoding="utf-8")

    for source in (f"{address}/bomb.yaml", "bomb"):
        with pytest.raises(UnsafePackageError, match="bomb.yaml has too many values"):
            load(source)


def test_a_reference_that_leads_out_of_a_url_is_refused(web):
    root, address = web
    path = root / "demo" / "bioimageio.yaml"
    text = path.read_text(encoding="utf-8").replace("source: README.md", "source: ../README.md")
    path.write_text(text, encoding="utf-8")

    with pytest.raises(UnsafePackageError, match="documentation.source is a file outside"):
        load(f"{address}/demo/bioimageio.yaml")


def test_a_file_from_the_net_is_downloaded_once_if_its_hash_is_known(web):
    root, address = web
    path = root / "demo" / "weights.onnx"
    ref = FileRef(f"{address}/demo/weights.onnx?download=1", digest(path))

    kept = local_file(ref)
    path.unlink()

    assert (kept.name, digest(kept)) == ("weights.onnx", ref.sha256)
    assert local_file(ref) == kept


def test_a_kept_file_that_was_changed_is_refused(web):
    root, address = web
    ref = FileRef(f"{address}/demo/weights.onnx", digest(root / "demo" / "weights.onnx"))
    local_file(ref).write_bytes(b"other")

    with pytest.raises(HashMismatchError, match="weights.onnx is not the file"):
        local_file(ref)


def test_a_strange_name_on_the_net_is_not_used_on_disk(web):
    root, address = web
    (root / "C:weights").write_text("x", encoding="utf-8")

    assert local_file(FileRef(f"{address}/C:weights", None)).name == "file"


def test_an_open_archive_is_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    path = zipped(fn.demo_model(), tmp_path / "model.zip")

    with zipfile.ZipFile(path) as on_disk, zipfile.ZipFile(io.BytesIO(path.read_bytes())) as other:
        assert load(on_disk).name == load(other).name == NAME
    with pytest.raises(DescriptionError, match="the zip archive is closed"):
        load(on_disk)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
def test_a_description_that_is_a_link_out_of_its_folder_is_refused(tmp_path):
    folder = shutil.copytree(fn.demo_model(), tmp_path / "model")
    outside = (folder / "bioimageio.yaml").rename(tmp_path / "bioimageio.yaml")
    (folder / "bioimageio.yaml").symlink_to(outside)

    with pytest.raises(UnsafePackageError, match="bioimageio.yaml is a file outside of the pack"):
        load(folder)
    assert load(folder / "bioimageio.yaml").name == NAME  # which was named, and not found
    (folder / "bioimageio.yaml").unlink()
    outside.rename(folder / "other.yaml")
    (folder / "bioimageio.yaml").symlink_to("other.yaml")
    assert load(folder).name == NAME


def test_a_file_that_is_no_file_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "rdf.yaml")

    with pytest.raises(FileReadError, match="not a file that could be read"):
        fn.load_description(tmp_path / "rdf.yaml")


def test_what_is_no_source_is_an_error():
    with pytest.raises(DescriptionError, match="expected a path, URL, id.*got int"):
        fn.load_description(3)


def test_a_description_is_its_own_source():
    model = fn.load_model(fn.demo_model())

    assert fn.load_description(model) is model


def test_sources_of_every_function_are_opened_alike(tmp_path):
    (tmp_path / "bioimageio.yaml").write_text("a: &a [*a]", encoding="utf-8")
    functions = (
        *(fn.load_description, fn.load_model, fn.load_dataset_description),
        *(fn.load_description_and_validate_format_only, fn.save_bioimageio_package),
        *(fn.save_bioimageio_package_as_folder, fn.test_inputs, fn.create_prediction_pipeline),
    )

    for function in functions:
        with pytest.raises(UnsafePackageError, match="holds itself"):
            function(tmp_path)


def test_a_model_is_no_data_set():
    with pytest.raises(DescriptionError, match="not a valid description of a data set: got model"):
        fn.load_dataset_description(fn.demo_model())


def test_a_package_that_is_saved_is_the_same_model(tmp_path):
    path = fn.save_bioimageio_package(fn.demo_model(), output_path=tmp_path / "saved.zip")
    folder = fn.save_bioimageio_package_as_folder(path, output_path=tmp_path / "saved")

    assert fn.load_model(path).name == fn.load_model(folder).name == NAME
    assert digest(folder / "weights.onnx") == digest(Path(fn.demo_model()) / "weights.onnx")
