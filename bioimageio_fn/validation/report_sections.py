"""Parts of a report's page: each a function from a record to HTML.

What holds here: every text of a model or an error is escaped; nothing is loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from immutabledict import immutabledict

from ..axes import AxisId
from ..seams import Seams
from ..tensor import Tensor
from .case import figure, said
from .labels import looks_like_labels, match_objects
from .records import Agreement, FormatReport, Reach, Reproduction
from .report_charts import fates, histogram, reach_bar
from .report_pictures import (
    Picture,
    Scale,
    difference_picture,
    label_picture,
    plane,
    value_picture,
)

__all__ = ["badge", "checks", "format_section", "overview"]

ALIKE = 3.0
"""Ranges of two tensors that differ by no more than this factor are shown on one scale."""


def badge(*, passed: bool, text: str) -> str:
    """A word that says whether something passed, not by its colour alone."""
    kind, sign = ("ok", "✓") if passed else ("bad", "✗")
    return f'<span class="badge {kind}">{sign} {escape(text)}</span>'


def overview(reports: Sequence[FormatReport]) -> str:
    """A table of outputs by weights formats."""
    outputs = list(dict.fromkeys(r.output for report in reports for r in report.reproductions))
    if not outputs:
        return ""
    head = "".join(
        f'<th scope="col"><a href="#{_anchor(i)}">{escape(_name(report))}</a></th>'
        for i, report in enumerate(reports)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(output)}</th>'
        + "".join(_cell(report, output) for report in reports)
        + "</tr>"
        for output in outputs
    )
    return (
        '<section><h2>Do the weights give the test outputs?</h2><div class="scroll"><table>'
        f'<thead><tr><th scope="col">output</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></section>"
    )


def _anchor(number: int) -> str:
    return f"weights-{number}"


def _name(report: FormatReport) -> str:
    return f"{report.weights_format} on {report.device}" if report.device else report.weights_format


def _cell(report: FormatReport, output: str) -> str:
    found = [r for r in report.reproductions if r.output == output]
    if not found:
        return '<td class="quiet">not compared</td>'
    one = found[0]
    mark = badge(passed=one.agreement.passed, text=one.diagnosis.cause)
    return f"<td>{mark}<br><small>{escape(_share(one.agreement))}</small></td>"


def _share(agreement: Agreement) -> str:
    if not agreement.largest_difference:
        return "no difference"
    if not agreement.mismatched:
        return f"largest difference {figure(agreement.largest_difference)}, within the tolerance"
    return _over(agreement)


def _over(agreement: Agreement) -> str:
    return f"{agreement.mismatched} of {agreement.size} elements over the tolerance"


def format_section(report: FormatReport, number: int) -> str:
    """All that is known of one weights format."""
    passed = not report.problems and all(r.agreement.passed for r in report.reproductions)
    facts = [("device", report.device), ("time", f"{report.seconds:.2f} s")]
    if report.plan is not None:
        facts.append(("blocks", str(report.plan)))
    problems = "".join(f"<li>{escape(problem)}</li>" for problem in report.problems)
    cards = "".join(_card(one) for one in report.reproductions)
    return (
        f'<section id="{_anchor(number)}"><h2>{escape(report.weights_format)}'
        f" {badge(passed=passed, text='passed' if passed else 'failed')}</h2>"
        + (f'<ul class="problems">{problems}</ul>' if problems else "")
        + f'<div class="intro">{_inputs(report)}{_facts(facts)}</div>'
        + cards
        + _reaches(report.reaches)
        + _seams(report.seams)
        + "</section>"
    )


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts if text
    )
    return f'<dl class="facts">{rows}</dl>'


def _inputs(report: FormatReport) -> str:
    if not report.inputs.members:
        return ""
    return "".join(
        _figure(value_picture(tensor, grey=True), f"input <b>{escape(name)}</b>", tensor)
        for name, tensor in report.inputs.members.items()
    )


def _card(one: Reproduction) -> str:
    """An output: why it passed or not, and how it looks."""
    agreement = one.agreement
    facts = [("tolerance", str(agreement.tolerance)), ("result", _over(agreement))]
    if agreement.where:
        there = (
            f"{figure(agreement.largest_difference)} at {said(agreement.where)}: expected"
            f" {figure(agreement.expected_there)}, got {figure(agreement.produced_there)}"
        )
        facts.append(("largest difference", there))
    mark = badge(passed=agreement.passed, text=one.diagnosis.cause)
    return (
        f'<article><h3>{escape(one.output)} {mark}</h3><p class="said">'
        f'{escape(one.diagnosis.text)}</p><div class="figures">{_pictures(one)}</div>'
        f"{_facts(facts)}</article>"
    )


def _pictures(one: Reproduction) -> str:
    at = one.agreement.where
    labels = looks_like_labels(np.asarray(one.expected))
    same_shape = one.expected.shape == one.produced.shape
    expected_scale, produced_scale = _scales(one, at if same_shape else {})
    parts = []
    for name, tensor, scale in (
        ("expected", one.expected, expected_scale),
        ("produced", one.produced, produced_scale),
    ):
        place = at if same_shape else {}
        draw = labels and tensor.dtype.startswith(("int", "uint"))
        shown = label_picture(tensor, place) if draw else value_picture(tensor, place, scale=scale)
        parts.append(_figure(shown, f"<b>{name}</b>", tensor))
    if same_shape:
        least = one.agreement.tolerance.absolute
        shown = difference_picture(one.produced, one.expected, at, least=least)
        caption = "<b>other pixels</b>" if labels else "<b>difference</b>"
        parts.append(_figure(shown, caption, one.expected, at=at))
    return "".join(parts) + _chart(one, labels=labels and same_shape)


def _scales(one: Reproduction, at: Mapping[Any, int]) -> tuple[Scale | None, Scale | None]:
    """One scale for both tensors, if that shows both."""
    ranges = []
    for tensor in (one.expected, one.produced):
        array = plane(tensor, at).array.astype("float64")
        finite = array[np.isfinite(array)]
        if not finite.size:
            return None, None
        ranges.append((float(finite.min()), float(finite.max())))
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    narrowest = min(r[1] - r[0] for r in ranges)
    both = Scale(low, high) if high - low <= ALIKE * narrowest else None
    return both, both


def _chart(one: Reproduction, *, labels: bool) -> str:
    integers = all(t.dtype.startswith(("int", "uint")) for t in (one.expected, one.produced))
    if labels and integers:
        chart = fates(match_objects(one.produced, one.expected))
        caption = "<b>objects</b> matched by overlap"
    else:
        chart = histogram(np.asarray(one.expected), np.asarray(one.produced))
        caption = (
            '<b>values</b> <span class="key wanted"></span>expected <span class="key given"></span>'
            "produced (counts on a logarithmic scale)"
        )
    return f'<figure class="plot">{chart}<figcaption>{caption}</figcaption></figure>'


def _figure(
    picture: Picture,
    caption: str,
    tensor: Tensor,
    *,
    at: Mapping[AxisId, int] = immutabledict(),
) -> str:
    """A picture with what it shows, and a ring around the place of the largest difference."""
    rows, columns = picture.shape
    name = caption.replace("<b>", "").replace("</b>", "")
    size = ", ".join(f"{axis} {n}" for axis, n in tensor.sizes.items())
    plane_said = f" at {escape(said(picture.where))}" if picture.where else ""
    coarse = " coarse" if max(rows, columns) < 128 else ""
    return (
        f'<figure><div class="picture{coarse}" style="--ratio:{columns / rows:.4g}">'
        f'<img src="{picture.uri}" alt="{name}">{_ring(picture, at)}</div>'
        f"<figcaption>{caption}{plane_said}{_scale(picture)}"
        f'<span class="size">{escape(size)}; {escape(tensor.dtype)}</span></figcaption>'
        "</figure>"
    )


def _ring(picture: Picture, at: Mapping[AxisId, int]) -> str:
    if not all(axis in at for axis in picture.axes):
        return ""
    rows, columns = picture.shape
    y, x = (at[axis] + 0.5 for axis in picture.axes)
    return (
        f'<span class="ring" style="left:{100 * x / columns:.2f}%;top:{100 * y / rows:.2f}%"'
        ' title="the largest difference"></span>'
    )


def _scale(picture: Picture) -> str:
    if picture.scale is None:
        return ""
    low, high = figure(picture.scale.low), figure(picture.scale.high)
    pink = "" if picture.finite else "<span><i class='pink'></i>not finite</span>"
    return (
        f'<span class="bar"><span>{low}</span><i class="{picture.colours}"></i>'
        f"<span>{high}</span>{pink}</span>"
    )


def _reaches(reaches: Sequence[Reach]) -> str:
    if not reaches:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(r.output)}, {escape(r.axis)}</th>'
        f"<td>{badge(passed=r.covered, text=_verdict(r))}</td><td>{r.before} / {r.after}</td>"
        f"<td>{r.halo}</td><td>{r.size}</td><td>{reach_bar(r)}</td></tr>"
        for r in reaches
    )
    return (
        "<h3>How far the network looks</h3>"
        '<p class="quiet">Inputs on one side of a seam were changed; on its other side outputs'
        " changed up to so many pixels away. A halo has to be as long.</p>"
        '<div class="scroll"><table><thead><tr><th scope="col">output, axis</th><th scope="col">'
        '</th><th scope="col">before / after a seam</th><th scope="col">halo</th><th scope="col">'
        'tested on</th><th scope="col">reach in halo</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _verdict(reach: Reach) -> str:
    if reach.whole:
        return "no halo is long enough"
    return "halo is long enough" if reach.covered else "halo is too short"


def _seams(seams: Sequence[Seams]) -> str:
    if not seams:
        return ""
    items = "".join(
        f"<li>{badge(passed=s.verdict == 'equal', text=s.verdict)} {escape(str(s))}</li>"
        for s in seams
    )
    return f'<h3>In blocks and in one piece</h3><ul class="plain">{items}</ul>'


def checks(summary: Any) -> str:
    """Every step of the validation, with its errors and warnings."""
    return (
        "<section><h2>All checks</h2>"
        f'<ul class="plain checks">{"".join(map(_check, summary.details))}</ul></section>'
    )


def _check(detail: Any) -> str:
    mark = badge(passed=detail.status == "passed", text=detail.status)
    notes = [
        *(("error", entry) for entry in detail.errors),
        *((entry.severity_name, entry) for entry in detail.warnings),
    ]
    if not notes:
        return f"<li>{mark} {escape(detail.name)}</li>"
    items = "".join(
        f'<li><span class="kind {kind}">{kind}</span> '
        f"<code>{escape('.'.join(map(str, entry.loc)))}</code> {escape(entry.msg)}</li>"
        for kind, entry in notes
    )
    opened = " open" if detail.errors else ""
    return (
        f"<li><details{opened}><summary>{mark} {escape(detail.name)}</summary>"
        f"<ul>{items}</ul></details></li>"
    )
