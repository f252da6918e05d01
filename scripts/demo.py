"""Run the demo model on the demo image, and show what comes out.

Writes `demo_output/probability.tif` and `demo_output/demo.png`: the image, the prediction, and the
outline of the nuclei found, side by side.
"""

from pathlib import Path

import numpy as np
from imageio.v3 import imwrite

import bioimageio_fn as fn

FOLDER = Path("demo_output")
GAP = 8


def to_grey(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """An image between two values as 8-bit grey in three channels."""
    scaled = np.clip((image.astype("float32") - low) / (high - low), 0, 1)
    return np.repeat((scaled * 255).astype("uint8")[..., None], 3, axis=-1)


def outline(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask that touch its outside."""
    wide = np.pad(mask, 1)
    inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask & ~inner


def panels(image: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Image, prediction, and image with the outline of what was found, side by side."""
    grey = to_grey(image, *np.percentile(image, [1, 99.5]))
    outlined = grey.copy()
    outlined[outline(probability > 0.5)] = (255, 80, 0)
    gap = np.full((len(grey), GAP, 3), 255, "uint8")
    return np.concatenate([grey, gap, to_grey(probability, 0, 1), gap, outlined], axis=1)


def main() -> None:
    """Predict, write, and say where."""
    image = fn.read_image(fn.demo_image())
    result = fn.predict(
        model=fn.demo_model(),
        inputs=fn.demo_image(),
        save_output_path=FOLDER / "probability.tif",
    )
    picture = FOLDER / "demo.png"
    imwrite(picture, panels(image, np.asarray(result)[0, 0]))
    print(f"prediction: {(FOLDER / 'probability.tif').absolute()}")
    print(f"picture:    {picture.absolute()}")


if __name__ == "__main__":
    main()
