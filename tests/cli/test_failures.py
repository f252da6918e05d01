"""Images that fail do not stop the others, and leave nothing."""

import numpy as np
import pytest
import tifffile
from commands import MODEL, document, image, invoke


@pytest.fixture
def folder(tmp_path):
    """A folder with two good images and every kind of a bad one."""
    tmp_path /= "data"
    image(tmp_path / "a.npy")
    image(tmp_path / "ü with spaces.npy", seed=1)
    whole = tmp_path / "m_truncated.tif"
    tifffile.imwrite(whole, np.zeros((200, 200), "uint16"))
    whole.write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "n_empty.tif").touch()
    (tmp_path / "o_wrong_suffix.png").write_bytes((tmp_path / "a.npy").read_bytes())
    np.save(tmp_path / "p_too_many_channels.npy", np.zeros((3, 64, 64, 3), "uint16"))
    return tmp_path


BAD = ("m_truncated.tif", "n_empty.tif", "o_wrong_suffix.png", "p_too_many_channels.npy")


def test_all_good_images_are_done_and_each_bad_one_is_told_of(folder, tmp_path):
    out = tmp_path / "out"

    done = invoke("predict", MODEL, folder, "-o", out)

    assert done.exit_code == 1
    good = ["a_probability.ome.tif", "ü with spaces_probability.ome.tif"]
    assert sorted(p.name for p in out.iterdir()) == sorted(good)
    assert done.stdout.splitlines() == [str(out / name) for name in good]
    *failed, last = [line for line in done.stderr.splitlines() if not line.startswith("warning")]
    assert len(failed) == len(BAD)
    for line, name in zip(failed, BAD, strict=True):
        assert line.startswith(f"failed: {folder / name}: ")
        assert name in line.partition(": ")[2]
    assert last == "error: 4 of 6 images failed; the others are done"


def test_programs_are_told_the_same(folder, tmp_path):
    said = document("predict", MODEL, folder, "-o", tmp_path / "out")

    assert said["failed"] == 4
    failed = [s for s in said["samples"] if "error" in s]
    assert [s["inputs"] for s in failed] == [str(folder / name) for name in BAD]
    assert {s["error"]["type"] for s in failed} <= {"FileReadError", "AxesError"}


def test_fail_fast_stops_at_the_first(folder, tmp_path):
    done = invoke("predict", MODEL, folder, "-o", tmp_path / "out", "--fail-fast")

    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert "m_truncated.tif" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a_probability.ome.tif"]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_alone_is_one_line(folder, name, tmp_path):
    done = invoke("predict", MODEL, folder / name, "-o", tmp_path / "out.npy")

    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning")]
    assert (done.exit_code, len(lines)) == (1, 1)
    assert lines[0].startswith("error: ")
    assert not (tmp_path / "out.npy").exists()


def test_an_error_is_json_too(tmp_path):
    done = invoke("predict", MODEL, tmp_path / "gone.tif", "--json")
    said = document("predict", MODEL, tmp_path / "gone.tif")

    assert done.exit_code == 1
    assert said["error"]["type"] == "MissingFileError"
    assert "gone.tif" in said["error"]["text"]


def test_what_tifffile_logs_of_a_damaged_file_is_not_said_beside_the_error(tmp_path, caplog):
    path = tmp_path / "cut.ome.tif"
    tifffile.imwrite(path, np.ones((3, 90, 90), "uint16"), metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes()[:-500])

    done = invoke("predict", MODEL, path, "-o", tmp_path / "out")

    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert not [record for record in caplog.records if record.name == "tifffile"]
