"""From what a network says of each pixel to the objects of one image: StarDist and Cellpose.

What holds here:

- a function takes one image, with the axes that it states, and gives NumPy labels: 0 is
  background, the objects are 1, 2, ... without a gap;
- the argument is never changed, and the same argument gives the same labels: ties are broken by
  the place of the pixel, never by the sorting of the processor;
- labels never wrap;
- the packages `stardist` and `cellpose` do the work, and are imported only here, on use.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, TypeAlias

import numpy as np

from ..arrays import Array, as_array, to_numpy
from ..errors import MissingDependencyError, OperationError, SizeError
from .parameters import check

__all__ = ["Border", "LabelDtype", "cellpose_flow_dynamics", "stardist_postprocessing"]

Border: TypeAlias = int | tuple[tuple[int, int], ...]
"""A width for every side, or one pair (before, after) for each space axis; in network pixels."""

LabelDtype: TypeAlias = Literal["uint16", "uint32"]

_Array: TypeAlias = np.ndarray[Any, Any]

_SHORTEST_RAY = 1e-3
"""StarDist's own bound: polygons without area upset its geometry."""

_LONGEST_RAY = 1e18
"""The square of a longer one is infinite in float32, in which StarDist computes."""

_OVERLAP = -1
"""Marks overlaps while objects are drawn: no object has it."""


def stardist_postprocessing(
    x: Array,
    *,
    prob_threshold: float,
    nms_threshold: float,
    n_rays: int,
    grid: tuple[int, ...],
    b: Border,
    anisotropy: tuple[float, float, float] | None = None,
    overlap_label: int | None = None,
) -> _Array:
    """Objects from object probabilities and ray lengths, as the package `stardist` finds them.

    A pixel is a candidate if its probability is above the threshold, it is not in the border, and
    the lengths of all its rays are numbers below 1e18. Of candidates that overlap the most
    probable stays; of two that are equally probable, the one that comes later in the image. The
    labels are in the order of the probabilities, the most probable object is 1. Where objects
    overlap, the more probable one is seen.

    Args:
        x: one image with the axes "yxc" or "zyxc", any real type, computed in float32: channel 0
            is the object probability, the channels 1 to n_rays are lengths of rays in pixels of
            the result. A probability that is NaN makes no candidate. Lengths below 0.001 are
            taken as 0.001.
        prob_threshold: candidates are above it.
        nms_threshold: of two candidates that overlap by more than this, one goes; the overlap is
            a part of the smaller of both, 0 to 1.
        n_rays: number of rays; in 3D those of `stardist.Rays_GoldenSpiral`.
        grid: pixels of the result for one of x, for each space axis; 2D if it has two entries, 3D
            if three.
        b: the border in which there is no candidate, in pixels of x.
        anisotropy: size of a voxel in z, y, x; 3D only.
        overlap_label: what pixels of more than one object become; 3D only. The objects do not use
            it as a label.

    Returns:
        int32 labels with the axes "yx" or "zyx", each as large as that of x times its grid. All
        are 0 if there is no candidate.

    Raises:
        MissingDependencyError: if the package stardist is not there; names the extra.
        OperationError: if an argument for 3D is given in 2D.
        SizeError: if x has other axes, or other channels than 1 + n_rays.

    Examples:
        A disc of radius 2 around the one pixel that is probable.

        >>> x = np.zeros((7, 7, 1 + 32), "float32")
        >>> x[3, 3] = [0.9, *[2] * 32]
        >>> stardist_postprocessing(
        ...     x, prob_threshold=0.5, nms_threshold=0.3, n_rays=32, grid=(1, 1), b=0)
        array([[0, 0, 0, 0, 0, 0, 0],
               [0, 0, 0, 1, 0, 0, 0],
               [0, 0, 1, 1, 1, 0, 0],
               [0, 1, 1, 1, 1, 1, 0],
               [0, 0, 1, 1, 1, 0, 0],
               [0, 0, 0, 1, 0, 0, 0],
               [0, 0, 0, 0, 0, 0, 0]], dtype=int32)
    """
    step = "stardist_postprocessing"
    if len(grid) == 2:
        only_3d = (anisotropy, overlap_label)
        check(only_3d == (None, None), step, "anisotropy and overlaps are for 3D", None, only_3d)
    _check_axes(x, step, "yxc" if len(grid) == 2 else "zyxc", channels=1 + n_rays)
    _import_stardist()
    image = _as_float32(x)
    shape = tuple(s * g for s, g in zip(image.shape, grid, strict=False))
    points = _candidates(image, prob_threshold, b)
    if not len(points):
        return np.zeros(shape, "int32")
    chosen = image[tuple(points.T)]
    prob, rays = chosen[:, 0], np.maximum(np.float32(_SHORTEST_RAY), chosen[:, 1:])
    centers = points * np.array(grid)
    if len(grid) == 2:
        return _drawn_polygons(prob, rays, centers, shape, nms_threshold)
    labels = _drawn_polyhedra(
        rays, centers, shape, nms_threshold, anisotropy, mark_overlaps=overlap_label is not None
    )
    return labels if overlap_label is None else _with_overlap_label(labels, overlap_label)


