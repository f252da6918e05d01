"""A dry run says what would be done, and does not do it."""

import numpy as np
import pytest
from commands import MODEL, document, image, invoke

from bioimageio_fn.cli.dry_run import _duration


@pytest.fixture
def folder(tmp_path):
    """A folder with a small image, a larger one, and one that the model does not take."""
    image(tmp_path / "data" / "a.npy", shape=(64, 72))
    image(tmp_path / "data" / "b.npy", shape=(300, 200))
    np.save(tmp_path / "data" / "c.npy", np.zeros((3, 64, 64, 3), "uint16"))
    return tmp_path / "data"


def test_nothing_is_written_and_everything_is_told(folder, tmp_path):
    out = tmp_path / "out"

    done = invoke("predict", MODEL, folder, "-o", out, "--dry-run", "--block-shape", "128")

    assert done.exit_code == 1  # c would fail
    assert not out.exists()
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert f"writes probability: {out / 'a_probability.ome.tif'}" in lines
    assert "reads  raw (batch=1, channel=1, y=300, x=200; uint16)" in lines
    assert any(line.startswith("8 blocks of batch=1, channel=1, y=128, x=128") for line in lines)
    assert "would fail" in lines
    assert lines[-1].startswith("2 images, 9 blocks; ")
    assert lines[-1].endswith("nothing is written")
    assert done.stderr.startswith(f"failed: {folder / 'c.npy'}: ")


def test_a_dry_run_and_the_real_one_name_the_same_files(folder, tmp_path):
    (folder / "c.npy").unlink()
    arguments = ("predict", MODEL, folder, "-o", tmp_path / "{output_id}" / "{sample_id}.h5")

    planned, done = document(*arguments, "--dry-run"), document(*arguments)

    assert [s["writes"] for s in planned["samples"]] == [s["outputs"] for s in done["samples"]]
    assert planned["seconds"] > 0
    assert planned["memory"] > 0


def test_more_pixels_take_longer(tmp_path):
    small = image(tmp_path / "a.npy", shape=(512, 512))
    large = image(tmp_path / "b.npy", shape=(5120, 5120))

    seconds = [document("predict", MODEL, f, "--dry-run")["seconds"] for f in (small, large)]

    assert seconds[1] > 10 * seconds[0]


def test_blocks_are_those_of_a_memory_limit(tmp_path):
    large = image(tmp_path / "a.npy", shape=(3000, 3000))

    free = document("predict", MODEL, large, "--dry-run")
    tight = document(
        "predict", MODEL, large, "--dry-run", "--memory-limit", "400MB", "-o", "a.zarr"
    )

    assert tight["samples"][0]["blocks"] > free["samples"][0]["blocks"]
    assert tight["memory"] <= 400e6


def test_a_place_that_is_taken_is_refused_as_in_a_real_run(folder, tmp_path):
    (tmp_path / "a.npy").touch()

    done = invoke("predict", MODEL, folder / "a.npy", "-o", tmp_path / "a.npy", "--dry-run")

    assert done.exit_code == 1
    assert "is there already" in done.stderr


@pytest.mark.parametrize("seconds", [0, 0.99, 1, 119, 121, 7199, 7201, 1e6])
def test_times_are_rounded_but_not_beyond_use(seconds):
    text = _duration(seconds)
    if seconds < 1:
        assert text == "less than a second"
        return
    _, number, unit = text.split()
    value = int(number) * {"seconds": 1, "minutes": 60, "hours": 3600}[unit]
    assert value == pytest.approx(seconds, rel=0.5)


# ---------------------------------------------------------------- --example, check-blocks


def test_an_example_is_the_test_data_of_the_model(tmp_path):
    done = invoke("predict", MODEL, "--example", "-o", tmp_path / "{sample_id}.npy")

    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'example.npy'}\n"), done.stderr
    expected = np.load(f"{MODEL}/test_output.npy")
    np.testing.assert_allclose(np.load(tmp_path / "example.npy"), expected, atol=1e-4)


def test_blocks_that_equal_the_whole_are_exit_code_0(tmp_path):
    path = image(tmp_path / "a.npy", shape=(128, 300))

    good, bad = (
        invoke("check-blocks", MODEL, path),
        invoke("check-blocks", MODEL, path, "--halo", 4),
    )
    said = document("check-blocks", MODEL, path, "--block-shape", "y=128,x=192")

    assert (good.exit_code, good.stdout) == (0, "a: probability: blocks equal the whole\n")
    assert bad.exit_code == 1
    assert "a: probability: differs at seams: the halo of 4 is shorter" in bad.stdout
    assert (said[0]["id"], said[0]["verdict"], said[0]["halo"]) == ("a", "equal", {"x": 28})
