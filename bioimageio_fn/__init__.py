"""Run BioImage.IO models on microscopy images, as a composition of pure functions.

    import bioimageio_fn as fn

    probability = fn.predict(model=fn.demo_model(), inputs=fn.demo_image())

Names are imported when they are first used (PEP 562): importing this package loads no framework
and not even `bioimageio.spec`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .axes import Axis as Axis
    from .axes import AxisId as AxisId
    from .axes import MemberId as MemberId
    from .backends.choose import Backend as Backend
    from .backends.choose import create_model_adapter as create_model_adapter
    from .backends.choose import load_backend as load_backend
    from .blocks.choose import MemoryModel as MemoryModel
    from .blocks.merge import merge as merge
    from .blocks.plan import plan_blocks as plan_blocks
    from .blocks.records import BlockPlan as BlockPlan
    from .blocks.split import split as split
    from .calibration import Calibration as Calibration
    from .calibration import PixelSize as PixelSize
    from .contract.describing import describe_0_4 as describe_0_4
    from .contract.describing import describe_0_5 as describe_0_5
    from .contract.read import model_contract as model_contract
    from .contract.records import ModelContract as ModelContract
    from .descriptions import InvalidDescr as InvalidDescr
    from .descriptions import Settings as Settings
    from .descriptions import ValidationSummary as ValidationSummary
    from .descriptions import build_description as build_description
    from .descriptions import dump_description as dump_description
    from .descriptions import load_dataset_description as load_dataset_description
    from .descriptions import (
        load_description_and_validate_format_only as load_description_and_validate_format_only,
    )
    from .descriptions import save_bioimageio_package as save_bioimageio_package
    from .descriptions import save_bioimageio_package_as_folder as save_bioimageio_package_as_folder
    from .descriptions import save_bioimageio_yaml_only as save_bioimageio_yaml_only
    from .descriptions import settings as settings
    from .descriptions import validate_format as validate_format
    from .io.images import open_image as open_image
    from .io.images import read_image as read_image
    from .io.images import write_image as write_image
    from .io.labelled import open_tensor as open_tensor
    from .making import create_prediction_pipeline as create_prediction_pipeline
    from .making import dataset_statistics as dataset_statistics
    from .making import with_dataset as with_dataset
    from .network import offline as offline
    from .ops.chain import apply as apply
    from .ops.chain import compose as compose
    from .ops.fitting import fit as fit
    from .ops.transform import Transform as Transform
    from .package import demo_image as demo_image
    from .package import demo_model as demo_model
    from .package import load_description as load_description
    from .package import load_model as load_model
    from .package import load_model_description as load_model_description
    from .package import load_resource as load_resource
    from .package import test_inputs as test_inputs
    from .package import test_outputs as test_outputs
    from .pipeline import Carried as Carried
    from .pipeline import Pipeline as Pipeline
    from .pipeline import default_plan as default_plan
    from .pipeline import predict_blocks as predict_blocks
    from .pipeline import run as run
    from .pipeline import run_carrying as run_carrying
    from .predict_sample import predict_sample_with_blocking as predict_sample_with_blocking
    from .predict_sample import (
        predict_sample_with_fixed_blocking as predict_sample_with_fixed_blocking,
    )
    from .predict_sample import predict_sample_without_blocking as predict_sample_without_blocking
    from .prediction import predict as predict
    from .prediction import predict_many as predict_many
    from .reading import as_sample as as_sample
    from .sample import BlockMeta as BlockMeta
    from .sample import Sample as Sample
    from .sample import SampleBlock as SampleBlock
    from .sample import Stat as Stat
    from .saving import save_sample as save_sample
    from .seams import measure_seams as measure_seams
    from .stats.compute import compute_dataset_measures as compute_dataset_measures
    from .stats.compute import compute_measures as compute_measures
    from .stats.compute import compute_sample_measures as compute_sample_measures
    from .stats.files import load_stat as load_stat
    from .stats.files import save_stat as save_stat
    from .stats.measure import Measure as Measure
    from .tensor import Tensor as Tensor
    from .updating import update_format as update_format
    from .updating import update_hashes as update_hashes
    from .validation.determinism import enable_determinism as enable_determinism
    from .validation.examining import examine as examine
    from .validation.reach import measure_reach as measure_reach
    from .validation.report import html_report as html_report
    from .validation.report import save_report as save_report
    from .validation.testing_models import (
        load_description_and_test as load_description_and_test,
    )
    from .validation.testing_models import test_description as test_description
    from .validation.testing_models import test_model as test_model
    from .validation.testing_models import test_resource as test_resource
    from .weights.add import add_weights as add_weights

__version__ = "0.1.0"

_NAMES = {
    "axes": ("Axis", "AxisId", "MemberId"),
    "backends.choose": ("Backend", "create_model_adapter", "load_backend"),
    "blocks.choose": ("MemoryModel",),
    "blocks.merge": ("merge",),
    "blocks.plan": ("plan_blocks",),
    "blocks.records": ("BlockPlan",),
    "blocks.split": ("split",),
    "calibration": ("Calibration", "PixelSize"),
    "contract.describing": ("describe_0_4", "describe_0_5"),
    "contract.read": ("model_contract",),
    "contract.records": ("ModelContract",),
    "descriptions": (
        "InvalidDescr",
        "Settings",
        "ValidationSummary",
        "build_description",
        "dump_description",
        "load_dataset_description",
        "load_description_and_validate_format_only",
        "save_bioimageio_package",
        "save_bioimageio_package_as_folder",
        "save_bioimageio_yaml_only",
        "settings",
        "validate_format",
    ),
    "io.images": ("open_image", "read_image", "write_image"),
    "io.labelled": ("open_tensor",),
    "making": ("create_prediction_pipeline", "dataset_statistics", "with_dataset"),
    "network": ("offline",),
    "ops.chain": ("apply", "compose"),
    "ops.fitting": ("fit",),
    "ops.transform": ("Transform",),
    "package": (
        "demo_image",
        "demo_model",
        "load_description",
        "load_model",
        "load_model_description",
        "load_resource",
        "test_inputs",
        "test_outputs",
    ),
    "pipeline": (
        "Carried",
        "Pipeline",
        "default_plan",
        "predict_blocks",
        "run",
        "run_carrying",
    ),
    "predict_sample": (
        "predict_sample_with_blocking",
        "predict_sample_with_fixed_blocking",
        "predict_sample_without_blocking",
    ),
    "prediction": ("predict", "predict_many"),
    "reading": ("as_sample",),
    "sample": ("BlockMeta", "Sample", "SampleBlock", "Stat"),
    "saving": ("save_sample",),
    "seams": ("measure_seams",),
    "stats.compute": (
        "compute_dataset_measures",
        "compute_measures",
        "compute_sample_measures",
    ),
    "stats.files": ("load_stat", "save_stat"),
    "stats.measure": ("Measure",),
    "tensor": ("Tensor",),
    "updating": ("update_format", "update_hashes"),
    "weights.add": ("add_weights",),
    "validation.determinism": ("enable_determinism",),
    "validation.examining": ("examine",),
    "validation.reach": ("measure_reach",),
    "validation.report": ("html_report", "save_report"),
    "validation.testing_models": (
        "load_description_and_test",
        "test_description",
        "test_model",
        "test_resource",
    ),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
