"""Objects from drawn ones: what StarDist and Cellpose see of them gives them back."""

import itertools
import pickle
import subprocess
import sys
import warnings

import attrs
import numpy as np
import pytest
import tifffile
from conftest import iou
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LAYOUTS, LIBRARIES

from bioimageio_fn.arrays import dtype_name
from bioimageio_fn.errors import (
    AxesError,
    MissingDependencyError,
    OperationError,
    SizeError,
)
from bioimageio_fn.ops.instance_records import CellposeFlowDynamics, StardistPostprocessing
from bioimageio_fn.ops.instances import cellpose_flow_dynamics, stardist_postprocessing
from bioimageio_fn.ops.records import Operation
from bioimageio_fn.spec import TensorSpec, tensor_spec
from bioimageio_fn.tensor import Tensor, transpose

RAYS = 32
RAYS_3D = 64
ANISOTROPY = (2.0, 1.0, 1.0)
PARAMETERS = {"prob_threshold": 0.4, "nms_threshold": 0.3, "n_rays": RAYS, "grid": (1, 1), "b": 2}
PARAMETERS_3D = {
    **PARAMETERS,
    "n_rays": RAYS_3D,
    "grid": (1, 2, 2),
    "b": 0,
    "anisotropy": ANISOTROPY,
}
FLOWS = {"cellprob_threshold": 0.0, "flow_threshold": 0.4, "do_3D": False}
FLOWS_3D = {**FLOWS, "do_3D": True}


def drawn(shape, objects, anisotropy=None):
    """Labels of balls, each (center, radius), the later over the earlier."""
    where = np.indices(shape)
    scale = anisotropy or (1,) * len(shape)
    labels = np.zeros(shape, "int32")
    for label, (center, radius) in enumerate(objects, start=1):
        offsets = [(w - c) * s for w, c, s in zip(where, center, scale, strict=True)]
        labels[sum(o**2 for o in offsets) <= radius**2] = label
    return labels


DISCS = drawn((64, 80), [((16, 16), 9), ((16, 36), 10), ((45, 20), 12), ((44, 56), 14)])
BALLS = drawn((16, 40, 48), [((8, 12, 12), 9), ((7, 28, 32), 10)], ANISOTROPY)


def stardist_image(labels, grid=None, n_rays=RAYS):
    """What a perfect StarDist network gives for labels, axes (z,)yxc."""
    from stardist import Rays_GoldenSpiral, edt_prob, star_dist, star_dist3D

    grid = grid or (1,) * labels.ndim
    if labels.ndim == 2:
        rays = star_dist(labels, n_rays, grid=grid)
        prob = edt_prob(labels)
    else:
        rays = star_dist3D(labels, Rays_GoldenSpiral(n_rays, anisotropy=ANISOTROPY), grid=grid)
        prob = edt_prob(labels, anisotropy=ANISOTROPY)
    prob = prob[tuple(slice(0, None, g) for g in grid)]
    # no ties, for StarDist itself has no rule for them
    noise = np.random.default_rng(0).uniform(0, 1e-2, prob.shape)
    return np.concatenate([(prob + noise)[..., None], rays], axis=-1).astype("float32")


def stardist_alone(image, *, prob_threshold, nms_threshold, n_rays, grid, b, anisotropy=None):
    """The steps of StarDist's own models, of its own functions."""
    import stardist as sd

    shape = tuple(s * g for s, g in zip(image.shape, grid, strict=False))
    prob, rays = image[..., 0], np.maximum(1e-3, image[..., 1:])
    options = {"grid": grid, "b": b, "prob_thresh": prob_threshold, "nms_thresh": nms_threshold}
    if len(grid) == 2:
        points, scores, kept = sd.non_maximum_suppression(rays, prob, **options)
        return sd.polygons_to_label(kept, points, prob=scores, shape=shape)
    spiral = sd.Rays_GoldenSpiral(n_rays, anisotropy=anisotropy)
    points, scores, kept = sd.non_maximum_suppression_3d(rays, prob, spiral, **options)
    return sd.polyhedron_to_label(kept, points, spiral, shape, prob=scores, verbose=False)


def cellpose_image(labels):
    """What a perfect Cellpose network gives for labels, axes c(z)yx: radial flows."""
    where = np.indices(labels.shape).astype("float32")
    flows = np.zeros(where.shape, "float32")
    for label in range(1, labels.max() + 1):
        inside = labels == label
        offsets = where[:, inside].mean(1, keepdims=True) - where[:, inside]
        flows[:, inside] = 5 * offsets / np.maximum(1, np.linalg.norm(offsets, axis=0))
    return np.concatenate([flows, np.where(labels, 6, -6)[None]]).astype("float32")


