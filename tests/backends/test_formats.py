"""ONNX and TorchScript through `predict`, against onnxruntime and PyTorch themselves."""

import pytest
from descriptions import write
from networks import described, images, network
from through_predict import BOTH, CASES, check_case, check_optional

import bioimageio_fn as fn
from bioimageio_fn.errors import BackendError

KINDS = ("onnx", "torchscript")


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_predict_gives_what_the_framework_gives(kind, case, tmp_path):
    check_case(kind, tmp_path, *case)


@pytest.mark.parametrize("kind", KINDS)
def test_an_optional_input_may_be_left_out(kind, tmp_path):
    check_optional(kind, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_needs_an_optional_input_says_so(kind, tmp_path):
    content, _ = network(kind, tmp_path / "n", inputs=BOTH)
    model = described(kind, "0.5", inputs=BOTH, optional=True)
    path = write(tmp_path / "m", model, weights={kind: content})
    pipeline = fn.create_prediction_pipeline(path, weights_format=kind)

    with pytest.raises(BackendError, match=r"can not be run without one .*\(tensor 'aux'\)"):
        pipeline({"raw": images(kind)})
