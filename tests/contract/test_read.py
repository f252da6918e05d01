"""What a description says, in either format, is what its contract says."""

import pickle
from fractions import Fraction

import attrs
import pytest
from descriptions import (
    axis05,
    build,
    contract_of,
    image04,
    image05,
    implicit,
    model04,
    model05,
    ref,
    sized,
    sized04,
    step,
    step04,
    tensor04,
    tensor05,
)

from bioimageio_fn.contract.read import model_contract
from bioimageio_fn.contract.records import (
    AnySize,
    DataDependentSize,
    FixedSize,
    Padding,
    ParameterizedSize,
    ReferencedSize,
)
from bioimageio_fn.errors import DescriptionError
from bioimageio_fn.ops.records import EnsureDtype, Sigmoid


def sizes(tensor):
    return {axis.id: axis.size for axis in tensor.axes}


def out04(scale, offset, *, axes, raw="bcyx", smallest=(1, 2, 32, 32), by=(0, 0, 16, 16), **more):
    """The sizes of an output of format 0.4 with an implicit shape."""
    model = model04(
        [tensor04("raw", raw, sized04(smallest, by))],
        [tensor04("out", axes, implicit("raw", scale, offset), **more)],
    )
    return sizes(contract_of(model).outputs[0])


# ---------------------------------------------------------------- 0.4: implicit shapes


def test_axis_letters_become_ids():
    model = model04(
        [tensor04("raw", "bitczyx", [1, 2, 3, 4, 5, 6, 7])],
        [tensor04("out", "bitczyx", [1, 2, 3, 4, 5, 6, 7])],
    )
    (raw,) = contract_of(model).inputs

    assert raw.axis_ids == ("batch", "index", "time", "channel", "z", "y", "x")
    assert [a.type for a in raw.axes] == ["batch", "index", "time", "channel"] + ["space"] * 3


@pytest.mark.parametrize(
    ("scale", "exact"),
    [
        (1, Fraction(1)),
        (2.0, Fraction(2)),
        (0.5, Fraction(1, 2)),
        (0.25, Fraction(1, 4)),
        (3, Fraction(3)),
        (0.1, Fraction(1, 10)),
        (1 / 3, Fraction(1, 3)),
        (2 / 3, Fraction(2, 3)),
    ],
)
def test_a_scale_of_0_4_is_exact(scale, exact):
    result = out04([1, 1, scale, scale], None, axes="bcyx")

    assert result["y"] == ReferencedSize("raw", "y", exact)
    assert result["y"].of(30 * 32) == 30 * 32 * exact


@pytest.mark.parametrize(("offset", "pixels"), [(-2, -4), (0.5, 1), (-1.5, -3), (4, 8)])
def test_an_offset_of_0_4_stands_at_both_ends(offset, pixels):
    result = out04([1, 1, 1, 1], [0, 0, offset, 0], axes="bcyx")

    assert result["y"] == ReferencedSize("raw", "y", offset=Fraction(pixels))
    assert result["y"].of(64) == 64 + pixels
    assert result["x"] == ReferencedSize("raw", "x")


def test_an_offset_is_added_after_scaling():
    assert out04([1, 1, 0.5, 2], [0, 0, 1.5, -3], axes="bcyx")["y"].of(64) == 35
    assert out04([1, 1, 0.5, 2], [0, 0, 1.5, -3], axes="bcyx")["x"].of(64) == 122


def test_a_null_scale_is_a_new_axis_that_belongs_to_no_axis_of_the_reference():
    result = out04(
        [1, None, 1, 1],
        [0, 1.5, 0, 0],
        axes="bcyx",
        raw="byx",
        smallest=(1, 32, 32),
        by=(0, 16, 16),
    )

    assert result["channel"] == FixedSize(3)
    assert result["y"] == ReferencedSize("raw", "y")
    assert result["x"] == ReferencedSize("raw", "x")


def test_several_null_scales():
    result = out04(
        [1, None, None, 1, 1],
        [0, 1, 2.5, 0, 0],
        axes="bczyx",
        raw="byx",
        smallest=(1, 32, 32),
        by=(0, 16, 16),
    )

    assert (result["channel"], result["z"]) == (FixedSize(2), FixedSize(5))
    assert result["x"] == ReferencedSize("raw", "x")


def test_an_implicit_shape_is_matched_by_position_not_by_letter():
    result = out04([1, 1, 1, 1], None, axes="bxyc", smallest=(1, 16, 32, 48), by=(0, 0, 16, 16))

    # the text: shape(output) = shape(input) * scale + 2 * offset, element by element
    assert result["x"] == FixedSize(16) or result["x"] == ReferencedSize("raw", "channel")
    assert result["y"] == ReferencedSize("raw", "y")
    assert result["channel"] == ReferencedSize("raw", "x")


