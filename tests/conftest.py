"""What tests share: a real model with its published weights, a real image, and the demo model."""

import importlib.util
import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import tifffile

import bioimageio_fn as fn

hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

MODELS = Path(__file__).parents[2] / "shared" / "models"


@pytest.fixture(scope="session")
def real_model() -> Path:
    """Folder of the U-Net for nuclei of the BioImage.IO examples, with its published weights.

    Skipped only where the folder is not there and this is not CI: a broken set-up must not hide.
    """
    folder = MODELS / "unet2d_nuclei_broad"
    if not folder.exists() and not os.environ.get("CI"):
        pytest.skip(f"no published models at {MODELS}")
    return folder


@pytest.fixture(scope="session")
def nuclei() -> tuple[np.ndarray, np.ndarray]:
    """A real fluorescence image (512 x 512, uint16) and where its nuclei are (bool)."""
    spec = importlib.util.find_spec("stardist")  # found, not imported
    folder = Path(spec.submodule_search_locations[0]) / "data" / "images"
    return tifffile.imread(folder / "img2d.tif"), tifffile.imread(folder / "mask2d.tif") > 0


@pytest.fixture(scope="session")
def nuclei_path() -> Path:
    """The file of that image."""
    spec = importlib.util.find_spec("stardist")
    return Path(spec.submodule_search_locations[0]) / "data" / "images" / "img2d.tif"


@pytest.fixture(scope="session")
def demo() -> fn.Pipeline:
    """The demo model as a pipeline, run by onnxruntime."""
    return fn.create_prediction_pipeline(fn.demo_model(), weights_format="onnx")


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((a & b).sum() / (a | b).sum())
