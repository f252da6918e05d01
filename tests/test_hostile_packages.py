"""Packages of bad strangers: each is refused, its payload does not run, nothing is written outside.

Each package is made here and opened in a process of its own, see `hostile`. What a payload does, if
it runs, is to write a file named `canary`; archives try to put one where it does not belong.
"""

import hashlib
import io
import json
import os
import stat
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
import torch
from descriptions import image04, image05, onnx_identity, torchscript, write
from hostile import opened
from networks import described, network

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no limits for processes")

LOAD, BLIND = "load_description", "load_description without looking at files"
INPUTS, PREDICT = "test_inputs", "predict"
TEST, TEST_TRUSTED = "test_model", "test_model, trusted"
STATE_DICT, TRUSTED = "predict the state dict", "predict, trusted"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "package"


@pytest.fixture(autouse=True)
def canary(tmp_path):
    """Where payloads write to; looked for everywhere when the test is done."""
    yield tmp_path / "canary"
    assert [p for p in tmp_path.rglob("*") if "canary" in p.name] == []


def digest(content):
    return hashlib.sha256(content).hexdigest()


def changed(path, change):
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def code_that_writes(path):
    return f"open({str(path)!r}, 'w').close()\nimport torch\nNet = lambda: torch.nn.Conv2d(1, 1, 1)"


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


GOOD_STATE = saved(torch.nn.Conv2d(1, 1, 1).state_dict())
GOOD_CODE = "import torch\ndef Net():\n    return torch.nn.Conv2d(1, 1, 1)\n"


def with_state_dict(folder, weights=GOOD_STATE, code=GOOD_CODE, make=image05, **architecture):
    """A model whose only weights are a state dict."""
    path = write(folder, make())
    (folder / "w.pt").write_bytes(weights)
    (folder / "net.py").write_text(code, encoding="utf-8")
    entry = {"source": "w.pt", "sha256": digest(weights)}
    if make is image04:
        entry |= {"architecture": "net.py:Net", "architecture_sha256": digest(code.encode())}
    else:
        here = {"source": "net.py", "sha256": digest(code.encode()), "callable": "Net"}
        entry |= {"pytorch_version": "2.0", "architecture": architecture or here}
    return changed(path, lambda m: m.update(weights={"pytorch_state_dict": entry}))


def refused(outcomes, ways, kind, text):
    for way in ways:
        assert outcomes[way].kind == kind, (way, outcomes[way])
        assert text in outcomes[way].text, (way, outcomes[way])


def loaded(outcomes, *ways):
    assert {outcomes[way].kind for way in ways} == {"ModelDescr"}, outcomes


# ---------------------------------------------------------------- code


@pytest.mark.parametrize("make", [image05, image04])
def test_a_pickle_in_weights(folder, canary, make):
    source = with_state_dict(folder, saved({"x": Payload(canary)}), make=make)

    outcomes = opened(source, [LOAD, PREDICT, TRUSTED, TEST, TEST_TRUSTED])

    loaded(outcomes, LOAD)
    refused(outcomes, [PREDICT, TEST], "UntrustedCodeError", "these weights need code of the model")
    refused(outcomes, [TRUSTED, TEST_TRUSTED], "UnsafePackageError", "w.pt holds more than tensors")


def test_a_pickle_in_the_place_of_torchscript(folder, canary):
    source = write(folder, image05(), weights={"torchscript": saved(Payload(canary))})

    outcomes = opened(source, [LOAD, PREDICT, TEST])

    loaded(outcomes, LOAD)
    refused(outcomes, [PREDICT, TEST], "BackendError", "torch can not open weights.pt")


def test_a_pickle_in_a_test_tensor(folder, canary):
    source = write(folder, image05())
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(canary)], object), allow_pickle=True)
    (folder / "raw.npy").write_bytes(buffer.getvalue())
    tensor = {"source": "raw.npy", "sha256": digest(buffer.getvalue())}
    changed(source, lambda m: m["inputs"][0].update(test_tensor=tensor))

    outcomes = opened(source, [LOAD, BLIND, INPUTS, PREDICT, TEST])

    assert outcomes[LOAD].kind == "InvalidDescr"  # the format library reads it, and does not run it
    loaded(outcomes, BLIND)
    refused(outcomes, [INPUTS, TEST], "FileReadError", "can not read raw.npy as a NumPy array")
    assert outcomes[PREDICT].kind == "Sample"  # which needs no test tensor


