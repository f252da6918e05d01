"""Everything that opens a model package, which is input from a stranger.

What holds here: what looks like a path is answered at once, without a request; text is measured
while it is read; a file is used only if it lies in the package and has the sha256 that the
description gives; nothing in a package is ever executed here.
"""

from __future__ import annotations

from .demo import demo_image, demo_model
from .loading import (
    as_model,
    as_valid,
    described,
    fields_of_source,
    load_description,
    load_model,
    load_model_description,
    load_resource,
    looked_at,
)
from .local import local_file, local_file_with, staged
from .tensors import test_inputs, test_outputs

__all__ = [
    "as_model",
    "as_valid",
    "demo_image",
    "demo_model",
    "described",
    "fields_of_source",
    "load_description",
    "load_model",
    "load_model_description",
    "load_resource",
    "local_file",
    "local_file_with",
    "looked_at",
    "staged",
    "test_inputs",
    "test_outputs",
]
