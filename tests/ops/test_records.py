"""Operation records: parameters are checked when they are made, and plan agrees with apply."""

import copy
import pickle
import warnings

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LIBRARIES, operations, tensors

from bioimageio_fn.errors import AxesError, BioimageioFnWarning, CastWarning, OperationError
from bioimageio_fn.ops.records import (
    Binarize,
    Clip,
    EnsureDtype,
    FixedZeroMeanUnitVariance,
    ScaleLinear,
    ScaleRange,
    Sigmoid,
    ZeroMeanUnitVariance,
)
from bioimageio_fn.spec import TensorSpec, tensor_spec
from bioimageio_fn.stats.compute import measure
from bioimageio_fn.stats.measure import Measure
from bioimageio_fn.tensor import Tensor

COMMON = ("bool", "uint8", "int16", "int32", "float32", "float64")
EXAMPLES = [
    EnsureDtype("uint8"),
    Sigmoid(),
    ScaleLinear(2.0, 1.0),
    ScaleLinear([1, 2], [3, 4], "channel"),
    Binarize(0.5),
    Binarize([0.5, 0.6], "c"),
    FixedZeroMeanUnitVariance(1, 2),
    FixedZeroMeanUnitVariance([1, 2], [3, 4], "c", eps=1e-6),
    ZeroMeanUnitVariance(axes="yx", scope="dataset"),
    ScaleRange(1, 99, reference="raw"),
    Clip(0, 1),
    Clip(min_percentile=1, max_percentile=99, axes="yx"),
]
RAMP = Tensor(np.arange(24.0, dtype="float32").reshape(2, 3, 4), "cyx")


def applied(op, tensor):
    """The operation on a tensor, with the statistics of that tensor."""
    values = [measure(tensor, m) for m in (*op.measures("raw"), *op.references)]
    return op.apply(tensor, *values)


# plan and apply


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=120)
def test_plan_says_what_apply_does(library, data):
    dtypes = COMMON if library != "numpy" else (*COMMON, "uint16", "uint32", "int8", "float16")
    tensor = data.draw(tensors(dtypes, nan=True))
    op = data.draw(operations(tensor))
    given_ = tensor
    if library != "numpy":
        given_ = Tensor(LIBRARIES[library](tensor.data), tensor.axes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BioimageioFnWarning)
        # torch says this once in a process; the next test makes it say so always
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        result = applied(op, given_)
        assert tensor_spec(result) == op.plan(tensor_spec(given_))
        again, plain = applied(op, given_), applied(op, tensor)
    assert result == again
    assert type(result.data) is type(given_.data)
    if result.dtype.startswith("float"):
        np.testing.assert_allclose(np.asarray(result), np.asarray(plain), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "op", [ZeroMeanUnitVariance(axes="yx"), ScaleRange(1, 99), Clip(max_percentile=50)], ids=repr
)
def test_bound_statistics_reach_torch_without_a_warning(op):
    tensor = Tensor(torch.from_numpy(np.array(RAMP)), "cyx")
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        result = applied(op, tensor)
    finally:
        torch.set_warn_always(before)
    assert isinstance(result.data, torch.Tensor)


@given(st.data())
@settings(max_examples=60)
def test_no_operation_changes_its_tensor(data):
    tensor = data.draw(tensors(nan=True))
    before = np.array(tensor.data).tobytes()
    op = data.draw(operations(tensor))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BioimageioFnWarning)
        applied(op, tensor)
    assert np.array(tensor.data).tobytes() == before


# values


def test_zero_mean_unit_variance_over_some_axes_is_that_of_each_kept_index():
    result = np.asarray(applied(ZeroMeanUnitVariance(axes="yx"), RAMP))
    x = np.asarray(RAMP).astype("float64")
    mean, std = x.mean((1, 2), keepdims=True), x.std((1, 2), keepdims=True)
    np.testing.assert_allclose(result, (x - mean) / (std + 1e-6), rtol=1e-5, atol=1e-6)
    assert result.dtype == "float32"