@pytest.mark.parametrize("make", [image05, image04])
def test_code_that_makes_the_network(folder, canary, make):
    source = with_state_dict(folder, code=code_that_writes(canary), make=make)

    outcomes = opened(source, [LOAD, PREDICT, STATE_DICT, TEST])

    loaded(outcomes, LOAD)
    refused(outcomes, [PREDICT, STATE_DICT, TEST], "UntrustedCodeError", "Net of net.py")
    assert (
        f"read {folder / 'net.py'}, and pass trust_code=True (--trust-code)"
        in outcomes[PREDICT].text
    )


def test_code_of_a_custom_step(folder, canary):
    code = code_that_writes(canary).encode()
    step = {"id": "custom", "callable": "Net", "source": "step.py", "sha256": digest(code)}
    source = write(folder, image05(post=[step]))
    (folder / "step.py").write_bytes(code)

    outcomes = opened(source, [LOAD, PREDICT, TEST])

    loaded(outcomes, LOAD)
    refused(
        outcomes,
        [PREDICT, TEST],
        "UntrustedCodeError",
        "Net of step.py (tensor 'out', step 'custom'",
    )


@pytest.mark.parametrize(
    ("module", "name", "kwargs"),
    [
        ("os", "system", lambda path: {"command": f"touch {path}"}),
        ("subprocess", "Popen", lambda path: {"args": ["touch", str(path)]}),
        ("builtins", "open", lambda path: {"file": str(path), "mode": "w"}),
    ],
)
def test_a_library_function_in_the_place_of_a_network(folder, canary, module, name, kwargs):
    source = with_state_dict(folder, import_from=module, callable=name, kwargs=kwargs(canary))

    outcomes = opened(source, [LOAD, PREDICT, TEST])

    loaded(outcomes, LOAD)
    refused(outcomes, [PREDICT, TEST], "UntrustedCodeError", f"{name} of the library {module}")


def test_a_python_file_within_weights(folder, canary):
    buffer = io.BytesIO(GOOD_STATE)
    with zipfile.ZipFile(buffer, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        for name in ("__init__.py", "sitecustomize.py", "torch.py", "code/net.py"):
            archive.writestr(f"{root}/{name}", code_that_writes(canary))
    source = with_state_dict(folder, buffer.getvalue())

    outcomes = opened(source, [LOAD, PREDICT, TRUSTED, TEST, TEST_TRUSTED])

    loaded(outcomes, LOAD)
    refused(outcomes, [PREDICT, TEST], "UntrustedCodeError", "Net of net.py")
    assert outcomes[TRUSTED].kind == "Sample"  # net.py was trusted, and runs; the others do not


def test_a_python_file_within_torchscript(folder, canary):
    buffer = io.BytesIO(torchscript(torch.nn.Conv2d(1, 1, 1)))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("archive/code/torch.py", code_that_writes(canary))
        archive.writestr("sitecustomize.py", code_that_writes(canary))
    source = write(folder, image05(), weights={"torchscript": buffer.getvalue()})

    outcomes = opened(source, [LOAD, PREDICT, TEST])

    loaded(outcomes, LOAD)
    assert outcomes[PREDICT].kind in {"Sample", "BackendError"}


def test_a_lambda_layer(folder, tmp_path, canary):
    import keras

    trace, path = str(canary), tmp_path / "made" / "network.keras"
    path.parent.mkdir()
    leave = lambda x: (open(trace, "w").close(), x + 1)[1]  # noqa: E731, PTH123
    x = keras.Input((None, None, 1), name="raw")
    keras.Model(x, keras.layers.Lambda(leave, name="out")(x)).save(path)
    canary.unlink()  # it ran when it was made, and is in the file as bytecode
    source = write(folder, described("keras_v3", "0.5"), weights={"keras_v3": path.read_bytes()})

    outcomes = opened(source, [LOAD, PREDICT, TEST])

    loaded(outcomes, LOAD)
    refused(outcomes, [PREDICT, TEST], "UntrustedCodeError", "Lambda")


def test_an_operator_that_no_runtime_knows(folder):
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("raw", "out")]
    node = helper.make_node("Run", ["raw"], ["out"], domain="strangers", library="/tmp/run.so")
    graph = helper.make_graph([node], "run", ports[:1], ports[1:])
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("strangers", 1)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    source = write(folder, image05(), weights={"onnx": model.SerializeToString()})

    outcomes = opened(source, [LOAD, PREDICT, TEST, TEST_TRUSTED])

    loaded(outcomes, LOAD)
    refused(outcomes, [PREDICT, TEST, TEST_TRUSTED], "BackendError", "can not open weights.onnx")