def assert_same_objects(labels, truth, at_least=0.85):
    """Each drawn object is one label, and there are no others."""
    assert labels.shape == truth.shape
    assert np.unique(labels).tolist() == list(range(truth.max() + 1))
    for label in range(1, truth.max() + 1):
        found = np.bincount(labels[truth == label]).argmax()
        assert found > 0
        assert iou(labels == found, truth == label) > at_least


# StarDist: the labels


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (1, 3), (4, 2)])
def test_stardist_finds_drawn_discs(grid):
    image = stardist_image(DISCS[:, :78], grid)
    labels = stardist_postprocessing(image, **{**PARAMETERS, "grid": grid})
    assert labels.dtype == "int32"
    wanted = np.zeros(labels.shape, "int32")  # 78 is no multiple of 4
    wanted[:64, :78] = DISCS[:, :78]
    assert_same_objects(labels, wanted)


@pytest.mark.parametrize("overlap_label", [None, -1])
def test_stardist_finds_drawn_balls(overlap_label):
    image = stardist_image(BALLS, (1, 2, 2), RAYS_3D)
    labels = stardist_postprocessing(image, **PARAMETERS_3D, overlap_label=overlap_label)
    assert labels.dtype == "int32"
    assert_same_objects(labels, BALLS)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(1, 1), (2, 2), (1, 4)]), st.data())
@settings(max_examples=40)
def test_stardist_in_2d_gives_what_the_package_alone_gives(seed, grid, data):
    rng = np.random.default_rng(seed)
    image = rng.uniform(-2, 8, (rng.integers(1, 20), rng.integers(1, 20), 9)).astype("float32")
    image[..., 0] /= 8  # some lengths and probabilities are negative
    parameters = {
        "prob_threshold": data.draw(st.sampled_from([0.0, 0.5, 0.95])),
        "nms_threshold": data.draw(st.sampled_from([0.0, 0.3, 0.9])),
        "n_rays": 8,
        "grid": grid,
        "b": data.draw(st.sampled_from([0, 2, ((1, 0), (0, 3))])),
    }
    _assert_equal_to_stardist(image, parameters)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(1, 1, 1), (1, 2, 2)]), st.data())
@settings(max_examples=15)
def test_stardist_in_3d_gives_what_the_package_alone_gives(seed, grid, data):
    rng = np.random.default_rng(seed)
    image = rng.uniform(-0.5, 5, (*rng.integers(1, 8, 3), 13)).astype("float32")
    image[..., 0] = rng.uniform(0, 1, image.shape[:3])
    parameters = {
        "prob_threshold": data.draw(st.sampled_from([0.5, 0.9])),
        "nms_threshold": data.draw(st.sampled_from([0.1, 0.5])),
        "n_rays": 12,
        "grid": grid,
        "b": data.draw(st.sampled_from([0, 1, ((1, 0), (0, 3), (0, 0))])),
        "anisotropy": data.draw(st.sampled_from([(1, 1, 1), ANISOTROPY])),
    }
    _assert_equal_to_stardist(image, parameters)


def _assert_equal_to_stardist(image, parameters):
    labels = stardist_postprocessing(image, **parameters)
    alone = stardist_alone(image, **parameters)
    # the same, but for labels that nothing shows
    names, numbered = np.unique(np.append(alone, 0), return_inverse=True)
    del names
    np.testing.assert_array_equal(labels, numbered[:-1].reshape(alone.shape))


def test_stardist_labels_are_in_the_order_of_probabilities_without_a_gap():
    image = np.zeros((30, 60, RAYS + 1), "float32")
    image[15, 10] = [0.6, *[6] * RAYS]
    image[15, 30] = [0.9, *[6] * RAYS]
    image[15, 50] = [0.7, *[6] * RAYS]
    labels = stardist_postprocessing(image, **PARAMETERS)
    assert [labels[15, x] for x in (10, 30, 50)] == [3, 1, 2]
    # one that a more probable one hides
    image[15, 31] = [0.8, *[2] * RAYS]
    labels = stardist_postprocessing(image, **{**PARAMETERS, "nms_threshold": 1.0})
    assert [labels[15, x] for x in (10, 31, 50)] == [3, 1, 2]


def test_stardist_takes_the_later_of_two_that_are_equally_probable():
    image = np.zeros((30, 40, RAYS + 1), "float32")
    image[15, 15] = image[15, 18] = [1, *[6] * RAYS]
    labels = stardist_postprocessing(image, **PARAMETERS)
    assert labels.max() == 1
    assert labels[15, 23] == 1
    assert labels[15, 10] == 0
    volume = np.zeros((9, 9, 20, RAYS_3D + 1), "float32")
    volume[4, 4, 6] = volume[4, 4, 8] = [1, *[4] * RAYS_3D]
    labels = stardist_postprocessing(volume, **{**PARAMETERS_3D, "grid": (1, 1, 1)})
    assert labels.max() == 1
    assert labels[4, 4, 11] == 1
    assert labels[4, 4, 3] == 0