def test_a_zero_scale_still_uses_up_its_axis_of_the_reference():
    # valid 0.4, and common in the zoo for "this many channels, whatever the input has": only null
    # adds an axis; 0 * reference + 2 * offset stands in the place of one
    result = out04([1, 0, 1, 1], [0, 1.5, 0, 0], axes="bcyx")

    assert result == {
        "batch": AnySize(),
        "channel": FixedSize(3),
        "y": ReferencedSize("raw", "y"),
        "x": ReferencedSize("raw", "x"),
    }


def test_a_fixed_channel_that_is_referred_to_becomes_a_number():
    assert out04([1, 1, 1, 1], None, axes="bcyx")["channel"] == FixedSize(2)
    assert out04([1, 2, 1, 1], [0, -0.5, 0, 0], axes="bcyx")["channel"] == FixedSize(3)


def test_a_reference_to_an_implicit_output_of_0_4_leads_to_the_input():
    model = model04(
        [tensor04("raw", "bcyx", sized04([1, 1, 32, 32], [0, 0, 16, 16]))],
        [
            tensor04("half", "bcyx", implicit("raw", [1, 1, 0.5, 0.5], [0, 0, -1, 0])),
            tensor04("out", "bcyx", implicit("half", [1, 1, 3, 2], [0, 0, 0.5, 0])),
        ],
    )
    out = sizes(contract_of(model).tensor("out"))

    assert out["y"] == ReferencedSize("raw", "y", Fraction(3, 2), Fraction(-5))
    assert out["x"] == ReferencedSize("raw", "x", Fraction(1))


def test_shapes_of_0_4_inputs():
    model = model04(
        [
            tensor04("raw", "bcyx", sized04([1, 3, 32, 48], [0, 0, 16, 0])),
            tensor04("aux", "bi", [1, 7]),
        ],
        [tensor04("out", "bcyx", implicit("raw", [1, 1, 1, 1]))],
    )
    raw, aux = contract_of(model).inputs

    assert sizes(raw) == {
        "batch": AnySize(),
        "channel": FixedSize(3),
        "y": ParameterizedSize(32, 16),
        "x": FixedSize(48),
    }
    assert sizes(aux) == {"batch": AnySize(), "index": FixedSize(7)}


def test_equal_numbers_of_0_4_follow_each_other_in_space_only():
    # decision 003
    model = model04(
        [tensor04("raw", "bcyx", [1, 4, 64, 48])],
        [tensor04("out", "bcyx", [1, 4, 64, 24], halo=[0, 0, 8, 0])],
    )
    (out,) = contract_of(model).outputs

    assert sizes(out) == {
        "batch": AnySize(),
        "channel": FixedSize(4),
        "y": ReferencedSize("raw", "y"),
        "x": FixedSize(24),
    }
    assert [a.halo for a in out.axes] == [0, 0, 8, 0]


def test_a_halo_of_0_4_lies_on_its_axes():
    (out,) = contract_of(image04(halo=3)).outputs

    assert {a.id: a.halo for a in out.axes} == {"batch": 0, "channel": 0, "y": 3, "x": 3}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((0, 255), (0.0, 255.0)),
        ((-1.5, float("inf")), (-1.5, None)),
        ((float("-inf"), float("inf")), (None, None)),
        (None, (None, None)),
    ],
)
def test_a_data_range_of_0_4_may_be_open(given, expected):
    more = {} if given is None else {"data_range": given}
    (raw,) = contract_of(image04(**more)).inputs

    assert raw.data_range == expected


def test_the_types_of_0_4_flow_through_float32():
    steps = [step04("sigmoid")]
    contract = contract_of(image04(dtype="uint16", out_dtype="uint8", pre=steps, post=steps))
    (raw,), (out,) = contract.inputs, contract.outputs

    assert raw.dtype == "uint16"
    assert raw.operations == (EnsureDtype("uint16"), Sigmoid(), EnsureDtype("float32"))
    assert out.dtype == "uint8"
    assert out.operations == (Sigmoid(), EnsureDtype("uint8"))


# ---------------------------------------------------------------- 0.5: sizes


def axis_out(axis, raw_axis=None):
    """The contract of one output axis, which may refer to `raw.y`."""
    raw_axis = axis05("y", sized(32, 16)) if raw_axis is None else raw_axis
    model = model05(
        [tensor05("raw", [axis05("b"), raw_axis])], [tensor05("out", [axis05("b"), axis])]
    )
    return contract_of(model).outputs[0].axes[1]


