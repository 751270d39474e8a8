"""Reports as text and HTML: within 80 columns, escaped whatever names hold, with nothing from elsewhere."""

from __future__ import annotations

import re
from datetime import date

import pytest
from rich.cells import cell_len

from app.domain.findings import Finding, Level
from app.domain.reports import Cell, Period, Report, Section, SectionName, Table
from app.domain.words import ByteCount
from app.ops.overview.rendering import render
from tests.factories.store import NOW

EVIL = "<script>alert(1)</script> \x1b]0;owned\x07\x1b[31m\u202e & \"quoted\" 'it'\r\nBcc: all@acme.example"


def report(*findings: Finding, rows: tuple[dict[str, Cell], ...] = ()) -> Report:
    section = Section(SectionName.HEALTH, findings, (Table("Things", rows),))
    return Report(Period.DAILY, NOW, NOW, "1.2.3", (section,))


def test_names_are_neither_markup_nor_do_they_steer_a_terminal() -> None:
    finding = Finding("odd", Level.WARNING, f"Of {EVIL}.", f"license-server {EVIL}")

    rendered = render(report(finding, rows=({"organization": EVIL, "user": EVIL},)))

    for text in (rendered.text, rendered.html):
        assert [character for character in text if not character.isprintable() and character != "\n"] == []
        assert "\\x1b[31m" in re.sub(r"\s+", "", text)
    assert "<script" not in rendered.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in rendered.html
    assert not re.search(r"^Bcc:", rendered.text, re.MULTILINE)
    assert rendered.subject == "Daily report: 1 warning"


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    html = render(report(Finding("odd", Level.BAD, "It is odd.", "mend"), rows=({"name": "Acme"},))).html

    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert re.findall(r"<(?:script|link|img|style|iframe|form)|\bon\w+=|://|url\(|href|src=", html) == []
    assert "<td style=" in html
    assert [
        tag for tag in ("ul", "li", "table", "tr", "body") if html.count(f"<{tag}") != html.count(f"</{tag}>")
    ] == []


@pytest.mark.parametrize(
    "rows",
    [
        ({"name": "x" * 500},),
        ({"a": "x" * 100, "b": "y" * 100, "c": 5},),
        ({"a": "株式会社" * 30, "b": "y" * 100, "c": "👩‍💻" * 40},),
        tuple({f"column_{number}": number * 10**6 for number in range(9)} for _ in range(3)),
        ({"statement": "SELECT a, b, c FROM things WHERE " + "x = $1 AND " * 20, "calls": 3},),
    ],
    ids=["long", "two long", "wide letters", "many columns", "statement"],
)
def test_text_is_at_most_eighty_columns_wide_and_says_everything(rows: tuple[dict[str, Cell], ...]) -> None:
    sentence = "This sentence goes on and on. " * 10

    text = render(report(Finding("odd", Level.WARNING, sentence, "SELECT 1, " * 30), rows=rows)).text

    assert max(cell_len(line) for line in text.splitlines()) <= 80
    for value in rows[0].values():
        assert set(str(value)) - {"\u200d", " "} <= set(text)


def test_a_long_command_is_continued_so_that_a_shell_takes_it_whole() -> None:
    command = "license-server maintenance reindex " + " ".join(f"--index ix_a_rather_long_name_{n}" for n in range(9))

    text = render(report(Finding("odd", Level.WARNING, "Do it.", command))).text

    [shown] = re.findall(r"HEALTH\n\n.*?\n +> (.*)\n\Z", text, re.DOTALL)
    assert re.sub(r" \\\n +", " ", shown) == command
    assert max(map(len, text.splitlines())) <= 80


def test_cells_are_written_for_people() -> None:
    row: dict[str, Cell] = {
        "last_seen_at": NOW,
        "day": date(2026, 3, 1),
        "size": ByteCount(1536),
        "share": 0.5,
        "name": None,
    }

    text = render(report(Finding("good", Level.GOOD, "Good."), rows=(row,))).text

    assert text == (
        "Daily report: all good\n"
        "\n"
        "2026-03-01 12:00Z to 2026-03-01 12:00Z, iTechSmart License Server 1.2.3\n"
        "\n"
        "HEALTH\n"
        "\n"
        "  [good] Good.\n"
        "\n"
        "  Things:\n"
        "    last seen at       day         size    share  name\n"
        "    2026-03-01 12:00Z  2026-03-01  1.5 kB  0.5    -\n"
    )
