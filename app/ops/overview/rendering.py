"""Reports as people read them: plain text of 80 columns, and one HTML page, both fit for mail."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape
from rich.cells import cell_len, chop_cells, set_cell_size

from app.domain.findings import Finding
from app.domain.reports import Cell, Report, Table
from app.telemetry.values import printable

COLUMNS = 80
_INDENT = 2
_GAP = 2
_NARROWEST = 6

STYLES: Mapping[str, str] = {
    "page": "margin:0 auto;max-width:60rem;padding:1rem;font:15px/1.45 sans-serif;color:#1c2024;background:#ffffff",
    "heading": "font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:1px solid #d5d9dd;padding-bottom:.25rem",
    "list": "margin:0;padding:0;list-style:none",
    "finding": "margin:.35rem 0",
    "good": "color:#1a7f37;font-weight:bold",
    "unavailable": "color:#57606a;font-weight:bold",
    "warning": "color:#8a5a00;font-weight:bold",
    "bad": "color:#b3261e;font-weight:bold",
    "action": "font-family:monospace;background:#f2f4f6;padding:.1rem .3rem;overflow-wrap:anywhere",
    "table": "border-collapse:collapse;margin:.75rem 0",
    "caption": "text-align:left;color:#57606a;padding-bottom:.25rem",
    "header": "text-align:left;border-bottom:1px solid #d5d9dd;padding:.2rem .75rem .2rem 0",
    "cell": "text-align:left;vertical-align:top;padding:.2rem .75rem .2rem 0;overflow-wrap:anywhere",
    "quiet": "color:#57606a",
}
"""Attributes, since mail programs drop style sheets; a door allows exactly these."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report as a mail has it; the subject is one line."""

    subject: str
    text: str
    html: str


def render(report: Report) -> Rendered:
    """The report for people; whatever names hold, nothing in it is markup or steers a terminal."""
    values = {"report": report, "style": STYLES}
    return Rendered(
        report.subject,
        _TEMPLATES.get_template("report.txt").render(values),
        _TEMPLATES.get_template("report.html").render(values),
    )


def _shown(value: object) -> object:
    """A value as people read it, on one line and with nothing that steers a terminal."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
    return printable(value)


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _finding_lines(finding: Finding) -> list[str]:
    """The level, the sentence, and what to do, which is never broken within a word."""
    mark = f"[{finding.level}] "
    lines = _wrapped(f"{mark}{printable(finding.sentence)}", " " * _INDENT, " " * (_INDENT + len(mark)))
    if finding.action is not None:
        indent = " " * (_INDENT + len(mark))
        is_command = finding.action.startswith("license-server ")
        parts = _wrapped(printable(finding.action), f"{indent}> ", f"{indent}  ", room=2)
        lines += [f"{part} \\" if is_command and part is not parts[-1] else part for part in parts]
    return lines


def _wrapped(text: str, first: str, others: str, room: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        COLUMNS - room,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table_lines(table: Table) -> list[str]:
    """Header and rows in columns of one width, cells folded where they are too wide."""
    names = list(table.rows[0])
    rows = [[_heading(name) for name in names], *([_text(row[name]) for name in names] for row in table.rows)]
    widths = _fit([max(cell_len(row[number]) for row in rows) for number in range(len(names))])
    return [line for row in rows for line in _row_lines(row, widths)]


def _text(cell: Cell) -> str:
    return str(_shown(cell))


def _fit(widths: Sequence[int]) -> list[int]:
    """The widths, the widest of them narrowed until all fit."""
    fitted = list(widths)
    room = COLUMNS - 2 * _INDENT - _GAP * (len(fitted) - 1)
    while sum(fitted) > room and max(fitted) > _NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _row_lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    folded = [chop_cells(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
    height = max(len(cell) for cell in folded)
    lines = []
    for number in range(height):
        parts = [cell[number] if number < len(cell) else "" for cell in folded]
        padded = (set_cell_size(part, width) for part, width in zip(parts, widths, strict=True))
        lines.append(" " * 2 * _INDENT + (" " * _GAP).join(padded).rstrip())
    return [line.rstrip() for line in lines]


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters.update(heading=_heading, finding_lines=_finding_lines, table_lines=_table_lines)
