"""`predict_sample_...`: the names by which users know `run` with one plan or another.

What holds here: each is `run` with a `default_plan`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pipeline import Pipeline, default_plan, run
from .sample import Sample

__all__ = [
    "predict_sample_with_blocking",
    "predict_sample_with_fixed_blocking",
    "predict_sample_without_blocking",
]


def predict_sample_without_blocking(pipeline: Pipeline, inputs: Any) -> Sample:
    """Predict a sample in one block, however large; the name that users know.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> predict_sample_without_blocking(pipeline, np.zeros((40, 50), "uint16"))
        Sample(probability=Tensor(batch=1, channel=1, y=40, x=50, dtype=float32))
    """
    return run(pipeline, inputs, default_plan(pipeline, inputs, block_shape={}))


def predict_sample_with_blocking(
    pipeline: Pipeline,
    inputs: Any,
    blocksize_parameter: int | Mapping[Any, Any] | None = None,
    *,
    batch_size: int | None = None,
) -> Sample:
    """Predict a sample in blocks of the sizes that the format's parameter n stands for.

    Args:
        blocksize_parameter: see `plan_blocks`; by default the blocks that compute the fewest
            pixels.
        batch_size: how many samples, or blocks of one, the network gets at a time.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> predict_sample_with_blocking(pipeline, np.zeros((40, 50), "uint16"), 1)
        Sample(probability=Tensor(batch=1, channel=1, y=40, x=50, dtype=float32))
    """
    options = {"blocksize_parameter": blocksize_parameter, "batch_size": batch_size}
    return run(pipeline, inputs, default_plan(pipeline, inputs, **options))


def predict_sample_with_fixed_blocking(
    pipeline: Pipeline, inputs: Any, input_block_shape: Mapping[str, Any]
) -> Sample:
    """Predict a sample in blocks of a given shape.

    Args:
        input_block_shape: `block_shape` of `plan_blocks`.

    Examples:
        >>> import numpy as np
        >>> import bioimageio_fn as fn
        >>> pipeline = fn.create_prediction_pipeline(fn.demo_model())
        >>> predict_sample_with_fixed_blocking(pipeline, np.zeros((90, 80), "uint8"), {"x": 64})
        Sample(probability=Tensor(batch=1, channel=1, y=90, x=80, dtype=float32))
    """
    return run(pipeline, inputs, default_plan(pipeline, inputs, block_shape=input_block_shape))