@pytest.mark.parametrize("shape", [(42, 49), (14, 21, 28)])
def test_many_ties_are_in_the_order_of_the_image(shape):
    # as many as a sort without a rule brings out of order
    parameters = PARAMETERS if len(shape) == 2 else {**PARAMETERS_3D, "grid": (1, 1, 1)}
    image = np.zeros((*shape, parameters["n_rays"] + 1), "float32")
    centers = tuple(slice(3, None, 7) for _ in shape)
    image[centers] = [1, *[2] * parameters["n_rays"]]
    prob = np.random.default_rng(0).choice([0.5, 0.75, 1], image[centers].shape[:-1])
    image[(*centers, 0)] = prob
    labels = stardist_postprocessing(image, **parameters)[centers]
    order = sorted(range(labels.size), key=lambda i: (-prob.ravel()[i], -i))
    assert np.argsort(labels.ravel()).tolist() == order
    assert labels.size > 16


@pytest.mark.parametrize("length", [0, -1, 1e-9])
def test_objects_without_extent_are_no_error(length):
    for parameters in (PARAMETERS, {**PARAMETERS_3D, "grid": (1, 1, 1)}):
        image = np.zeros((*[9] * len(parameters["grid"]), parameters["n_rays"] + 1))
        image[(4,) * len(parameters["grid"])] = [1, *[length] * parameters["n_rays"]]
        assert (stardist_postprocessing(image, **parameters) > 0).sum() <= 1


@pytest.mark.parametrize(
    ("b", "kept"),
    [(0, [1, 2]), (5, [1, 2]), (6, [2]), (((6, 0), (0, 0)), [2]), (((0, 0), (0, 26)), [1, 2])],
)
def test_stardist_has_no_candidates_in_the_border(b, kept):
    image = np.zeros((30, 40, RAYS + 1), "float32")
    image[5, 10] = [0.9, *[4] * RAYS]
    image[20, 13] = [0.8, *[4] * RAYS]
    labels = stardist_postprocessing(image, **{**PARAMETERS, "b": b})
    assert [i for i, at in ((1, (5, 10)), (2, (20, 13))) if labels[at]] == kept


@pytest.mark.parametrize("b", [20, 1000, ((0, 30), (0, 0)), ((0, 32), (0, 0))])
def test_a_border_as_large_as_the_image_leaves_nothing(b):
    image = np.full((30, 40, RAYS + 1), 0.9, "float32")
    assert not stardist_postprocessing(image, **{**PARAMETERS, "b": b}).any()


@pytest.mark.parametrize(
    ("label", "objects"), [(-1, {1, 2}), (0, {1, 2}), (1, {2, 3}), (7, {1, 2})]
)
def test_overlaps_get_their_label_and_no_object_has_it(label, objects):
    volume = np.zeros((15, 15, 30, RAYS_3D + 1), "float32")
    volume[7, 7, 10] = [0.9, *[6] * RAYS_3D]
    volume[7, 7, 18] = [0.8, *[6] * RAYS_3D]
    parameters = {**PARAMETERS_3D, "grid": (1, 1, 1), "nms_threshold": 0.9}
    plain = stardist_postprocessing(volume, **parameters)
    labels = stardist_postprocessing(volume, **parameters, overlap_label=label)
    assert set(np.unique(plain)) == {0, 1, 2}
    assert set(np.unique(labels)) == objects | {label, 0}
    assert labels[7, 7, 14] == label
    assert labels[7, 7, 10] == min(objects)
    assert labels[7, 7, 18] == max(objects)
    assert labels.dtype == "int32"


@pytest.mark.parametrize("operation", ["stardist", "cellpose"])
def test_real_nuclei_are_found_again(operation, nuclei_path):
    truth = tifffile.imread(nuclei_path.with_name("mask2d.tif"))
    truth = np.unique(truth, return_inverse=True)[1].reshape(truth.shape)
    if operation == "stardist":
        labels = stardist_postprocessing(stardist_image(truth), **PARAMETERS)
    else:
        labels = cellpose_flow_dynamics(cellpose_image(truth), **FLOWS)
    found = [np.bincount(labels[truth == i]).argmax() for i in range(1, truth.max() + 1)]
    good = [iou(labels == f, truth == i) > 0.8 for i, f in enumerate(found, start=1) if f]
    assert truth.max() == 125
    assert sum(good) >= 123
    assert labels.max() <= 126


