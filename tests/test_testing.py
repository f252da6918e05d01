"""The contract suite: everything that runs a network keeps it, and what breaks it is caught."""

import threading

import attrs
import numpy as np
import pytest
import torch
from networks import images, network

import bioimageio_fn as fn
from bioimageio_fn.backends.formats import recipe_class
from bioimageio_fn.backends.replicas import Replicas
from bioimageio_fn.testing import check_backend, check_function

X = np.random.default_rng(0).random((1, 1, 8, 8)).astype("float32")


def recipe(kind, folder, suffix, **options):
    content, direct = network(kind, folder / "n", **options)
    path = folder / f"weights.{suffix}"
    path.write_bytes(content)
    ids = {"input_ids": options.get("inputs", ("raw",)), "output_ids": options["outputs"]}
    return recipe_class(kind)(path, device="cpu", **ids), direct


@pytest.mark.parametrize("inputs", [("raw",), ("raw", "aux")])
@pytest.mark.parametrize(("kind", "suffix"), [("onnx", "onnx"), ("torchscript", "pt")])
def test_our_recipes_keep_the_contract(tmp_path, kind, suffix, inputs):
    backend, direct = recipe(kind, tmp_path, suffix, inputs=inputs, outputs=("out", "second"))
    given = [images(kind, seed=i) for i in range(len(inputs))]

    check_backend(backend, given, direct(*given))
    check_backend(Replicas([backend, attrs.evolve(backend, device=None)]), given, direct(*given))


@pytest.mark.xdist_group("tensorflow")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("keras_v3", "keras"), ("keras_hdf5", "h5"), ("tensorflow_saved_model_bundle", "zip")],
)
def test_those_of_keras_and_tensorflow_too(tmp_path, kind, suffix, monkeypatch):
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    backend, direct = recipe(kind, tmp_path, suffix, outputs=("out", "second"))

    check_backend(backend, [images(kind)], direct(images(kind)))


def test_an_input_may_be_left_out(tmp_path):
    names = {"inputs": ("raw", "aux"), "outputs": ("out",), "optional": True}
    backend, direct = recipe("onnx", tmp_path, "onnx", **names)

    check_backend(backend, [X, None], direct(X, None))


def test_inputs_may_have_pixels_that_are_no_number():
    holes = np.where(X < 0.5, np.nan, X)

    check_backend(lambda x: (x + 1,), [holes])


def test_plain_functions_keep_what_applies_to_them():
    module = torch.nn.Conv2d(1, 2, 3, padding=1).eval()

    def wrapped(x):
        with torch.no_grad():
            return (module(torch.tensor(x)).numpy(),)

    check_backend(lambda x: (x + 1,), [X], [X + 1])
    check_function(wrapped, [X], wrapped(X))


class Backend:
    """One that keeps every promise, unless told which to break."""

    def __init__(self, broken=None):
        self.broken, self.calls, self.open = broken, 0, True

    def __eq__(self, other):
        return self.broken == other.broken != "equal"

    def __hash__(self):
        return 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.open = self.broken != "open"

    def __call__(self, x):
        self.calls += 1
        broken, is_torch = self.broken, isinstance(x, torch.Tensor)
        array = np.asarray(x)
        result = 2 * array.astype("float32")
        result += {
            "same": self.calls,
            "batch": array.mean() * (len(array) > 1),
            "order": 1 - array.flags.c_contiguous,
            "bytes": 1 - array.dtype.isnative,
            "open": 1 - self.open,
        }.get(broken, 0)
        if broken == "inputs" and array.flags.writeable:
            array += 1
        if broken == "read-only" and not array.flags.writeable:
            raise AssertionError("can not be written to")
        if broken == "tuple":
            return [result]
        if broken == "array":
            return (result.tolist(),)
        return (torch.from_numpy(result) if is_torch and broken != "torch" else result,)


def test_a_backend_that_keeps_everything_passes():
    check_backend(Backend(), [X], [2 * X])


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("tuple", "gives a tuple of arrays: got list"),
        ("array", "has a shape and a type: got list"),
        ("same", "same inputs give the same outputs: got other values in output 0"),
        ("inputs", "does not write to its inputs"),
        ("read-only", "can not be written to"),
        ("batch", "a batch of two is two of one"),
        ("order", "arrays may be in the order of Fortran"),
        ("bytes", "arrays may be big-endian"),
        ("torch", "PyTorch tensors in give PyTorch tensors out: got"),
        ("equal", "pickled is equal to itself"),
        ("open", "a closed backend opens again"),
    ],
)
def test_every_broken_promise_is_named(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_backend(Backend(broken), [X])


@pytest.mark.parametrize(
    ("outputs", "message"),
    [([2 * X, X], "1 for 2 arrays"), ([2 * X[0]], "shape"), ([X], "other values in output 0")],
)
def test_outputs_other_than_expected_are_named(outputs, message):
    with pytest.raises(AssertionError, match=f"outputs are those that are expected: got {message}"):
        check_backend(Backend(), [X], outputs)


def test_threads_that_mix_their_results_up_are_caught():
    shared, barrier, lock = [], threading.Barrier(8, timeout=20), threading.Lock()

    def mixed(x):
        if threading.current_thread() is threading.main_thread():
            return (x,)
        with lock:
            shared.append(x)
        barrier.wait()
        return (shared[0],)

    with pytest.raises(AssertionError, match="each thread gets the outputs of its own inputs"):
        check_function(mixed, [X])
