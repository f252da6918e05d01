"""State dicts of PyTorch: the network is code, and runs with consent; the weights are tensors."""

import copy
import hashlib
import io
import json
import multiprocessing
import pickle
import subprocess
import sys
import zipfile

import attrs
import numpy as np
import pytest
import torch
from descriptions import image04, image05, torchscript, write

import bioimageio_fn as fn
from bioimageio_fn.backends import formats
from bioimageio_fn.backends.pytorch import PytorchBackend
from bioimageio_fn.backends.torchscript import TorchscriptBackend
from bioimageio_fn.errors import (
    BackendError,
    BioimageioFnWarning,
    DescriptionError,
    DeviceError,
    HashMismatchError,
    MissingDependencyError,
    MissingFileError,
    UnsafePackageError,
    UntrustedCodeError,
)
from bioimageio_fn.trusted import FileCode

CODE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, channels=1, steps=(1,), bias=True):
        super().__init__()
        assert isinstance(steps, (list, tuple))
        self.first = torch.nn.Conv2d(channels, 4, 3, padding=1, bias=bias)
        self.norm = torch.nn.BatchNorm2d(4)
        self.drop = torch.nn.Dropout(0.5)
        self.last = torch.nn.Conv2d(4, channels, 1)

    def forward(self, x):
        return self.last(self.drop(self.norm(self.first(x))).relu())

def make(**kwargs):
    return Net(**kwargs)

def not_a_network():
    return "a network"

def broken():
    raise OSError("no such weights")

class Kind(torch.nn.Module):
    def __init__(self, given):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(3.0))
        self.kind = [int, float, bool].index(type(given[0]["a"]))

    def forward(self, x):
        return x + self.kind

class Unnamed(Kind):
    def __init__(self):
        super().__init__([{"a": 1}])

class Any(Unnamed):
    def forward(self, *xs, mask=None):
        return 10 * xs[0] + xs[1] if mask is None else mask

class Rest(Unnamed):
    def forward(self, a, *rest):
        return 10 * a + rest[0]

class Places(Unnamed):
    def forward(self, b, a, c=None, /, mask=None):
        return 10 * b + a

class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(3.0))

    def forward(self, b, a, mask=None):
        total = self.gain * a - b
        return {"sum": total if mask is None else total + mask, "a": a}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")


def digest(content):
    return hashlib.sha256(content).hexdigest()


def namespace():
    # classes of the network, to make weights of and to compare with
    found = {"__name__": "reference_networks"}
    exec(CODE, found)
    return found


