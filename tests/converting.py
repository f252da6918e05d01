"""Models with weights of one format, to be converted to others.

    path, direct = model("keras_v3", folder, space=3, inputs=("raw", "aux"))

`direct` is what the framework itself makes of arrays, one for each input in the order of the
description. Test tensors are what it makes of small images. Networks are those of `networks.py`;
that of a PyTorch state dict is a small U-Net with dropout and batch norm.
"""

import hashlib
import io
import json

import numpy as np
from descriptions import image04, image05, sized, write
from networks import described, images, network

KINDS = (
    "pytorch_state_dict",
    "torchscript",
    "keras_v3",
    "keras_hdf5",
    "tensorflow_saved_model_bundle",
)

UNET = """
import torch

class UNet(torch.nn.Module):
    def __init__(self, space=2, aux=False, outputs=("out",)):
        super().__init__()
        conv, norm = getattr(torch.nn, f"Conv{space}d"), getattr(torch.nn, f"BatchNorm{space}d")
        self.down = conv(1, 4, 3, padding=1)
        self.pool = getattr(torch.nn, f"MaxPool{space}d")(2)
        self.deep = conv(4, 4, 3, padding=1)
        self.norm = norm(4)
        self.drop = torch.nn.Dropout(0.5)
        self.up = getattr(torch.nn, f"ConvTranspose{space}d")(4, 4, 2, stride=2)
        self.last = conv(8, 1, 1)
        self.two = len(outputs) > 1

class One(UNet):
    def forward(self, raw):
        a = torch.relu(self.down(raw))
        deep = self.drop(self.norm(torch.relu(self.deep(self.pool(a)))))
        return self.last(torch.cat([a, self.up(deep)], 1))

class Two(UNet):
    def forward(self, aux, raw):
        a = torch.relu(self.down(raw))
        deep = self.drop(self.norm(torch.relu(self.deep(self.pool(a)))))
        out = self.last(torch.cat([a, self.up(deep)], 1)) + aux
        return {"second": 2 * aux - raw, "out": out}
"""


def model(kind, folder, *, version="0.5", space=2, inputs=("raw",), outputs=("out",), **fields):
    """A model with weights of one format; the path of its description, and its direct call."""
    if kind == "pytorch_state_dict":
        content, direct, more = unet(space, inputs, outputs)
    else:
        content, direct = _turned(kind, folder / "network", space, inputs, outputs)
        more = None
    described_ = described(kind, version, space=space, inputs=inputs, outputs=outputs)
    if more is not None and version == "0.5":
        described_ = _halved(described_, space)
    elif more is not None:
        shape = [1, 1, *[8] * space]
        for tensor in described_["inputs"]:
            tensor["shape"] = {"min": shape, "step": [0, 0, *[2] * space]}
    arrays = {name: image(kind, space=space, seed=i) for i, name in enumerate(inputs)}
    tensors = arrays | dict(zip(outputs, direct(*arrays.values()), strict=True))
    return (
        written(folder / "model", described_ | fields, kind, content, tensors, more=more),
        direct,
    )


def _turned(kind, folder, space, inputs, outputs):
    """A network with another order of names than the description; called in that of the latter."""
    mine, yours = inputs[::-1], outputs if kind == "torchscript" else outputs[::-1]
    content, turned = network(kind, folder, space=space, inputs=mine, outputs=yours)

    def direct(*arrays):
        given = dict(zip(inputs, arrays, strict=True))
        results = dict(zip(yours, turned(*(given[name] for name in mine)), strict=True))
        return [results[name] for name in outputs]

    return content, direct


def image(kind, *, space=2, batch=1, shape=None, seed=0):
    """An image of a shape that is valid for all of the networks."""
    shape = (10, 12, 8)[-space:] if shape is None else shape
    array = np.random.default_rng(seed).normal(size=(batch, *shape)).astype("float32")
    last = images(kind, space=space).shape[-1] == 1
    return array[..., None] if last else array[:, None]


def unet(space, inputs, outputs):
    """A U-Net with random weights and a batch norm that has seen images: content, call, code."""
    import torch

    found = {"__name__": "reference_networks"}
    exec(UNET, found)
    torch.manual_seed(0)
    name = "Two" if "aux" in inputs else "One"
    net = found[name](space=space)
    example = torch.randn(4, 1, *(16,) * space)
    net.train()(**dict.fromkeys(inputs, example))
    net.eval()

    def direct(*arrays):
        given = dict(zip(inputs, map(torch.tensor, arrays), strict=True))
        with torch.no_grad():
            result = net(**given)
        result = result if isinstance(result, dict) else {"out": result}
        return [result[name].numpy() for name in outputs]

    return saved(net.state_dict()), direct, {"callable": name, "kwargs": {"space": space}}


def saved(state):
    """A state dict as the content of a file."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _halved(model, space):
    """The sizes of a network that halves an image once."""
    for axis in model["inputs"][0]["axes"]:
        if axis["type"] == "space":
            axis["size"] = sized(8, 2)
    return model


def written(folder, model, kind, content, tensors, *, more=None, code=UNET):
    """A model on disk; `more` says of a state dict what makes its network."""
    if more is None:
        return write(folder, model, weights={kind: content}, tensors=tensors)
    path = write(folder, model, tensors=tensors)
    fields = json.loads(path.read_text(encoding="utf-8"))
    (folder / "weights.onnx").unlink()
    (folder / "state.pt").write_bytes(content)
    (folder / "net.py").write_text(code, encoding="utf-8")
    sha256 = hashlib.sha256(code.encode()).hexdigest()
    entry = {
        "source": "state.pt",
        "sha256": hashlib.sha256(content).hexdigest(),
        "pytorch_version": "2.6",
    }
    if fields["format_version"].startswith("0.4"):
        entry |= {
            "architecture": f"net.py:{more['callable']}",
            "architecture_sha256": sha256,
            "kwargs": more["kwargs"],
        }
    else:
        entry["architecture"] = {"source": "net.py", "sha256": sha256, **more}
    fields["weights"] = {kind: entry}
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path


def of_code(folder, code, *, fixed=False, tensors=None, version="0.5"):
    """A model of one 2D image whose network is the class `Net` of some code."""
    import torch

    found = {"__name__": "reference_networks"}
    exec(code, found)
    net = found["Net"]().eval()
    raw = image("pytorch_state_dict", shape=(8, 10))
    with torch.no_grad():
        out = net(torch.tensor(raw)).numpy()
    options = {"smallest": 4, "by": 2} if version == "0.4" else {"size": sized(4, 2)}
    model = {"0.4": image04, "0.5": image05}[version](**options)
    if fixed:
        batch, _, y, x = model["inputs"][0]["axes"]
        batch["size"], y["size"], x["size"] = 1, 8, 10
    given = {"raw": raw, "out": out} | dict(tensors or {})
    more = {"callable": "Net", "kwargs": {}}
    content = saved(net.state_dict())
    return written(folder, model, "pytorch_state_dict", content, given, more=more, code=code)
