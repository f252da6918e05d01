"""Every edge of the graph of conversions, with the real frameworks, on models of several kinds."""

import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from converting import KINDS, image, model
from descriptions import write
from networks import described

import bioimageio_fn as fn
from bioimageio_fn.weights.graph import CONVERTERS

pytestmark = [
    pytest.mark.xdist_group("tensorflow"),  # which takes seconds to be imported
    # of Keras, which makes arrays of TensorFlow's variables
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

RAW, BOTH, OUT, TWO = ("raw",), ("raw", "aux"), ("out",), ("out", "second")
EDGES = sorted({(c.source, c.target) for c in CONVERTERS})
MODELS = [("0.5", 2, RAW, OUT), ("0.5", 3, BOTH, TWO)]
CASES = [(*edge, *model) for edge in EDGES for model in MODELS]
# how a description is read and written is the same for every edge
CASES += [
    (*edge, "0.4", 2, BOTH, OUT)
    for edge in [("pytorch_state_dict", "torchscript"), ("tensorflow_saved_model_bundle", "onnx")]
]
TOOLS = {
    ("pytorch", "torchscript"): "torch",
    ("pytorch", "onnx"): "torch",
    ("torchscript", "onnx"): "torch",
    ("keras", "tensorflow_saved_model_bundle"): "keras",
    ("keras", "onnx"): "tf2onnx",
    ("tensorflow", "onnx"): "tf2onnx",
}


def test_the_edges_are_those_that_are_promised():
    bundle = "tensorflow_saved_model_bundle"
    assert set(EDGES) == {
        ("pytorch_state_dict", "torchscript"),
        ("pytorch_state_dict", "onnx"),
        ("torchscript", "onnx"),
        ("keras_v3", bundle),
        ("keras_v3", "onnx"),
        ("keras_hdf5", bundle),
        ("keras_hdf5", "onnx"),
        (bundle, "onnx"),
    }
    assert {source for source, _ in EDGES} == set(KINDS)


@pytest.mark.parametrize(("source", "target", "version", "space", "inputs", "outputs"), CASES)
def test_converted_weights_give_what_the_framework_gives(
    source, target, version, space, inputs, outputs, tmp_path
):
    path, direct = model(
        source, tmp_path, version=version, space=space, inputs=inputs, outputs=outputs
    )

    result = fn.add_weights(path, tmp_path / "out", target_format=target, trust_code=True)

    assert result.added == (target,), str(result)
    entry = getattr(result.description.weights, target)
    assert entry.parent == source
    check_comment(result, version, source, target)
    # another size and batch than those that were traced or proved, in the package as it was written
    arrays = [
        image(source, space=space, batch=3, shape=(14, 18, 12)[-space:], seed=9 + i)
        for i in range(len(inputs))
    ]
    found = fn.predict(
        model=result.folder,
        inputs=dict(zip(inputs, arrays, strict=True)),
        weights_format=target,
    )
    for name, expected in zip(outputs, direct(*arrays), strict=True):
        np.testing.assert_allclose(np.asarray(found[name]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("target", ["tensorflow_saved_model_bundle", "onnx"])
def test_layers_of_keras_that_know_training_are_exported_as_they_predict(target, tmp_path):
    import keras

    raw = keras.Input((None, None, 1), name="raw")
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(raw)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    hidden = keras.layers.Dropout(0.5)(keras.layers.MaxPooling2D()(hidden))
    out = keras.layers.Conv2D(1, 1, name="out")(keras.layers.UpSampling2D()(hidden))
    network = keras.Model(raw, out)
    rng = np.random.default_rng(0)
    known = [rng.uniform(0.5, 2, 4).astype("float32") for _ in range(4)]
    network.get_layer("norm").set_weights(known)
    network.save(tmp_path / "n.keras")
    tensor = image("keras_v3", shape=(8, 10))
    path = write(
        tmp_path / "m",
        described("keras_v3", "0.5") | {"inputs": halved(described("keras_v3", "0.5")["inputs"])},
        weights={"keras_v3": (tmp_path / "n.keras").read_bytes()},
        tensors={"raw": tensor, "out": network.predict_on_batch(tensor)},
    )

    result = fn.add_weights(path, tmp_path / "out", target_format=target)

    assert result.added == (target,), str(result)
    larger = image("keras_v3", shape=(20, 12), batch=3)
    found = fn.predict(model=result.folder, inputs=larger, weights_format=target)
    np.testing.assert_allclose(np.asarray(found), network.predict_on_batch(larger), atol=1e-4)


def halved(tensors):
    """The sizes of a network that halves an image once."""
    for axis in tensors[0]["axes"]:
        if axis["type"] == "space":
            axis["size"] = {"min": 4, "step": 2}
    return tensors


def check_comment(result, version, source, target):
    """The description tells the tool and the sizes; those of ONNX are free, and of its names."""
    description = result.description
    entry = getattr(description.weights, target)
    if version == "0.5":
        comment = entry.comment
    else:
        comment = description.config["bioimageio_fn"]["comments_on_weights"][target]
    (attempt,) = (a for a in result.attempts if a.passed)
    assert len(attempt.proven) == 6  # three sizes, two batch sizes
    assert all(size in comment for size in attempt.proven)
    assert f" with {TOOLS[source.partition('_')[0], target]} " in comment
    assert fn.__version__ in comment
    if target == "onnx":
        graph = onnx.load(result.folder / "weights.onnx").graph
        assert [i.name for i in graph.input] == [t.id for t in inputs_of(description)]
        for tensor in graph.input:
            free = [d for d in tensor.type.tensor_type.shape.dim if not d.HasField("dim_value")]
            assert len(free) >= 3  # all but channels
        opsets = {
            o.domain: o.version for o in onnx.load(result.folder / "weights.onnx").opset_import
        }
        assert entry.opset_version == opsets[""]


def inputs_of(description):
    return fn.model_contract(description).inputs


@pytest.mark.parametrize("order_of_sets", ["1", "11"])
def test_an_image_of_one_channel_keeps_its_axes_in_whatever_order_sets_are(order_of_sets, tmp_path):
    path, _ = model("keras_v3", tmp_path, version="0.5", space=2, inputs=RAW, outputs=OUT)
    text = """if True:
        import sys
        import bioimageio_fn as fn
        print(fn.add_weights(*sys.argv[1:], target_format="onnx").added)
    """

    made = subprocess.run(
        [sys.executable, "-c", text, str(path), str(tmp_path / "out")],
        env=os.environ | {"PYTHONHASHSEED": order_of_sets},
        capture_output=True,
        text=True,
        check=True,
    )

    assert made.stdout.splitlines()[-1] == "('onnx',)"
