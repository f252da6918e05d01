"""Files that a description declares lie side by side where its code runs."""

import hashlib
import json

import numpy as np
import pytest
from descriptions import image05, write
from onnx import TensorProto, helper, numpy_helper

import bioimageio_fn as fn
from bioimageio_fn.contract.files import FileRef
from bioimageio_fn.errors import HashMismatchError, MissingFileError, UnsafePackageError
from bioimageio_fn.package import local_file_with, staged


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


def test_files_that_lie_side_by_side_stay_where_they_are(package, tmp_path):
    net = FileRef(package / "net.py", None, "net.py")
    table = FileRef(package / "sub" / "table.csv", None, "sub/table.csv")
    elsewhere = FileRef(package / "sub" / "table.csv", None, "table.csv")

    assert local_file_with(net, [table]) == package / "net.py"
    assert local_file_with(table, [net]) == package / "sub" / "table.csv"
    folder = local_file_with(net, [elsewhere]).parent
    assert names(folder) == ["net.py", "table.csv"]
    assert folder.is_relative_to(tmp_path / "cache")


def with_external_data(folder):
    """A model that adds numbers which lie in another file than its graph."""
    path = write(folder, image05())
    numbers = numpy_helper.from_array(np.float32([7]), "numbers")
    numbers.ClearField("raw_data")
    numbers.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "weights.onnx.data", "length": "4"}.items():
        entry = numbers.external_data.add()
        entry.key, entry.value = key, value
    graph = helper.make_graph(
        [helper.make_node("Add", ["raw", "numbers"], ["out"])],
        "add",
        [helper.make_tensor_value_info("raw", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numbers],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx_file = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    data = np.float32([7]).tobytes()
    (folder / "weights.onnx").write_bytes(onnx_file)
    (folder / "weights.onnx.data").write_bytes(data)
    fields = json.loads(path.read_text(encoding="utf-8"))
    sources = {"weights.onnx": onnx_file, "weights.onnx.data": data}
    weights, external = (
        {"source": name, "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sources.items()
    )
    fields["weights"]["onnx"] |= weights | {"external_data": external}
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path


def test_external_data_of_onnx_are_found_and_checked(tmp_path):
    path = with_external_data(tmp_path / "m")

    assert float(fn.predict(model=path, inputs=[[1.0] * 8] * 8)["out"].data[0, 0, 0, 0]) == 8
    (path.parent / "weights.onnx.data").write_bytes(np.float32([8]).tobytes())
    with pytest.raises(HashMismatchError, match="weights.onnx.data is not the file"):
        fn.predict(model=path, inputs=[[1.0] * 8] * 8)
    (path.parent / "weights.onnx.data").unlink()
    with pytest.raises(MissingFileError, match="weights.onnx.data"):
        fn.load_backend(path)
