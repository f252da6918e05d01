"""Small model descriptions of format 0.5 and 0.4, in memory and as folders on disk.

A description is a plain dict, so that a test can change any part of it before it is built:

    model = model05([tensor05("raw", [axis05("batch"), axis05("y", sized(4, 4))])], [...])
    contract = contract_of(model)

- `axis05`, `tensor05`, `model05`, with `sized`, `ref` and `step` for their parts: format 0.5;
- `tensor04`, `model04`, with `sized04`, `implicit` and `step04`: format 0.4;
- `image05`, `image04`: whole models of one image in and one image out, in which everything but the
  first two lines of a test can be left out;
- `build` makes the object of bioimageio.spec, `contract_of` its contract;
- `write` makes a folder with weights (ONNX or TorchScript) and test tensors, that
  `bioimageio.spec.load_description(folder / "bioimageio.yaml", perform_io_checks=False)` takes.
"""

import copy
import hashlib
import io
import json
import warnings

import numpy as np

from bioimageio_fn.contract.read import model_contract

LETTERS = {"b": "batch", "c": "channel", "t": "time", "i": "index"}
TYPES = {"batch": "batch", "channel": "channel", "time": "time", "index": "index"}


# ---------------------------------------------------------------- parts of format 0.5


def sized(smallest, step):
    """A size of format 0.5 that is `smallest + n * step`."""
    return {"min": smallest, "step": step}


def ref(tensor, axis, offset=0):
    """A size of format 0.5 that follows another axis; the scale stands in the axes themselves."""
    return {"tensor_id": tensor, "axis_id": axis, "offset": offset}


def step(name, **kwargs):
    """A processing step of format 0.5."""
    return {"id": name, "kwargs": kwargs} if kwargs else {"id": name}


def axis05(name, size=None, **fields):
    """An axis of format 0.5.

    Args:
        name: `b`, `c`, `t`, `i`, a long name, or any other id, which is then in space.
        size: a number, `sized(...)`, `ref(...)`, or `{"min": 1, "max": None}` for one that depends
            on the data. Of a channel axis: the number of channels. Of a batch: None or 1.
        fields: everything else, such as `type`, `scale`, `halo`, `unit`, `concatenable`.
    """
    name = LETTERS.get(name, name)
    kind = fields.pop("type", TYPES.get(name, "space"))
    axis = {"type": kind, "id": name, **fields}
    if kind == "batch":
        del axis["id"]
    if kind == "channel":
        axis.setdefault("channel_names", [f"channel{i}" for i in range(size or 1)])
    elif size is not None:
        axis["size"] = size
    return axis


def tensor05(name, axes, *, dtype="float32", range_=None, steps=(), **fields):
    """An input or output of format 0.5; `model05` tells which.

    Args:
        name: its id.
        axes: axes as of `axis05`.
        dtype: type of its data.
        range_: range of its data.
        steps: its pre- or postprocessing, as of `step`.
        fields: everything else, such as `optional`, `pad`, or a whole `data`.
    """
    data = {"type": dtype} | ({"range": list(range_)} if range_ is not None else {})
    return {"id": name, "axes": list(axes), "data": data, "steps": list(steps), **fields}


def model05(inputs, outputs, **fields):
    """A model of format 0.5."""
    return {
        **_common("0.5.14"),
        "documentation": {"source": "README.md"},
        "inputs": [_with_steps(t, "preprocessing") for t in inputs],
        "outputs": [_with_steps(t, "postprocessing") for t in outputs],
        "weights": {"onnx": {"source": "weights.onnx", "sha256": "0" * 64, "opset_version": 17}},
        **fields,
    }


# ---------------------------------------------------------------- parts of format 0.4


def sized04(smallest, steps):
    """An input shape of format 0.4 that is `smallest + n * steps`, axis by axis."""
    return {"min": list(smallest), "step": list(steps)}


def implicit(reference, scale, offset=None):
    """An output shape of format 0.4: `shape = reference * scale + 2 * offset`, by position."""
    offset = [0] * len(scale) if offset is None else list(offset)
    return {"reference_tensor": reference, "scale": list(scale), "offset": offset}


def step04(name, **kwargs):
    """A processing step of format 0.4."""
    return {"name": name, "kwargs": kwargs} if kwargs else {"name": name}


