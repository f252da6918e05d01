"""ONNX and TorchScript: real networks, made here, against what they compute by hand."""

import pickle
import threading

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

import bioimageio_fn as fn
from bioimageio_fn.backends.exchange import as_torch
from bioimageio_fn.backends.onnx import OnnxBackend
from bioimageio_fn.backends.torchscript import TorchscriptBackend, _takes_channels_last
from bioimageio_fn.errors import (
    BackendError,
    DeviceError,
    HashMismatchError,
    MissingFileError,
)


@pytest.fixture
def onnx_file(tmp_path):
    """A graph with inputs (b, a) and outputs (difference = a - b, a_plus = a + 1)."""
    shape = [1, "n"]
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["a", "b"], ["difference"]),
            helper.make_node("Add", ["a", "one"], ["a_plus"]),
        ],
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("b", "a")],
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, shape)
            for n in ("difference", "a_plus")
        ],
        [helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.fixture
def torch_file(tmp_path):
    """A module forward(b, a) -> (a - b, a + 1)."""

    class Net(torch.nn.Module):
        def forward(self, b: torch.Tensor, a: torch.Tensor):
            return a - b, a + 1

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Net()).save(str(tmp_path / "m.pt"))
    return tmp_path / "m.pt"


@pytest.fixture(params=["onnx", "torchscript"])
def make(request, onnx_file, torch_file):
    kind, file = {
        "onnx": (OnnxBackend, onnx_file),
        "torchscript": (TorchscriptBackend, torch_file),
    }[request.param]
    return lambda **options: kind(options.pop("source", file), **options)


A, B = np.array([[5, 7]], "float32"), np.array([[1, 2]], "float32")


def test_inputs_are_bound_by_name_whatever_their_order(make):
    backend = make(input_ids=["a", "b"], output_ids=["difference", "a_plus"])

    difference, plus = backend(A, B)

    assert difference.tolist() == [[4, 5]]
    assert plus.tolist() == [[6, 8]]


def test_inputs_of_other_names_are_bound_by_order(make):
    backend = make(input_ids=["first", "second"], output_ids=["d", "p"])

    assert backend(A, B)[0].tolist() == [[-4, -5]]


def test_onnx_outputs_are_bound_by_name_too(onnx_file):
    backend = OnnxBackend(onnx_file, input_ids=["a", "b"], output_ids=["a_plus", "difference"])

    assert [o.tolist() for o in backend(A, B)] == [[[6, 8]], [[4, 5]]]


def test_the_signature_of_onnx_says_names_sizes_and_types(onnx_file):
    (a, b) = OnnxBackend(onnx_file, input_ids=["a", "b"]).signature.inputs

    assert (a.name, a.shape, a.dtype) == ("a", (1, None), "float32")
    assert b.name == "b"


def test_the_signature_of_a_published_model_is_fixed(real_model):
    backend = fn.load_backend(real_model, weights_format="onnx")

    (port,) = backend.signature.inputs

    assert (port.name, port.shape) == ("input.1", (1, 1, 512, 512))
    assert backend.signature.outputs[0].name == "82"


@pytest.mark.parametrize(
    "array",
    [A[:, ::-1], np.asfortranarray(A), A.astype(">f4"), A.astype("float64"), torch.tensor(A)],
    ids=["negative strides", "Fortran", "big-endian", "float64", "torch"],
)
def test_awkward_arrays_are_taken(make, array):
    backend = make(input_ids=["a", "b"])

    difference = backend(array, np.zeros((1, 2), "float32"))[0]

    np.testing.assert_array_equal(difference, np.asarray(array))


@pytest.mark.parametrize("kind", ["read-only", "writable", "torch"])
def test_a_network_that_writes_to_its_input_does_not_reach_the_caller(tmp_path, kind):
    class InPlace(torch.nn.Module):
        def forward(self, x: torch.Tensor):
            return x.add_(1)

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(InPlace()).save(str(tmp_path / "m.pt"))
    array = np.zeros(3, "float32")
    array.flags.writeable = kind != "read-only"
    array = torch.tensor(array) if kind == "torch" else array

    (result,) = TorchscriptBackend(tmp_path / "m.pt")(array)

    assert result.tolist() == [1, 1, 1]
    assert array.tolist() == [0, 0, 0]


def test_a_recipe_is_a_value_that_pickles(make):
    backend = make(input_ids=["a", "b"])
    backend(A, B)

    again = pickle.loads(pickle.dumps(backend))

    assert again == backend
    assert hash(again) == hash(backend)
    assert again(A, B)[0].tolist() == [[4, 5]]


def test_closing_twice_and_using_it_again_is_no_surprise(make):
    backend = make(input_ids=["a", "b"])
    backend(A, B)

    backend.close()
    backend.close()

    assert backend(A, B)[0].tolist() == [[4, 5]]


def test_threads_that_start_together_open_it_once_and_agree(make):
    backend = make(input_ids=["a", "b"])
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(backend(A, B)[0].tolist())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [[[4, 5]]] * 8


def test_another_file_than_the_one_hashed_is_refused(make):
    with pytest.raises(HashMismatchError, match="was changed"):
        make(sha256="0" * 64)(A, B)


def test_a_missing_file_is_named(make, tmp_path):
    with pytest.raises(MissingFileError, match="gone"):
        make(source=tmp_path / "gone")(A, B)


def test_a_broken_file_is_an_error_of_ours(make, tmp_path):
    (tmp_path / "broken").write_bytes(b"nothing")

    with pytest.raises(BackendError, match="can not open broken"):
        make(source=tmp_path / "broken")(A, B)


