"""Files that a description declares lie side by side where its code runs."""

import pytest

import bioimageio_fn as fn
from bioimageio_fn.contract.files import FileRef
from bioimageio_fn.errors import HashMismatchError, MissingFileError, UnsafePackageError
from bioimageio_fn.package import staged


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")


@pytest.fixture
def package(tmp_path):
    for name in ("net.py", "sub/table.csv", "undeclared.txt"):
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return tmp_path / "package"


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_declared_files_lie_as_in_the_package_and_no_others(package, tmp_path):
    elsewhere = tmp_path / "helper.py"
    elsewhere.write_text("x", encoding="utf-8")
    refs = [
        FileRef(package / "net.py", None, "net.py"),
        FileRef(package / "sub" / "table.csv", None, "sub/table.csv"),
        FileRef(elsewhere, None),
    ]

    folder = staged(refs)

    assert names(folder) == ["helper.py", "net.py", "sub/table.csv"]
    assert (folder / "sub" / "table.csv").read_text(encoding="utf-8") == "sub/table.csv"
    assert staged(reversed(refs)) == folder


def test_what_is_changed_later_is_another_folder_and_changes_none(package):
    ref = FileRef(package / "net.py", None)
    before = staged([ref])
    (package / "net.py").write_text("changed", encoding="utf-8")
    after = staged([ref])

    assert before != after
    assert (before / "net.py").read_text(encoding="utf-8") == "net.py"
    assert (after / "net.py").read_text(encoding="utf-8") == "changed"


def test_files_that_are_not_the_described_are_not_staged(package):
    with pytest.raises(HashMismatchError, match="net.py is not the file"):
        staged([FileRef(package / "net.py", "0" * 64)])
    with pytest.raises(MissingFileError, match="the package has no file gone.py"):
        staged([FileRef(package / "gone.py", None)])


def test_two_files_of_one_place_are_refused(package):
    refs = [FileRef(package / "net.py", None, "a"), FileRef(package / "sub/table.csv", None, "a")]

    with pytest.raises(UnsafePackageError, match="have the same place: got a"):
        staged(refs)