def test_sizes_of_0_5():
    model = model05(
        [
            tensor05(
                "raw",
                [
                    axis05("b", 1),
                    axis05("c", 3),
                    axis05("t", 5, concatenable=True),
                    axis05("y", sized(32, 16)),
                    axis05("x", ref("raw", "y")),
                ],
            )
        ],
        [tensor05("out", [axis05("b"), axis05("i", {"min": 2, "max": 9})])],
    )
    contract = contract_of(model)

    assert sizes(contract.inputs[0]) == {
        "batch": FixedSize(1),
        "channel": FixedSize(3),
        "time": FixedSize(5),
        "y": ParameterizedSize(32, 16),
        "x": ReferencedSize("raw", "y"),
    }
    assert [a.concatenable for a in contract.inputs[0].axes] == [True, False, True, False, False]
    assert sizes(contract.outputs[0]) == {"batch": AnySize(), "index": DataDependentSize(2, 9)}


@pytest.mark.parametrize(
    ("of_input", "of_output", "exact"),
    [
        (1, 1, Fraction(1)),
        (1, 2, Fraction(1, 2)),
        (1, 0.5, Fraction(2)),
        (1, 1 / 3, Fraction(3)),
        (1, 3, Fraction(1, 3)),
        (0.1, 0.3, Fraction(1, 3)),
        (0.3, 0.1, Fraction(3)),
        (0.1, 1, Fraction(1, 10)),
        (0.0325, 0.065, Fraction(1, 2)),
        (1e-6, 2e-6, Fraction(1, 2)),
        (6.5e-8, 1.3e-7, Fraction(1, 2)),
        (1.08e-7, 1.08e-7, Fraction(1)),
        (2.5e-7, 1e-6, Fraction(1, 4)),
        (1.5e-6, 3e-6, Fraction(1, 2)),
        (1234567.8, 1234567.8 * 2, Fraction(1, 2)),
    ],
)
def test_the_scale_of_a_reference_is_an_exact_ratio_whatever_the_unit(of_input, of_output, exact):
    raw = axis05("y", sized(32, 16), scale=of_input, unit="meter")
    axis = axis_out(axis05("y", ref("raw", "y", 2), scale=of_output, unit="meter"), raw)

    assert axis.size == ReferencedSize("raw", "y", exact, Fraction(2))


@pytest.mark.parametrize("extent", [0.065, 6.5e-8, 2.0, 1e-9])
def test_the_extent_of_a_pixel_is_kept(extent):
    raw = axis05("y", sized(32, 16), scale=extent, unit="meter")
    axis = axis_out(axis05("y", ref("raw", "y"), scale=extent, unit="meter"), raw)

    assert float(axis.scale) == extent
    assert axis.unit == "meter"


def test_a_reference_to_a_fixed_axis_of_an_output_becomes_a_number():
    model = model05(
        [tensor05("raw", [axis05("b"), axis05("y", sized(32, 16))])],
        [
            tensor05("a", [axis05("b"), axis05("z", 7, scale=2.0)]),
            tensor05("out", [axis05("b"), axis05("z", ref("a", "z", 1), scale=4.0)]),
        ],
    )

    assert sizes(contract_of(model).tensor("out"))["z"] == FixedSize(4)


def test_an_output_that_refers_to_a_fixed_input_still_follows_it():
    axis = axis_out(axis05("y", ref("raw", "y"), halo=4), axis05("y", 64))

    assert axis.size == ReferencedSize("raw", "y")
    assert axis.halo == 4


def test_axes_of_other_names_refer_to_each_other():
    axis = axis_out(axis05("height", ref("raw", "y", -4), halo=2))

    assert (axis.id, axis.type, axis.halo) == ("height", "space", 2)
    assert axis.size == ReferencedSize("raw", "y", offset=Fraction(-4))


@pytest.mark.parametrize(
    ("pad", "expected"),
    [
        (None, Padding("symmetric")),
        ({"mode": "constant", "value": 7}, Padding("constant", 7)),
        ({"mode": "edge"}, Padding("edge")),
        ({"mode": "reflect"}, Padding("reflect")),
        ({"mode": "symmetric"}, Padding("symmetric")),
    ],
)
def test_padding(pad, expected):
    assert contract_of(image05(pad=pad)).inputs[0].padding == expected


def test_optional_inputs():
    model = model05(
        [
            tensor05("raw", [axis05("b"), axis05("y", 8)]),
            tensor05("mask", [axis05("b"), axis05("y", 8)], optional=True),
        ],
        [tensor05("out", [axis05("b"), axis05("y", ref("raw", "y"))])],
    )

    assert [t.optional for t in contract_of(model).inputs] == [False, True]


