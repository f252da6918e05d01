"""Transforms: operations on a member of a sample, with their statistics bound to them."""

import copy
import pickle

import attrs
import numpy as np
import pytest

from bioimageio_fn.axes import AxisId
from bioimageio_fn.errors import AxesError, NotFittedError, OperationError, UnknownMemberError
from bioimageio_fn.ops.records import Clip, ScaleLinear, ScaleRange, Sigmoid, ZeroMeanUnitVariance
from bioimageio_fn.ops.transform import Transform, bind, cut
from bioimageio_fn.sample import AxisBlock, Sample
from bioimageio_fn.spec import SampleSpec, TensorSpec, sample_spec
from bioimageio_fn.stats.measure import Measure
from bioimageio_fn.tensor import Tensor

RAW = Tensor(np.arange(24.0).reshape(2, 3, 4), "zyx")
SAMPLE = Sample({"raw": RAW, "mask": Tensor(np.ones((3, 4), "uint8"), "yx")}, id="one")
ZMUV = Transform(ZeroMeanUnitVariance(axes="yx"), "raw")


def test_an_operation_without_measures_is_bound_from_the_start():
    assert Transform(Sigmoid(), "raw").values == ()
    assert Transform(ZeroMeanUnitVariance(), "raw").values is None


def test_a_transform_changes_its_member_alone():
    result = Transform(ScaleLinear(2.0), "raw")(SAMPLE)
    assert list(result.members) == ["raw", "mask"]
    assert np.array_equal(result["raw"], np.asarray(RAW) * 2)
    assert result["mask"] is SAMPLE["mask"]
    assert result.id == "one"
    assert np.array_equal(SAMPLE["raw"], np.arange(24.0).reshape(2, 3, 4))


def test_an_unbound_transform_is_an_error_that_says_what_and_how():
    with pytest.raises(NotFittedError) as caught:
        ZMUV(SAMPLE)
    assert str(caught.value) == (
        "this transform needs statistics (tensor 'raw', step 'zero_mean_unit_variance'): "
        "expected mean, std; bind them with fit(chain, sample)"
    )


def test_an_unknown_member_is_an_error_in_plan_and_in_call():
    other = Transform(Sigmoid(), "row")
    with pytest.raises(UnknownMemberError, match="expected one of raw, mask") as caught:
        other.plan(sample_spec(SAMPLE))
    assert (caught.value.tensor, caught.value.step) == ("row", "sigmoid")
    with pytest.raises(UnknownMemberError, match="'row'"):
        other(SAMPLE)


def test_plan_says_what_the_call_does():
    for transform in (bind(ZMUV, SAMPLE, SAMPLE), Transform(Sigmoid(), "mask")):
        assert sample_spec(transform(SAMPLE)) == transform.plan(sample_spec(SAMPLE))
    spec = SampleSpec({"raw": TensorSpec("zyx", (2, 3, 4), "uint8")})
    assert ZMUV.plan(spec).members["raw"].dtype == "float32"


def test_a_list_that_does_not_fit_the_tensor_never_changes_its_shape():
    three = Transform(ScaleLinear([1, 2, 3], [0, 0, 0], "channel"), "raw")
    with pytest.raises(OperationError, match="one value is needed for each index"):
        three(Sample({"raw": Tensor(np.ones((1, 2)), "cx")}))


@pytest.mark.parametrize("names", ["yx", "cx"])
def test_a_list_that_does_not_fit_the_tensor_is_an_error_of_ours(names):
    three = Transform(ScaleLinear([1, 2, 3], [0, 0, 0], "channel"), "raw")
    with pytest.raises((OperationError, AxesError)):
        three(Sample({"raw": Tensor(np.ones((5, 2)), names)}))


def test_statistics_of_other_sizes_never_change_the_shape():
    value = Tensor(np.ones(3), "z")
    bound = attrs.evolve(ZMUV, values=[value, value])
    with pytest.raises(ValueError, match="z"):
        bound(Sample({"raw": Tensor(np.ones((1, 2, 2)), "zyx")}))


def test_bind_measures_the_tensor_and_keeps_what_is_bound():
    bound = bind(ZMUV, SAMPLE, SAMPLE)
    mean, std = bound.values
    assert mean.axes == std.axes == ("z",)
    np.testing.assert_allclose(mean.data, [5.5, 17.5])
    np.testing.assert_allclose(std.data, np.arange(12).std())
    assert bind(bound, Sample({}), Sample({})) is bound
    assert ZMUV.values is None