# StarDist: awkward images


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (1, 2, 2)])
@pytest.mark.parametrize("size", [0, 1, 5])
def test_stardist_without_candidates_gives_background(grid, size):
    parameters = PARAMETERS if len(grid) == 2 else PARAMETERS_3D
    parameters = {**parameters, "grid": grid}
    image = np.zeros((*[size] * len(grid), parameters["n_rays"] + 1), "float32")
    labels = stardist_postprocessing(image, **parameters)
    assert labels.shape == tuple(size * g for g in grid)
    assert labels.dtype == "int32"
    assert not labels.any()


def test_stardist_on_one_pixel():
    image = np.full((1, 1, RAYS + 1), 0.9, "float32")
    one = stardist_postprocessing(image, **{**PARAMETERS, "b": 0})
    assert one.tolist() == [[1]]
    assert not stardist_postprocessing(image, **PARAMETERS).any()  # all border
    volume = np.full((1, 1, 1, RAYS_3D + 1), 0.9, "float32")
    one = stardist_postprocessing(volume, **PARAMETERS_3D)
    assert one.shape == (1, 2, 2)
    assert one[0, 0, 0] == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channel", [0, 5])
def test_what_is_not_finite_is_no_candidate(value, channel):
    image = np.zeros((30, 40, RAYS + 1))
    image[15, 10] = [0.9, *[5] * RAYS]
    image[15, 30] = [0.8, *[5] * RAYS]
    image[15, 10, channel] = value
    labels = stardist_postprocessing(image, **PARAMETERS)
    certain = channel == 0 and value == np.inf  # more probable than all others
    assert labels.max() == 1 + certain
    assert (labels[15, 10] > 0) == certain
    assert not stardist_postprocessing(np.full_like(image, np.nan), **PARAMETERS).any()


@pytest.mark.parametrize("length", [1e300, 1e30, -1e30])
def test_lengths_that_float32_can_not_square_make_no_candidate_and_no_warning(length):
    image = np.zeros((30, 40, RAYS + 1))
    image[15, 10] = [0.9, *[length] * RAYS]
    assert not stardist_postprocessing(image, **PARAMETERS).any()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_stardist_takes_every_type_and_layout_and_changes_nothing(dtype, layout):
    image = LAYOUTS[layout](stardist_image(DISCS).astype(dtype))
    image.flags.writeable = False
    before = image.tobytes()
    labels = stardist_postprocessing(image, **PARAMETERS)
    assert image.tobytes() == before
    assert_same_objects(labels, DISCS)
    plain = stardist_postprocessing(image.astype("float32"), **PARAMETERS)
    np.testing.assert_array_equal(labels, plain)


def test_stardist_takes_integers():
    image = np.zeros((30, 40, RAYS + 1), "uint8")
    image[15, 10] = [1, *[5] * RAYS]
    assert stardist_postprocessing(image, **PARAMETERS).max() == 1


# Cellpose: the labels


def test_cellpose_finds_drawn_discs():
    labels = cellpose_flow_dynamics(cellpose_image(DISCS), **FLOWS)
    assert labels.dtype == "uint16"
    assert_same_objects(labels, DISCS, at_least=0.95)


def test_cellpose_finds_drawn_balls():
    labels = cellpose_flow_dynamics(cellpose_image(BALLS), **FLOWS_3D, output_dtype="uint32")
    assert labels.dtype == "uint32"
    assert_same_objects(labels, BALLS, at_least=0.95)


@pytest.mark.parametrize("min_size", [0, 15, 200, 400])
@pytest.mark.parametrize("flow_threshold", [0.0, 0.4])
def test_cellpose_gives_what_the_package_alone_gives(min_size, flow_threshold):
    from cellpose.dynamics import resize_and_compute_masks

    image = cellpose_image(DISCS)
    image += np.random.default_rng(0).normal(0, 0.5, image.shape).astype("float32")
    parameters = {**FLOWS, "flow_threshold": flow_threshold, "min_size": min_size}
    labels = cellpose_flow_dynamics(image, **parameters)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse invariant checks")
        alone = resize_and_compute_masks(image[:-1], image[-1], **parameters)
    names, numbered = np.unique(alone, return_inverse=True)
    del names
    np.testing.assert_array_equal(labels, numbered.reshape(alone.shape))


def test_min_size_is_the_smallest_size_that_stays():
    truth = drawn((64, 64), [((12, 12), 4), ((40, 40), 10)])
    size = int((truth == 1).sum())
    image = cellpose_image(truth)
    for min_size, count in ((0, 2), (size, 2), (size + 1, 1), (1000, 0)):
        labels = cellpose_flow_dynamics(image, **FLOWS, min_size=min_size)
        assert labels.max() == count, min_size


