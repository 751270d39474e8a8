"""JSON of reports."""

from __future__ import annotations

from app.domain.findings import Level
from app.domain.reports import Period, SectionName
from app.web.schemas.base import Out
from app.web.schemas.findings import FindingOut


class ReportTableOut(Out):
    """Rows that all have the same members; sizes are bytes."""

    title: str
    rows: list[dict[str, str | int | float | None]]


class ReportSectionOut(Out):
    """What was found about one thing."""

    name: SectionName
    title: str
    level: Level
    findings: list[FindingOut]
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
