"""Which weights are run: the first that can be, and one error for all where none can."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from descriptions import image05, torchscript, write

import bioimageio_fn as fn
from bioimageio_fn.backends import formats
from bioimageio_fn.backends.formats import FORMATS
from bioimageio_fn.backends.onnx import OnnxBackend
from bioimageio_fn.backends.torchscript import TorchscriptBackend
from bioimageio_fn.errors import (
    DeviceError,
    HashMismatchError,
    MissingDependencyError,
    WeightsFormatError,
)

FREE_OF_CODE = [name for name in FORMATS if name != "pytorch_state_dict"]


@pytest.fixture
def installed(monkeypatch):
    """Decides which packages seem to be installed."""

    def only(*packages):
        monkeypatch.setattr(formats, "find_spec", lambda name: name in packages or None)

    return only


@pytest.fixture
def all_formats(tmp_path):
    """A model with weights of every format that needs no code; they are never opened."""
    kinds = [*reversed(FREE_OF_CODE), "tensorflow_js"]
    return write(tmp_path / "all", image05(), weights=dict.fromkeys(kinds, b"nothing"))


def format_of(backend):
    return {".onnx": "onnx", ".pt": "torchscript", ".keras": "keras_v3", ".h5": "keras_hdf5"}.get(
        backend.source.suffix, "tensorflow_saved_model_bundle"
    )


@pytest.mark.parametrize(
    ("packages", "chosen"),
    [
        (("onnxruntime", "torch", "keras", "tensorflow"), "onnx"),
        (("torch", "keras", "tensorflow"), "torchscript"),
        (("keras", "tensorflow"), "keras_v3"),
        (("tensorflow",), "tensorflow_saved_model_bundle"),
    ],
)
def test_the_first_format_whose_framework_is_installed_is_taken(
    installed, all_formats, monkeypatch, packages, chosen
):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    installed(*packages)

    assert format_of(fn.load_backend(all_formats)) == chosen


@pytest.mark.parametrize("name", FREE_OF_CODE)
def test_a_format_that_is_asked_for_is_taken(all_formats, name):
    assert format_of(fn.load_backend(all_formats, weights_format=name)) == name


def test_keras_needs_the_framework_that_it_is_set_to(installed, all_formats, monkeypatch):
    installed("keras", "torch")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert format_of(fn.load_backend(all_formats, weights_format="keras_v3")) == "keras_v3"

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(MissingDependencyError, match="keras_v3: the package jax is not installed"):
        fn.load_backend(all_formats, weights_format="keras_v3")


def test_a_missing_framework_names_the_extra_and_the_formats_that_can_be_run(installed):
    installed("torch")
    with pytest.raises(
        MissingDependencyError,
        match=r"onnx: .*onnxruntime.*pip install 'bioimageio_fn\[onnx\]', .* here: torchscript",
    ) as caught:
        fn.load_backend(fn.demo_model(), weights_format="onnx")
    assert isinstance(caught.value, ImportError)


def test_where_nothing_can_be_run_one_error_says_of_every_format_why(installed, all_formats):
    installed()

    with pytest.raises(MissingDependencyError) as caught:
        fn.load_backend(all_formats)

    text = str(caught.value)
    for name, package, extra in [
        ("onnx", "onnxruntime", "onnx"),
        ("torchscript", "torch", "torch"),
        ("keras_v3", "keras", "tensorflow"),
        ("keras_hdf5", "keras", "tensorflow"),
        ("tensorflow_saved_model_bundle", "tensorflow", "tensorflow"),
    ]:
        reason = f"the package {package} is not installed; pip install 'bioimageio_fn[{extra}]'"
        assert f"{name}: {reason}" in text
    assert "tensorflow_js: TensorFlow.js runs in browsers, not in Python" in text


def test_formats_that_the_model_does_not_have_are_named_too(installed):
    installed()

    with pytest.raises(MissingDependencyError, match=r"\[onnx\].*\[torch\].*keras_v3: .* has none"):
        fn.load_backend(fn.demo_model())


@pytest.mark.parametrize("wanted", ["keras_v3", "pytorch_state_dict", "nonsense"])
def test_a_format_that_the_model_does_not_have_is_refused_with_those_it_has(wanted):
    with pytest.raises(WeightsFormatError, match=f"one of onnx, torchscript, got {wanted}"):
        fn.load_backend(fn.demo_model(), weights_format=wanted)


def test_tensorflow_js_is_not_run_in_python_and_the_error_names_what_is(all_formats, tmp_path):
    with pytest.raises(
        WeightsFormatError,
        match=r"tensorflow_js: .* not in Python; .* here: onnx, torchscript, ker",
    ):
        fn.load_backend(all_formats, weights_format="tensorflow_js")

    alone = write(tmp_path / "js", image05(), weights={"tensorflow_js": b"nothing"})
    with pytest.raises(WeightsFormatError, match=r"none of .* \(tensorflow_js: .* not in Python"):
        fn.predict(model=alone, inputs=np.zeros((8, 8)))


def test_a_device_decides_among_the_formats(all_formats, monkeypatch):
    from bioimageio_fn.backends import modules

    with pytest.raises(DeviceError, match=r"onnx: does not run on this .* cpu or cuda, got mps"):
        fn.load_backend(all_formats, weights_format="onnx", device="mps")

    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert "mps" in modules.torch_devices()
    assert isinstance(fn.load_backend(all_formats, device="mps"), TorchscriptBackend)


@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_opened(all_formats, name):
    with pytest.raises(DeviceError, match="expected cpu.*got cuda:7"):
        fn.load_backend(all_formats, weights_format=name, device="cuda:7")


def test_a_device_that_is_none_is_refused():
    with pytest.raises(DeviceError, match="no such device: .* got tpu"):
        fn.load_backend(fn.demo_model(), device="tpu")


def test_the_name_that_users_know_is_the_same_function():
    assert fn.create_model_adapter is fn.load_backend
    assert isinstance(fn.load_backend(fn.demo_model()), OnnxBackend)


class Gain(torch.nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(gain))

    def forward(self, x):
        return x * self.gain


def test_weights_that_were_written_anew_are_another_network(tmp_path):
    path = write(tmp_path / "m", image05(), weights={"torchscript": torchscript(Gain(2.0))})
    fields = json.loads(path.read_text(encoding="utf-8"))
    del fields["weights"]["torchscript"]["sha256"]
    path.write_text(json.dumps(fields), encoding="utf-8")
    image = np.ones((1, 1, 8, 8), "float32")
    before = fn.load_backend(path)
    assert before(image)[0].max() == 2

    (path.parent / "weights.pt").write_bytes(torchscript(Gain(5.0)))

    after = fn.load_backend(path)
    assert after != before
    assert after(image)[0].max() == 5
    before.close()
    with pytest.raises(HashMismatchError, match="weights.pt was changed"):
        before(image)


def test_choosing_imports_no_framework():
    code = (
        "import bioimageio_fn as fn, sys\n"
        "fn.load_backend(fn.demo_model()); fn.load_backend(fn.demo_model(), device='cpu')\n"
        "names = ('onnxruntime', 'torch', 'tensorflow', 'keras', 'jax')\n"
        "print([m for m in names if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
