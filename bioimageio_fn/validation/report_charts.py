"""Charts of a report, as SVG that is part of its page.

What holds here: colours are those of the page, by class, so that they follow its light or dark; a
chart says in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from ..deviation import Array
from .case import figure
from .labels import Objects
from .records import Reach

__all__ = ["fates", "histogram", "reach_bar"]

WIDTH, HEIGHT = 320, 150
BINS = 64


def histogram(expected: Array, produced: Array) -> str:
    """How often values occur in both, on a scale that shows rare ones too."""
    both = np.concatenate([a.astype("float64").ravel() for a in (expected, produced)])
    finite = both[np.isfinite(both)]
    if not finite.size:
        return '<p class="quiet">no finite values</p>'
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return f'<p class="quiet">every value is {figure(low)}</p>'
    counts = [_counts(array, low, high) for array in (expected, produced)]
    top = max(1.0, *(float(c.max()) for c in counts))
    shapes = [
        f'<path class="{name}" d="{_steps(c / top)}"/>'
        for name, c in zip(("wanted", "given"), counts, strict=True)
    ]
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT + 18}" role="img" aria-label="Histogram'
        f' from {figure(low)} to {figure(high)}">{"".join(shapes)}'
        f'<line class="base" x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/>'
        f'<text x="0" y="{HEIGHT + 14}">{figure(low)}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 14}" text-anchor="end">{figure(high)}</text></svg>'
    )


def _counts(array: Array, low: float, high: float) -> Array:
    """Logarithms of how many values lie in each bin."""
    values = array.astype("float64").ravel()
    width = high / 2 - low / 2  # the whole of it may be more than the largest float
    parts = (values[np.isfinite(values)] / 2 - low / 2) / (width or 1)
    bins = np.minimum((parts * BINS).astype(np.intp), BINS - 1)
    return np.asarray(np.log1p(np.bincount(bins, minlength=BINS)))


def _steps(heights: Array) -> str:
    """The outline of bars."""
    width = WIDTH / len(heights)
    points = [f"M0 {HEIGHT}"]
    for i, height in enumerate(heights):
        y = HEIGHT - (HEIGHT - 6) * float(height)
        points.append(f"L{i * width:.1f} {y:.1f}L{(i + 1) * width:.1f} {y:.1f}")
    return "".join([*points, f"L{WIDTH} {HEIGHT}Z"])


def reach_bar(reach: Reach) -> str:
    """Halo and reach on both sides of a seam, on one scale."""
    half = max(reach.halo, reach.farthest, 1) * 1.15
    middle, scale = WIDTH / 2, WIDTH / 2 / half
    halo, before, after = (scale * n for n in (reach.halo, reach.before, reach.after))
    kind = "ok" if reach.covered else "bad"
    return (
        f'<svg class="chart slim" viewBox="0 0 {WIDTH} 26" role="img" aria-label="'
        f"{escape(str(reach))}"
        f'"><rect class="halo" x="{middle - halo:.1f}" y="2" width="{2 * halo:.1f}" height="22"'
        f' rx="3"/><rect class="{kind}" x="{middle - before:.1f}" y="9"'
        f' width="{max(before + after, 1):.1f}" height="8" rx="4"/>'
        f'<line class="base" x1="{middle}" x2="{middle}" y1="0" y2="26"/></svg>'
    )


def fates(objects: Objects) -> str:
    """What became of each object, as parts of a bar."""
    kinds = ("same", "changed", "split", "merged", "missing", "new")
    counts = [(kind, getattr(objects, kind)) for kind in kinds]
    present = [(kind, n) for kind, n in counts if n]
    whole = sum(n for _, n in present) or 1
    ends = _running([WIDTH * n / whole for _, n in present])
    bars = [
        f'<rect class="fate {kind}" x="{start:.1f}" y="0" width="{stop - start:.1f}" height="18"/>'
        for (kind, _), start, stop in zip(present, [0.0, *ends], ends, strict=False)
    ]
    legend = "".join(f'<li><span class="fate {kind}"></span>{n} {kind}</li>' for kind, n in present)
    return (
        f'<svg class="chart slim" viewBox="0 0 {WIDTH} 18" role="img" aria-label="'
        f'{escape(str(objects))}">{"".join(bars)}</svg><ul class="legend">{legend}</ul>'
    )


def _running(numbers: Sequence[float]) -> list[float]:
    return [math.fsum(numbers[: i + 1]) for i in range(len(numbers))]
