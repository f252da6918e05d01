"""The tables of docs/from-bioimageio-core.md: what is `here` is there and works, the rest is not.

A name may not be in the package and in no table: this is how the page stays complete.
"""

import gc
import inspect
import re
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

import bioimageio_fn as fn
from bioimageio_fn.ops.records import Sigmoid

DOCS = Path(__file__).parents[1] / "docs"
NAME = re.compile(r"`([\w.]+)`")
DATASET = {
    "format_version": "0.3.0",
    "type": "dataset",
    "name": "drawn nuclei",
    "description": "drawn, not recorded",
    "authors": [{"name": "someone"}],
    "cite": [{"text": "none", "url": "https://example.com"}],
    "license": "MIT",
    "documentation": None,
}


def rows_of(columns):
    """The rows of every table with these columns."""
    rows = []
    inside = False
    for line in (DOCS / "from-bioimageio-core.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line[:1] == "|" else None
        if cells is None:
            inside = False
        elif cells == columns:
            inside = True
        elif inside and not set(line) <= set("|-"):
            assert len(cells) == len(columns), line
            rows.append(dict(zip(columns, cells, strict=True)))
    return rows


def named(cell):
    """The first name in a cell."""
    found = NAME.search(cell)
    assert found is not None, cell
    return found[1]


NAMES = rows_of(["there", "ours", "difference", "state"])
ARGUMENTS = rows_of(["function", "there", "ours", "difference", "state"])
HERE = [named(row["ours"]) for row in NAMES if row["state"] == "here"]
TO_COME = [named(row["ours"]) for row in NAMES if row["state"] == "to come"]


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 1000, (80, 96)).astype("uint16")


@pytest.fixture(scope="module")
def sample(image, demo):
    return fn.as_sample(image, demo.contract)


def shapes(sample):
    return {name: tensor.sizes for name, tensor in sample.members.items()}