# ---------------------------------------------------------------- archives


def member(name, kind):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, kind << 16
    return info


def with_member(path, name, content):
    """A good model as a zip, with one member more."""
    source = write(path.parent / "good", image05())
    with zipfile.ZipFile(path, "w") as archive:
        for file in source.parent.iterdir():
            archive.write(file, file.name)
        archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("../canary", "../../../../../canary", "a/../../canary", "..\\canary", "C:\\canary"),
        *("/tmp/canary", "{home}/canary", "weights.onnx/../../canary"),
    ],
)
def test_an_archive_with_a_path_that_leads_out(folder, tmp_path, name):
    folder.mkdir()
    source = with_member(folder / "model.zip", name.format(home=tmp_path), "payload")

    outcomes = opened(source, [LOAD, BLIND, INPUTS, PREDICT, TEST])

    refused(outcomes, outcomes, "UnsafePackageError", "its path leads out of the package")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_an_archive_with_a_link_or_a_device(folder, tmp_path, kind):
    folder.mkdir()
    source = with_member(folder / "model.zip", member("data", kind), str(tmp_path))

    outcomes = opened(source, [LOAD, BLIND, INPUTS, PREDICT, TEST])

    refused(outcomes, outcomes, "UnsafePackageError", "it is a link, a device")


def bomb(gigabytes, claimed):
    """A zip archive of one member of zeros, a thousandth of its size."""
    packer = zlib.compressobj(9, wbits=-15)
    packer.compress(bytes(2**20)), packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    content = piece * (gigabytes * 1024) + b"\3\0"
    sizes = struct.pack("<2H2Q", 1, 16, claimed, len(content))
    head = struct.pack("<5H3L2H", 45, 0, 8, 0, 0, 0, 2**32 - 1, 2**32 - 1, 1, len(sizes))
    local = b"PK\3\4" + head + b"a" + sizes
    entry = b"PK\1\2" + struct.pack("<H", 45) + head + struct.pack("<3H2L", 0, 0, 0, 0, 0)
    listed = entry + b"a" + sizes
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(listed), len(local) + len(content), 0)
    return local + content + listed + end


@pytest.mark.parametrize(
    ("claimed", "kind", "text"),
    [
        (10 * 2**30, "UnsafePackageError", "more would come out of it than it can honestly hold"),
        (1000, "FileReadError", "can not read model.zip as a zip archive"),
    ],
)
def test_an_archive_that_is_a_bomb(folder, tmp_path, claimed, kind, text):
    folder.mkdir()
    source = folder / "model.zip"
    source.write_bytes(bomb(10, claimed))
    assert source.stat().st_size < 11 * 2**20

    outcomes = opened(source, [LOAD, BLIND, INPUTS, PREDICT, TEST])

    refused(outcomes, outcomes, kind, text)
    assert sum(p.stat().st_size for p in (tmp_path / "cache").rglob("*")) < 2**20


# ---------------------------------------------------------------- hashes


def test_weights_that_are_not_the_described(folder):
    source = write(folder, image05())
    (folder / "weights.onnx").write_bytes(onnx_identity(["raw"], ["out"]) + b"\0")

    outcomes = opened(source, [LOAD, BLIND, PREDICT, TEST])

    assert outcomes[LOAD].kind == "InvalidDescr"
    loaded(outcomes, BLIND)
    refused(
        outcomes,
        [PREDICT, TEST],
        "HashMismatchError",
        "weights.onnx is not the file that the descr",
    )