def saved(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def trained(make="Net", **kwargs):
    torch.manual_seed(0)
    network = namespace()[make](**kwargs)
    if make == "Net":
        network(torch.randn(8, kwargs.get("channels", 1), 16, 16))  # statistics of the batch norm
    return network.eval()


def package(
    folder,
    model,
    weights,
    *,
    code=CODE,
    callable_="Net",
    kwargs=None,
    library=None,
    keep_onnx=False,
    **fields,
):
    """A folder with a model whose network is code; the path of its description."""
    path = write(folder, model)
    content = json.loads(path.read_text(encoding="utf-8"))
    (folder / "weights.pt").write_bytes(weights)
    (folder / "net.py").write_text(code, encoding="utf-8")
    entry = {"source": "weights.pt", "sha256": digest(weights), "pytorch_version": "2.0"}
    if content["format_version"].startswith("0.4"):
        del entry["pytorch_version"]
        entry |= {"kwargs": kwargs or {}}
        if library is None:
            entry["architecture"] = f"net.py:{callable_}"
            entry["architecture_sha256"] = digest(code.encode())
        else:
            entry["architecture"] = f"{library}.{callable_}"
    else:
        place = {"source": "net.py", "sha256": digest(code.encode())}
        place = place if library is None else {"import_from": library}
        entry["architecture"] = {"callable": callable_, "kwargs": kwargs or {}, **place}
    if not keep_onnx:
        del content["weights"]["onnx"]
    content["weights"]["pytorch_state_dict"] = entry | fields.pop("entry", {})
    path.write_text(json.dumps(content | fields), encoding="utf-8")
    return path


@pytest.fixture(params=[image05, image04], ids=["0.5", "0.4"])
def model(request):
    return request.param()


IMAGE = np.random.default_rng(0).normal(size=(2, 1, 12, 16)).astype("float32")


@pytest.mark.parametrize("callable_", ["Net", "make"])
def test_a_network_of_a_file_gives_what_pytorch_gives(tmp_path, model, callable_):
    network = trained()
    path = package(tmp_path / "m", model, saved(network.state_dict()), callable_=callable_)

    result = fn.predict(model=path, inputs=IMAGE, trust_code=True)

    with torch.no_grad():
        expected = network(torch.from_numpy(IMAGE)).numpy()
    np.testing.assert_allclose(np.asarray(result), expected, atol=1e-5)


def test_keywords_reach_the_network(tmp_path):
    kwargs = {"channels": 2, "steps": [1, [2, 3]], "bias": False}
    network = trained(**kwargs)
    path = package(tmp_path / "m", image05(channels=2), saved(network.state_dict()), kwargs=kwargs)
    image = np.concatenate([IMAGE, IMAGE[:, :, ::-1]], axis=1)

    result = fn.predict(model=path, inputs=image, trust_code=True)

    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(np.asarray(result), expected, atol=1e-5)


def test_a_network_of_a_library_gives_what_pytorch_gives(tmp_path, model):
    torch.manual_seed(1)
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    kwargs = {"in_channels": 1, "out_channels": 1, "kernel_size": 3, "padding": 1}
    path = package(
        tmp_path / "m",
        model,
        saved(network.state_dict()),
        library="torch.nn",
        callable_="Conv2d",
        kwargs=kwargs,
    )

    result = fn.predict(model=path, inputs=IMAGE, trust_code=True)

    with torch.no_grad():
        expected = network(torch.from_numpy(IMAGE)).numpy()
    np.testing.assert_allclose(np.asarray(result), expected, atol=1e-5)


def two(folder):
    """Weights and code of a network with several inputs and outputs."""
    (folder / "w.pt").write_bytes(saved(trained("Two").state_dict()))
    (folder / "net.py").write_text(CODE, encoding="utf-8")
    return folder / "w.pt", FileCode(folder / "net.py", digest(CODE.encode()), "Two", said=True)


@pytest.mark.parametrize("ids", [("a", "b"), ("x", "y")])
def test_inputs_and_outputs_are_bound_by_name_else_by_order(tmp_path, ids):
    path, code = two(tmp_path)
    outputs = ("a", "sum") if ids == ("a", "b") else ("first", "second")
    backend = PytorchBackend(path, code=code, input_ids=ids, output_ids=outputs)

    first, second = backend(np.float32([1, 2]), np.float32([10, 20]))

    # forward(b, a) gives gain * a - b as "sum", and a
    if ids == ("a", "b"):
        assert (first.tolist(), second.tolist()) == ([1, 2], [3 - 10, 6 - 20])
    else:
        assert (first.tolist(), second.tolist()) == ([30 - 1, 60 - 2], [10, 20])
    assert [port.name for port in backend.signature.inputs] == (
        ["a", "b"] if ids == ("a", "b") else ["b", "a"]
    )


def test_keywords_that_are_equal_and_of_other_types_make_other_networks(tmp_path):
    path, code = two(tmp_path)
    code = attrs.evolve(code, name="Kind")
    backends = [
        PytorchBackend(path, code=code, kwargs={"given": [{"a": a}]}) for a in (1, 1.0, True)
    ]

    assert [backend(np.zeros(1, "float32"))[0].item() for backend in backends] == [0, 1, 2]
    assert len(set(backends)) == 3
    assert {pickle.loads(pickle.dumps(b)) for b in backends} == set(backends)
    assert PytorchBackend(path, code=code, kwargs={"a": 1, "b": [2]}) == PytorchBackend(
        path, code=code, kwargs={"b": (2,), "a": 1}
    )


@pytest.mark.parametrize(
    ("callable_", "ids", "expected"),
    [
        ("Any", ("a", "b"), 12),
        ("Any", ("b", "a"), 12),
        ("Rest", ("a", "b"), 12),
        ("Rest", ("raw", "a"), 12),
        ("Places", ("x", "y"), 12),
        ("Places", ("a", "b"), 21),
    ],
)
def test_inputs_without_a_name_are_given_by_position(tmp_path, callable_, ids, expected):
    path, code = two(tmp_path)
    code = attrs.evolve(code, name=callable_)
    backend = PytorchBackend(path, code=code, input_ids=ids)

    assert backend(np.float32([1]), np.float32([2]))[0].item() == expected


def test_an_input_that_is_absent_is_none(tmp_path):
    path, code = two(tmp_path)
    backend = PytorchBackend(path, code=code, input_ids=("a", "b", "mask"), output_ids=("sum",))
    a, b, mask = np.float32([1]), np.float32([10]), np.float32([100])

    assert backend(a, b, None)[0].tolist() == [-7]
    assert backend(a, b, mask)[0].tolist() == [93]


def test_a_network_does_not_train_and_keeps_no_gradients(tmp_path):
    path = package(tmp_path / "m", image05(), saved(trained().state_dict()))
    backend = fn.load_backend(path, trust_code=True)
    image = torch.from_numpy(IMAGE[:1]).requires_grad_()

    first, second = backend(image)[0], backend(IMAGE[:1])[0]

    np.testing.assert_array_equal(np.asarray(first), np.asarray(second))  # no dropout
    assert image.grad is None


@pytest.mark.parametrize("said", [False, {"ab" * 32}, frozenset()])
def test_code_does_not_run_without_consent(tmp_path, model, said):
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w').close()\n{CODE}"
    path = package(tmp_path / "m", model, saved(trained().state_dict()), code=code)

    for run in (fn.load_backend, fn.create_prediction_pipeline):
        with pytest.raises(UntrustedCodeError) as caught:
            run(path, trust_code=said)
    with pytest.raises(UntrustedCodeError):
        fn.predict(model=path, inputs=IMAGE, trust_code=said)

    text = str(caught.value)
    assert text.startswith("these weights need code of the model: Net of net.py: expected your")
    assert f"trust_code=True (--trust-code) or trust_code={{'{digest(code.encode())}'}}" in text
    assert str(path.parent / "net.py") in text
    assert not canary.exists()


def test_consent_to_the_file_is_enough(tmp_path, model):
    path = package(tmp_path / "m", model, saved(trained().state_dict()))

    assert fn.predict(model=path, inputs=IMAGE, trust_code={digest(CODE.encode())})


@pytest.mark.parametrize("said", [False, {"ab" * 32}])
def test_a_library_is_a_stranger_s_choice_of_what_to_call(tmp_path, model, said):
    canary = tmp_path / "canary"
    path = package(
        tmp_path / "m",
        model,
        saved(trained().state_dict()),
        library="os",
        callable_="system",
        kwargs={"command": f"touch {canary}"},
    )

    with pytest.raises(UntrustedCodeError, match="system of the library os"):
        fn.predict(model=path, inputs=IMAGE, trust_code=said)
    assert not canary.exists()
    with pytest.raises(DescriptionError, match="system makes no network.*got int"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)
    assert canary.exists()


def test_formats_that_need_no_code_come_first(tmp_path, model, monkeypatch):
    path = package(tmp_path / "m", model, saved(trained().state_dict()), keep_onnx=True)

    assert fn.load_backend(path).source.name == "weights.onnx"
    assert fn.load_backend(path, trust_code=True).source.name == "weights.onnx"
    with pytest.raises(UntrustedCodeError, match="or take weights that need no code: onnx$"):
        fn.load_backend(path, weights_format="pytorch_state_dict")
    monkeypatch.setattr(formats, "find_spec", lambda name: name == "torch" or None)
    with pytest.raises(UntrustedCodeError, match=r"no code: onnx \(.*bioimageio_fn\[onnx\]"):
        fn.load_backend(path)


def test_code_finds_the_files_that_the_description_declares_and_no_others(tmp_path, model):
    code = CODE + (
        "from pathlib import Path\n"
        "HERE = Path(__file__).parent\n"
        "assert (HERE / 'tables' / 'gain.txt').read_text() == '3'\n"
        "assert 'torch' in (HERE / 'environment.yaml').read_text()\n"
        "assert not (HERE / 'undeclared.txt').exists()\n"
    )
    attachments = ["tables/gain.txt", "note.txt"]
    dependencies = {"source": "environment.yaml"}
    if model["format_version"].startswith("0.4"):
        attachments = {"files": attachments}
        dependencies = "conda:environment.yaml"
    else:
        attachments = [{"source": source} for source in attachments]
    path = package(
        tmp_path / "m",
        model,
        saved(trained().state_dict()),
        code=code,
        attachments=attachments,
        entry={"dependencies": dependencies},
    )
    (path.parent / "tables").mkdir()
    for name, text in {
        "tables/gain.txt": "3",
        "note.txt": "n",
        "undeclared.txt": "u",
        "environment.yaml": "dependencies: [torch]",
    }.items():
        (path.parent / name).write_text(text, encoding="utf-8")

    assert fn.predict(model=path, inputs=IMAGE, trust_code={digest(code.encode())})
    (path.parent / "note.txt").unlink()
    with pytest.raises(MissingFileError, match="the package has no file note.txt"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)


def test_consent_to_a_file_is_none_to_code_beside_it(tmp_path):
    path = package(
        tmp_path / "m",
        image05(),
        saved(trained().state_dict()),
        attachments=[{"source": "helper.py"}],
    )
    (path.parent / "helper.py").write_text("x = 1", encoding="utf-8")

    with pytest.raises(UntrustedCodeError, match="lies beside it can be run.*: all of helper.py"):
        fn.load_backend(path, trust_code={digest(CODE.encode())})
    assert fn.load_backend(path, trust_code={digest(CODE.encode()), digest(b"x = 1")})


@pytest.mark.parametrize(
    "name", ["helper.pyc", "helper.PY", "helper.so", "helper.pyd", "helper.zip", "sub/helper.pth"]
)
def test_code_beside_a_file_may_be_compiled_or_packed(tmp_path, name):
    path = package(
        tmp_path / "m", image05(), saved(trained().state_dict()), attachments=[{"source": name}]
    )
    (path.parent / "sub").mkdir()
    (path.parent / name).write_bytes(b"code")
    text = f"lies beside it can be run.*: all of {name.removeprefix('sub/')}"

    with pytest.raises(UntrustedCodeError, match=text):
        fn.load_backend(path, trust_code={digest(CODE.encode())})
    assert fn.load_backend(path, trust_code={digest(CODE.encode()), digest(b"code")})


def test_other_code_than_the_described_is_refused(tmp_path):
    path = package(tmp_path / "m", image05(), saved(trained().state_dict()))
    (path.parent / "net.py").write_text("raise SystemExit('was run')", encoding="utf-8")

    with pytest.raises(HashMismatchError, match="net.py is not the file"):
        fn.load_backend(path, trust_code=True)


def test_a_recipe_pickles_with_its_consent(tmp_path):
    path = package(tmp_path / "m", image05(), saved(trained().state_dict()))
    backend = fn.load_backend(path, trust_code={digest(CODE.encode())})

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (result,) = pool.apply(backend, (IMAGE,))

    np.testing.assert_allclose(result, backend(IMAGE)[0], atol=1e-6)
    assert pickle.loads(pickle.dumps(backend)) == backend
    assert hash(backend) == hash(pickle.loads(pickle.dumps(backend)))


def test_tensors_that_do_not_fit_are_named(tmp_path, model):
    state = trained().state_dict()
    del state["norm.running_mean"], state["first.bias"]
    state["head.weight"] = torch.zeros(1)
    path = package(tmp_path / "m", model, saved(state))

    with pytest.raises(BackendError, match="has other tensors than the network") as caught:
        fn.predict(model=path, inputs=IMAGE, trust_code=True)

    assert "not in the file: first.bias, norm.running_mean" in str(caught.value)
    assert "not in the network: head.weight" in str(caught.value)


def test_a_description_may_allow_tensors_that_do_not_fit(tmp_path):
    state = trained().state_dict()
    state["head.weight"] = torch.zeros(1)
    path = package(tmp_path / "m", image05(), saved(state), entry={"strict": False})

    with pytest.warns(BioimageioFnWarning, match="as its description allows: not in the network"):
        assert fn.predict(model=path, inputs=IMAGE, trust_code=True)


def test_tensors_of_another_size_are_an_error(tmp_path):
    state = trained(channels=2).state_dict()
    path = package(tmp_path / "m", image05(), saved(state), entry={"strict": False})

    with pytest.raises(BackendError, match="weights.pt does not fit the network: .*size mismatch"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("inner", [False, True])
def test_weights_that_are_more_than_tensors_are_refused_with_any_consent(tmp_path, model, inner):
    canary = tmp_path / "canary"
    payload = Payload(canary)
    path = package(
        tmp_path / "m", model, saved(trained().state_dict() | {"x": payload} if inner else payload)
    )

    with pytest.raises(UnsafePackageError, match="weights.pt holds more than tensors"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("state", "got"),
    [
        (torch.zeros(3), "got Tensor"),
        ({}, "got dict"),
        ({"epoch": 3, "model": {"w": torch.zeros(1)}}, "got other things, such as epoch"),
        ({3: torch.zeros(1)}, "such as 3"),
    ],
)
def test_weights_that_are_no_state_dict_are_an_error(tmp_path, state, got):
    path = package(tmp_path / "m", image05(), saved(state))

    with pytest.raises(BackendError, match=f"weights.pt is no state dict.*{got}"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)


def test_weights_that_are_compressed_are_refused_before_anything_comes_out(tmp_path):
    plain, packed = io.BytesIO(saved({"weight": torch.zeros(10**6)})), io.BytesIO()
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    path = package(tmp_path / "m", image05(), packed.getvalue())

    with pytest.raises(UnsafePackageError, match="would come out of weights.pt.*is compressed"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)


def test_weights_whose_parts_share_their_place_are_refused(tmp_path):
    content = io.BytesIO(saved({"weight": torch.zeros(10**4)}))
    with zipfile.ZipFile(content, "a") as archive:
        (data,) = (m for m in archive.infolist() if m.filename.endswith("data/0"))
        other = copy.copy(data)
        other.filename = data.filename.replace("data/0", "data/1")
        archive.filelist.append(other)
        archive.writestr("x", "")  # so that the list is written again
    path = package(tmp_path / "m", image05(), content.getvalue())

    with pytest.raises(UnsafePackageError, match="would come out of weights.pt.*that overlap"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)


def test_a_file_that_is_no_file_of_pytorch_is_an_error(tmp_path):
    path = package(tmp_path / "m", image05(), b"PK\3\4 no archive")

    with pytest.raises(BackendError, match="torch can not open weights.pt"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)


@pytest.mark.parametrize(
    ("callable_", "kwargs", "error", "text"),
    [
        (
            "not_a_network",
            {},
            DescriptionError,
            "makes no network: expected a torch.nn.Module, got",
        ),
        ("broken", {}, BackendError, "broken can not make the network: OSError: no such weights"),
        ("Net", {"depth": 3}, BackendError, "Net can not make the network: TypeError.*depth"),
        ("Absent", {}, DescriptionError, "net.py does not define .*class or function Absent"),
    ],
)
def test_code_that_makes_no_network_is_named(tmp_path, callable_, kwargs, error, text):
    weights = saved(trained().state_dict())
    path = package(tmp_path / "m", image05(), weights, callable_=callable_, kwargs=kwargs)

    with pytest.raises(error, match=text):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)


def test_a_device_that_is_not_there_is_named(tmp_path):
    path = package(tmp_path / "m", image05(), saved(trained().state_dict()))

    with pytest.raises(DeviceError, match="torch does not have this device: expected cpu"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True, devices="cuda:99")


def test_a_pytorch_that_runs_hidden_code_is_refused(tmp_path, monkeypatch):
    path = package(tmp_path / "m", image05(), saved(trained().state_dict()))
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")

    with pytest.raises(MissingDependencyError, match="expected torch 2.6 or newer, got torch 2.5"):
        fn.predict(model=path, inputs=IMAGE, trust_code=True)


def test_refusing_imports_no_framework(tmp_path):
    path = package(tmp_path / "m", image05(), saved(trained().state_dict()))
    program = (
        "import sys, bioimageio_fn as fn\n"
        f"try: fn.load_backend({str(path)!r})\n"
        "except PermissionError: print('torch' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"


def test_torchscript_that_is_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("zeros", torch.zeros(26 * 2**20))

        def forward(self, raw):
            return raw + self.zeros[0]

    honest, bomb = tmp_path / "honest.pt", tmp_path / "bomb.pt"
    honest.write_bytes(torchscript(Network()))
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert bomb.stat().st_size < 2**20

    with pytest.raises(UnsafePackageError, match="more would come out of it than it can honestly"):
        TorchscriptBackend(bomb)(np.ones(2, "float32"))
    assert TorchscriptBackend(honest)(np.ones(2, "float32"))[0].tolist() == [1, 1]
