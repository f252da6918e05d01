"""Labels compared as objects: which are the same, whatever their numbers.

What holds here: objects are matched by overlap, never by number; 0 is background; each item of a
batch, channel or time point is an image of its own; each expected object is counted once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from ..axes import AxisId
from ..errors import ArrayError, SizeError
from ..tensor import Tensor

__all__ = ["Objects", "looks_like_labels", "match_objects"]

Array: TypeAlias = np.ndarray[Any, Any]

_APART = ("batch", "channel", "time", "index")
PIXELS = 4
"""Of an object, at the least, on average, in what is taken for labels without being described so;
numbers of a grey image are scattered."""


@attrs.frozen
class Objects:
    """How the objects of two label images match.

    Args:
        expected: objects that are expected.
        produced: objects that came.
        same: expected objects whose pixels are the same, but for some at their borders.
        changed: those with one partner that differs within, or in size.
        split: those of which there are several parts.
        merged: those that are one with others.
        missing: those that are not there.
        new: produced objects that nobody expected.
        differing: pixels that belong to another object, or to none.
        at_borders: those of them that lie at the border of an expected object.
        pixels: pixels in all.
        renumbered: whether same objects have other numbers.
    """

    expected: int
    produced: int
    same: int
    changed: int
    split: int
    merged: int
    missing: int
    new: int
    differing: int
    at_borders: int
    pixels: int
    renumbered: bool

    @property
    def alike(self) -> bool:
        """Whether every object has its one partner, and nothing but borders differs."""
        return self.same == self.expected == self.produced and self.differing == self.at_borders

    def __str__(self) -> str:
        kinds = ("changed", "split", "merged", "missing", "new")
        counts = [f"{n} {kind}" for kind in kinds if (n := getattr(self, kind))]
        if self.alike:
            counts = ["labels equal except borders: 0 objects changed"]
            if not self.differing:
                counts = [f"all {self.expected} objects are the same"]
        else:
            counts.insert(0, f"of {self.expected} objects: {self.same} same")
        pixels = f"{self.differing} of {self.pixels} pixels differ"
        inner = self.differing - self.at_borders
        within = f", {inner} of them not at a border" if inner else ""
        numbers = ["the numbers are others"] if self.renumbered else []
        return "; ".join([", ".join(counts), *numbers, *([pixels + within] * bool(self.differing))])


def match_objects(produced: Tensor, expected: Tensor) -> Objects:
    """Match the objects of two label images by overlap, and say what became of each.

    Two objects are partners if each has more than half of its pixels in the other. An expected
    object of which several produced ones hold more than half of their pixels is split; several of
    which one produced object holds more than half are merged.

    Args:
        produced: integers along any axes; batch, channel, time and index count images.
        expected: the same, of the same sizes.

    Raises:
        SizeError: if they have other axes or sizes.
        ArrayError: if they hold no integers.

    Examples:
        >>> expected = Tensor(np.array([[1, 1, 0, 2, 2, 2, 0, 3, 3]]), "yx")
        >>> produced = Tensor(np.array([[7, 7, 0, 5, 5, 5, 0, 0, 0]]), "yx")
        >>> print(match_objects(produced, expected))
        of 3 objects: 2 same, 1 missing; the numbers are others; 2 of 9 pixels differ, 1 of them
        not at a border
    """
    _check(produced, expected)
    mine, own = _numbered(produced)
    theirs, given = _numbered(expected)
    overlap = _overlaps(theirs, mine)
    areas = np.bincount(theirs.ravel()), np.bincount(mine.ravel())
    kinds = _kinds(overlap, *areas)
    differing = kinds.partner[theirs] != mine
    border = _borders(theirs, expected.axes)
    within = differing & ~border
    inner = np.zeros(len(given), bool)
    inner[theirs[within]] = inner[kinds.back[mine[within]]] = True
    same = (kinds.partner > 0) & ~inner & ~kinds.split & ~kinds.merged
    changed = ~(same | kinds.split | kinds.merged | kinds.missing)
    changed[0] = False
    renumbered = own[kinds.partner] != given
    return Objects(
        expected=len(given) - 1,
        produced=len(own) - 1,
        same=int(same.sum()),
        changed=int(changed.sum()),
        split=int(kinds.split.sum()),
        merged=int(kinds.merged.sum()),
        missing=int(kinds.missing.sum()),
        new=int(kinds.new.sum()),
        differing=int(differing.sum()),
        at_borders=int((differing & border).sum()),
        pixels=theirs.size,
        renumbered=bool(renumbered[same].any()),
    )


def _check(produced: Tensor, expected: Tensor) -> None:
    if produced.sizes != expected.sizes:
        raise SizeError(
            "labels of other sizes have no pixels in common", expected=expected, got=produced
        )
    for tensor in (produced, expected):
        if np.asarray(tensor).dtype.kind not in "biu":
            raise ArrayError("labels are whole numbers", expected="integers", got=tensor.dtype)


@attrs.frozen
class _Kinds:
    """What became of each object, by its number from 1; what stands at 0 is background.

    Args:
        partner: of each expected object, the produced one with which it shares most of both; -1
            for none.
        back: likewise of each produced one; 0 for none.
        split, merged, missing: of each expected object.
        new: of each produced one.
    """

    partner: Array
    back: Array
    split: Array
    merged: Array
    missing: Array
    new: Array


def _kinds(overlap: Array, expected: Array, produced: Array) -> _Kinds:
    """What became of each object.

    Args:
        overlap: rows of (expected object, produced object, pixels in common).
        expected: pixels of each expected object.
        produced: pixels of each produced one.
    """
    e, p, pixels = overlap.T
    most_of_e, most_of_p = 2 * pixels > expected[e], 2 * pixels > produced[p]
    parts = np.bincount(e[most_of_p], minlength=len(expected))
    wholes = np.bincount(p[most_of_e], minlength=len(produced))
    merged = np.zeros(len(expected), bool)
    merged[e[most_of_e & (wholes[p] > 1)]] = True
    split = (parts > 1) & ~merged
    partner, back = np.full(len(expected), -1), np.zeros(len(produced), np.intp)
    partner[0] = 0
    mutual = most_of_e & most_of_p
    partner[e[mutual]], back[p[mutual]] = p[mutual], e[mutual]
    missing, new = np.ones(len(expected), bool), np.ones(len(produced), bool)
    missing[e[most_of_e | most_of_p]] = new[p[most_of_e | most_of_p]] = False
    missing[0] = new[0] = False
    return _Kinds(partner, back, split, merged, missing, new)


def _numbered(tensor: Tensor) -> tuple[Array, Array]:
    """Objects numbered from 1 through all images, and the label of each; 0 is background."""
    apart = [i for i, axis in enumerate(tensor.axes) if axis in map(AxisId, _APART)]
    labels = np.asarray(tensor)
    images = np.moveaxis(labels, apart, range(len(apart)))
    flat = images.reshape(int(np.prod(images.shape[: len(apart)])), -1)
    values, compact = np.unique(flat, return_inverse=True)
    compact = compact.reshape(flat.shape)
    zero = np.flatnonzero(values == 0)
    background = int(zero[0]) if zero.size else -1
    keys = compact + len(values) * np.arange(len(flat))[:, None]
    keys[compact == background] = -1
    found, numbers = np.unique(np.append(keys, -1), return_inverse=True)
    restored = numbers[:-1].reshape(images.shape)
    names = values[found % len(values)]
    names[0] = 0
    return np.moveaxis(restored, range(len(apart)), apart), names


def _overlaps(expected: Array, produced: Array) -> Array:
    """Rows of (expected object, produced object, pixels in common), without background."""
    width = int(produced.max(initial=0)) + 1
    both = (expected > 0) & (produced > 0)
    codes, counts = np.unique(expected[both] * width + produced[both], return_counts=True)
    return np.stack([codes // width, codes % width, counts], axis=1).astype(np.intp)


def _borders(objects: Array, axes: Sequence[AxisId]) -> Array:
    """Which pixels have a neighbour in space that is of something else, also across corners."""
    low = high = objects
    for i, axis in enumerate(axes):
        if axis in _APART:
            continue
        widths = [(int(i == n), int(i == n)) for n in range(objects.ndim)]
        window = np.lib.stride_tricks.sliding_window_view
        low = window(np.pad(low, widths, mode="edge"), 3, axis=i).min(-1)
        high = window(np.pad(high, widths, mode="edge"), 3, axis=i).max(-1)
    found: Array = low != high
    return found


def looks_like_labels(array: Array) -> bool:
    """Whether an array holds integers that are mostly those of their neighbours.

    Examples:
        >>> looks_like_labels(np.repeat(np.repeat(np.arange(6).reshape(2, 3), 5, 0), 5, 1))
        True
        >>> looks_like_labels(np.arange(100).reshape(10, 10))
        False
    """
    if array.dtype.kind not in "iu" or array.size < 2 or not array.any():
        return False
    objects = array[array != 0]
    if len(np.unique(objects)) * PIXELS > objects.size:
        return False
    lines = [np.moveaxis(array, i, 0) for i, size in enumerate(array.shape) if size > 1]
    pairs = [(line[1:], line[:-1]) for line in lines]
    counted = sum(int(np.count_nonzero((a != 0) | (b != 0))) for a, b in pairs)
    equal = sum(int(np.count_nonzero((a == b) & (a != 0))) for a, b in pairs)
    return 2 * equal > counted
