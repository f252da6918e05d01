"""The model that comes with the package: good, small, the same in both format versions."""

import shutil
from pathlib import Path

import attrs
import numpy as np
import pytest
from bioimageio.spec.utils import read_yaml, write_yaml

import bioimageio_fn as fn
from bioimageio_fn.io.images import read_image

# the format library does not close the files that it hashes
LEAVES_FILES_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def iou(a, b):
    return float((a & b).sum() / (a | b).sum())


def as_0_4(folder: Path, target: Path) -> Path:
    """The demo model's description rewritten by hand in format 0.4, beside copies of its files."""
    for file in folder.iterdir():
        if file.suffix != ".yaml":
            shutil.copy(file, target)
    new = read_yaml(folder / "bioimageio.yaml")
    sizes = [axis["size"] for axis in new["inputs"][0]["axes"][2:]]
    halo = new["outputs"][0]["axes"][2]["halo"]
    old = {
        "format_version": "0.4.10",
        "type": "model",
        "name": new["name"],
        "description": new["description"],
        "authors": new["authors"],
        "cite": [{"text": "U-Net", "doi": "10.1007/978-3-319-24574-4_28"}],
        "license": "MIT",
        "documentation": "README.md",
        "tags": ["nuclei"],
        "timestamp": "2025-01-01T00:00:00+00:00",
        "test_inputs": ["test_input.npy"],
        "test_outputs": ["test_output.npy"],
        "inputs": [
            {
                "name": "raw",
                "axes": "bcyx",
                "data_type": "uint16",
                "shape": {
                    "min": [1, 1, *(s["min"] for s in sizes)],
                    "step": [0, 0, *(s["step"] for s in sizes)],
                },
                "preprocessing": [
                    {
                        "name": "zero_mean_unit_variance",
                        "kwargs": {"mode": "per_sample", "axes": "cyx"},
                    }
                ],
            }
        ],
        "outputs": [
            {
                "name": "probability",
                "axes": "bcyx",
                "data_type": "float32",
                "data_range": [0.0, 1.0],
                "halo": [0, 0, halo, halo],
                "shape": {
                    "reference_tensor": "raw",
                    "scale": [1.0, 1.0, 1.0, 1.0],
                    "offset": [0.0, 0.0, 0.0, 0.0],
                },
                "postprocessing": [{"name": "sigmoid"}],
            }
        ],
        "weights": {
            name: {"source": entry["source"], "sha256": entry["sha256"]}
            for name, entry in new["weights"].items()
        },
    }
    write_yaml(old, target / "rdf.yaml")
    return target


@pytest.fixture
def twin(tmp_path):
    return as_0_4(fn.demo_model(), tmp_path)


def test_it_is_small():
    files = [f for f in fn.demo_model().rglob("*") if f.is_file()]

    assert sum(f.stat().st_size for f in files) < 1_000_000


@LEAVES_FILES_OPEN
def test_it_is_valid_and_says_so_without_a_network():
    description = fn.load_description(fn.demo_model())

    assert description.validation_summary.status == "valid-format"


@pytest.mark.parametrize("weights_format", ["onnx", "torchscript"])
def test_it_reproduces_its_test_tensor(weights_format):
    expected = fn.test_outputs(fn.demo_model())

    actual = fn.predict(
        model=fn.demo_model(),
        inputs=fn.test_inputs(fn.demo_model()),
        weights_format=weights_format,
    )

    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "crop", [np.s_[:, :], np.s_[:300, :417], np.s_[200:260, 200:260]], ids=["512", "300", "60"]
)
def test_it_finds_nuclei_in_a_real_image(demo, nuclei, crop):
    image, mask = (a[crop] for a in nuclei)

    assert iou(np.asarray(demo(image))[0, 0] > 0.5, mask) >= 0.7


def test_its_twin_of_format_0_4_has_the_same_contract_and_gives_the_same_bytes(demo, twin, nuclei):
    old = fn.create_prediction_pipeline(twin, weights_format="onnx")
    image = nuclei[0][:150, :170]

    assert fn.load_model(twin, perform_io_checks=False).format_version.startswith("0.4")
    # format 0.4 has no names of channels
    unnamed = [
        tuple(attrs.evolve(axis, channel_names=()) for axis in tensor.axes)
        for tensor in (*demo.contract.inputs, *demo.contract.outputs)
    ]
    assert [t.axes for t in (*old.contract.inputs, *old.contract.outputs)] == unnamed
    assert np.asarray(old(image)).tobytes() == np.asarray(demo(image)).tobytes()


def test_its_twin_gives_the_same_bytes_in_blocks(demo, twin, nuclei):
    old = fn.create_prediction_pipeline(twin, weights_format="onnx")
    results = []
    for pipeline in (old, demo):
        sample = fn.as_sample(nuclei[0][:200, :300], pipeline.contract)
        plan = fn.default_plan(pipeline, sample, block_shape={"y": 128, "x": 128})
        results.append(np.asarray(fn.run(pipeline, sample, plan)))

    assert plan.count > 1
    assert np.array_equal(*results)  # format 0.4 has no names of channels


def test_its_described_halo_covers_its_reach(demo, nuclei):
    sample = fn.as_sample(nuclei[0][:300, :417], demo.contract)
    plan = fn.default_plan(demo, sample, block_shape={"y": 128, "x": 160})

    whole, blocks = fn.run(demo, sample), fn.run(demo, sample, plan)

    np.testing.assert_allclose(np.asarray(blocks), np.asarray(whole), rtol=0, atol=1e-5)


def test_the_demo_image_has_an_odd_size():
    assert read_image(fn.demo_image()).shape == (300, 417)
