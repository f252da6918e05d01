"""`diagnose`: why an output is not what a description says.

What holds here: hypotheses are tried in one order, those first that have nothing to be fitted; one
that makes the expected tensor of the produced one, within the tolerance, names the cause; the text
says by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from immutabledict import immutabledict

from ..axes import MemberId
from ..contract.records import TensorContract
from ..deviation import Array, deviations
from ..ops.instance_records import ToLabels
from ..tensor import Tensor
from .arranged import of_raw_statistics, of_shape, rearranged, swapped
from .case import Case, figure, said, thinned
from .labels import looks_like_labels, match_objects
from .records import Agreement, Diagnosis, Tolerance
from .tolerating import exceeding
from .valued import activated, affine, cast, clipped, noisy, scaled_or_shifted

__all__ = ["diagnose", "explained"]

Hypothesis: TypeAlias = Callable[[Case], Diagnosis | None]

_APART = ("batch", "channel")
BORDER = 0.9
"""Part of the elements over the tolerance that lie near a border where this is said."""


def diagnose(
    produced: Tensor,
    expected: Tensor,
    tolerance: Tolerance,
    *,
    described: TensorContract | None = None,
    others: Mapping[MemberId, Tensor] = immutabledict(),
    from_raw_statistics: Tensor | None = None,
) -> Diagnosis:
    """Say why a produced tensor is not the expected one, or that it is.

    Args:
        produced: what came.
        expected: the test output.
        tolerance: what they may differ by.
        described: the contract of the output, which knows its type, and whether it holds labels;
            without it integers that look like labels are compared as labels.
        others: the test outputs of the other outputs.
        from_raw_statistics: what comes if statistics are taken of the unprocessed input.

    Returns:
        The first hypothesis that explains it: the same; the tensor of another output; statistics
        of the raw input; other order or direction of axes; another shape; values that are not
        finite; another type; an activation missing or too many; a factor or an offset; both;
        other numbers of the same labels; values cut off; other labels; noise. Else `different`.

    Examples:
        >>> expected = Tensor(np.random.default_rng(0).random((5, 7), "float32"), "yx")
        >>> tolerance = Tolerance(relative=1e-3, absolute=1e-3, mismatched_per_million=100)
        >>> print(diagnose(Tensor(np.asarray(expected) * 255, "yx"), expected, tolerance).text)
        it is 255 times what is expected
        >>> diagnose(Tensor(np.asarray(expected)[:, ::-1], "yx"), expected, tolerance)
        Diagnosis(cause='flipped', text='it runs backwards along x')
    """
    raw = None if from_raw_statistics is None else np.asarray(from_raw_statistics)
    case = Case(
        np.asarray(produced),
        np.asarray(expected),
        expected.axes,
        tolerance,
        described,
        {name: tensor for name, tensor in others.items() if tensor is not expected},
        raw,
    )
    # what overflows, or is not finite, explains nothing
    with np.errstate(all="ignore"):
        for hypothesis in _HYPOTHESES:
            if (found := hypothesis(case)) is not None:
                return found
        return _different(case)


def explained(diagnosis: Diagnosis, agreement: Agreement) -> str:
    """Why an output is not the expected one, and by how much, in one line."""
    # where nothing explains it, the diagnosis itself tells of the largest difference
    figures = agreement.counted if diagnosis.cause == "different" else str(agreement)
    return f"{diagnosis.text} ({figures})"


def _same(case: Case) -> Diagnosis | None:
    """It is the expected one, of the right type."""
    if not case.reproduces(case.produced):
        return None
    wanted = case.expected.dtype.name
    if case.described is not None and case.described.dtype is not None:
        wanted = case.described.dtype
    if case.produced.dtype.name != wanted:
        text = f"the values are right, but {case.produced.dtype.name} instead of {wanted}"
        return Diagnosis("other dtype", text)
    apart = deviations(case.produced, case.expected)
    if not apart.any():
        return Diagnosis("same", f"all {apart.size} elements are equal")
    if _holds_labels(case):
        return Diagnosis("same", _objects_said(case))
    most = figure(float(apart.max()))
    return Diagnosis("same", f"equal within the tolerance; the largest difference is {most}")


def _not_finite(case: Case) -> Diagnosis | None:
    """It has NaN or infinity where a number is expected, or a number where these are."""
    over = np.isinf(deviations(case.produced, case.expected))
    if not over.any():
        return None
    place = np.unravel_index(int(over.argmax()), over.shape)
    where = said(dict(zip(case.axes, map(int, place), strict=True)))
    got, wanted = (figure(float(a[place])) for a in (case.produced, case.expected))
    return Diagnosis(
        "not finite",
        f"{np.count_nonzero(over)} of {over.size} elements, the first at {where}: {got} instead of"
        f" {wanted}",
    )


def _surely_labels(case: Case) -> bool:
    """Whether the description makes objects of the output."""
    return case.described is not None and any(
        isinstance(step, ToLabels) for step in case.described.operations
    )


def _holds_labels(case: Case) -> bool:
    kinds = case.produced.dtype.kind + case.expected.dtype.kind
    integers = all(kind in "iu" for kind in kinds)
    return integers and (_surely_labels(case) or looks_like_labels(case.expected))


def _described_labels_permuted(case: Case) -> Diagnosis | None:
    """Labels of a step that makes objects are judged as labels before anything is fitted."""
    return _labels_permuted(case) if _surely_labels(case) else None


def _labels_permuted(case: Case) -> Diagnosis | None:
    """Every object is there, with another number."""
    if not _holds_labels(case):
        return None
    objects = match_objects(*_tensors(case))
    if not (objects.alike and objects.renumbered):
        return None
    return Diagnosis("labels permuted", str(objects))


def _labels_differ(case: Case) -> Diagnosis | None:
    """Some objects are others."""
    return Diagnosis("labels differ", _objects_said(case)) if _holds_labels(case) else None


def _objects_said(case: Case) -> str:
    return str(match_objects(*_tensors(case)))


def _tensors(case: Case) -> tuple[Tensor, Tensor]:
    return Tensor(case.produced, case.axes), Tensor(case.expected, case.axes)


def _different(case: Case) -> Diagnosis:
    """Nothing explains it: how far it is off, and where."""
    p, e = case.produced.astype("float64"), case.expected.astype("float64")
    apart = deviations(case.produced, case.expected)
    place = np.unravel_index(int(apart.argmax()), apart.shape)
    where = said(dict(zip(case.axes, map(int, place), strict=True)))
    text = (
        f"{_likeness(p, e)}; the largest difference is {figure(float(apart[place]))} at {where}:"
        f" expected {figure(float(e[place]))}, got {figure(float(p[place]))}"
    )
    return Diagnosis("different", text + _borders_said(case))


def _likeness(produced: Array, expected: Array) -> str:
    if (produced == produced.flat[0]).all():
        return f"it is {figure(float(produced.flat[0]))} everywhere"
    if (expected == expected.flat[0]).all():
        return f"what is expected is {figure(float(expected.flat[0]))} everywhere"
    finite = np.isfinite(produced) & np.isfinite(expected)
    together = float(np.corrcoef(produced[finite], expected[finite])[0, 1])
    return f"it is not explained by what was tried (correlation {together:.2f})"


def _borders_said(case: Case) -> str:
    """What is to be said if what differs lies near the borders of the image."""
    over = np.argwhere(exceeding(case.produced, case.expected, case.tolerance))
    sizes = case.expected.shape
    space = [i for i, axis in enumerate(case.axes) if axis not in _APART and sizes[i] > 1]
    if not space or not len(over):
        return ""
    near = np.min([np.minimum(over[:, i], sizes[i] - 1 - over[:, i]) for i in space], axis=0)
    width = float(np.quantile(near, BORDER)) + 1
    if 6 * width > min(sizes[i] for i in space):
        return ""
    return f"; {100 * BORDER:.0f} % of what differs lies within {width:.0f} pixels of a border"


def _if_worth_it(hypothesis: Hypothesis) -> Hypothesis:
    """A hypothesis on values, tried on all elements only if it explains some of them."""
    return lambda case: None if hypothesis(thinned(case)) is None else hypothesis(case)


_HYPOTHESES: tuple[Hypothesis, ...] = (
    _same,
    swapped,
    of_raw_statistics,
    rearranged,
    of_shape,
    _not_finite,
    _described_labels_permuted,
    *map(_if_worth_it, (cast, activated, scaled_or_shifted, affine)),
    _labels_permuted,
    _if_worth_it(clipped),
    _labels_differ,
    _if_worth_it(noisy),
)
