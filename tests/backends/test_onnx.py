"""ONNX: weights in other files, optional inputs, outputs that nobody described, binding."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import attrs
import numpy as np
import onnxruntime
import pytest
import torch
from descriptions import image05, write
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import bioimageio_fn as fn
from bioimageio_fn.backends.onnx import OnnxBackend
from bioimageio_fn.backends.onnx_binding import is_there, run_bound
from bioimageio_fn.backends.onnx_files import external_locations
from bioimageio_fn.errors import (
    BackendError,
    BioimageioFnWarning,
    HashMismatchError,
    MissingFileError,
    UnsafePackageError,
)
from bioimageio_fn.files import sha256_of

W = np.arange(1, 5, dtype="float32").reshape(1, 1, 2, 2)


def tensor(name="w", *, location=None):
    """A weight; in another file if a location is given."""
    weight = numpy_helper.from_array(W, name)
    if location is not None:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", str(W.nbytes))):
            entry = weight.external_data.add()
            entry.key, entry.value = key, value
    return weight


def info(name, shape=("b", "c", "y", "x")):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def model_of(nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def with_external(location):
    """raw * w, as a convolution with a kernel of 2 x 2 that lies in another file."""
    node = helper.make_node("Conv", ["raw", "w"], ["out"], pads=[0, 0, 1, 1])
    return model_of([node], [info("raw")], [info("out")], [tensor(location=location)])


IMAGE = np.random.default_rng(0).random((1, 1, 8, 12)).astype("float32")


def expected(image=IMAGE):
    padded = np.pad(image, [(0, 0), (0, 0), (0, 1), (0, 1)])
    return sum(
        W[0, 0, i, j] * padded[..., i : i + image.shape[2], j : j + image.shape[3]]
        for i in range(2)
        for j in range(2)
    )


# ---------------------------------------------------------------- weights in other files


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose graph and weights are two files."""
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    model = image05()
    path = write(tmp_path / "m", model, weights={"onnx": with_external("weights.onnx.data")})
    W.tofile(path.parent / "weights.onnx.data")
    text = path.read_text(encoding="utf-8")
    data = '"external_data": {"source": "weights.onnx.data", "sha256": "DIGEST"}, "opset_version"'
    digest = sha256_of(path.parent / "weights.onnx.data")
    text = text.replace('"opset_version"', data.replace("DIGEST", digest))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("how", ["folder", "zip", "elsewhere"])
def test_external_data_are_found_wherever_the_package_is(package, tmp_path, how):
    source = package
    if how == "zip":
        source = shutil.make_archive(str(tmp_path / "packed"), "zip", package.parent)
    if how == "elsewhere":  # not beside the graph: both are staged
        (package.parent / "data").mkdir()
        (package.parent / "weights.onnx").rename(package.parent / "data" / "weights.onnx")
        (package.parent / "weights.onnx.data").rename(package.parent / "data" / "weights.onnx.data")
        text = package.read_text(encoding="utf-8")
        package.write_text(text.replace('"weights.onnx', '"data/weights.onnx'), encoding="utf-8")

    result = fn.predict(model=source, inputs=IMAGE)

    np.testing.assert_allclose(np.asarray(result), expected(), atol=1e-5)


def test_external_data_that_were_changed_are_refused_then_and_later(package):
    backend = fn.load_backend(package)
    (2 * W).tofile(package.parent / "weights.onnx.data")

    with pytest.raises(HashMismatchError, match="weights.onnx.data was changed"):
        backend(IMAGE)
    with pytest.raises(HashMismatchError, match="weights.onnx.data"):
        fn.load_backend(package)


@pytest.mark.parametrize(
    "location",
    [
        *("../secret", "/etc/passwd", "sub/../../secret", "C:/secret", "..\\secret", "link"),
        *("*/_ORT_MEM_ADDR_/*", "./*/_ORT_MEM_ADDR_/*", "./../secret", "", "."),
    ],
)
def test_external_data_outside_of_the_folder_are_refused(tmp_path, location):
    (tmp_path / "m" / "sub").mkdir(parents=True)
    W.tofile(tmp_path / "secret")
    (tmp_path / "m" / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
    W.tofile(tmp_path / "m" / "*" / "_ORT_MEM_ADDR_" / "*")
    (tmp_path / "m" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "m" / "m.onnx").write_bytes(with_external(location))

    with pytest.raises(UnsafePackageError, match="m.onnx takes weights from outside of its folder"):
        OnnxBackend(tmp_path / "m" / "m.onnx")(IMAGE)


@pytest.mark.parametrize("location", ["nothing", "folder", "pipe"])
def test_external_data_that_are_no_file_are_refused(tmp_path, location):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "m.onnx").write_bytes(with_external(location))

    with pytest.raises(MissingFileError, match=f"m.onnx takes weights .* there: .* '{location}'"):
        OnnxBackend(tmp_path / "m.onnx")(IMAGE)


