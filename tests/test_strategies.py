"""The strategies give what they promise: all of it valid, and all that is legal at some time."""

import json
import subprocess
import sys
import warnings

import attrs
import numpy as np
import pytest
import yaml
from bioimageio.spec.model import v0_4, v0_5
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

import bioimageio_fn as fn
from bioimageio_fn import strategies
from bioimageio_fn.arrays import DTYPES
from bioimageio_fn.axes import as_axes
from bioimageio_fn.contract.describing import describe_0_4, describe_0_5
from bioimageio_fn.contract.operations import operation_0_4, operation_0_5
from bioimageio_fn.errors import AxesError, BioimageioFnWarning, OperationError
from bioimageio_fn.ops.records import Operation
from bioimageio_fn.spec import TensorSpec, sample_spec, tensor_spec
from bioimageio_fn.stats.compute import measure

BCZYX = TensorSpec("bczyx", (None, 3, None, 4, 5), "uint8")
WHERE = ("preprocessing", "postprocessing")
VERSIONS = ("0.5", "0.4")
ADAPTERS = {
    ("0.5", "preprocessing"): TypeAdapter(v0_5.PreprocessingDescr),
    ("0.5", "postprocessing"): TypeAdapter(v0_5.PostprocessingDescr),
    ("0.4", "preprocessing"): TypeAdapter(v0_4.PreprocessingDescr),
    ("0.4", "postprocessing"): TypeAdapter(v0_4.PostprocessingDescr),
}


def drawn(strategy, n=300):
    """Many draws of a strategy, the same in each run."""
    found = []

    @seed(0)
    # without the number, Hypothesis would draw a value of a small set only once
    @given(strategy, st.integers(0, 2**32))
    @settings(max_examples=n, database=None, phases=[Phase.generate])
    def collect(value, _):
        found.append(value)

    collect()
    return found


def read(descr, version, axes):
    """The record of a validated description."""
    return operation_0_5(descr) if version == "0.5" else operation_0_4(descr, axes)


# ---------------------------------------------------------------- axes, arrays, tensors, samples


def test_axes_are_different_ids_in_any_order():
    found = drawn(strategies.axes(1, 3))

    assert {len(ids) for ids in found} == {1, 2, 3}
    assert all(ids == as_axes(ids) for ids in found)
    assert len(set(found)) > len({frozenset(ids) for ids in found})
    assert {axis for ids in found for axis in ids} == set(strategies.IDS)


def test_axes_are_drawn_from_those_given_as_letters_or_words():
    for ids in ("bx", ["batch", "x"]):
        assert {a for axes in drawn(strategies.axes(ids=ids)) for a in axes} == {"batch", "x"}


def has_layout(array, layout):
    strides = [s for s, n in zip(array.strides, array.shape, strict=True) if n > 1]
    return {
        "plain": array.flags.c_contiguous and array.flags.aligned and array.flags.writeable,
        "Fortran order": array.flags.f_contiguous and not array.flags.c_contiguous,
        "negative strides": any(s < 0 for s in strides),
        "gaps": bool(strides) and min(map(abs, strides)) > array.itemsize,
        "big-endian": array.dtype.byteorder == ">",
        "read-only": not array.flags.writeable,
        "unaligned": not array.flags.aligned,
    }[layout]


@pytest.mark.parametrize("layout", strategies.LAYOUTS)
def test_a_layout_is_what_its_name_says_and_changes_no_value(layout):
    for array in (np.arange(24, dtype="int16").reshape(2, 3, 4), np.array(7, "int16")):
        laid = strategies.LAYOUTS[layout](array)

        assert array.ndim == 0 or has_layout(laid, layout)
        np.testing.assert_array_equal(laid, array)
        assert laid.dtype.name == array.dtype.name
        assert not np.shares_memory(laid, array)


def test_arrays_of_every_type_occur_in_every_layout():
    found = drawn(strategies.arrays())

    assert {a.dtype.name for a in found} == set(DTYPES)
    assert {layout for layout in strategies.LAYOUTS for a in found if has_layout(a, layout)} == set(
        strategies.LAYOUTS
    )
    assert {a.ndim for a in found} == {1, 2, 3}
    assert all(np.isfinite(a).all() and np.abs(a.astype("float64")).max() <= 1000 for a in found)


@pytest.mark.parametrize("option", ["nan", "inf", "extremes"])
def test_special_values_occur_where_they_are_asked_for(option):
    found = drawn(strategies.arrays(("uint8", "int64", "float32"), (2, 2), **{option: True}))

    def special(array):
        if option == "extremes":
            limits = (np.iinfo if array.dtype.kind in "iu" else np.finfo)(array.dtype.name)
            return (array == limits.max).any()
        return (np.isnan if option == "nan" else np.isinf)(array).any()

    expected = {"uint8", "int64", "float32"} if option == "extremes" else {"float32"}
    assert {a.dtype.name for a in found if special(a)} == expected
    assert {a.dtype.name for a in found if not special(a)} == {"uint8", "int64", "float32"}