def tensor04(name, axes, shape, *, dtype="float32", steps=(), **fields):
    """An input or output of format 0.4; `model04` tells which.

    Args:
        name: its name.
        axes: its axes as letters.
        shape: a list of numbers, `sized04(...)` for an input, or `implicit(...)` for an output.
        dtype: type of its data.
        steps: its pre- or postprocessing, as of `step04`.
        fields: everything else, such as `halo` or `data_range`.
    """
    return {
        "name": name,
        "axes": axes,
        "data_type": dtype,
        "shape": shape,
        "steps": list(steps),
        **fields,
    }


def model04(inputs, outputs, **fields):
    """A model of format 0.4."""
    return {
        **_common("0.4.10"),
        "documentation": "README.md",
        "inputs": [_with_steps(t, "preprocessing") for t in inputs],
        "outputs": [_with_steps(t, "postprocessing") for t in outputs],
        "test_inputs": [f"{t['name']}.npy" for t in inputs],
        "test_outputs": [f"{t['name']}.npy" for t in outputs],
        "weights": {"onnx": {"source": "weights.onnx", "sha256": "0" * 64, "opset_version": 17}},
        **fields,
    }


# ---------------------------------------------------------------- whole models of one image


def image05(
    *,
    space="yx",
    size=None,
    channels=1,
    scale=1.0,
    offset=0,
    halo=0,
    pre=(),
    post=(),
    dtype="float32",
    out_dtype="float32",
    out_channels=None,
    **fields,
):
    """A model of format 0.5 that takes `raw` (bc + space) and gives `out` of the same axes.

    Args:
        space: its axes in space.
        size: size of each of them, `8 + n * 4` by default.
        channels: number of channels.
        scale: pixels of the output for each pixel of the input.
        offset: pixels more in the output.
        halo: halo of the output.
        pre: steps before the network.
        post: steps behind it.
        dtype: type of the input.
        out_dtype: type of the output.
        out_channels: number of channels of the output, if it is another.
        fields: everything else of the input, such as `pad`.
    """
    size = sized(8, 4) if size is None else size
    more = {"halo": halo} if halo else {}
    return model05(
        [
            tensor05(
                "raw",
                [axis05("b"), axis05("c", channels), *(axis05(a, size) for a in space)],
                dtype=dtype,
                steps=pre,
                **fields,
            )
        ],
        [
            tensor05(
                "out",
                [
                    axis05("b"),
                    axis05("c", channels if out_channels is None else out_channels),
                    *(axis05(a, ref("raw", a, offset), scale=1 / scale, **more) for a in space),
                ],
                dtype=out_dtype,
                steps=post,
            )
        ],
    )


def turned_and_large05():
    """A model of `raw` (byx) whose outputs are turned (xby), and twice as large."""
    return model05(
        [tensor05("raw", [axis05("b"), axis05("y", sized(8, 4)), axis05("x", sized(8, 4))])],
        [
            tensor05("turned", [axis05("x", ref("raw", "x")), axis05("b"),
                                axis05("y", ref("raw", "y"))]),
            tensor05("large", [axis05("b"), axis05("y", ref("raw", "y"), scale=0.5),
                               axis05("x", ref("raw", "x"), scale=0.5)]),
        ],
    )  # fmt: skip


def image04(
    *,
    space="yx",
    smallest=8,
    by=4,
    channels=1,
    scale=1.0,
    offset=0,
    halo=0,
    pre=(),
    post=(),
    dtype="float32",
    out_dtype="float32",
    **fields,
):
    """The twin of `image05` in format 0.4. `offset` is that of the format: half of the pixels."""
    n = len(space)
    return model04(
        [
            tensor04(
                "raw",
                f"bc{space}",
                sized04([1, channels] + [smallest] * n, [0, 0] + [by] * n),
                dtype=dtype,
                steps=pre,
                **fields,
            )
        ],
        [
            tensor04(
                "out",
                f"bc{space}",
                implicit("raw", [1.0, 1.0] + [scale] * n, [0, 0] + [offset] * n),
                dtype=out_dtype,
                steps=post,
                halo=[0, 0] + [halo] * n,
            )
        ],
    )


def _common(version):
    return {
        "format_version": version,
        "type": "model",
        "name": "small model",
        "description": "for a test",
        "authors": [{"name": "tester"}],
        "cite": [{"text": "none", "url": "https://example.com"}],
        "license": "MIT",
        "timestamp": "2025-01-01T00:00:00+00:00",
    }


def _with_steps(tensor, kind):
    rest = {name: value for name, value in tensor.items() if name != "steps"}
    return {**rest, kind: tensor["steps"]}


