"""Commands that change descriptions: what they print, write, and refuse."""

import shutil

import pytest
from commands import MODEL, document, invoke
from descriptions import image04, write

import bioimageio_fn as fn

# bioimageio.spec leaves files open, and warns of what it converts
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Conversion of channel size:UserWarning"),
]


def test_a_description_is_brought_to_the_newest_format(tmp_path):
    source, target = write(tmp_path / "old", image04()), tmp_path / "new"

    done = invoke("update-format", source, "-o", target)

    assert done.exit_code == 0, done.stderr
    assert "format_version" in done.stdout
    assert str(fn.load_model(target).format_version).startswith("0.5")
    assert str(fn.load_model(source).format_version).startswith("0.4")


def test_hashes_are_shown_and_corrected_only_where_that_is_asked_for(tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(MODEL, folder)
    (folder / "README.md").write_text("# Changed\n")
    text = (folder / "bioimageio.yaml").read_text()

    shown = document("update-hashes", folder)
    still = (folder / "bioimageio.yaml").read_text()
    again = document("update-hashes", folder, "-o", folder / "bioimageio.yaml")
    nothing = invoke("update-hashes", folder)

    assert still == text
    assert shown["diff"] == again["diff"]
    assert "nothing changes" in nothing.stdout


def test_weights_are_added_if_they_are_proved(tmp_path):
    folder = tmp_path / "new"

    nothing = invoke("add-weights", MODEL, folder, "--target-format", "onnx")

    assert nothing.exit_code == 1  # the demo model has them
    assert not folder.exists()