# how each name that is here is used once; `t` has: image, sample, demo (a pipeline), folder (empty)
CALLS = {
    "load_description": lambda t: fn.load_description(fn.demo_model()).type == "model",
    "load_resource": lambda t: fn.load_resource(fn.demo_model()).type == "model",
    "load_model": lambda t: fn.load_model(fn.demo_model()).inputs[0].id == "raw",
    "load_model_description": lambda t: fn.load_model_description(fn.demo_model()).name,
    "load_dataset_description": lambda t: (
        fn.load_dataset_description(saved_dataset(t.folder)).name == DATASET["name"]
    ),
    "load_description_and_validate_format_only": lambda t: (
        fn.load_description_and_validate_format_only(fn.demo_model()).status == "valid-format"
    ),
    "build_description": lambda t: fn.build_description(DATASET).type == "dataset",
    "dump_description": lambda t: (
        fn.dump_description(fn.build_description(DATASET))["name"] == DATASET["name"]
    ),
    "validate_format": lambda t: fn.validate_format(DATASET).status == "valid-format",
    "save_bioimageio_package": lambda t: fn.save_bioimageio_package(
        fn.demo_model(), output_path=t.folder / "a.zip"
    ).exists(),
    "save_bioimageio_package_as_folder": lambda t: fn.save_bioimageio_package_as_folder(
        fn.demo_model(), output_path=t.folder / "copy"
    ).is_dir(),
    "add_weights": lambda t: (
        fn.add_weights(only_torchscript(t.folder), t.folder / "added").added == ("onnx",)
    ),
    "update_format": lambda t: fn.update_format(fn.demo_model()).diff == "",
    "update_hashes": lambda t: fn.update_hashes(fn.demo_model()).diff == "",
    "save_bioimageio_yaml_only": lambda t: saved_dataset(t.folder).exists(),
    "settings": lambda t: fn.settings.cache_path,
    "Settings": lambda t: isinstance(fn.settings, fn.Settings),
    "ValidationSummary": lambda t: isinstance(fn.validate_format(DATASET), fn.ValidationSummary),
    "InvalidDescr": lambda t: isinstance(
        fn.build_description({"type": "dataset"}), fn.InvalidDescr
    ),
    "load_description_and_test": lambda t: (
        fn.load_description_and_test(saved_dataset(t.folder)).validation_summary.status == "passed"
    ),
    "test_model": lambda t: fn.test_model(fn.demo_model(), "onnx").status == "passed",
    "test_description": lambda t: (
        fn.test_description(saved_dataset(t.folder), expected_type="model").status == "failed"
    ),
    "test_resource": lambda t: fn.test_resource is fn.test_description,
    "enable_determinism": lambda t: fn.enable_determinism("seed_only", ["onnx"]) is None,
    "Axis": lambda t: fn.Axis("b").type == "batch",
    "AxisId": lambda t: fn.AxisId("b") == "batch",
    "MemberId": lambda t: fn.MemberId("raw") == "raw",
    "Tensor": lambda t: fn.Tensor(t.image, "yx").sizes == {"y": 80, "x": 96},
    "Sample": lambda t: fn.Sample({"raw": fn.Tensor(t.image, "yx")})["raw"].dtype == "uint16",
    "BlockMeta": lambda t: fn.BlockMeta(0, 1, {}).count == 1,
    "Stat": lambda t: isinstance(t.sample.stat, fn.Stat.__origin__),
    "predict": lambda t: fn.predict(model=fn.demo_model(), inputs=fn.demo_image()).id == "image",
    "predict_many": lambda t: len(list(fn.predict_many(model=t.demo, inputs=[t.image] * 2))) == 2,
    "create_prediction_pipeline": lambda t: (
        fn.create_prediction_pipeline(fn.demo_model()) == t.demo
    ),
    "__version__": lambda t: fn.__version__.count(".") == 2,
    "Pipeline": lambda t: t.demo(t.image)["probability"].shape == (1, 1, 80, 96),
    "Pipeline.close": lambda t: t.demo.close() or t.demo.close() or t.demo(t.image),
    "predict_sample_without_blocking": lambda t: fn.predict_sample_without_blocking(
        t.demo, t.sample
    ),
    "predict_sample_with_blocking": lambda t: fn.predict_sample_with_blocking(
        t.demo, t.sample, blocksize_parameter=1, batch_size=2
    ),
    "predict_sample_with_fixed_blocking": lambda t: fn.predict_sample_with_fixed_blocking(
        t.demo, t.sample, input_block_shape={"x": 64}
    ),
    "predict_blocks": lambda t: len(list(fn.predict_blocks(t.demo, t.sample, cut(t)))) > 1,
    "split": lambda t: len(list(fn.split(t.sample, cut(t)))) == cut(t).count > 1,
    "merge": lambda t: fn.merge(fn.split(t.sample, cut(t)), cut(t)) == t.sample,
    "test_inputs": lambda t: list(fn.test_inputs(fn.demo_model()).members) == ["raw"],
    "test_outputs": lambda t: list(fn.test_outputs(fn.demo_model()).members) == ["probability"],
    "as_sample": lambda t: fn.as_sample(t.image, t.demo.contract) == t.sample,
    "save_sample": lambda t: fn.save_sample(t.sample, t.folder / "{sample_id}.npy")[0].exists(),
    "compute_dataset_measures": lambda t: (
        fn.compute_dataset_measures([MEAN], [t.sample])[MEAN] == mean_of(t.image)
    ),
    "compute_sample_measures": lambda t: (
        fn.compute_sample_measures([MEAN], t.sample)[MEAN] == mean_of(t.image)
    ),
    "compute_measures": lambda t: fn.compute_measures([MEAN], [t.sample])[MEAN] == mean_of(t.image),
    "save_stat": lambda t: saved_stat(t.folder).exists(),
    "load_stat": lambda t: float(fn.load_stat(saved_stat(t.folder))[MEAN].data) == 3,
    "describe_0_5": lambda t: fn.describe_0_5(Sigmoid()) == {"id": "sigmoid"},
    "describe_0_4": lambda t: fn.describe_0_4(Sigmoid(), ("y", "x")) == {"name": "sigmoid"},
    "with_dataset": lambda t: fn.with_dataset(t.demo, [t.image])(t.image) == t.demo(t.image),
    "run_carrying": lambda t: fn.run_carrying(t.demo, t.image, fn.Carried())[0] == t.demo(t.image),
    "Carried": lambda t: dict(fn.Carried().before) == {},
    "Transform": lambda t: callable(fn.Transform(Sigmoid(), "raw")),
    "compose": lambda t: fn.compose(t.demo.preprocess, ()) == t.demo.preprocess,
    "apply": lambda t: fn.apply((), t.sample) is t.sample,
    "fit": lambda t: all(s.values is not None for s in fn.fit(t.demo.preprocess, t.sample)),
    "run": lambda t: fn.run(t.demo, t.sample, cut(t)).members.keys() == {"probability"},
    "default_plan": lambda t: fn.default_plan(t.demo, t.sample).count == 1,
    "plan_blocks": lambda t: fn.plan_blocks(t.demo.contract, shapes(t.sample)).count == 1,
    "BlockPlan": lambda t: isinstance(cut(t), fn.BlockPlan),
    "SampleBlock": lambda t: isinstance(next(fn.split(t.sample, cut(t))), fn.SampleBlock),
    "Measure": lambda t: fn.Measure("mean", "raw", "yx") == fn.Measure("mean", "raw", "xy"),
    "model_contract": lambda t: fn.model_contract(fn.load_model(fn.demo_model())).name,
    "ModelContract": lambda t: isinstance(t.demo.contract, fn.ModelContract),
    "create_model_adapter": lambda t: fn.create_model_adapter is fn.load_backend,
    "load_backend": lambda t: callable(fn.load_backend(fn.demo_model())),
    "Backend": lambda t: isinstance(t.demo.backend, fn.Backend),
    "demo_model": lambda t: fn.demo_model().is_dir(),
    "demo_image": lambda t: fn.demo_image().is_file(),
}