# ---------------------------------------------------------------- objects and files


def build(model):
    """The description object of bioimageio.spec; nothing is opened.

    An `InvalidDescr` is returned as it is: look at its `validation_summary`.
    """
    from bioimageio.spec import ValidationContext, build_description

    context = ValidationContext(perform_io_checks=False, log_warnings=False)
    return build_description(copy.deepcopy(model), context=context)


def contract_of(model):
    """The contract of a model that is given as a dict, which has to be valid."""
    description = build(model)
    summary = description.validation_summary
    assert summary.status != "failed", summary.format()
    return model_contract(description)


def write(folder, model, *, weights=None, tensors=None):
    """Write a model as a folder: description, weights, test tensors and documentation.

    Args:
        folder: where to; made if it is not there.
        model: as of `model05` or `model04`.
        weights: content of the weights by format, such as `{"torchscript": torchscript(module)}`;
            by default an ONNX graph whose outputs are its first input.
        tensors: test tensors by id. By default inputs of the smallest size, and as outputs what
            the default weights give, which is the first input in the type of the output.

    Returns:
        The path of the `bioimageio.yaml`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = copy.deepcopy(model)
    ids = [[t.get("id", t.get("name")) for t in model[kind]] for kind in ("inputs", "outputs")]
    contents = {"onnx": onnx_identity(*ids)} if weights is None else weights
    model["weights"] = {
        kind: _saved(folder, f"weights.{_SUFFIXES[kind]}", content) | _VERSIONS[kind]
        for kind, content in contents.items()
    }
    arrays = _smallest(model) | dict(tensors or {})
    for tensor in (*model["inputs"], *model["outputs"]):
        name = tensor.get("id", tensor.get("name"))
        buffer = io.BytesIO()
        np.save(buffer, arrays[name])
        saved = _saved(folder, f"{name}.npy", buffer.getvalue())
        if "id" in tensor:
            tensor["test_tensor"] = saved
    (folder / "README.md").write_text("# A model for a test\n", encoding="utf-8")
    path = folder / "bioimageio.yaml"
    path.write_text(json.dumps(model), encoding="utf-8")  # JSON is YAML
    return path


_SUFFIXES = {
    "onnx": "onnx",
    "torchscript": "pt",
    "keras_v3": "keras",
    "keras_hdf5": "h5",
    "tensorflow_saved_model_bundle": "zip",
    "tensorflow_js": "zip",
}
_VERSIONS = {
    "onnx": {"opset_version": 17},
    "torchscript": {"pytorch_version": "2.0"},
    "keras_v3": {"keras_version": "3.0", "backend": ["tensorflow", "2.16"]},
    "keras_hdf5": {"tensorflow_version": "2.16"},
    "tensorflow_saved_model_bundle": {"tensorflow_version": "2.16"},
    "tensorflow_js": {"tensorflow_version": "2.16"},
}


def _saved(folder, name, content):
    (folder / name).write_bytes(content)
    return {"source": name, "sha256": hashlib.sha256(content).hexdigest()}


def _smallest(model):
    """Test tensors of the smallest size that the inputs have by themselves."""
    tensors = {}
    rng = np.random.default_rng(0)
    for tensor in model["inputs"]:
        if "id" in tensor:
            name, dtype = tensor["id"], tensor["data"]["type"]
            shape = tuple(len(a.get("channel_names", ())) or _low(a) for a in tensor["axes"])
        else:
            name, dtype, shape = tensor["name"], tensor["data_type"], tensor["shape"]
            shape = tuple(shape["min"] if isinstance(shape, dict) else shape)
        tensors[name] = rng.integers(0, 100, shape).astype(dtype)
    first = next(iter(tensors.values()))
    for tensor in model["outputs"]:
        dtype = tensor["data"]["type"] if "id" in tensor else tensor["data_type"]
        tensors[tensor.get("id", tensor.get("name"))] = first.astype(dtype)
    return tensors


def _low(axis):
    size = axis.get("size", 1)
    return size.get("min", 1) if isinstance(size, dict) else size


def onnx_identity(inputs, outputs):
    """An ONNX file: every output is the first input, of whatever shape, in float32."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", [inputs[0]], [name]) for name in outputs],
        "identity",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def torchscript(module):
    """A TorchScript file of a `torch.nn.Module`."""
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch would rather export in another way
        torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()