def test_objects_whose_flows_do_not_lead_to_their_centre_go_if_there_is_a_threshold():
    image = cellpose_image(DISCS)
    y, x = np.nonzero(DISCS == 2)
    image[0, y, x], image[1, y, x] = 5 * np.sign(y.max() - y), 5 * np.sign(x.max() - 8 - x)
    counts = {
        threshold: cellpose_flow_dynamics(image, **{**FLOWS, "flow_threshold": threshold}).max()
        for threshold in (0, 0.4, 100)
    }
    assert counts == {0: 4, 0.4: 3, 100: 4}


def test_a_small_object_goes_even_if_its_hole_would_make_it_large(monkeypatch):
    masks = np.zeros((20, 40), "uint16")
    masks[2:6, 2:6] = 1
    masks[3:5, 3:5] = 0
    masks[10:15, 10:15] = 2
    masks[12, 12] = 0
    monkeypatch.setattr("cellpose.dynamics.compute_masks", lambda *a, **k: masks.copy())
    image = np.zeros((3, 20, 40))
    for min_size, sizes in ((12, [16, 25]), (13, [25]), (24, [25]), (25, [])):
        labels = cellpose_flow_dynamics(image, **FLOWS, min_size=min_size)
        assert np.bincount(labels.ravel())[1:].tolist() == sizes


def test_an_object_that_another_surrounds_takes_no_third_one_with_it(monkeypatch):
    # cellpose 4.1 counts labels by their place in a list, and drops the wrong one here
    masks = np.zeros((20, 40), "uint16")
    masks[2:18, 2:18] = 1
    masks[8:12, 8:12] = 2
    masks[5:10, 25:35] = 3
    masks[15:16, 25:35] = 4
    monkeypatch.setattr("cellpose.dynamics.compute_masks", lambda *a, **k: masks.copy())
    image = np.zeros((3, 20, 40))
    labels = cellpose_flow_dynamics(image, **FLOWS, min_size=15)
    assert np.unique(labels, return_counts=True)[1].tolist() == [800 - 256 - 50, 256, 50]
    assert (labels[masks == 3] == 2).all()
    unfiltered = cellpose_flow_dynamics(image, **FLOWS, min_size=0)
    assert np.unique(unfiltered).tolist() == [0, 1, 2, 3]


def test_an_image_without_background_keeps_its_objects(monkeypatch):
    masks = np.repeat(np.arange(1, 5, dtype="uint16"), 50).reshape(10, 20)
    monkeypatch.setattr("cellpose.dynamics.compute_masks", lambda *a, **k: masks.copy())
    labels = cellpose_flow_dynamics(np.zeros((3, 10, 20)), **FLOWS, min_size=20)
    np.testing.assert_array_equal(labels, masks)


def test_more_objects_than_labels_are_an_error_and_no_wrap(monkeypatch):
    masks = np.arange(260 * 260, dtype="uint32").reshape(260, 260)
    monkeypatch.setattr("cellpose.dynamics.compute_masks", lambda *a, **k: masks.copy())
    image = np.zeros((3, 260, 260), "float32")
    with pytest.raises(OperationError, match="uint16 has not enough labels.*set output_dtype"):
        cellpose_flow_dynamics(image, **FLOWS, min_size=0)
    labels = cellpose_flow_dynamics(image, **FLOWS, min_size=0, output_dtype="uint32")
    np.testing.assert_array_equal(labels, masks)


# Cellpose: awkward images


@pytest.mark.parametrize("parameters", [FLOWS, FLOWS_3D], ids=["2D", "3D"])
def test_cellpose_without_cells_gives_background(parameters):
    ndim = 2 + parameters["do_3D"]
    for value in (-6, np.nan):
        image = np.full((ndim + 1, *[5] * ndim), value)
        labels = cellpose_flow_dynamics(image, **parameters)
        assert labels.shape == (5,) * ndim
        assert not labels.any()
    assert not cellpose_flow_dynamics(np.full((ndim + 1, *[2] * ndim), 1.0), **parameters).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channel", [0, 1])
def test_where_a_flow_is_not_finite_there_is_no_cell_and_the_others_stay(value, channel):
    image = cellpose_image(DISCS)
    broken = image.copy()
    broken[channel, DISCS == 1] = value
    labels = cellpose_flow_dynamics(broken, **{**FLOWS, "cellprob_threshold": -2})
    wanted = np.where(DISCS == 1, 0, DISCS - (DISCS > 1))
    assert_same_objects(labels, wanted, at_least=0.95)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_pixel_that_is_nan_belongs_to_no_object_even_at_its_centre(channel):
    image = cellpose_image(DISCS)
    image[channel, 16, 16:26] = np.nan  # open to the outside, or it were a hole
    labels = cellpose_flow_dynamics(image, **{**FLOWS, "cellprob_threshold": -2})
    assert labels.max() == 4
    assert labels[14, 18] > 0
    assert not labels[16, 16:26].any()