def _check_axes(x: Array, step: str, axes: str, channels: int) -> None:
    if len(x.shape) != len(axes):
        raise SizeError(
            "one image is needed, with other axes",
            step=step,
            expected=f"the axes '{axes}'",
            got=f"shape {tuple(x.shape)}",
        )
    if (got := x.shape[axes.index("c")]) != channels:
        raise SizeError(
            "wrong number of channels", axis="channel", step=step, expected=channels, got=got
        )


def _as_float32(x: Array) -> _Array:
    with np.errstate(over="ignore"):  # infinite is as good as too large
        return to_numpy(as_array(x)).astype("float32", copy=False)


def _import_stardist() -> None:
    """Import the package stardist, or say how to get it."""
    shown = warnings.formatwarning
    try:
        import stardist  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "this needs the package stardist",
            step="stardist_postprocessing",
            got=str(error),
            remedy="pip install 'bioimageio_fn[stardist]'",
        ) from error
    finally:
        # its import changes how every warning of the process is shown
        warnings.formatwarning = shown


def _candidates(image: _Array, threshold: float, border: Border) -> _Array:
    """Where candidates are, one a row, the most probable first."""
    prob = image[..., 0]
    widths = ((border, border),) * prob.ndim if isinstance(border, int) else border
    inner = tuple(
        slice(before, max(0, size - after))
        for (before, after), size in zip(widths, prob.shape, strict=True)
    )
    found = np.zeros(prob.shape, bool)
    found[inner] = prob[inner] > float(threshold)
    points = np.argwhere(found)
    points = points[(np.abs(image[found][:, 1:]) < _LONGEST_RAY).all(1)]
    # StarDist sorts without a rule for ties, which differs between processors
    return points[np.argsort(prob[tuple(points.T)], kind="stable")[::-1]]


def _drawn_polygons(
    prob: _Array, rays: _Array, centers: _Array, shape: tuple[int, ...], threshold: float
) -> _Array:
    from stardist.geometry import polygons_to_label
    from stardist.nms import non_maximum_suppression_inds

    kept = non_maximum_suppression_inds(rays, centers, prob, thresh=threshold, verbose=False)
    return _renumbered(polygons_to_label(rays[kept], centers[kept], shape, prob=prob[kept]))


def _drawn_polyhedra(
    rays: _Array,
    centers: _Array,
    shape: tuple[int, ...],
    threshold: float,
    anisotropy: tuple[float, float, float] | None,
    *,
    mark_overlaps: bool,
) -> _Array:
    from stardist.geometry import polyhedron_to_label
    from stardist.nms import non_maximum_suppression_3d_inds
    from stardist.rays3d import Rays_GoldenSpiral

    directions = Rays_GoldenSpiral(rays.shape[1], anisotropy=anisotropy)
    # both functions sort again; ranks have no ties, so that the order stays ours
    rank = np.arange(len(centers), 0, -1, dtype="float64")
    kept = non_maximum_suppression_3d_inds(
        rays, centers, directions, rank, thresh=threshold, verbose=False
    )
    labels = polyhedron_to_label(
        rays[kept],
        centers[kept],
        directions,
        shape,
        prob=rank[kept],
        overlap_label=_OVERLAP if mark_overlaps else None,
        verbose=False,
    )
    return _renumbered(labels)


def _with_overlap_label(labels: _Array, label: int) -> _Array:
    """Overlaps get their label; the objects from it on move up by one, to leave it free."""
    objects = labels + (labels >= label) if label > 0 else labels
    return np.where(labels == _OVERLAP, label, objects).astype("int32")


def _renumbered(labels: _Array, min_size: int = 1) -> _Array:
    """Objects of at least a size, as 1, 2, ... in the order of their labels; negatives stay."""
    objects = np.maximum(labels, 0)
    kept = np.bincount(objects.ravel(), minlength=1) >= max(1, min_size)
    kept[0] = False
    table = np.where(kept, np.cumsum(kept), 0).astype("int32")
    return np.where(labels < 0, labels, table[objects]).astype("int32")