@pytest.mark.parametrize(
    ("data", "dtype", "expected"),
    [
        ({"type": "float32", "range": [0, 1]}, "float32", (0.0, 1.0)),
        ({"type": "float32", "range": [0, None]}, "float32", (0.0, None)),
        ({"type": "uint8"}, "uint8", (None, None)),
        ({"type": "uint8", "values": [0, 1, 5]}, "uint8", (0.0, 5.0)),
        (
            [{"type": "uint8", "range": [0, 9]}, {"type": "uint8", "range": [2, 100]}],
            "uint8",
            (0.0, 100.0),
        ),
        (
            [{"type": "uint8", "range": [0, 9]}, {"type": "uint8", "range": [None, None]}],
            "uint8",
            (None, None),
        ),
    ],
)
def test_data_of_one_kind_or_one_for_each_channel(data, dtype, expected):
    model = image05(channels=2)
    model["inputs"][0]["data"] = data
    (raw,) = contract_of(model).inputs

    assert raw.dtype == dtype
    assert raw.data_range == expected
    assert raw.operations == (EnsureDtype(dtype),)


def test_names_of_channels_are_kept():
    model = model05(
        [tensor05("raw", [axis05("b"), axis05("c", channel_names=["red", "green"])])],
        [tensor05("out", [axis05("b"), axis05("c", 1)])],
    )

    assert contract_of(model).inputs[0].axes[1].channel_names == ("red", "green")


# ---------------------------------------------------------------- twins


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ({}, {}),
        ({"halo": 2}, {"halo": 2}),
        ({"channels": 3, "space": "zyx"}, {"channels": 3, "space": "zyx"}),
        ({"scale": 0.5}, {"scale": 0.5}),
        ({"scale": 3.0}, {"scale": 3.0}),
        ({"offset": -4}, {"offset": -2}),
        ({"scale": 0.25, "offset": 1}, {"scale": 0.25, "offset": 0.5}),
        ({"dtype": "float32", "out_dtype": "uint8"}, {"dtype": "float32", "out_dtype": "uint8"}),
        (
            {"post": [step("sigmoid"), step("binarize", threshold=0.5)], "out_dtype": "uint8"},
            {"post": [step04("sigmoid"), step04("binarize", threshold=0.5)], "out_dtype": "uint8"},
        ),
        (
            {"pre": [step("zero_mean_unit_variance", axes=["channel", "y", "x"])]},
            {"pre": [step04("zero_mean_unit_variance", mode="per_sample", axes="cyx")]},
        ),
        (
            {"pre": [step("scale_range", axes=["batch", "y", "x"], max_percentile=99)]},
            {"pre": [step04("scale_range", mode="per_dataset", axes="yx", max_percentile=99)]},
        ),
    ],
)
def test_twins_of_both_formats_have_one_contract(new, old):
    assert neutral(contract_of(image05(**new))) == neutral(contract_of(image04(**old)))


def neutral(contract):
    """A contract without what 0.4 has no words for: channel names and the extent of a pixel."""

    def tensor(t):
        return attrs.evolve(
            t,
            axes=tuple(attrs.evolve(a, channel_names=(), scale=Fraction(1)) for a in t.axes),
        )

    return attrs.evolve(
        contract,
        **{
            kind: tuple(map(tensor, getattr(contract, kind)))
            for kind in ("inputs", "outputs", "raw_outputs")
        },
    )


def test_only_0_4_casts_an_integer_image_to_float32_for_the_network():
    # what the two formats really say differently
    new = contract_of(image05(dtype="uint8")).inputs[0]
    old = contract_of(image04(dtype="uint8")).inputs[0]

    assert new.operations == (EnsureDtype("uint8"),)
    assert old.operations == (EnsureDtype("uint8"), EnsureDtype("float32"))


# ---------------------------------------------------------------- what is refused


def test_an_invalid_description_is_refused_with_the_way_to_its_reasons():
    model = image05()
    del model["inputs"]
    description = build(model)

    with pytest.raises(DescriptionError, match="invalid.*got failed.*validation_summary") as caught:
        model_contract(description)
    assert isinstance(caught.value, ValueError)
    assert pickle.loads(pickle.dumps(caught.value)).what == caught.value.what


def test_a_dataset_is_no_model():
    from bioimageio.spec.dataset.v0_3 import DatasetDescr

    dataset = {
        "type": "dataset",
        "format_version": DatasetDescr.implemented_format_version,
        "name": "some images",
        "description": "for a test",
        "license": "MIT",
        "authors": [{"name": "tester"}],
        "cite": [{"text": "none", "url": "https://example.com"}],
    }
    description = build(dataset)
    assert description.validation_summary.status != "failed", description.validation_summary

    with pytest.raises(DescriptionError, match="not .* a model: expected a model, got dataset"):
        model_contract(description)


@pytest.mark.parametrize("thing", [None, 3, "model", {"type": "model"}])
def test_anything_else_is_no_model(thing):
    with pytest.raises(DescriptionError, match="expected a model"):
        model_contract(thing)