@pytest.mark.parametrize("location", ["data.bin", "./data.bin", "sub/./data.bin"])
def test_external_data_may_be_said_to_lie_here(tmp_path, location):
    (tmp_path / "sub").mkdir()
    W.tofile(tmp_path / location)
    (tmp_path / "m.onnx").write_bytes(with_external(location))

    np.testing.assert_allclose(OnnxBackend(tmp_path / "m.onnx")(IMAGE)[0], expected(), atol=1e-5)


@pytest.mark.parametrize("field", [b"\x0a\x00", b"\x08\x00", b"\x3a\x00"])
def test_fields_without_end_are_refused_early(tmp_path, field):
    (tmp_path / "m.onnx").write_bytes(field * 1_000_001)

    with pytest.raises(UnsafePackageError, match="too many fields: expected at most 1000000"):
        OnnxBackend(tmp_path / "m.onnx")(IMAGE)


def places():
    """Graphs with a tensor in another file at every place where there can be one."""
    outside = {"location": "../x"}
    constant = helper.make_node("Constant", [], ["k"], value=tensor(**outside))
    body = helper.make_graph([constant], "body", [], [info("k")])
    condition = helper.make_node("If", ["c"], ["out"], then_branch=body, else_branch=body)
    sparse = helper.make_sparse_tensor(tensor(**outside), tensor("i"), [9])
    function = helper.make_function("own", "F", ["a"], ["k"], [constant], [])
    plain = [helper.make_node("Identity", ["raw"], ["out"])]
    yield "initializer", with_external("../x"), {"../x"}
    yield "attribute", model_of([constant], [], [info("k")]), {"../x"}
    yield "subgraph", model_of([condition], [], [info("out")]), {"../x"}
    graph = helper.make_graph(plain, "g", [], [], sparse_initializer=[sparse])
    yield "sparse", helper.make_model(graph).SerializeToString(), {"../x"}
    graph = helper.make_graph(plain, "g", [], [])
    yield "function", helper.make_model(graph, functions=[function]).SerializeToString(), {"../x"}
    yield "none", model_of(plain, [], []), set()
    # a message that is there twice is read as one
    yield "twice", model_of(plain, [], []) + with_external("../x"), {"../x"}


@pytest.mark.parametrize(
    ("content", "locations"), [c[1:] for c in places()], ids=[c[0] for c in places()]
)
def test_locations_are_found_wherever_a_tensor_can_be(tmp_path, content, locations):
    (tmp_path / "m.onnx").write_bytes(content)

    assert external_locations(tmp_path / "m.onnx") == locations


def test_locations_of_a_published_model_are_none(real_model):
    assert external_locations(real_model / "weights.onnx") == set()


@given(st.binary(max_size=60), st.integers(0, 60))
def test_damaged_files_end_in_an_error_or_in_names(content, cut):
    with tempfile.TemporaryDirectory() as folder:
        for data in (content, with_external("../x")[:-cut]):
            (Path(folder) / "m.onnx").write_bytes(data)
            with contextlib.suppress(ValueError):
                assert isinstance(external_locations(Path(folder) / "m.onnx"), set)


# ---------------------------------------------------------------- inputs and outputs


def test_an_input_of_an_optional_type_may_be_left_out(tmp_path):
    added = [
        helper.make_node("OptionalGetElement", ["aux"], ["element"]),
        helper.make_node("Add", ["raw", "element"], ["sum"]),
    ]
    branches = {
        "then_branch": helper.make_graph(added, "there", [], [info("sum")]),
        "else_branch": helper.make_graph(
            [helper.make_node("Identity", ["raw"], ["same"])], "not", [], [info("same")]
        ),
    }
    nodes = [
        helper.make_node("OptionalHasElement", ["aux"], ["has"]),
        helper.make_node("If", ["has"], ["out"], **branches),
    ]
    kind = helper.make_optional_type_proto(info("x").type)
    inputs = [info("raw"), helper.make_value_info("aux", kind)]
    (tmp_path / "m.onnx").write_bytes(model_of(nodes, inputs, [info("out")]))
    backend = OnnxBackend(tmp_path / "m.onnx", input_ids=["raw", "aux"])

    np.testing.assert_array_equal(backend(IMAGE, None)[0], IMAGE)
    np.testing.assert_array_equal(backend(IMAGE, IMAGE)[0], 2 * IMAGE)
    assert [(port.dtype, port.optional) for port in backend.signature.inputs] == [
        ("float32", False),
        ("float32", True),
    ]