def cellpose_flow_dynamics(
    x: Array,
    *,
    cellprob_threshold: float,
    flow_threshold: float,
    do_3D: bool,
    min_size: int = 15,
    output_dtype: LabelDtype = "uint16",
) -> _Array:
    """Objects from flows to their centres, as the package `cellpose` finds them.

    Pixels that are cells follow the flow; those that end at one place are one object. Its holes
    are filled. An object that fills more than 40 % of the image goes, as by cellpose itself.

    Args:
        x: one image with the axes "cyx", or "czyx" with do_3D, each space axis 2 pixels or longer,
            any real type, computed in float32: the flows along (z,) y, x in the scale of Cellpose
            (5 times a step of one pixel), then the logit that a pixel is a cell. Where a flow is
            NaN or infinite, or the logit is NaN, there is no cell.
        cellprob_threshold: cells have a logit above it; the default of cellpose is 0.
        flow_threshold: an object goes if the mean squared error between its flows and those of
            its shape is above it; 0 keeps all. Cellpose does not look at it in 3D.
        do_3D: whether x has a z axis.
        min_size: smaller objects go, in pixels; 0 keeps all.
        output_dtype: type of the labels.

    Returns:
        Labels with the axes "yx" or "zyx".

    Raises:
        MissingDependencyError: if the package cellpose is not there; names the extra.
        OperationError: if there are more objects than the type has labels.
        SizeError: if x has other axes or channels, or a space axis is shorter than 2.

    Examples:
        Two cells, whose pixels flow to the columns 4 and 15.

        >>> column = np.arange(20.0)
        >>> x = np.zeros((3, 9, 20), "float32")
        >>> x[0] = 5 * np.sign(4 - np.arange(9.0))[:, None]
        >>> x[1] = 5 * np.sign(np.where(column < 10, 4, 15) - column)
        >>> x[2, 1:8, 1:8] = x[2, 1:8, 12:19] = 6
        >>> labels = cellpose_flow_dynamics(
        ...     x, cellprob_threshold=0, flow_threshold=0, do_3D=False)
        >>> sorted(np.unique(labels[labels > 0], return_counts=True)[1].tolist()), labels.dtype
        ([49, 49], dtype('uint16'))
    """
    step = "cellpose_flow_dynamics"
    axes = "czyx" if do_3D else "cyx"
    _check_axes(x, step, axes, channels=len(axes))
    for axis, size in zip(axes[1:], x.shape[1:], strict=True):
        if size < 2:
            raise SizeError(
                "flows need room to go", axis=axis, step=step, expected="size >= 2", got=size
            )
    compute_masks, fill_holes, checked = _import_cellpose()
    image = _as_float32(x)
    nowhere = ~np.isfinite(image[:-1]).all(0)
    flows = np.where(nowhere, np.float32(0), image[:-1])
    logit = np.where(nowhere, np.float32(-np.inf), image[-1])
    with checked:
        labels = compute_masks(
            flows,
            logit,
            cellprob_threshold=float(cellprob_threshold),
            flow_threshold=float(flow_threshold),
            do_3D=do_3D,
            min_size=-1,
        )
    # cellpose removes small objects before and after it fills holes. Versions before 4.2 count
    # labels wrongly where one is missing, and all versions where there is no background: done here
    labels = _renumbered(labels.astype("int32"), min_size)
    labels = _renumbered(fill_holes(labels, min_size=-1), min_size)
    if (count := int(labels.max())) > np.iinfo(output_dtype).max:
        raise OperationError(
            f"{output_dtype} has not enough labels for all objects",
            step=step,
            expected=f"at most {np.iinfo(output_dtype).max} objects",
            got=count,
            remedy="set output_dtype to uint32",
        )
    return labels.astype(output_dtype)


def _import_cellpose() -> tuple[Any, Any, Any]:
    """The two functions of the package cellpose that are needed, and a context to run them in.

    The context has torch check the sparse tensors of cellpose: left undecided, torch warns.
    """
    try:
        import torch
        from cellpose.dynamics import compute_masks
        from cellpose.utils import fill_holes_and_remove_small_masks
    except ImportError as error:
        raise MissingDependencyError(
            "this needs the package cellpose",
            step="cellpose_flow_dynamics",
            got=str(error),
            remedy="pip install 'bioimageio_fn[cellpose]'",
        ) from error
    sparse: Any = torch.sparse  # its types are incomplete
    checked = sparse.check_sparse_tensor_invariants(enable=True)
    return compute_masks, fill_holes_and_remove_small_masks, checked
