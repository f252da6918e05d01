"""A test as a file: a page to look at, Markdown, or JSON.

What holds here: the page is one file that needs no network and runs no script, and says so to the
browser; it is the same for the same test; files are written whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..errors import FileWriteError
from ..files import check_place, expanded, written_whole
from .records import FormatReport
from .report_sections import badge, checks, format_section, overview

__all__ = ["check_report", "html_report", "save_report"]

_STYLE = Path(__file__).with_name("report.css")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html_report(
    summary: Any, reports: Sequence[FormatReport] = (), *, title: str | None = None
) -> str:
    """A test as a page: inputs, expected and produced outputs, and how they differ.

    Args:
        summary: the `ValidationSummary` of a description.
        reports: what the tests of its weights formats found.
        title: what to call it; by default its id, or its source.

    Returns:
        HTML, complete in itself.

    Examples:
        >>> import bioimageio_fn as fn
        >>> model = fn.load_description(fn.demo_model(), perform_io_checks=False)
        >>> summary = model.validation_summary
        >>> html_report(summary, title="nuclei").startswith("<!doctype html>")
        True
    """
    name = str(title or summary.id or summary.source_name)
    source = str(summary.source_name) if str(summary.source_name) != name else ""
    passed = summary.status != "failed"
    said = {"valid-format": "valid format", "passed": "passed", "failed": "failed"}
    env = "".join(
        f"<li>{escape(package.name)} {escape(package.version)}</li>"
        for package in sorted(summary.env)
    )
    head = (
        f"<header><p>{escape(summary.type)}, format {escape(summary.format_version)}</p>"
        f"<h1>{escape(name)} {badge(passed=passed, text=said[summary.status])}</h1>"
        f'<p class="quiet">{escape(source)}</p></header>'
    )
    body = [
        head,
        overview(reports),
        *(format_section(report, i) for i, report in enumerate(reports)),
        checks(summary),
        f"<footer><p>tested with</p><ul>{env}</ul></footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(name)}</title>'
        f'<link rel="icon" href="data:,"><style>{_STYLE.read_text("utf-8")}</style></head>'
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def check_report(path: str | os.PathLike[str]) -> Path:
    """Refuse, before any work, a path to which no report can be written.

    Raises:
        FileWriteError: if it is a file of another kind, or nothing can be written there.

    Examples:
        >>> check_report("nuclei.pdf")
        Traceback (most recent call last):
        ...
        bioimageio_fn.errors.FileWriteError: no kind of report is written to nuclei.pdf: ...
    """
    file = expanded(path)
    if file.suffix not in (".html", ".md", ".json"):
        raise FileWriteError(
            f"no kind of report is written to {file.name}",
            expected=".html, .md or .json",
            got=file.suffix or "no suffix",
        )
    check_place(file)
    return file


def save_report(
    path: str | os.PathLike[str],
    summary: Any,
    reports: Sequence[FormatReport] = (),
    *,
    title: str | None = None,
) -> Path:
    """Write a test to a file.

    Args:
        path: where to; `.html` is the page of `html_report`, `.md` and `.json` are what
            `bioimageio.spec` makes of the summary.
        summary, reports, title: as of `html_report`.

    Raises:
        FileWriteError: if it is a file of another kind, or can not be written.

    Examples:
        >>> import tempfile
        >>> import bioimageio_fn as fn
        >>> model = fn.load_description(fn.demo_model(), perform_io_checks=False)
        >>> save_report(Path(tempfile.mkdtemp()) / "nuclei.md", model.validation_summary).name
        'nuclei.md'
    """
    file = check_report(path)
    if file.suffix == ".html":
        text = html_report(summary, reports, title=title)
    else:
        text = summary.format_md() if file.suffix == ".md" else summary.model_dump_json(indent=2)
    with written_whole(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return file
