"""The command that makes reports."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.context import AsJson, run_anyway
from app.cli.output import FAILED, fail, say, write_json
from app.domain.findings import Level
from app.domain.reports import Period, Report, as_document
from app.ops.overview.rendering import render
from app.ops.overview.reports import compile_report
from app.runtime import Runtime


class ReportFormat(StrEnum):
    """What a report is printed as."""

    TEXT = "text"
    HTML = "html"
    JSON = "json"


class FailOn(StrEnum):
    """From which level on the exit code tells of it."""

    WARNING = "warning"
    BAD = "bad"


def report(
    period: Annotated[Period, typer.Argument(help="daily, weekly, monthly or quarterly.", show_default=False)],
    form: Annotated[ReportFormat, typer.Option("--format", help="Text, an HTML page, or JSON.")] = ReportFormat.TEXT,
    output: Annotated[Path | None, typer.Option(help="A file to write, or to write anew; stdout otherwise.")] = None,
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Exit code 1 when there is a warning or worse, or something bad.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at everything of a day, week, month or quarter, also while the database is away."""

    async def work(runtime: Runtime) -> Report:
        return await compile_report(runtime.installation(), period, now=runtime.now())

    found = run_anyway(work)
    text = _written(found, ReportFormat.JSON if as_json else form)
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            fail(f"{output} can't be written: {error.strerror}.")
        say(f"{found.subject}, in {output}")
    if _is_failure(found.level, fail_on):
        raise typer.Exit(FAILED)


def _written(found: Report, form: ReportFormat) -> str:
    if form is ReportFormat.JSON:
        return write_json(as_document(found))
    rendered = render(found)
    return rendered.text if form is ReportFormat.TEXT else rendered.html


def _is_failure(level: Level, fail_on: FailOn | None) -> bool:
    levels = {None: (), FailOn.WARNING: (Level.WARNING, Level.BAD), FailOn.BAD: (Level.BAD,)}[fail_on]
    return level in levels
