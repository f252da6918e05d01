"""A framework that is older than described, or of another major version, is one warning."""

from importlib.metadata import PackageNotFoundError

import pytest
import torch
from descriptions import image04, image05, torchscript, write
from hypothesis import given
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.backends import versions
from bioimageio_fn.backends.versions import differs
from bioimageio_fn.errors import BioimageioFnWarning

NUMBERS = st.tuples(*[st.integers(0, 20)] * 3)


def text(numbers):
    return ".".join(map(str, numbers))


@given(NUMBERS, NUMBERS)
def test_newer_ones_of_the_same_major_version_will_do(made, here):
    assert differs(text(made), text(here)) == (made[0] != here[0] or here < made)


@pytest.mark.parametrize(
    ("made", "here", "expected"),
    [
        ("2", "2.13.0+cpu", False),
        ("2.13", "2.13.0", False),
        ("2.13.0+cu128", "2.13.0+cpu", False),
        ("2.0.0rc1", "2.0.0", False),
        ("1.15.5", "2.21.0", True),
        ("3.0", "2.21.0", True),
    ],
)
def test_versions_are_compared_by_their_numbers(made, here, expected):
    assert differs(made, here) == expected


@pytest.mark.parametrize("model", [image05(), image04()], ids=["0.5", "0.4"])
def test_it_is_said_once_for_each_model(tmp_path, model):
    path = write(tmp_path, model, weights={"torchscript": torchscript(torch.nn.Identity())})
    path.write_text(path.read_text(encoding="utf-8").replace('"2.0"', '"1.10"'), encoding="utf-8")

    said = r"weights.pt was made with torch 1.10; torch 2\S* is installed, .* may fail"
    with pytest.warns(BioimageioFnWarning, match=said):
        fn.load_backend(path)
    fn.load_backend(path)
    fn.create_prediction_pipeline(path)


def test_nothing_is_said_where_versions_go_together(tmp_path):
    fn.load_backend(
        write(tmp_path, image05(), weights={"torchscript": torchscript(torch.nn.Identity())})
    )


def test_a_framework_may_come_under_another_name(monkeypatch, tmp_path):
    def version(name):
        if name == "tensorflow":
            raise PackageNotFoundError(name)
        return {"tensorflow-special": "2.21.0"}[name]

    monkeypatch.setattr(versions, "version", version)
    names = {"tensorflow": ["tensorflow-special"]}
    monkeypatch.setattr(versions, "packages_distributions", lambda: names)

    with pytest.warns(BioimageioFnWarning, match=r"tensorflow 2.21.0 is installed"):
        versions.warn_of_version(tmp_path, "tensorflow", "1.15")
    names.clear()
    versions.warn_of_version(tmp_path / "other", "tensorflow", "1.15")  # says nothing