def test_bind_takes_statistics_that_the_sample_knows_and_does_not_overwrite_them():
    mean, std = ZMUV.measures
    known = attrs.evolve(SAMPLE, stat={mean: Tensor([1.0, 2.0], "z")})
    bound = bind(ZMUV, known, known)
    assert bound.values[0] == Tensor([1.0, 2.0], "z")
    np.testing.assert_allclose(bound.values[1].data, np.arange(12).std())
    assert list(known.stat) == [mean]
    assert std not in known.stat


def test_a_reference_means_the_unprocessed_tensor():
    transform = Transform(ScaleRange(0, 100, reference="raw"), "mask")
    processed = Transform(ScaleLinear(100.0), "raw")(SAMPLE)
    low, high = bind(transform, processed, SAMPLE).values
    assert (float(low.data), float(high.data)) == (0.0, 23.0)
    assert transform.measures[0] == Measure("quantile", "raw", q=0.0, method="linear")


@pytest.mark.parametrize("transform", [ZMUV, bind(ZMUV, SAMPLE, SAMPLE)], ids=["free", "bound"])
def test_transforms_are_values_that_pickle(transform):
    for twin in (pickle.loads(pickle.dumps(transform)), copy.deepcopy(transform)):
        assert twin == transform
        assert repr(twin) == repr(transform)
        for value in twin.values or ():
            assert not value.data.flags.writeable
    assert "5.5" not in repr(transform)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        transform.member = "mask"


def test_free_transforms_hash_and_differ_by_operation_member_and_values():
    assert hash(ZMUV) == hash(Transform(ZeroMeanUnitVariance(axes=["y", "x"]), "raw"))
    assert Transform(ZeroMeanUnitVariance(axes="yx"), "mask") != ZMUV
    assert Transform(ZeroMeanUnitVariance(axes="x"), "raw") != ZMUV
    assert bind(ZMUV, SAMPLE, SAMPLE) != ZMUV


@pytest.mark.parametrize("values", [(), [Tensor(1.0, "")], [1.0, 2.0]], ids=repr)
def test_values_that_are_not_those_of_the_measures_are_refused(values):
    with pytest.raises(ValueError, match="mean"):
        attrs.evolve(ZMUV, values=values)


def test_cut_takes_the_part_of_the_statistics_that_belongs_to_the_block():
    bound = bind(ZMUV, SAMPLE, SAMPLE)
    second = AxisBlock(start=1, stop=2, outer_start=1, outer_stop=2, size=1)
    part = cut(bound, {"raw": {AxisId("z"): second, AxisId("y"): second}})
    assert [v.shape for v in part.values] == [(1,), (1,)]
    assert part.values[0].data.tolist() == [17.5]
    assert cut(bound, {}) == bound
    assert cut(bound, {"mask": {AxisId("z"): second}}) == bound
    assert cut(ZMUV, {"raw": {AxisId("z"): second}}) is ZMUV


@pytest.mark.parametrize(
    ("modes", "last"),
    [({}, 5.5), ({"raw": "edge"}, 17.5), ({"raw": "constant"}, 17.5), ({"raw": "reflect"}, 17.5)],
    ids=str,
)
def test_cut_continues_statistics_as_the_pixels_where_the_block_is_padded(modes, last):
    bound = bind(ZMUV, SAMPLE, SAMPLE)
    padded = AxisBlock(start=1, stop=2, outer_start=0, outer_stop=2, size=4)
    part = cut(bound, {"raw": {AxisId("z"): padded}}, modes)
    second = 5.5 if modes == {"raw": "reflect"} else 17.5
    assert part.values[0].data.tolist() == [5.5, 17.5, second, last]


def test_clip_of_a_sample_with_nan_keeps_it():
    sample = Sample({"raw": Tensor([np.nan, 1.0, 2.0, 9.0], "x")})
    bound = bind(Transform(Clip(min_percentile=0, max_percentile=50), "raw"), sample, sample)
    np.testing.assert_array_equal(np.asarray(bound(sample)), [np.nan, 1.0, 2.0, 2.0])
