"""Descriptions brought up to date, and what is said of the changes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from converting import image, model

import bioimageio_fn as fn
from bioimageio_fn.errors import DescriptionError, FileWriteError, HashMismatchError
from bioimageio_fn.files import sha256_of

pytestmark = pytest.mark.filterwarnings("ignore:Conversion of channel size:UserWarning")


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(fn.demo_model(), tmp_path / "model"))


def test_where_nothing_is_to_do_nothing_changes(folder):
    before = (folder / "bioimageio.yaml").read_bytes()

    for update in (fn.update_hashes, fn.update_format):
        result = update(folder, output=folder / "bioimageio.yaml")
        assert (result.diff, str(result)) == ("", "nothing changes")
    assert (folder / "bioimageio.yaml").read_bytes() == before


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("from_description", [False, True], ids=["source", "description"])
def test_hashes_become_those_of_the_files(version, from_description, tmp_path):
    path, _ = model("pytorch_state_dict", tmp_path, version=version)
    code = path.parent / "net.py"
    old = sha256_of(code)
    code.write_text(code.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    with pytest.raises(HashMismatchError):
        fn.load_backend(path, trust_code=True)
    source = fn.load_model(path, perform_io_checks=False) if from_description else path

    result = fn.update_hashes(source, output=path)

    removed = [line for line in result.diff.splitlines() if line[:1] == "-" and old in line]
    added = [line for line in result.diff.splitlines() if sha256_of(code) in line]
    assert len(removed) == len(added) == 1
    assert old not in path.read_text(encoding="utf-8")
    found = fn.predict(model=path, inputs=fn.test_inputs(path), trust_code=True)
    np.testing.assert_allclose(
        np.asarray(found["out"]), np.asarray(fn.test_outputs(path)["out"]), atol=1e-5
    )
    assert fn.update_hashes(path).diff == ""


def test_new_hashes_change_nothing_else(tmp_path):
    """Not even what the format library writes in another way, or fills in."""
    path, _ = model("torchscript", tmp_path)
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["cite"][0]["url"] = "https://example.com"
    fields["inputs"][0]["preprocessing"] = []
    path.write_text(json.dumps(fields), encoding="utf-8")
    (path.parent / "raw.npy").write_bytes((path.parent / "raw.npy").read_bytes() + b"\0")

    result = fn.update_hashes(path, output=path)

    changed = [
        line
        for line in result.diff.splitlines()
        if line[:1] in "+-" and not line.startswith(("+++", "---"))
    ]
    assert changed
    assert all(line[1:].lstrip().startswith("sha256: ") for line in changed)
    assert fn.update_hashes(path).diff == ""
    fn.load_model(path)


def test_hashes_in_what_others_keep_in_the_description_stay(folder):
    path = folder / "bioimageio.yaml"
    fields = fn.dump_description(fn.load_model(folder, perform_io_checks=False))
    mine = {"source": "README.md", "sha256": "0" * 64}
    path.write_text(json.dumps({**fields, "config": {"mine": mine}}), encoding="utf-8")

    result = fn.update_hashes(folder)

    assert fn.dump_description(result.description)["config"]["mine"] == mine
    assert "0" * 64 not in result.diff


def test_a_description_of_format_0_4_becomes_one_of_0_5(tmp_path):
    path, direct = model("torchscript", tmp_path, version="0.4")
    raw = image("torchscript", shape=(9, 7))

    result = fn.update_format(path, output=tmp_path / "new.zip")

    assert "-format_version: 0.4.10\n+format_version: 0.5" in result.diff
    assert sha256_of(path.parent / "raw.npy") in result.diff
    assert str(fn.load_model(path).format_version).startswith("0.4")  # it was not written over
    shutil.rmtree(path.parent)
    new = fn.load_model(tmp_path / "new.zip")
    assert str(new.format_version).startswith("0.5")
    found = fn.predict(model=tmp_path / "new.zip", inputs=raw)
    np.testing.assert_allclose(np.asarray(found), direct(raw)[0], atol=1e-5)


@pytest.mark.parametrize("name", ["bioimageio.yaml", "other/"])
def test_an_update_is_written_in_place_or_with_all_files(name, tmp_path):
    path, _ = model("torchscript", tmp_path, version="0.4")
    place = path.parent / name if name.endswith("yaml") else tmp_path / name

    result = fn.update_format(path, output=place)

    written = fn.load_model(place)
    assert str(written.format_version).startswith("0.5")
    assert written.validation_summary.status == "valid-format"
    assert fn.test_inputs(place) == fn.test_inputs(result.description)


def test_a_description_is_not_written_away_from_its_files(folder, tmp_path):
    (folder / "README.md").write_text("# Changed\n", encoding="utf-8")

    with pytest.raises(FileWriteError, match="not beside the files that it names"):
        fn.update_hashes(folder, output=tmp_path / "bioimageio.yaml")
    assert not (tmp_path / "bioimageio.yaml").exists()


@pytest.mark.parametrize("update", [fn.update_format, fn.update_hashes])
def test_what_is_no_place_is_refused_at_once(update, tmp_path):
    with pytest.raises(FileWriteError, match="expected a .yaml file, a .zip archive, or a folder"):
        update("no/such/model", output=tmp_path / "model.tif")
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FileWriteError, match="new or empty folder"):
        update("no/such/model", output=tmp_path)


def test_what_is_invalid_is_not_written(folder):
    (folder / "test_input.npy").unlink()
    before = (folder / "bioimageio.yaml").read_bytes()

    for update in (fn.update_format, fn.update_hashes):
        with pytest.raises(DescriptionError, match="test_input"):
            update(folder, output=folder / "bioimageio.yaml")
    assert (folder / "bioimageio.yaml").read_bytes() == before


def test_files_that_were_changed_are_not_passed_by_a_new_format(folder):
    (folder / "weights.pt").write_bytes(b"other")

    with pytest.raises(DescriptionError, match=r"weights\.pt"):
        fn.update_format(folder)