@pytest.mark.parametrize("make", [image05, image04])
def test_code_that_is_not_the_described(folder, canary, make):
    source = with_state_dict(folder, make=make)
    (folder / "net.py").write_text(code_that_writes(canary), encoding="utf-8")

    outcomes = opened(source, [LOAD, PREDICT, TRUSTED, TEST, TEST_TRUSTED])

    opening = [PREDICT, TRUSTED, TEST, TEST_TRUSTED]
    refused(outcomes, opening, "HashMismatchError", "net.py is not the file that the description")


# ---------------------------------------------------------------- text


def anchors():
    lines = ["a0: &a0 [lol, lol]"]
    return "\n".join(
        lines + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(anchors, "too many values", id="anchors"),
        pytest.param(lambda: "a: " + "[" * 500_000, "nested too deep", id="lists in lists"),
        pytest.param(lambda: "a: " + "{a: " * 200_000, "nested too deep", id="mappings"),
        pytest.param(lambda: "a: " + "x" * 2**22, "too long", id="long text"),
        pytest.param(lambda: "a: [" + "1," * 400_000, "too many values", id="many values"),
        pytest.param(lambda: "%YAML 1.1\n---\na: 1" + ":1" * 500_000, "version", id="base 60"),
    ],
)
def test_text_without_end(folder, text, why):
    folder.mkdir()
    source = folder / "bioimageio.yaml"
    source.write_text(text(), encoding="utf-8")

    outcomes = opened(source, [LOAD, PREDICT, TEST])

    refused(outcomes, outcomes, "UnsafePackageError", why)


def test_text_without_end_in_an_archive(folder):
    folder.mkdir()
    source = folder / "model.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bioimageio.yaml", anchors())

    outcomes = opened(source, [LOAD, BLIND, INPUTS, PREDICT, TEST])

    refused(outcomes, outcomes, "UnsafePackageError", "too many values")


def test_a_description_of_a_terabyte(folder):
    folder.mkdir()
    source = folder / "bioimageio.yaml"
    with source.open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk

    outcomes = opened(source, [LOAD, BLIND, INPUTS, PREDICT, TEST])

    refused(outcomes, outcomes, "UnsafePackageError", "bioimageio.yaml is too long")


# ---------------------------------------------------------------- references


@pytest.mark.parametrize("make", [image05, image04])
@pytest.mark.parametrize("source", ["../secret.md", "{home}/secret.md", "file://{home}/secret.md"])
def test_a_file_outside_of_the_package(folder, tmp_path, make, source):
    (tmp_path / "secret.md").write_text("secret", encoding="utf-8")
    name = source.format(home=tmp_path)
    path = write(folder, make())
    changed(path, lambda m: m.update(attachments=_attachment(make, name)))

    outcomes = opened(path, [LOAD, BLIND, INPUTS, PREDICT, TEST])

    refused(outcomes, outcomes, "UnsafePackageError", "is a file outside of the package")


def _attachment(make, name):
    return [{"source": name}] if make is image05 else {"files": [name]}


def test_a_link_that_leads_out(folder, tmp_path):
    path = write(folder, image05())
    (folder / "weights.onnx").rename(tmp_path / "secret.onnx")
    (folder / "weights.onnx").symlink_to(tmp_path / "secret.onnx")

    outcomes = opened(path, [LOAD, BLIND, INPUTS, PREDICT, TEST])

    refused(outcomes, outcomes, "UnsafePackageError", "a link leads out of the package")


def test_a_device_and_a_pipe_in_the_place_of_files(folder):
    path = write(folder, image05())
    (folder / "weights.onnx").unlink()
    os.mkfifo(folder / "weights.onnx")

    outcomes = opened(path, [LOAD, BLIND, PREDICT, TEST])

    assert outcomes[LOAD].kind == "InvalidDescr"
    loaded(outcomes, BLIND)
    refused(outcomes, [PREDICT, TEST], "MissingFileError", "the package has no file weights.onnx")


