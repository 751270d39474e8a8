"""JSON of reports."""

from __future__ import annotations

from app.domain.findings import Level
from app.domain.reports import Period, SectionName
from app.web.schemas.base import Out


class ReportFindingOut(Out):
    """What a check saw, and the command or SQL that mends it."""

    check: str
    level: Level
    sentence: str
    action: str | None


class ReportTableOut(Out):
    """Rows that all have the same members; sizes are bytes."""

    title: str
    rows: list[dict[str, str | int | float | None]]


class ReportSectionOut(Out):
    """What was found about one thing."""

    name: SectionName
    title: str
    level: Level
    findings: list[ReportFindingOut]
    tables: list[ReportTableOut]


class ReportOut(Out):
    """Everything that was found about a period; `subject` says it on one line."""

    period: Period
    since: str
    until: str
    version: str
    level: Level
    subject: str
    sections: list[ReportSectionOut]