def test_a_network_that_refuses_its_input_is_an_error_of_ours(make):
    with pytest.raises(BackendError, match="can not run m"):
        make(input_ids=["a", "b"])(A, np.zeros((3, 5, 7), "float32"))


@pytest.mark.parametrize("device", ["cuda:7", "tpu", "mps"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(make, device):
    with pytest.raises(DeviceError, match=f"expected cpu.*got {device}"):
        make(device=device)(A, B)


def test_cuda_is_mapped_to_its_provider_and_number(monkeypatch):
    from bioimageio_fn.backends.onnx import _providers

    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )

    assert _providers("cuda:2")[0] == ("CUDAExecutionProvider", {"device_id": 2})
    assert _providers("cpu") == ["CPUExecutionProvider"]


class Traced(torch.nn.Module):
    """Its arguments are named alike, and the last may be absent."""

    def forward(self, x: torch.Tensor, x_1: torch.Tensor, x1: torch.Tensor | None = None):
        return x - x_1 if x1 is None else x - x_1 + x1


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("how", ["trace", "script", "freeze"])
def test_arguments_of_similar_names_are_kept_apart(tmp_path, how):
    x = torch.zeros(2)
    make = {
        "trace": lambda: torch.jit.trace(Traced(), (x, x)),
        "script": lambda: torch.jit.script(Traced()),
        "freeze": lambda: torch.jit.freeze(torch.jit.script(Traced().eval())),
    }
    make[how]().save(str(tmp_path / "m.pt"))

    (result,) = TorchscriptBackend(tmp_path / "m.pt", input_ids=["raw", "aux"])(A[0], B[0])

    assert result.tolist() == [4, 5]


class Planes(torch.nn.Module):
    """A network that reads memory in the order of planes."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 3, 3)

    def forward(self, x: torch.Tensor):
        y = self.convolution(x)
        return y.view(y.shape[0], -1)


class PlanesAs(Planes):
    def forward(self, x: torch.Tensor):
        y = self.convolution(x)
        return y.view_as(torch.zeros(y.shape[0], y.shape[1] * y.shape[2] * y.shape[3]))


class Contiguous(Planes):
    def forward(self, x: torch.Tensor):
        y = self.convolution(x)
        return y + (1.0 if y.is_contiguous() else 0.0)


class Strides(Planes):
    def forward(self, x: torch.Tensor):
        y = self.convolution(x)
        return y + y.stride(1)


class Resized(Planes):
    def forward(self, x: torch.Tensor):
        y = self.convolution(x).clone()
        return y.resize_([y.shape[0], y.shape[1] * y.shape[2] * y.shape[3]])


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("network", "taken"),
    [
        (torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3)), True),
        (torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.InstanceNorm2d(3)), False),
        (Planes(), False),
        (PlanesAs(), False),
        (Contiguous(), False),
        (Strides(), False),
        (Resized(), False),
    ],
    ids=["convolution", "instance norm", "view", "view_as", "contiguous", "stride", "resize"],
)
@pytest.mark.parametrize("how", [torch.jit.script, lambda m: torch.jit.freeze(torch.jit.script(m))])
def test_channels_lie_side_by_side_only_where_the_network_takes_that(tmp_path, network, taken, how):
    how(network.eval()).save(str(tmp_path / "m.pt"))
    x = np.random.default_rng(0).random((2, 1, 9, 8)).astype("float32")

    for given in (x, torch.from_numpy(x)):
        (result,) = TorchscriptBackend(tmp_path / "m.pt", device="cpu")(given)
        with torch.no_grad():
            np.testing.assert_allclose(result, network(torch.from_numpy(x)), atol=1e-6)

    assert _takes_channels_last(torch.jit.load(str(tmp_path / "m.pt"))) == taken


@pytest.mark.parametrize(
    "array", [A[0], A, A[None], A[None, None], A[None, None, None]], ids=np.ndim
)
def test_only_images_are_laid_out_otherwise(array):
    tensor = as_torch(array, "cpu", channels_last=True)

    np.testing.assert_array_equal(tensor, array)
    assert tensor.is_contiguous(memory_format=torch.channels_last) == (array.ndim == 4)


class Named(torch.nn.Module):
    """Gives its outputs by name."""

    def forward(self, x: torch.Tensor):
        return {"zeta": x + 1, "alpha": x + 2}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("ids", "expected"), [(("alpha", "zeta"), (2, 1)), (("zeta", "alpha"), (1, 2)), ("ab", (1, 2))]
)
def test_outputs_by_name_are_bound_by_name_else_in_their_order(tmp_path, ids, expected):
    torch.jit.script(Named()).save(str(tmp_path / "m.pt"))
    backend = TorchscriptBackend(tmp_path / "m.pt", output_ids=ids)

    assert tuple(result[0] for result in backend(np.zeros(1, "float32"))) == expected


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_is_no_tensor_is_an_error_of_ours(tmp_path):
    class Number(torch.nn.Module):
        def forward(self, x: torch.Tensor):
            return x, 5

    torch.jit.script(Number()).save(str(tmp_path / "m.pt"))

    with pytest.raises(BackendError, match=r"does not give tensors: got \['Tensor', 'int'\]"):
        TorchscriptBackend(tmp_path / "m.pt")(A)


def test_tensors_that_come_out_can_be_trained_with(torch_file):
    weight = torch.ones(1, 2, requires_grad=True)
    (difference, _) = TorchscriptBackend(torch_file)(weight * 2, torch.zeros(1, 2))

    (difference * weight).sum().backward()

    assert not difference.requires_grad
    assert weight.grad.tolist() == [[-2, -2]]