def graph_with_external_data(location):
    """An ONNX graph that reads its numbers from a file."""
    from onnx import TensorProto, helper, numpy_helper

    numbers = numpy_helper.from_array(np.float32([7]), "numbers")
    numbers.ClearField("raw_data")
    numbers.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "length": "4"}.items():
        entry = numbers.external_data.add()
        entry.key, entry.value = key, value
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("raw", "out")]
    node = helper.make_node("Add", ["raw", "numbers"], ["out"])
    graph = helper.make_graph([node], "add", ports[:1], ports[1:], [numbers])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


@pytest.mark.parametrize("location", ["../secret.data", "{home}/secret.data", "link.data"])
def test_external_data_of_onnx_outside_of_the_package(folder, tmp_path, location):
    (tmp_path / "secret.data").write_bytes(np.float32([7]).tobytes())
    graph = graph_with_external_data(location.format(home=tmp_path))
    path = write(folder, image05(), weights={"onnx": graph})
    (folder / "link.data").symlink_to(tmp_path / "secret.data")

    outcomes = opened(path, [LOAD, PREDICT, TEST])

    loaded(outcomes, LOAD)
    refused(
        outcomes, [PREDICT, TEST], "UnsafePackageError", "takes weights from outside of its folder"
    )


def test_external_data_of_onnx_that_the_description_finds_outside(folder, tmp_path):
    (tmp_path / "secret.data").write_bytes(np.float32([7]).tobytes())
    graph = graph_with_external_data("../secret.data")
    path = write(folder, image05(), weights={"onnx": graph})
    changed(
        path,
        lambda m: m["weights"]["onnx"].update(external_data={"source": "../secret.data"}),
    )

    outcomes = opened(path, [LOAD, BLIND, INPUTS, PREDICT, TEST])

    refused(outcomes, outcomes, "UnsafePackageError", "weights.onnx.external_data.source is a file")


def test_a_saved_model_that_reads_a_file_outside_of_the_package(folder, tmp_path):
    from tensorflow.core.protobuf import saved_model_pb2

    kind = "tensorflow_saved_model_bundle"
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    content, _ = network(kind, tmp_path / "network")
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as good, zipfile.ZipFile(buffer, "w") as bad:
        for name in good.namelist():
            part = good.read(name)
            if name.endswith("saved_model.pb"):
                model = saved_model_pb2.SavedModel.FromString(part)
                model.meta_graphs[0].asset_file_def.add(filename=str(tmp_path / "secret"))
                part = model.SerializeToString()
            bad.writestr(name, part)
    path = write(folder, described(kind, "0.5"), weights={kind: buffer.getvalue()})

    outcomes = opened(path, [LOAD, PREDICT, TEST])

    loaded(outcomes, LOAD)
    refused(
        outcomes, [PREDICT, TEST], "UnsafePackageError", "takes a file from outside of its folder"
    )


def test_hdf5_that_takes_numbers_from_another_file(folder, tmp_path):
    import h5py

    kind, buffer = "keras_hdf5", io.BytesIO()
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.ones(3)
    content, _ = network(kind, tmp_path / "network")
    buffer.write(content)
    with h5py.File(buffer, "r+") as file:
        file.create_group("more")["secret"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/x")
    source = write(folder, described(kind, "0.5"), weights={kind: buffer.getvalue()})

    outcomes = opened(source, [LOAD, PREDICT, TEST, TEST_TRUSTED])

    opening = [PREDICT, TEST, TEST_TRUSTED]
    loaded(outcomes, LOAD)
    refused(outcomes, opening, "UnsafePackageError", "takes data from another file")


def test_a_saved_model_in_an_archive_with_a_path_that_leads_out(folder):
    kind = "tensorflow_saved_model_bundle"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("saved_model.pb", b"")
        archive.writestr("../canary", "payload")
    source = write(folder, described(kind, "0.5"), weights={kind: buffer.getvalue()})

    outcomes = opened(source, [LOAD, PREDICT, TEST, TEST_TRUSTED])

    opening = [PREDICT, TEST, TEST_TRUSTED]
    loaded(outcomes, LOAD)
    refused(outcomes, opening, "UnsafePackageError", "its path leads out of the package")