@pytest.mark.parametrize("eps", [1e-6, 0.1, 5.0])
def test_eps_is_honoured(eps):
    x = np.asarray(RAMP).astype("float64")
    zmuv = applied(ZeroMeanUnitVariance(eps=eps), RAMP)
    np.testing.assert_allclose(np.asarray(zmuv), (x - x.mean()) / (x.std() + eps), rtol=1e-5)
    scaled = applied(ScaleRange(10, 90, eps=eps), RAMP)
    low, high = np.quantile(x, 0.1), np.quantile(x, 0.9)
    np.testing.assert_allclose(
        np.asarray(scaled), (x - low) / (high - low + eps), rtol=1e-4, atol=1e-6
    )


def test_fixed_zero_mean_unit_variance_divides_by_std_alone():
    result = FixedZeroMeanUnitVariance(0, 1e-6).apply(Tensor(np.array([1.0]), "x"))
    np.testing.assert_allclose(np.asarray(result), [1e6])
    with_eps = FixedZeroMeanUnitVariance(0, 1e-6, eps=1e-6).apply(Tensor(np.array([1.0]), "x"))
    np.testing.assert_allclose(np.asarray(with_eps), [5e5])


@pytest.mark.parametrize("op", [ZeroMeanUnitVariance(), ScaleRange(), ScaleRange(1, 99)], ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint16"])
@pytest.mark.parametrize("value", [0.1, 1000.1, 60000.3, 1 / 3])
def test_constant_images_normalise_to_exactly_0(op, dtype, value):
    tensor = Tensor(np.full((7, 11), value).astype(dtype), "yx")
    assert not np.asarray(applied(op, tensor)).any()


def test_one_missing_pixel_stays_the_only_one():
    array = np.array(RAMP)
    array[0, 0, 0] = np.nan
    for op in EXAMPLES[8:]:
        result = np.asarray(applied(op, Tensor(array, "cyx")))
        assert np.isnan(result).sum() == 1, op


def test_thresholds_along_an_axis_belong_to_its_indices_also_where_lengths_agree():
    tensor = Tensor(np.full((3, 3), 7.0), "cx")
    expected = [[True] * 3, [False] * 3, [False] * 3]
    assert Binarize([5, 10, 15], "channel").apply(tensor).data.tolist() == expected
    turned = Tensor(np.full((3, 3), 7.0), "xc")
    assert (
        Binarize([5, 10, 15], "channel").apply(turned).data.tolist() == [[True, False, False]] * 3
    )


def test_percentile_clipping_keeps_integers_and_takes_values_that_occur():
    tensor = Tensor(np.array([0, 10, 20, 30, 255], "uint8"), "x")
    result = applied(Clip(min_percentile=20, max_percentile=80), tensor)
    assert result == Tensor(np.array([0, 10, 20, 30, 30], "uint8"), "x")


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_percentiles_given_from_outside_do_not_change_the_planned_dtype(dtype):
    op = Clip(min_percentile=5, max_percentile=95)
    tensor = Tensor(np.array([0, 1, 1], dtype), "x")
    result = op.apply(tensor, Tensor(0.4, ""), Tensor(0.7, ""))
    assert tensor_spec(result) == op.plan(tensor_spec(tensor))


def test_percentiles_of_huge_integers_do_not_wrap():
    tensor = Tensor(np.array([0, 1, 2**63 - 1], "int64"), "x")
    result = applied(Clip(max_percentile=100, min_percentile=0), tensor)
    assert result.data.tolist()[:2] == [0, 1]
    assert result.data[2] > 2**62


def test_ensure_dtype_keeps_a_tensor_of_that_dtype_and_saturates_others():
    assert EnsureDtype("float32").apply(RAMP) is RAMP
    with pytest.warns(CastWarning):
        result = EnsureDtype("uint8").apply(Tensor([-3.0, 300.0], "x"))
    assert result.data.tolist() == [0, 255]


# records as values


@pytest.mark.parametrize("op", EXAMPLES, ids=repr)
def test_records_are_frozen_hashable_values_that_pickle_and_say_their_parameters(op):
    for twin in (pickle.loads(pickle.dumps(op)), copy.deepcopy(op), attrs.evolve(op)):
        assert twin == op
        assert hash(twin) == hash(op)
        assert repr(twin) == repr(op)
    assert [other for other in EXAMPLES if other == op] == [op]
    assert repr(op).startswith(f"{type(op).__name__}(")
    for field in attrs.fields(type(op)):
        assert f"{field.name}={getattr(op, field.name)!r}" in repr(op)
    assert not hasattr(op, "__dict__")
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        op.eps = 3


def test_letters_words_lists_and_tuples_make_the_same_record():
    assert Binarize([1], "c") == Binarize((1.0,), "channel")
    assert ZeroMeanUnitVariance(axes="yx") == ZeroMeanUnitVariance(axes=["y", "x"])


def test_whole_axes_are_those_along_which_a_list_lies():
    for op in EXAMPLES:
        along = getattr(op, "axis", None)
        assert op.whole_axes == (() if along is None else ("channel",))


def test_measures_are_those_of_the_tensor_or_of_the_reference():
    zmuv = ZeroMeanUnitVariance(axes="yx", scope="dataset").measures("probability")
    assert zmuv == tuple(Measure(name, "probability", "yx", "dataset") for name in ("mean", "std"))
    scaled = ScaleRange(1, 99, reference="raw")
    assert scaled.measures("probability") == ()
    low, high = scaled.references
    assert low == Measure("quantile", "raw", q=0.01, method="linear")
    assert high == Measure("quantile", "raw", q=0.99, method="linear")
    (one,) = Clip(max_percentile=99).measures("raw")
    assert one == Measure("quantile", "raw", q=0.99, method="inverted_cdf")
    assert Clip(0, 1).measures("raw") == Sigmoid().measures("raw") == ()


# malformed parameters

MALFORMED = [
    (lambda: EnsureDtype("int"), "no such data type", "int"),
    (lambda: EnsureDtype("complex64"), "no such data type", "complex64"),
    (lambda: ScaleLinear([1, 2], [1], "c"), "belong together", [1, 2]),
    (lambda: ScaleLinear([1, 2]), "go along an axis", None),
    (lambda: ScaleLinear(1, 2, "c"), "go along an axis", None),
    (lambda: Binarize([1, 2]), "go along an axis", None),
    (lambda: Binarize(1, "c"), "go along an axis", None),
    (lambda: FixedZeroMeanUnitVariance(0, 0), "std is a divisor", 0),
    (lambda: FixedZeroMeanUnitVariance(0, -1), "std is a divisor", -1),
    (lambda: FixedZeroMeanUnitVariance([0, 0], [1, 0], "c"), "std is a divisor", (1, 0)),
    (lambda: FixedZeroMeanUnitVariance([0, 0], [1], "c"), "belong together", [1, 2]),
    (lambda: ZeroMeanUnitVariance(eps=0), "eps keeps the divisor from 0", 0),
    (lambda: ScaleRange(eps=-1), "eps keeps the divisor from 0", -1),
    (lambda: ScaleRange(-1, 50), "no percentile", -1),
    (lambda: ScaleRange(1, 101), "no percentile", 101),
    (lambda: ScaleRange(50, 50), "wrong order", 50),
    (lambda: ScaleRange(99, 1), "wrong order", 99),
    (Clip, "nothing to clip", None),
    (lambda: Clip(2, 1), "min is above max", 2),
    (lambda: Clip(min=1, min_percentile=1), "either a value or a percentile", (1, 1)),
    (lambda: Clip(max=1, max_percentile=1), "either a value or a percentile", (1, 1)),
    (lambda: Clip(min_percentile=9, max_percentile=1), "wrong order", 9),
    (lambda: Clip(min_percentile=-1), "no percentile", -1),
    (lambda: Clip(max_percentile=100.5), "no percentile", 100.5),
]


@pytest.mark.parametrize(("make", "what", "got"), MALFORMED)
def test_a_malformed_parameter_is_an_error_with_step_expected_and_got(make, what, got):
    with pytest.raises(OperationError, match=what) as caught:
        make()
    error = caught.value
    assert error.step in str(error)
    assert error.expected is not None
    if got is not None:
        assert error.got == got


@pytest.mark.parametrize(
    "make",
    {
        "str": lambda: ScaleLinear("abc"),
        "number as str": lambda: FixedZeroMeanUnitVariance("2", "2", "c"),
        "None": lambda: Binarize(None),
        "list of None": lambda: Binarize([None], "c"),
        "empty list": lambda: FixedZeroMeanUnitVariance([], [], "c"),
        "nan gain": lambda: ScaleLinear(float("nan")),
        "nan threshold": lambda: Binarize(float("nan")),
        "nan std": lambda: FixedZeroMeanUnitVariance(0, float("nan")),
        "nan eps": lambda: ZeroMeanUnitVariance(eps=float("nan")),
        "nan percentile": lambda: ScaleRange(float("nan"), 1),
        "nan bound": lambda: Clip(min=float("nan")),
        "str bound": lambda: Clip(min="a", max=1),
        "scope": lambda: ZeroMeanUnitVariance(scope="everything"),
        "eps": lambda: ZeroMeanUnitVariance(eps=None),
        "percentile": lambda: ScaleRange(min_percentile=None),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_parameter_of_the_wrong_kind_is_an_error_of_ours_too(make):
    with pytest.raises(OperationError):
        make[1]()


@pytest.mark.parametrize(
    ("op", "changes"),
    [
        (EnsureDtype("uint8"), {"dtype": "float"}),
        (Clip(0, 1), {"min": 2}),
        (ScaleRange(), {"min_percentile": 100}),
        (FixedZeroMeanUnitVariance(0, 1), {"std": 0}),
    ],
    ids=repr,
)
def test_evolve_checks_again(op, changes):
    with pytest.raises(OperationError):
        attrs.evolve(op, **changes)


# plan against the tensor


@pytest.mark.parametrize(
    "op",
    [
        ScaleLinear([1, 2, 3], [1, 2, 3], "c"),
        Binarize([1, 2, 3], "c"),
        FixedZeroMeanUnitVariance([1, 2, 3], [1, 2, 3], "c"),
    ],
    ids=lambda op: op.name,
)
def test_plan_wants_one_value_for_each_index_of_the_axis(op):
    assert op.plan(TensorSpec("cx", (3, 5), "uint8")).shape == (3, 5)
    for size in (1, 2, 4):
        with pytest.raises(OperationError, match="one value is needed for each index") as caught:
            op.plan(TensorSpec("cx", (size, 5), "uint8"))
        error = caught.value
        assert (error.axis, error.step) == ("channel", op.name)
        assert (error.expected, error.got) == (f"{size} values", "3 values")
    with pytest.raises(AxesError, match="no such axis") as caught:
        op.plan(TensorSpec("yx", (3, 5), "uint8"))
    assert (caught.value.axis, caught.value.step) == ("channel", op.name)


def test_plan_takes_an_axis_whose_size_is_not_known_yet():
    op = ScaleLinear([1, 2, 3], [1, 2, 3], "c")
    assert op.plan(TensorSpec("cx", (None, 5), "uint8")) == TensorSpec("cx", (None, 5), "float32")


@pytest.mark.parametrize(
    "op",
    [
        ZeroMeanUnitVariance(axes="zx"),
        ScaleRange(axes="zx"),
        Clip(max_percentile=9, axes="zx"),
    ],
    ids=lambda op: op.name,
)
def test_plan_refuses_statistics_over_an_axis_that_is_not_there(op):
    with pytest.raises(AxesError, match="no such axis") as caught:
        op.plan(TensorSpec("yx", (3, 5), "uint8"))
    assert (caught.value.axis, caught.value.step) == ("z", op.name)


def test_a_statistic_that_keeps_an_axis_the_tensor_does_not_have_is_an_error():
    value = Tensor(np.ones(2), "z")
    with pytest.raises(AxesError, match="keeps an axis that the tensor does not have") as caught:
        ZeroMeanUnitVariance().apply(RAMP, value, value)
    assert caught.value.axis == "z"
