"""The tolerance of an output comes from the description, or from the newest text of the format."""

import pytest
from bioimageio.spec import dump_description
from descriptions import build, image04, image05

from bioimageio_fn.contract.read import model_contract
from bioimageio_fn.validation.records import Tolerance
from bioimageio_fn.validation.tolerances import CONTINUOUS, DISCRETE, tolerance_of


def tolerance(model, weights_format="onnx"):
    description = build(model)
    assert description.validation_summary.status != "failed", description.validation_summary
    return tolerance_of(description, model_contract(description).outputs[0], weights_format)


def with_config(model, **bioimageio):
    return {**model, "config": {"bioimageio": bioimageio}}


@pytest.mark.parametrize("make", [image04, image05])
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        *(("float32", CONTINUOUS), ("float64", CONTINUOUS)),
        *(("uint16", DISCRETE), ("int64", DISCRETE)),
    ],
)
def test_without_one_the_newest_text_of_the_format_counts(make, dtype, expected):
    assert tolerance(make(out_dtype=dtype)) == expected


def test_the_defaults_are_those_of_the_text():
    assert Tolerance(1e-3, 1e-3, 100) == CONTINUOUS
    assert Tolerance(0, 0, 1000) == DISCRETE


def entry(**fields):
    return {"relative_tolerance": 0.01, "absolute_tolerance": 0.0, **fields}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry()], 0.01),
        ([entry(weights_formats=["torchscript"])], 1e-3),
        ([entry(weights_formats=["torchscript"]), entry(relative_tolerance=0.005)], 0.005),
        ([entry(output_ids=["out"]), entry(relative_tolerance=0.005)], 0.01),
        ([entry(output_ids="any_continuous_output")], 0.01),
    ],
)
def test_the_first_entry_that_names_it_counts(entries, expected):
    model = with_config(image05(), reproducibility_tolerance=entries)

    assert tolerance(model).relative == expected


def test_labels_have_to_be_the_same_whatever_is_described():
    entries = [entry(mismatched_elements_per_million=7)]
    model = with_config(image05(out_dtype="uint16"), reproducibility_tolerance=entries)

    assert tolerance(model) == Tolerance(0, 0, 7)


def test_entries_for_discrete_and_continuous_outputs_are_told_apart():
    entries = [
        {"output_ids": "any_discrete_output", "mismatched_elements_per_million": 5},
        entry(output_ids="any_continuous_output"),
    ]

    found = {
        dtype: tolerance(with_config(image05(out_dtype=dtype), reproducibility_tolerance=entries))
        for dtype in ("uint8", "float32")
    }

    assert found == {"uint8": Tolerance(0, 0, 5), "float32": Tolerance(0.01, 0, 100)}


@pytest.mark.parametrize("make", [image04, image05])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"relative_tolerance": 0.2}, Tolerance(0.2, 1e-3, 100)),
        ({"absolute_tolerance": 0.2}, Tolerance(1e-3, 0.2, 100)),
        ({"decimal": 3}, Tolerance(0, 1.5e-3, 0)),
        ({"decimal": "many", "relative_tolerance": "some"}, CONTINUOUS),
        ("nothing", CONTINUOUS),
    ],
)
def test_older_keywords_count_for_their_format(make, given, expected):
    model = with_config(make(), test_kwargs={"onnx": given})

    assert tolerance(model) == expected
    assert tolerance(model, "torchscript") == CONTINUOUS


def test_defaults_that_were_written_into_a_file_do_not_hide_older_keywords():
    older = build(with_config(image05(), test_kwargs={"onnx": {"relative_tolerance": 0.2}}))
    saved = dump_description(older)
    assert saved["config"]["bioimageio"]["reproducibility_tolerance"]

    assert tolerance(saved).relative == 0.2


def test_defaults_that_were_written_into_a_file_are_still_other_for_labels():
    saved = dump_description(build(with_config(image05(out_dtype="uint16"), other=1)))
    assert saved["config"]["bioimageio"]["reproducibility_tolerance"]

    assert tolerance(saved) == DISCRETE


def test_an_entry_counts_before_older_keywords():
    kwargs = {"onnx": {"relative_tolerance": 0.2}}
    model = with_config(image05(), reproducibility_tolerance=[entry()], test_kwargs=kwargs)

    assert tolerance(model).relative == 0.01