def test_a_cell_probability_that_is_nan_is_no_cell_and_one_that_is_infinite_is():
    image = cellpose_image(DISCS)
    image[2, DISCS == 1] = np.nan
    image[2, DISCS == 2] = np.inf
    labels = cellpose_flow_dynamics(image, **{**FLOWS, "cellprob_threshold": -2})
    assert not labels[DISCS == 1].any()
    assert labels.max() == 3


@pytest.mark.parametrize("shape", [(3, 1, 20), (3, 20, 1), (3, 0, 5)])
def test_cellpose_needs_room(shape):
    with pytest.raises(SizeError, match="flows need room to go.*expected size >= 2"):
        cellpose_flow_dynamics(np.zeros(shape), **FLOWS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_cellpose_takes_every_type_and_layout_and_changes_nothing(dtype, layout):
    image = LAYOUTS[layout](cellpose_image(DISCS).astype(dtype))
    image.flags.writeable = False
    before = image.tobytes()
    labels = cellpose_flow_dynamics(image, **FLOWS)
    assert image.tobytes() == before
    plain = cellpose_flow_dynamics(image.astype("float32"), **FLOWS)
    np.testing.assert_array_equal(labels, plain)


# arrays that do not fit


@pytest.mark.parametrize("shape", [(5, 5), (1, 5, 5, RAYS + 1)])
def test_one_image_is_needed(shape):
    with pytest.raises(SizeError, match="one image is needed.*the axes 'yxc'"):
        stardist_postprocessing(np.zeros(shape), **PARAMETERS)
    with pytest.raises(SizeError, match="one image is needed.*the axes 'czyx'"):
        cellpose_flow_dynamics(np.zeros((4, 5, 5)), **FLOWS_3D)


def test_the_channels_have_to_be_those_of_the_network():
    with pytest.raises(SizeError, match="wrong number of channels.*expected 33, got 32"):
        stardist_postprocessing(np.zeros((5, 5, 32)), **PARAMETERS)
    with pytest.raises(SizeError, match="wrong number of channels.*expected 3, got 4"):
        cellpose_flow_dynamics(np.zeros((4, 5, 5)), **FLOWS)


def test_what_is_for_3d_is_refused_in_2d():
    with pytest.raises(OperationError, match="anisotropy and overlaps are for 3D"):
        stardist_postprocessing(np.zeros((5, 5, 33)), **PARAMETERS, overlap_label=1)


# missing packages


def test_a_missing_package_is_said_with_its_extra(monkeypatch):
    for module in ("stardist", "cellpose", "cellpose.dynamics"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"'bioimageio_fn\[stardist\]'") as caught:
        stardist_postprocessing(np.zeros((5, 5, 33)), **PARAMETERS)
    assert isinstance(caught.value, ImportError)
    with pytest.raises(MissingDependencyError, match=r"'bioimageio_fn\[cellpose\]'"):
        cellpose_flow_dynamics(np.zeros((3, 5, 5)), **FLOWS)


def test_the_packages_are_imported_on_use_and_leave_warnings_as_they_are():
    code = """
import sys, warnings
import numpy as np
from bioimageio_fn.ops.instance_records import CellposeFlowDynamics, StardistPostprocessing
assert not {"stardist", "cellpose", "torch", "numba", "scipy"} & set(sys.modules)
from bioimageio_fn.ops.instances import stardist_postprocessing
shown = warnings.formatwarning
stardist_postprocessing(np.zeros((3, 3, 5)), prob_threshold=0, nms_threshold=0, n_rays=4,
                        grid=(1, 1), b=0)
assert "stardist" in sys.modules and warnings.formatwarning is shown
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# records


STARDIST = StardistPostprocessing(**PARAMETERS)
STARDIST_3D = StardistPostprocessing(**PARAMETERS_3D, overlap_label=-1)
CELLPOSE = CellposeFlowDynamics(**FLOWS)
CELLPOSE_3D = CellposeFlowDynamics(**FLOWS_3D, output_dtype="uint32")


def batches():
    """For each record a tensor of two images in the order of the array function, and the labels."""
    empty = np.zeros_like
    discs, balls = stardist_image(DISCS), stardist_image(BALLS, (1, 2, 2), RAYS_3D)
    flows, flows_3d = cellpose_image(DISCS), cellpose_image(BALLS)
    return {
        "stardist": (STARDIST, Tensor(np.stack([discs, empty(discs)]), "byxc"), DISCS),
        "stardist 3D": (STARDIST_3D, Tensor(np.stack([balls, empty(balls)]), "bzyxc"), BALLS),
        "cellpose": (CELLPOSE, Tensor(np.stack([flows, empty(flows)]), "bcyx"), DISCS),
        "cellpose 3D": (CELLPOSE_3D, Tensor(np.stack([flows_3d, empty(flows_3d)]), "bczyx"), BALLS),
    }


@pytest.fixture(scope="module", params=["stardist", "stardist 3D", "cellpose", "cellpose 3D"])
def case(request):
    return batches()[request.param]


def test_records_keep_the_protocol_are_values_and_pickle(case):
    op, tensor, _ = case
    assert isinstance(op, Operation)
    assert op.name in ("stardist_postprocessing", "cellpose_flow_dynamics")
    assert op.references == ()
    assert op.measures("raw") == ()
    assert set(op.whole_axes) == set(tensor.axes) - {"batch"}
    assert pickle.loads(pickle.dumps(op)) == op
    assert hash(attrs.evolve(op)) == hash(op)


def test_each_image_of_a_batch_gives_its_labels_and_plan_says_what_comes(case):
    op, tensor, truth = case
    before = np.array(tensor.data).tobytes()
    result = op.apply(tensor)
    assert tensor_spec(result) == op.plan(tensor_spec(tensor))
    assert np.array(tensor.data).tobytes() == before
    first, second = (Tensor(result.data[i], result.axes[1:]) for i in (0, 1))
    assert_same_objects(np.asarray(first).reshape(truth.shape), truth)
    assert not np.asarray(second).any()
    alone = op.apply(Tensor(tensor.data[0], tensor.axes[1:]))
    assert alone == first
    assert alone.sizes["channel"] == 1
    none = op.apply(Tensor(tensor.data[:0], tensor.axes))
    assert tensor_spec(none) == op.plan(tensor_spec(Tensor(tensor.data[:0], tensor.axes)))


@pytest.mark.parametrize("name", ["stardist", "cellpose"])
def test_axes_may_stand_in_any_order_and_stay_there(name):
    op, tensor, _ = batches()[name]
    result = op.apply(tensor)
    for axes in itertools.permutations("bcyx"):
        got = op.apply(transpose(tensor, axes))
        assert got == transpose(result, axes)


def test_axes_of_volumes_may_stand_in_another_order(case):
    op, tensor, _ = case
    axes = tensor.axes[::-1]
    assert op.apply(transpose(tensor, axes)) == transpose(op.apply(tensor), axes)


@pytest.mark.parametrize("library", LIBRARIES)
def test_labels_stay_in_the_library_of_the_argument(case, library):
    op, tensor, _ = case
    given_ = Tensor(LIBRARIES[library](np.array(tensor.data)), tensor.axes)
    result = op.apply(given_)
    assert type(result.data) is type(given_.data)
    assert dtype_name(result.data.dtype) == op.plan(tensor_spec(tensor)).dtype
    assert result == op.apply(tensor)


def test_sizes_are_multiplied_by_the_grid():
    op = StardistPostprocessing(**{**PARAMETERS, "grid": (2, 4)})
    planned = op.plan(TensorSpec("xbcy", (10, 3, 33, None), "float64"))
    assert planned == TensorSpec("xbcy", (40, 3, 1, None), "int32")
    assert (op.channels, op.scale("y"), op.scale("x"), op.scale("batch")) == (33, 2, 4, 1)


@pytest.mark.parametrize(
    ("axes", "shape", "error", "match"),
    [
        ("byx", (1, 8, 8), AxesError, "axis 'channel'.*axis is missing|an axis is missing"),
        ("bcy", (1, 33, 8), AxesError, "an axis is missing .axis 'x'"),
        ("bczyx", (1, 33, 8, 8, 8), AxesError, "can not be there .axis 'z'"),
        ("tcyx", (1, 33, 8, 8), AxesError, "can not be there .axis 'time'"),
        ("bcyx", (1, 32, 8, 8), SizeError, "wrong number of channels.*expected 33, got 32"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_when_planned_and_applied(axes, shape, error, match):
    with pytest.raises(error, match=match):
        STARDIST.plan(TensorSpec(axes, shape, "float32"))
    with pytest.raises(error, match=match):
        STARDIST.apply(Tensor(np.zeros(shape, "float32"), axes))


def test_cellpose_wants_its_channels():
    with pytest.raises(SizeError, match="expected 3, got 2"):
        CELLPOSE.plan(TensorSpec("bcyx", (1, 2, 8, 8), "float32"))
    with pytest.raises(SizeError, match="expected 4, got 3"):
        CELLPOSE_3D.plan(TensorSpec("bczyx", (1, 3, 8, 8, 8), "float32"))
    with pytest.raises(AxesError, match="an axis is missing .axis 'z'"):
        CELLPOSE_3D.plan(TensorSpec("bcyx", (1, 4, 8, 8), "float32"))


def test_pairs_and_numpy_integers_are_taken_as_they_are_meant():
    op = StardistPostprocessing(**{**PARAMETERS, "b": [[1, np.int64(2)], (3, 4)], "grid": [2, 2]})
    assert op.b == ((1, 2), (3, 4))
    assert op.grid == (2, 2)
    assert StardistPostprocessing(**{**PARAMETERS_3D, "anisotropy": [1, 2, 3]}).anisotropy == (
        1.0,
        2.0,
        3.0,
    )


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"prob_threshold": 1.5}, "prob_threshold is a fraction"),
        ({"prob_threshold": -0.1}, "prob_threshold is a fraction"),
        ({"prob_threshold": "0.5"}, "not a number"),
        ({"prob_threshold": float("nan")}, "not a number"),
        ({"nms_threshold": 2}, "nms_threshold is a fraction"),
        ({"nms_threshold": None}, "not a number"),
        ({"n_rays": 2}, "too few n_rays"),
        ({"n_rays": 32.0}, "not an integer"),
        ({"n_rays": True}, "not an integer"),
        ({"n_rays": "32"}, "not an integer"),
        ({"grid": (2,)}, "a step for each space axis"),
        ({"grid": ()}, "a step for each space axis"),
        ({"grid": (1, 1, 1, 1)}, "a step for each space axis"),
        ({"grid": (0, 1)}, "a step for each space axis"),
        ({"grid": (1.5, 1)}, "not an integer"),
        ({"grid": 2}, "not a list"),
        ({"grid": "22"}, "not a list"),
        ({"b": -1}, "b is negative"),
        ({"b": ((0, 0), (0, -1))}, "b is negative"),
        ({"b": ((0, 0),)}, "one for each space axis"),
        ({"b": ()}, "one for each space axis"),
        ({"b": ((0, 0), (0, 0, 0))}, "not a border"),
        ({"b": (1, 2)}, "not a list"),
        ({"b": 1.5}, "not an integer"),
        ({"b": None}, "not an integer"),
        ({"b": "2"}, "not an integer"),
        ({"anisotropy": (1, 1, 1)}, "anisotropy is for 3D"),
        ({"overlap_label": 1}, "overlap_label is for 3D"),
        ({"grid": (1, 1, 1)}, "anisotropy has the size of a voxel"),
        ({"grid": (1, 1, 1), "anisotropy": (1, 1)}, "anisotropy has the size of a voxel"),
        ({"grid": (1, 1, 1), "anisotropy": (1, 1, 0)}, "anisotropy has the size of a voxel"),
        ({"grid": (1, 1, 1), "anisotropy": (1, 1, np.inf)}, "anisotropy has the size of a voxel"),
        ({"grid": (1, 1, 1), "anisotropy": 1}, "not a list"),
        ({"grid": (1, 1, 1), "anisotropy": (1, 1, "1")}, "not a number"),
        ({"grid": (1, 1, 1), "anisotropy": (1, 1, 1), "n_rays": 3}, "too few n_rays"),
        (
            {"grid": (1, 1, 1), "anisotropy": (1, 1, 1), "overlap_label": 2**31},
            "overlap_label is no label",
        ),
        (
            {"grid": (1, 1, 1), "anisotropy": (1, 1, 1), "overlap_label": 0.5},
            "not an integer",
        ),
    ],
)
def test_malformed_parameters_of_stardist_are_refused(changed, match):
    with pytest.raises(OperationError, match=match):
        StardistPostprocessing(**{**PARAMETERS, **changed})


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"cellprob_threshold": "0"}, "not a number"),
        ({"cellprob_threshold": np.inf}, "cellprob_threshold is a logit"),
        ({"flow_threshold": -0.1}, "flow_threshold is a squared error"),
        ({"flow_threshold": None}, "not a number"),
        ({"do_3D": 1}, "do_3D is yes or no"),
        ({"do_3D": "no"}, "do_3D is yes or no"),
        ({"min_size": -1}, "min_size is negative"),
        ({"min_size": 1.5}, "not an integer"),
        ({"output_dtype": "uint8"}, "output_dtype is no type of labels"),
        ({"output_dtype": None}, "output_dtype is no type of labels"),
        ({"output_dtype": ["uint16"]}, "output_dtype is no type of labels"),
    ],
)
def test_malformed_parameters_of_cellpose_are_refused(changed, match):
    with pytest.raises(OperationError, match=match):
        CellposeFlowDynamics(**{**FLOWS, **changed})