@given(st.data())
@settings(max_examples=40)
def test_arrays_are_of_the_types_the_shape_and_the_layouts_asked_for(data):
    array = data.draw(strategies.arrays(["int32"], (0, 2), layouts=["read-only"]))

    assert (array.dtype, array.shape, array.flags.writeable) == ("int32", (0, 2), False)


def test_tensors_have_any_axes_and_sizes_or_those_asked_for():
    found = drawn(strategies.tensors())
    assert {t.dtype for t in found} == set(DTYPES)
    assert {len(t.axes) for t in found} == {0, 1, 2, 3}
    assert {n for t in found for n in t.shape} == {1, 2, 3, 4, 5}
    empty_too = drawn(strategies.tensors(["uint8"], axes="yx", min_side=0, max_side=2))
    assert {t.axes for t in empty_too} == {("y", "x")}
    assert {n for t in empty_too for n in t.shape} == {0, 1, 2}


def test_samples_have_one_or_several_members_with_or_without_batch_and_id():
    found = drawn(strategies.samples(), 600)
    assert {len(s.members) for s in found} == {1, 2, 3}
    assert {next(iter(s.members)) for s in found} == {"raw", "mask", "other"}
    assert {s.id is None for s in found} == {True, False}
    batches = [{t.sizes.get("batch") for t in s.members.values()} for s in found]
    assert all(len(sizes) == 1 for sizes in batches)
    assert set.union(*batches) == {None, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("batch", [True, False])
def test_samples_have_the_members_and_the_batch_asked_for(batch):
    found = drawn(strategies.samples(["aux", "raw"], batch=batch, dtypes=["uint8"], max_dims=1))
    assert {tuple(s.members) for s in found} == {("aux", "raw")}
    for tensor in (t for s in found for t in s.members.values()):
        assert ("batch" in tensor.axes) is batch
        assert tensor.dtype == "uint8"
        assert len(tensor.axes) <= 1 + batch
    if batch:
        assert {s["raw"].axes.index("batch") for s in found} == {0, 1}


# ---------------------------------------------------------------- measures, operations, chains


def test_measures_can_be_taken_and_have_every_name_and_parameter():
    tensor = fn.Tensor(np.arange(6.0).reshape(2, 3), "yx")
    found = drawn(strategies.measures(tensor, "aux"))
    for wanted in found:
        assert np.isfinite(measure(tensor, wanted).data).all()
    assert {m.member for m in found} == {"aux"}
    assert {m.name for m in found} == {"mean", "std", "var", "quantile"}
    assert {m.axes for m in found} == {None, (), ("x",), ("y",), ("x", "y")}
    assert {m.scope for m in found} == {"sample", "dataset"}
    assert {m.method for m in found} == {None, "linear", "inverted_cdf"}
    assert {m.q for m in found} >= {None, 0.0, 1.0, 0.5}


@given(st.data())
@settings(max_examples=200)
def test_operations_fit_the_tensor_and_keep_its_axes(data):
    tensor = data.draw(strategies.tensors())
    op = data.draw(strategies.operations(tensor))
    spec = tensor_spec(tensor)
    assert isinstance(op, Operation)
    assert op.plan(spec).sizes == spec.sizes
    unknown = TensorSpec(spec.axes, [None] * len(spec.axes), spec.dtype)
    op = data.draw(strategies.operations(unknown))
    assert op.plan(spec).sizes == spec.sizes


@pytest.mark.parametrize("name", strategies.OPERATIONS)
def test_every_parameter_of_an_operation_takes_more_than_one_value(name):
    found = drawn(strategies.operations(BCZYX, [name], reference="raw"))
    assert {op.name for op in found} == {name}
    for parameter in attrs.fields(type(found[0])):
        values = {getattr(op, parameter.name) for op in found}
        if parameter.name == "reference":
            assert values - {None} == {"raw"}
            continue
        assert len(values) > 1, parameter.name
        if parameter.name == "axis":
            assert {"channel", "y", "x"} <= values
        if parameter.name == "axes":
            assert {None, ()} <= values
            assert {"batch" in axes for axes in values if axes} == {True, False}


def test_all_operations_occur_and_none_refers_to_a_tensor_that_is_not_there():
    found = drawn(strategies.operations(BCZYX))
    assert {op.name for op in found} == {*strategies.OPERATIONS} - {"scale_mean_variance"}
    assert not any(op.references for op in found)


@given(st.data())
@settings(max_examples=100)
def test_chains_are_fitted_and_applied(data):
    sample = data.draw(strategies.samples(["raw"], nan=True))
    chain = data.draw(strategies.chains(sample["raw"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BioimageioFnWarning)
        result = fn.apply(fn.fit(chain, sample), sample)
    assert sample_spec(result).members["raw"].sizes == tensor_spec(sample["raw"]).sizes


def test_chains_are_of_the_lengths_the_member_and_the_operations_asked_for():
    found = drawn(strategies.chains(BCZYX, "aux", 4, ["sigmoid"], min_size=2))
    assert {len(chain) for chain in found} == {2, 3, 4}
    assert {step.member for chain in found for step in chain} == {"aux"}
    assert {step.op.name for chain in found for step in chain} == {"sigmoid"}
    op = found[0][0].op
    assert {s.op for c in drawn(strategies.chains(BCZYX, ops=st.just(op))) for s in c} == {op}


# ---------------------------------------------------------------- descriptions


def test_every_operation_of_the_formats_is_drawn_or_left_out_on_purpose():
    # those need programs of others
    left_out = {"cellpose_flow_dynamics", "custom", "stardist_postprocessing"}
    for version, module, key in (
        ("0.5", v0_5, "implemented_id"),
        ("0.4", v0_4, "implemented_name"),
    ):
        union = module.PostprocessingDescr.__origin__.__args__
        described = {getattr(kind, key) for kind in union}
        assert set(strategies.DESCRIBED[version]) == described - left_out


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("version", VERSIONS)
@given(data=st.data())
@settings(max_examples=300)
def test_descriptions_are_plain_valid_and_become_records_that_fit(version, where, data):
    tensor = data.draw(strategies.tensors())
    reference = data.draw(st.sampled_from((None, "raw")))
    step = data.draw(strategies.descriptions(tensor, version, where, reference=reference))
    assert json.loads(json.dumps(step)) == step
    assert yaml.safe_load(yaml.safe_dump(step)) == step
    descr = ADAPTERS[version, where].validate_python(step)
    record = read(descr, version, tensor.axes)
    spec = tensor_spec(tensor)
    assert record.plan(spec).sizes == spec.sizes
    back = describe_0_5(record) if version == "0.5" else describe_0_4(record, tensor.axes)
    again = ADAPTERS[version, where].validate_python(back)
    assert read(again, version, tensor.axes) == record


MODES = {"per_sample", "per_dataset"}
# what each keyword has to be at some time; None stands for null
SOME = {
    "0.5": {
        "binarize": {"threshold": {int, float, list}, "axis": {"channel", "z", "y", "x"}},
        "clip": {
            "min": {int, float},
            "max": {int, float},
            "min_percentile": {int, float},
            "max_percentile": {int, float},
            "axes": {None, list},
        },
        "ensure_dtype": {"dtype": set(DTYPES) - {"float16"}},
        "fixed_zero_mean_unit_variance": {
            "mean": {int, float, list},
            "std": {int, float, list},
            "axis": {"channel", "z", "y", "x"},
        },
        "scale_linear": {
            "gain": {int, float, list},
            "offset": {int, float, list},
            "axis": {"channel", "z", "y", "x"},
        },
        "scale_mean_variance": {
            "reference_tensor": {"raw"},
            "axes": {None, list},
            "eps": {float, 0.1},
        },
        "scale_range": {
            "axes": {None, list},
            "min_percentile": {int, float, 0},
            "max_percentile": {int, float, 100},
            "eps": {float, 0.1},
            "reference_tensor": {None, "raw"},
        },
        "sigmoid": {},
        "softmax": {"axis": {"channel", "z", "y", "x"}},
        "zero_mean_unit_variance": {"axes": {None, list}, "eps": {float, 0.1}},
    },
    "0.4": {
        "binarize": {"threshold": {int, float}},
        "clip": {"min": {int, float}, "max": {int, float}},
        "scale_linear": {
            "axes": {None, "", str},
            "gain": {int, float, list},
            "offset": {int, float, list},
        },
        "scale_mean_variance": {
            "mode": MODES,
            "reference_tensor": {"raw"},
            "axes": {None, "", str},
            "eps": {float, 0.1},
        },
        "scale_range": {
            "mode": MODES,
            "axes": {"", str},
            "min_percentile": {int, float, 0},
            "max_percentile": {int, float, 100},
            "eps": {float, 0.1},
            "reference_tensor": {None, "raw"},
        },
        "sigmoid": {},
        "zero_mean_unit_variance": {
            "mode": {*MODES, "fixed"},
            "axes": {"", str},
            "mean": {None, int, float, list},
            "std": {None, int, float, list, 0},
            "eps": {float, 0.1},
        },
    },
}
FIELDS = TensorSpec("bczyx", (None, 3, 2, 4, 5), "uint8")


def may_be_left_out(keyword, classes):
    """Whether one of the classes of keywords has a default for this one, or has not got it."""
    fields = [kind.model_fields.get(keyword) for kind in classes]
    return any(field is None or not field.is_required() for field in fields)


def occurs(wanted, values):
    if isinstance(wanted, type):
        return any(type(v) is wanted for v in values)
    return any(type(v) is type(wanted) and v == wanted for v in values)


@pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version in VERSIONS for name in SOME[version]]
)
def test_every_keyword_occurs_with_all_kinds_of_values_and_is_left_out_where_it_may_be(
    version, name
):
    found = drawn(
        strategies.descriptions(FIELDS, version, "postprocessing", names=[name], reference="raw"),
        600,
    )
    key = "id" if version == "0.5" else "name"
    assert {step[key] for step in found} == {name}
    classes = ADAPTERS[version, "postprocessing"]
    accepted = {type(classes.validate_python(step).kwargs) for step in found}
    described = {field for kind in accepted for field in kind.model_fields}
    assert described == set(SOME[version][name])
    every = [step.get("kwargs", {}) for step in found]
    for keyword, kinds in SOME[version][name].items():
        values = [kwargs[keyword] for kwargs in every if keyword in kwargs]
        assert [kind for kind in kinds if not occurs(kind, values)] == [], keyword
        left_out = len(values) < len(every)
        assert left_out == may_be_left_out(keyword, accepted), keyword


def test_axes_are_lists_with_and_without_batch_in_any_order():
    found = drawn(strategies.descriptions(FIELDS, names=["zero_mean_unit_variance"]), 600)
    axes = [step["kwargs"].get("axes") for step in found if "kwargs" in step]
    subsets = {frozenset(a) for a in axes if a is not None}
    assert {frozenset(FIELDS.axes), frozenset()} <= subsets
    assert {("batch" in a, len(a)) for a in subsets} >= {(b, n) for b in (0, 1) for n in (1, 2, 3)}
    assert len({tuple(a) for a in axes if a is not None}) > len(subsets)


def test_lists_of_0_4_lie_along_the_one_axis_that_is_left():
    found = drawn(strategies.descriptions(FIELDS, "0.4", names=["scale_linear"]))
    lists = [s["kwargs"] for s in found if isinstance(s["kwargs"].get("gain"), list)]
    lengths = {(len(k["gain"]), *sorted({"c", "z", "y", "x"} - set(k["axes"]))) for k in lists}
    assert lengths == {(3, "c"), (2, "z"), (4, "y"), (5, "x")}


def test_steps_without_keywords_have_no_mapping_or_an_empty_one():
    found = drawn(strategies.descriptions(FIELDS, names=["softmax", "sigmoid"]))
    for expected in ({"id": "sigmoid"}, {"id": "softmax"}, {"id": "softmax", "kwargs": {}}):
        assert expected in found


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (["softmax"], {"of": TensorSpec("b", (2,), "uint8")}),
        (["scale_mean_variance"], {}),
        (["scale_mean_variance"], {"reference": "raw", "where": "preprocessing"}),
        ([], {}),
    ],
    ids=str,
)
def test_what_does_not_fit_is_an_error_at_once(names, options):
    options = {"of": BCZYX, "where": "postprocessing", **options}
    with pytest.raises(OperationError, match="none of these operations fits this tensor"):
        strategies.descriptions(names=names, **options)


@pytest.mark.parametrize(
    "draw", [strategies.operations, strategies.chains, strategies.descriptions]
)
def test_names_that_are_not_known_are_an_error_at_once(draw):
    with pytest.raises(OperationError, match=r"no such operation \(step 'sigmod'\).*binarize"):
        draw(BCZYX, names=["sigmoid", "sigmod"])


def test_an_axis_without_a_letter_is_an_error_in_format_0_4():
    spec = TensorSpec(["height"], (3,), "uint8")
    assert drawn(strategies.descriptions(spec))
    with pytest.raises(AxesError, match="format 0.4 has no letter for this axis.*'height'"):
        strategies.descriptions(spec, "0.4")


# ---------------------------------------------------------------- the package


def test_without_hypothesis_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import bioimageio_fn\n"
        "from bioimageio_fn.errors import MissingDependencyError\n"
        "try:\n"
        "    from bioimageio_fn import strategies\n"
        "except MissingDependencyError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "property-based testing needs the package hypothesis; "
        "pip install 'bioimageio_fn[strategies]'"
    )
