"""Make the demo model: draw images, train a small U-Net, export, describe and check it.

    python scripts/train_demo_model.py

Everything under `bioimageio_fn/demo` comes from this one command, and no image comes from
elsewhere. The same seed gives the same files as long as the libraries and the processor stay the
same.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import itertools
import math
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import tifffile
import torch
from bioimageio.spec import (
    InvalidDescr,
    ValidationContext,
    load_description,
    save_bioimageio_yaml_only,
)
from bioimageio.spec.model import v0_5
from draw_nuclei import draw_nuclei
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
Network = Callable[[Float], Float]
"""Maps normalised images (batch, channel, y, x) to logits of the same shape."""

WIDTHS = (12, 24, 40)
STEP = 4
"""Two poolings: sizes are multiples of 4, and tiles start at multiples of 4."""
SMALLEST = 64
EPS = 1e-6
HALF = 0.5
TOLERANCE = 1e-5
"""How far two ways to the same probability may differ."""
OPSET = 17
POOL, POOL_SHAPE = 800, (192, 192)
CROPS = ((64, 24), (96, 12), (128, 6))
"""Side of the training crops and how many of them make a batch."""
RATE, DECAY = 4e-3, 1e-4

# The first number of each seed keeps these images apart from those of the training.
TEST_IMAGE = ((1, 4), (128, 128))
DEMO_IMAGE = ((2, 4), (300, 417))
HELD_OUT, HELD_OUT_COUNT = 3, 40
TILED_IMAGE = ((4, 0), (256, 320))

NAME = "Nuclei in fluorescence images (demo)"
DESCRIPTION = "A small U-Net that finds nuclei in 2D fluorescence images, trained on drawn images."
VERSION = "1.0.0"
TIMESTAMP = datetime(2025, 1, 1, tzinfo=UTC)
"""Fixed, so that the same training gives the same description."""


class Score(NamedTuple):
    """How well the probability of foreground, cut at one half, meets the truth."""

    intersection_over_union: float
    precision: float
    recall: float


class UNet(nn.Module):
    """Two poolings, rectified 3 x 3 convolutions, and nothing that depends on the whole image."""

    def __init__(self, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.encode_fine = convolutions(1, fine, fine)
        self.encode_middle = convolutions(fine, middle, middle)
        self.bottom = convolutions(middle, coarse, coarse, coarse)
        self.decode_middle = convolutions(coarse + middle, middle, middle)
        self.decode_fine = convolutions(middle + fine, fine, fine)
        self.logit = nn.Conv2d(fine, 1, 1)
        self.shrink = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2.0, mode="nearest")

    def forward(self, raw: Tensor) -> Tensor:
        """Logits for normalised images whose sizes are multiples of the step."""
        fine = self.encode_fine(raw)
        middle = self.encode_middle(self.shrink(fine))
        coarse = self.grow(self.bottom(self.shrink(middle)))
        middle = self.grow(self.decode_middle(torch.cat((coarse, middle), 1)))
        return self.logit(self.decode_fine(torch.cat((middle, fine), 1)))


def convolutions(*widths: int) -> nn.Sequential:
    """One zero padded 3 x 3 convolution and rectifier from each width to the next."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
        layers += [convolution, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


# --- the pipeline as described, in plain NumPy ---------------------------------------------------


def normalise(image: NDArray[np.generic]) -> Float:
    """Zero mean and unit variance over one whole image."""
    raw = image.astype(np.float32)
    return ((raw - raw.mean()) / (raw.std() + EPS)).astype(np.float32)


def sigmoid(logit: Float) -> Float:
    """The probability that belongs to a logit."""
    return (1 / (1 + np.exp(-logit))).astype(np.float32)


def predict(network: Network, image: NDArray[np.generic]) -> Float:
    """The probability of foreground for a two-dimensional image of any size."""
    height, width = image.shape
    sizes = [max(SMALLEST, math.ceil(size / STEP) * STEP) for size in image.shape]
    missing = [(0, size - given) for size, given in zip(sizes, image.shape, strict=True)]
    padded = np.pad(normalise(image), missing, "symmetric")
    return sigmoid(network(padded[None, None]))[0, 0, :height, :width]


def predict_tiled(network: Network, image: NDArray[np.generic], tile: int, halo: int) -> Float:
    """The same from tiles that overlap at inner seams only; sizes are multiples of the step."""
    raw, out = normalise(image), np.empty(image.shape, np.float32)
    for start in itertools.product(*(range(0, size, tile) for size in image.shape)):
        stop = [min(a + tile, size) for a, size in zip(start, image.shape, strict=True)]
        low = [max(a - halo, 0) for a in start]
        high = [min(b + halo, size) for b, size in zip(stop, image.shape, strict=True)]
        logit = network(raw[None, None, low[0] : high[0], low[1] : high[1]])
        inner = [slice(a - o, b - o) for a, b, o in zip(start, stop, low, strict=True)]
        out[start[0] : stop[0], start[1] : stop[1]] = sigmoid(logit[0, 0, inner[0], inner[1]])
    return out


def score(probability: Float, mask: Mask) -> Score:
    """Compare the probability, cut at one half, with a mask."""
    found = probability > HALF
    both = (found & mask).sum()
    return Score(*(float(both / max(n.sum(), 1)) for n in (found | mask, found, mask)))


# --- training -------------------------------------------------------------------------------------


def drawn(seed: tuple[int, ...], shape: tuple[int, int]) -> tuple[NDArray[np.uint16], Mask]:
    """The image and the mask that belong to a seed."""
    return draw_nuclei(np.random.default_rng(seed), shape)


def batches(rng: np.random.Generator, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless crops, turned and mirrored, from a pool of drawn images.

    Half of the batches are normalised crop by crop and half with their whole image, because a
    crop and a whole image differ in how much of them is nucleus.
    """
    pool = [drawn((0, seed, index), POOL_SHAPE) for index in range(POOL)]
    whole = [normalise(image) for image, _ in pool]
    while True:
        side, count = CROPS[rng.integers(len(CROPS))]
        own = rng.random() < HALF
        raws: list[Float] = []
        masks: list[Mask] = []
        for index in rng.integers(POOL, size=count):
            y, x = (rng.integers(0, size - side + 1) for size in POOL_SHAPE)
            window = (slice(y, y + side), slice(x, x + side))
            turns, mirrored = int(rng.integers(4)), 1 - 2 * int(rng.integers(2))
            raw = normalise(whole[index][window]) if own else whole[index][window]
            raws.append(np.rot90(raw, turns)[:, ::mirrored])
            masks.append(np.rot90(pool[index][1][window], turns)[:, ::mirrored])
        yield (
            torch.from_numpy(np.stack(raws)[:, None]),
            torch.from_numpy(np.stack(masks)[:, None].astype(np.float32)),
        )


def loss_of(logit: Tensor, target: Tensor) -> Tensor:
    """Cross entropy for each pixel plus one minus the Dice coefficient of the batch."""
    entropy = nn.functional.binary_cross_entropy_with_logits(logit, target)
    probability = logit.sigmoid()
    dice = (2 * (probability * target).sum() + 1) / (probability.sum() + target.sum() + 1)
    return entropy + 1 - dice


def train(steps: int, seed: int) -> UNet:
    """Train from scratch; every random choice follows from the seed."""
    torch.manual_seed(seed)
    network = UNet().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    mean = math.nan
    source = batches(np.random.default_rng((seed, 1)), seed)
    for step, (raw, target) in enumerate(itertools.islice(source, steps), 1):
        loss = loss_of(network(raw.contiguous(memory_format=torch.channels_last)), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean = loss.item() if math.isnan(mean) else 0.98 * mean + 0.02 * loss.item()
        if step % 100 == 0 or step == steps:
            print(f"step {step:5d}  loss {mean:.4f}", flush=True)
    return network.to(memory_format=torch.contiguous_format).eval()  # pyright: ignore[reportCallIssue]


# --- export ---------------------------------------------------------------------------------------


def reach_of(network: UNet) -> int:
    """How far, in pixels, an input pixel can change the output, whatever the weights are.

    With equal positive weights and no bias nothing cancels and nothing is rectified away, so one
    bright pixel lights up all that it reaches. Where it lies on the step grid makes a difference.
    """
    probe = copy.deepcopy(network).double()
    for values in probe.parameters():
        nn.init.constant_(values, 1 / values[0].numel() if values.ndim > 1 else 0.0)
    centre, farthest = 16 * STEP, 0
    for y, x in itertools.product(range(centre, centre + STEP), repeat=2):
        raw = torch.zeros(1, 1, 2 * centre, 2 * centre, dtype=torch.float64)
        raw[0, 0, y, x] = 1
        with torch.inference_mode():
            lit = probe(raw)[0, 0].nonzero()
        farthest = max(farthest, int((lit - torch.tensor((y, x))).abs().max()))
    return farthest


def export_onnx(network: UNet, path: Path) -> None:
    """Write one ONNX file whose batch, y and x axes may have any size."""
    axes = {0: "batch", 2: "y", 3: "x"}
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, SMALLEST, SMALLEST),),
        path,
        input_names=["raw"],
        output_names=["probability"],
        dynamic_axes={"raw": axes, "probability": axes},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def export_torchscript(network: UNet, path: Path) -> None:
    """Write the traced network without the entries that differ between two runs."""
    buffer = io.BytesIO()
    traced = torch.jit.trace(network, torch.zeros(1, 1, SMALLEST, SMALLEST))
    torch.jit.save(traced, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            # Debug entries tell where the source code lay.
            if not name.endswith((".debug_pkl", "serialization_id")):
                target.writestr(zipfile.ZipInfo(name), source.read(name))


def run_torch(network: Callable[[Tensor], Tensor]) -> Network:
    """A torch network as a function of arrays."""

    def run(raw: Float) -> Float:
        with torch.inference_mode():
            return network(torch.from_numpy(np.ascontiguousarray(raw))).numpy()

    return run


def run_onnx(path: Path) -> Network:
    """An ONNX file as a function of arrays."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda raw: np.asarray(session.run(["probability"], {"raw": raw})[0], np.float32)


# --- description ----------------------------------------------------------------------------------


def file_of(path: Path) -> v0_5.FileDescr:
    """A file beside the description, with its checksum."""
    return v0_5.FileDescr(
        source=v0_5.RelativeFilePath(Path(path.name)), sha256=v0_5.Sha256(checksum(path))
    )


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def describe_input(out: Path) -> v0_5.InputTensorDescr:
    """Describe the image that goes in.

    The last cast looks needless, but without it the library that writes the description would add
    one to the data type of the image.
    """
    size = v0_5.ParameterizedSize(min=SMALLEST, step=STEP)
    return v0_5.InputTensorDescr(
        id=v0_5.TensorId("raw"),
        description="Fluorescence image of nuclei, bright on dark.",
        axes=[
            v0_5.BatchAxis(),
            v0_5.ChannelAxis(channel_names=[v0_5.Identifier("intensity")]),
            *(v0_5.SpaceInputAxis(id=v0_5.AxisId(axis), size=size) for axis in "yx"),
        ],
        test_tensor=file_of(out / "test_input.npy"),
        data=v0_5.IntervalOrRatioDataDescr(type="uint16"),
        preprocessing=[
            v0_5.EnsureDtypeDescr(kwargs=v0_5.EnsureDtypeKwargs(dtype="float32")),
            v0_5.ZeroMeanUnitVarianceDescr(
                kwargs=v0_5.ZeroMeanUnitVarianceKwargs(
                    axes=[v0_5.AxisId(axis) for axis in ("channel", "y", "x")], eps=EPS
                )
            ),
            v0_5.EnsureDtypeDescr(kwargs=v0_5.EnsureDtypeKwargs(dtype="float32")),
        ],
    )


def describe_output(out: Path, halo: int) -> v0_5.OutputTensorDescr:
    """Describe the probability that comes out."""
    return v0_5.OutputTensorDescr(
        id=v0_5.TensorId("probability"),
        description="Probability that a pixel belongs to a nucleus.",
        axes=[
            v0_5.BatchAxis(),
            v0_5.ChannelAxis(channel_names=[v0_5.Identifier("nucleus")]),
            *(
                v0_5.SpaceOutputAxisWithHalo(
                    id=v0_5.AxisId(axis),
                    size=v0_5.SizeReference(
                        tensor_id=v0_5.TensorId("raw"), axis_id=v0_5.AxisId(axis)
                    ),
                    halo=halo,
                )
                for axis in "yx"
            ),
        ],
        test_tensor=file_of(out / "test_output.npy"),
        data=v0_5.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
        postprocessing=[
            v0_5.SigmoidDescr(),
            v0_5.EnsureDtypeDescr(kwargs=v0_5.EnsureDtypeKwargs(dtype="float32")),
        ],
    )


def describe_weights(out: Path) -> v0_5.WeightsDescr:
    """Describe the two files that hold the network."""
    onnx_file, torch_file = file_of(out / "weights.onnx"), file_of(out / "weights.pt")
    return v0_5.WeightsDescr(
        onnx=v0_5.OnnxWeightsDescr(
            source=onnx_file.source,
            sha256=onnx_file.sha256,
            opset_version=OPSET,
            parent="torchscript",
        ),
        torchscript=v0_5.TorchscriptWeightsDescr(
            source=torch_file.source,
            sha256=torch_file.sha256,
            pytorch_version=v0_5.Version(torch.__version__.partition("+")[0]),
        ),
    )


def describe(out: Path, halo: int, parameters: int) -> None:
    """Write `bioimageio.yaml` for the files that lie in a folder."""
    author = v0_5.Author(name="bioimageio_fn developers")
    with ValidationContext(root=out):
        model = v0_5.ModelDescr(
            name=NAME,
            description=DESCRIPTION,
            version=v0_5.Version(VERSION),
            timestamp=v0_5.Datetime(TIMESTAMP),
            authors=[author],
            license=v0_5.LicenseId("MIT"),
            tags=["nuclei", "fluorescence", "2d", "segmentation", "unet", "synthetic"],
            cite=[
                v0_5.CiteEntry(
                    text="Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for "
                    "Biomedical Image Segmentation. MICCAI 2015.",
                    doi=v0_5.Doi("10.1007/978-3-319-24574-4_28"),
                )
            ],
            covers=[file_of(out / "cover.png")],
            documentation=file_of(out / "README.md"),
            inputs=[describe_input(out)],
            outputs=[describe_output(out, halo)],
            weights=describe_weights(out),
            config=v0_5.Config(
                bioimageio=v0_5.BioimageioConfig(
                    architecture_type="U-Net",
                    modality="fluorescence microscopy",
                    target_structure=["nucleus"],
                    task="semantic segmentation",
                    model_parameter_count=parameters,
                )
            ),
        )
        save_bioimageio_yaml_only(model, out / "bioimageio.yaml")


README = """\
# {name}

{description} It is there to try the library and to test it, not for research.

- Input `raw`: an image of bright nuclei on a darker background, normalised to zero mean and unit
  variance as a whole. Nuclei may measure about 8 to 50 pixels across.
- Output `probability`: for each pixel the probability that it belongs to a nucleus.
- The network: {parameters} parameters, two poolings, no layer that depends on the whole image. An
  input pixel changes the output up to {reach} pixels away, so tiles need a halo of {halo}.
- Training: {steps} steps on {pool} images drawn by `scripts/draw_nuclei.py`. No recorded image was
  used. `python scripts/train_demo_model.py` makes this folder anew.

## Validation

On {count} drawn images apart from the training images, the foreground cut at one half reached a
median intersection over union of {median:.3f} (lowest {lowest:.3f}).

Not to be expected: nuclei told apart where they touch, images in bright field, structures other
than nuclei left out.
"""


def draw_cover(image: NDArray[np.uint16], probability: Float, path: Path) -> None:
    """Save the middle of an image and its prediction side by side, two wide and one high."""
    side = 240
    y, x = ((size - side) // 2 for size in image.shape)
    window = (slice(y, y + side), slice(x, x + side))
    low, high = np.percentile(image[window], (0.5, 99.5))
    shown = np.clip((image[window] - low) / (high - low), 0, 1)
    pair = np.hstack((shown, probability[window]))
    Image.fromarray(np.round(255 * pair).astype(np.uint8)).save(path, optimize=True)


# --- checks ---------------------------------------------------------------------------------------


def largest_difference(one: Network, other: Network) -> float:
    """The largest difference of two probabilities over batches of several sizes."""
    rng = np.random.default_rng(5)
    shapes = ((1, 1, 64, 64), (2, 1, 72, 100), (2, 1, 200, 132), (1, 1, 256, 320))
    raws = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    return max(float(np.abs(sigmoid(one(raw)) - sigmoid(other(raw))).max()) for raw in raws)


def check(out: Path, network: UNet, halo: int) -> None:
    """Compare the written files with the network and with each other.

    Raises:
        ValueError: If the files do not describe the network that was trained.
    """
    torch_network = run_torch(network)
    onnx_network = run_onnx(out / "weights.onnx")
    script_network = run_torch(torch.jit.load(out / "weights.pt"))
    image, _ = drawn(*TILED_IMAGE)
    seams = predict_tiled(onnx_network, image, 96, halo) - predict(onnx_network, image)
    differences = {
        "ONNX and torch": largest_difference(onnx_network, torch_network),
        "TorchScript and torch": largest_difference(script_network, torch_network),
        "tiles and whole": float(np.abs(seams).max()),
    }
    for what, difference in differences.items():
        print(f"largest difference of {what}: {difference:.1e}")
        if not difference < TOLERANCE:
            raise ValueError(f"{what} differ by {difference}")
    described = load_description(out / "bioimageio.yaml")
    if isinstance(described, InvalidDescr):
        raise ValueError(described.validation_summary.format())  # noqa: TRY004
    print(f"{type(described).__name__} {described.validation_summary.status}")
    here = str(Path(__file__).resolve().parents[1]).encode()
    if telling := [path.name for path in out.iterdir() if here in path.read_bytes()]:
        raise ValueError(f"{telling} tell where they were made")


# --- the command ----------------------------------------------------------------------------------


def make(out: Path, steps: int, seed: int) -> None:
    """Train and write everything, the demo image beside the model included."""
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    network = train(steps, seed)
    print(f"drawing and training took {time.perf_counter() - started:.0f} s")
    parameters = sum(values.numel() for values in network.parameters())
    reach = reach_of(network)
    halo = math.ceil(reach / STEP) * STEP
    print(f"{parameters} parameters, reach {reach}, halo {halo}")
    export_onnx(network, out / "weights.onnx")
    export_torchscript(network, out / "weights.pt")

    run = run_onnx(out / "weights.onnx")
    test, _ = drawn(*TEST_IMAGE)
    np.save(out / "test_input.npy", test[None, None])
    np.save(out / "test_output.npy", predict(run, test)[None, None])
    demo, mask = drawn(*DEMO_IMAGE)
    tifffile.imwrite(
        out.parent / "image.tif", demo, compression="zlib", metadata={"axes": "YX"}, software=""
    )
    probability = predict(run, demo)
    draw_cover(demo, probability, out / "cover.png")
    print("demo image:", score(probability, mask))

    held_out = (drawn((HELD_OUT, index), POOL_SHAPE) for index in range(HELD_OUT_COUNT))
    overlaps = [score(predict(run, image), mask)[0] for image, mask in held_out]
    median, lowest = float(np.median(overlaps)), min(overlaps)
    print(f"{HELD_OUT_COUNT} drawn images held out: median {median:.3f}, lowest {lowest:.3f}")
    readme = README.format(
        name=NAME,
        description=DESCRIPTION,
        parameters=parameters,
        reach=reach,
        halo=halo,
        steps=steps,
        pool=POOL,
        count=HELD_OUT_COUNT,
        median=median,
        lowest=lowest,
    )
    (out / "README.md").write_text(readme, "utf-8")
    describe(out, halo, parameters)
    check(out, network, halo)


def main() -> None:
    """Read the command line and do what it says."""
    demo = Path(__file__).resolve().parents[1] / "bioimageio_fn" / "demo"
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=demo / "model", help="folder of the model")
    parser.add_argument("--steps", type=int, default=2000, help="how long to train")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument(
        "--score",
        type=Path,
        nargs=2,
        metavar=("IMAGE", "MASK"),
        help="do not train, but score the model in the folder on a TIFF image",
    )
    given = parser.parse_args()
    # Two threads on every machine, because their number changes the order of sums.
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(mode=True)
    # Both exporters are on their way out of torch; what they write is checked below.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    if given.score:
        image, mask = (tifffile.imread(path) for path in given.score)
        print(score(predict(run_onnx(given.out / "weights.onnx"), image), mask > 0))
    else:
        make(given.out, given.steps, given.seed)


if __name__ == "__main__":
    main()