MEAN = fn.Measure("mean", "raw", scope="dataset")


def mean_of(image):
    return fn.Tensor(np.asarray(image.mean()), "")


def saved_stat(folder):
    fn.save_stat({MEAN: 3}, folder / "stat.json")
    return folder / "stat.json"


def cut(t):
    return fn.default_plan(t.demo, t.sample, block_shape={"x": 64}, halo=4)


def saved_dataset(folder):
    path = folder / "rdf.yaml"
    fn.save_bioimageio_yaml_only(fn.build_description(DATASET), path)
    return path


def only_torchscript(folder):
    return fn.save_bioimageio_package_as_folder(
        fn.demo_model(), output_path=folder / "model", weights_priority_order=["torchscript"]
    )


class Things:
    """What the calls above work on."""

    def __init__(self, image, sample, demo, folder):
        self.image, self.sample, self.demo, self.folder = image, sample, demo, folder


@pytest.mark.filterwarnings(
    # bioimageio.spec leaves the files open that it reads
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
@pytest.mark.parametrize("name", HERE)
def test_what_is_here_is_here_and_works(name, image, sample, demo, tmp_path):
    attrgetter(name)(fn)

    assert CALLS[name](Things(image, sample, demo, tmp_path))

    gc.collect()


@pytest.mark.parametrize("name", TO_COME)
def test_what_is_to_come_is_not_here_yet(name):
    with pytest.raises(AttributeError):
        attrgetter(name)(fn)


@pytest.mark.parametrize(
    "row", ARGUMENTS, ids=[f"{named(r['function'])}-{named(r['ours'])}" for r in ARGUMENTS]
)
def test_arguments_are_as_the_table_says(row):
    arguments = inspect.signature(getattr(fn, named(row["function"]))).parameters

    assert (named(row["ours"]) in arguments) == (row["state"] == "here")


@pytest.mark.parametrize("name", ["predict", "predict_many", "create_prediction_pipeline"])
def test_every_argument_of_the_main_functions_is_in_the_table(name):
    listed = {named(row["ours"]) for row in ARGUMENTS if named(row["function"]) == name}

    assert set(inspect.signature(getattr(fn, name)).parameters) <= listed


def test_every_row_has_a_state_and_no_name_two_rows():
    assert {row["state"] for row in [*NAMES, *ARGUMENTS]} <= {"here", "to come"}
    ours = [named(row["ours"]) for row in NAMES]
    assert len(ours) == len(set(ours))


def test_every_row_stands_in_a_table():
    lines = (DOCS / "from-bioimageio-core.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if re.search(r"\| (here|to come) \|$", line)]

    assert len(rows) == len(NAMES) + len(ARGUMENTS)


@pytest.mark.parametrize("name", sorted(fn.__all__))
def test_every_public_name_is_documented(name):
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")

    assert name in HERE or f"`{name}`" in reference


def test_the_reference_names_everything_at_the_top():
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")

    assert [name for name in fn.__all__ if f"`{name}`" not in reference] == []
