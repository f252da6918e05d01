"""Small networks of every weights format, made by the real frameworks, with their direct call.

    content, direct = network("onnx", folder, space=2, inputs=("raw",), outputs=("out",))

They compute the same for every format: of an input `raw` (and `aux`, which may be optional)

    out = convolution of raw, 3 pixels wide, + aux        second = 2 * aux - raw

with `raw` in the place of an `aux` that the network does not have, and nothing in the place of one
that is left out. `direct` is what the framework itself makes of the arrays, in the order of the
names. Channels are first for ONNX and PyTorch, last for Keras and TensorFlow.
"""

import functools
import shutil
import warnings

import numpy as np

CHANNELS_LAST = ("keras_v3", "keras_hdf5", "tensorflow_saved_model_bundle")


def network(kind, folder, *, space=2, inputs=("raw",), outputs=("out",), optional=False):
    """The file of a network as bytes, and the network as its framework runs it.

    Args:
        kind: the weights format.
        folder: an empty folder to work in.
        space: number of axes in space.
        inputs: `raw`, and perhaps `aux`, in the order of the network.
        outputs: `out`, and perhaps `second`, in that order.
        optional: whether `aux` may be left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    make = {
        "onnx": _onnx,
        "torchscript": _torchscript,
        "keras_v3": _keras,
        "keras_hdf5": _keras,
        "tensorflow_saved_model_bundle": _saved_model,
    }[kind]
    suffix = {"keras_v3": ".keras", "keras_hdf5": ".h5"}.get(kind, "")
    path = folder / f"network{suffix}"
    direct = make(path, space, tuple(inputs), tuple(outputs), optional)
    return path.read_bytes(), direct


def kernel(space):
    """The same for every format: (3, ... 3)."""
    return np.random.default_rng(0).normal(size=(3,) * space).astype("float32")


def _onnx(path, space, inputs, outputs, optional):
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    has = "aux" in inputs
    aux = "aux" if has else "raw"
    weights = [
        numpy_helper.from_array(kernel(space)[None, None], "w"),
        numpy_helper.from_array(np.float32(2), "two"),
    ]
    if optional:  # an input with a value of its own
        weights.append(numpy_helper.from_array(np.zeros((1,) * (space + 2), "float32"), "aux"))
    nodes = [
        helper.make_node("Conv", ["raw", "w"], ["c"], pads=[1] * (2 * space)),
        helper.make_node("Add", ["c", aux], ["out"]) if has
        else helper.make_node("Identity", ["c"], ["out"]),
        helper.make_node("Mul", [aux, "two"], ["m"]),
        helper.make_node("Sub", ["m", "raw"], ["second"]),
    ]  # fmt: skip
    names = [list("bcyx"), list("bczyx")][space - 2]
    infos = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, names) for n in group]
        for group in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "g", *infos, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # an input with a value of its own may be meant
    session = onnxruntime.InferenceSession(path, options)

    def direct(*arrays):
        feed = {n: a for n, a in zip(inputs, arrays, strict=True) if a is not None}
        return session.run(list(outputs), feed)

    return direct


def _torchscript(path, space, inputs, outputs, optional):
    import torch

    convolve = {2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}[space]
    w = torch.from_numpy(kernel(space)[None, None])

    def compute(raw, aux):
        c = convolve(raw, w, padding=1)
        out = c if aux is None else c + aux
        results = {"out": out, "second": 2 * (raw if aux is None else aux) - raw}
        results = tuple(results[name] for name in outputs)
        return results if len(results) > 1 else results[0]

    class One(torch.nn.Module):
        def forward(self, raw):
            return compute(raw, None)

    class Two(torch.nn.Module):
        def forward(self, raw, aux):
            return compute(raw, aux)

    class Reversed(torch.nn.Module):
        def forward(self, aux, raw):
            return compute(raw, aux)

    class Optional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("w", w)

        def forward(self, raw: torch.Tensor, aux: torch.Tensor | None = None):
            c = torch.conv2d(raw, self.w, padding=1)
            return c if aux is None else c + aux

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch would rather export in another way
        if optional:
            module = torch.jit.script(Optional())
        else:
            kind = One if len(inputs) == 1 else Reversed if inputs[0] == "aux" else Two
            example = torch.rand(1, 1, *(8,) * space)
            module = torch.jit.trace(kind(), (example,) * len(inputs))
        module.save(str(path))

    def direct(*arrays):
        with torch.no_grad():
            result = module(*(None if a is None else torch.tensor(a) for a in arrays))
        return [o.numpy() for o in (result if isinstance(result, tuple) else [result])]

    return direct


def _keras(path, space, inputs, outputs, optional):
    import keras

    given = {
        n: keras.Input((*(None,) * space, 1), name=n, optional=optional and n == "aux")
        for n in inputs
    }
    convolution = getattr(keras.layers, f"Conv{space}D")(1, 3, padding="same", use_bias=False)
    c = convolution(given["raw"])
    convolution.set_weights([kernel(space)[..., None, None]])
    aux = given.get("aux", given["raw"])
    if optional:
        results = {"out": _add_if_there()()(c, aux)}
    else:
        doubled = keras.layers.Rescaling(2)(aux)
        results = {
            "out": keras.layers.Add()([c, aux]) if "aux" in given else c,
            "second": keras.layers.Subtract()([doubled, given["raw"]]),
        }
    named = [keras.layers.Activation("linear", name=name)(results[name]) for name in outputs]
    model = keras.Model(list(given.values()), named)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # HDF5 is the older of the two formats
        model.save(path)

    def direct(*arrays):
        result = model(list(arrays))
        return [np.asarray(o) for o in (result if isinstance(result, list) else [result])]

    return direct


@functools.cache
def _add_if_there():
    """A layer that a user has registered: no layer of Keras itself does without an input."""
    import keras

    @keras.saving.register_keras_serializable("tests")
    class AddIfThere(keras.layers.Layer):
        def call(self, x, aux=None):
            return x if aux is None else x + aux

    return AddIfThere


def _saved_model(path, space, inputs, outputs, optional):
    import tensorflow as tf

    assert not optional, "a signature of TensorFlow needs every input"
    w = tf.Variable(kernel(space)[..., None, None])

    def compute(**given):
        aux = given.get("aux", given["raw"])
        c = tf.nn.convolution(given["raw"], w, padding="SAME")
        results = {"out": c + aux if "aux" in given else c, "second": 2 * aux - given["raw"]}
        return {name: results[name] for name in outputs}

    module = tf.Module()
    module.w = w
    module.run = tf.function(compute)
    specs = {n: tf.TensorSpec((None,) * (space + 1) + (1,), tf.float32, n) for n in inputs}
    tf.saved_model.save(module, str(path), module.run.get_concrete_function(**specs))
    shutil.make_archive(str(path), "zip", path)
    shutil.rmtree(path)
    path.with_suffix(".zip").rename(path)

    def direct(*arrays):
        results = module.run(**dict(zip(inputs, map(tf.constant, arrays), strict=True)))
        return [results[name].numpy() for name in outputs]

    return direct


def described(kind, version, *, space=2, inputs=("raw",), outputs=("out",), optional=False):
    """The description of such a network, as of `descriptions.write`."""
    from descriptions import axis05, implicit, model04, model05, ref, sized, tensor04, tensor05

    short = "zyx"[-space:]
    if version == "0.4":
        axes = f"b{short}c" if kind in CHANNELS_LAST else f"bc{short}"
        sizes = {
            "min": [1 if a in "bc" else 4 for a in axes],
            "step": [int(a in short) for a in axes],
        }
        return model04(
            [tensor04(n, axes, sizes) for n in inputs],
            [tensor04(n, axes, implicit("raw", [1.0] * len(axes))) for n in outputs],
        )  # fmt: skip

    def axes05(name):
        size = {a: sized(4, 1) if name == "raw" else ref("raw", a) for a in short}
        in_space = [axis05(a, size[a]) for a in short]
        channel = axis05("c", 1)
        last = kind in CHANNELS_LAST
        return [axis05("b"), *([] if last else [channel]), *in_space, *([channel] if last else [])]

    return model05(
        [tensor05(n, axes05(n), **({"optional": True} if optional and n == "aux" else {}))
         for n in inputs],
        [tensor05(n, axes05(n)) for n in outputs],
    )  # fmt: skip


def images(kind, *, space=2, batch=1, seed=0):
    """An image as the network takes it."""
    shape = (9, 13, 6)[-space:] if space == 2 else (6, 9, 7)
    array = np.random.default_rng(seed).normal(size=(batch, *shape)).astype("float32")
    return array[..., None] if kind in CHANNELS_LAST else array[:, None]
