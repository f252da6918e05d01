"""Seeds and flags: set where that is asked for, and as they were behind a test."""

# ruff: noqa: NPY002 # the older generator of NumPy is one of those that are seeded

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from descriptions import image05, torchscript, write

import bioimageio_fn as fn
from bioimageio_fn.validation.determinism import deterministic

TORCH, TENSORFLOW = ["torchscript"], ["tensorflow_saved_model_bundle"]


@pytest.fixture(autouse=True)
def as_it_was():
    """Other tests do not see what these do to the process."""
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    workspace = os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    yield
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
    torch.use_deterministic_algorithms(mode=False)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    if workspace is not None:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = workspace


def numbers():
    """What comes next out of each generator that lives in this process."""
    return random.random(), np.random.random(), float(torch.rand(()))


@pytest.mark.parametrize("mode", ["seed_only", "full"])
def test_the_same_numbers_follow_each_time(mode):
    fn.enable_determinism(mode, weight_formats=TORCH)
    first = numbers()
    numbers()
    fn.enable_determinism(mode, weight_formats=TORCH)

    assert numbers() == first
    assert torch.are_deterministic_algorithms_enabled() == (mode == "full")


@pytest.mark.parametrize("mode", ["seed_only", "full"])
@pytest.mark.parametrize("strict", [True, False])
def test_all_is_as_it_was_afterwards(mode, strict):
    torch.use_deterministic_algorithms(strict, warn_only=strict)
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    expected = numbers()
    random.seed(7), np.random.seed(7), torch.manual_seed(7)

    with deterministic(mode, TORCH):
        assert numbers() != expected

    assert numbers() == expected
    assert torch.are_deterministic_algorithms_enabled() == strict
    assert torch.is_deterministic_algorithms_warn_only_enabled() == strict
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_all_is_as_it_was_after_an_error():
    state = random.getstate()

    with pytest.raises(KeyError), deterministic("seed_only", []):
        raise KeyError

    assert random.getstate() == state


@pytest.mark.parametrize("mode", ["seed_only", "full"])
def test_tensorflow_is_as_it_was(mode):
    import tensorflow as tf
    from tensorflow.python.framework import config

    tf.random.set_seed(3)
    expected = [float(tf.random.uniform(())) for _ in range(4)]
    tf.random.set_seed(3)
    found = [float(tf.random.uniform(())) for _ in range(2)]
    seen = []
    for _ in range(2):
        with deterministic(mode, TENSORFLOW):
            seen.append([float(tf.random.uniform(())) for _ in range(3)])
            assert config.is_op_determinism_enabled() == (mode == "full")
    found += [float(tf.random.uniform(())) for _ in range(2)]

    assert found == expected
    assert seen[0] == seen[1]
    assert not config.is_op_determinism_enabled()


def test_a_model_test_leaves_seeds_and_flags_as_they_are(tmp_path):
    source = write(tmp_path, image05(), weights={"torchscript": torchscript(torch.nn.Identity())})
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    expected = numbers()
    random.seed(7), np.random.seed(7), torch.manual_seed(7)

    fn.test_model(source, determinism="full")

    assert numbers() == expected
    assert not torch.are_deterministic_algorithms_enabled()


def test_only_what_runs_the_weights_is_imported():
    code = (
        "import bioimageio_fn as fn, sys\n"
        "fn.test_model(fn.demo_model(), 'onnx')\n"
        "print([m for m in ('torch', 'tensorflow', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("mode", "formats", "text"),
    [
        ("some", None, "no such mode of determinism: expected seed_only or full, got 'some'"),
        ("full", ["tensorflow_js"], "no such weights format: expected one of onnx, "),
    ],
)
def test_what_makes_no_sense_is_refused(mode, formats, text):
    with pytest.raises(ValueError, match=text):
        fn.enable_determinism(mode, formats)