@pytest.fixture
def with_initial_value(tmp_path):
    """(aux, raw) -> 10 * aux + raw, where aux has a value of its own"""
    nodes = [
        helper.make_node("Mul", ["aux", "ten"], ["more"]),
        helper.make_node("Add", ["more", "raw"], ["out"]),
    ]
    initial = [
        numpy_helper.from_array(np.zeros((1, 1, 1, 1), "float32"), "aux"),
        numpy_helper.from_array(np.float32(10), "ten"),
    ]
    path = tmp_path / "m.onnx"
    path.write_bytes(model_of(nodes, [info("aux"), info("raw")], [info("out")], initial))
    return path


def test_an_input_with_a_value_of_its_own_keeps_its_place_in_the_order(with_initial_value):
    backend = OnnxBackend(with_initial_value, input_ids=["first", "second"])

    np.testing.assert_allclose(backend(IMAGE, 2 * IMAGE)[0], 12 * IMAGE, rtol=1e-6)
    np.testing.assert_array_equal(backend(None, IMAGE)[0], IMAGE)
    assert [port.name for port in backend.signature.inputs] == ["aux", "raw"]


def test_an_input_with_a_value_of_its_own_need_not_be_described(with_initial_value):
    backend = OnnxBackend(with_initial_value, input_ids=["image"])

    np.testing.assert_array_equal(backend(IMAGE)[0], IMAGE)


@pytest.fixture
def two_outputs(tmp_path):
    """raw -> (same, doubled)"""
    nodes = [
        helper.make_node("Identity", ["raw"], ["same"]),
        helper.make_node("Add", ["raw", "raw"], ["doubled"]),
    ]
    path = tmp_path / "m.onnx"
    path.write_bytes(model_of(nodes, [info("raw")], [info("same"), info("doubled")]))
    return path


@pytest.mark.parametrize(("ids", "factor"), [(["doubled"], 2), (["same"], 1), (["other"], 1)])
def test_outputs_that_nobody_described_are_dropped_with_one_warning(two_outputs, ids, factor):
    backend = OnnxBackend(two_outputs, output_ids=ids)

    with pytest.warns(BioimageioFnWarning, match="gives 2 outputs, its description has 1"):
        (first,) = backend(IMAGE)
    backend.close()
    backend(IMAGE)  # says nothing, or it would be an error here

    np.testing.assert_array_equal(first, factor * IMAGE)


def test_too_few_outputs_are_an_error(two_outputs):
    with pytest.raises(BackendError, match="fewer outputs .*: expected a, b, c, got 2"):
        OnnxBackend(two_outputs, output_ids=["a", "b", "c"])(IMAGE)


def test_another_number_of_inputs_is_an_error_that_names_them(two_outputs):
    with pytest.raises(BackendError, match="one array for each .*: expected image, got 2 arrays"):
        OnnxBackend(two_outputs, input_ids=["image"])(IMAGE, IMAGE)


@pytest.mark.parametrize("bound", [[0], [1], [0, 1], []])
def test_tensors_are_bound_where_they_are(tmp_path, bound):
    """What is done on a GPU, done on the CPU: that onnxruntime reads and leaves them there."""
    nodes = [
        helper.make_node("Sub", ["a", "b"], ["difference"]),
        helper.make_node("Add", ["a", "b"], ["total"]),
    ]
    content = model_of(nodes, [info("a"), info("b")], [info("difference"), info("total")])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    a, b = IMAGE.astype("float64"), np.float32(2) * IMAGE[..., ::-1]
    arrays = [torch.from_numpy(x.copy()) if i in bound else x for i, x in enumerate((a, b))]
    feed = dict(zip("ab", arrays, strict=True))

    results = run_bound(
        session, feed, ["total", "difference"], dtypes=dict.fromkeys("ab", "float32"), device="cpu"
    )

    assert [is_there(x, "cpu") for x in arrays] == [i in bound for i in range(2)]
    assert all(isinstance(result, torch.Tensor) for result in results)
    np.testing.assert_allclose(results[0], a + b, rtol=1e-6)
    np.testing.assert_allclose(results[1], a - b, rtol=1e-6, atol=1e-6)


def test_the_recipe_with_external_data_is_a_value(package):
    backend = fn.load_backend(package)

    assert [path.name for path, _ in backend.external] == ["weights.onnx.data"]
    assert hash(attrs.evolve(backend)) == hash(backend)
