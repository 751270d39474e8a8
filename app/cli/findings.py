"""Findings on the command line: coloured lines for people, JSON for programs, an exit code for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from app.cli.output import FAILED, console, print_json
from app.domain.findings import Finding, Level, worst
from app.telemetry.values import printable

STYLES = {Level.GOOD: "green", Level.UNAVAILABLE: "dim", Level.WARNING: "yellow", Level.BAD: "bold red"}


def show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """All findings; what mends one stands below it, whole, so that it can be copied."""
    if as_json:
        print_json({"level": worst(findings), "findings": [asdict(finding) for finding in findings]})
        return
    for finding in findings:
        table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(width=max(map(len, Level)))
        table.add_column(overflow="fold")
        what = Text.assemble((f"{finding.check}  ", "dim"), printable(finding.sentence))
        table.add_row(Text(finding.level, STYLES[finding.level]), what)
        console.print(table)
        if finding.action is not None:
            console.print(Text(f"  → {printable(finding.action)}", "cyan"), soft_wrap=True)


def show_overall(findings: Sequence[Finding]) -> None:
    """The level of the whole, and how many findings of each level make it up."""
    counts = Counter(finding.level for finding in findings)
    parts = ", ".join(f"{counts[level]} {level}" for level in reversed(Level) if counts[level])
    level = worst(findings)
    console.print(Text.assemble("Overall ", (level, STYLES[level]), f": {parts}."))


def end_by(level: Level) -> None:
    """End with exit code 1 when something is bad."""
    if level is Level.BAD:
        raise SystemExit(FAILED)
