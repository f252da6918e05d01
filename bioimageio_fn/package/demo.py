"""The model and the image that come with this package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["demo_image", "demo_model"]

_FOLDER = Path(__file__).parents[1] / "demo"


def demo_model() -> Path:
    """Folder of the model that comes with this package: nuclei in fluorescence images, 2D."""
    return _FOLDER / "model"


def demo_image() -> Path:
    """The image that comes with this package: drawn nuclei, 300 x 417 pixels, uint16."""
    return _FOLDER / "image.tif"
