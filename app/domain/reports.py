"""Reports: what is looked at daily, weekly, monthly and quarterly, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from app.domain.findings import Finding, Level, worst
from app.domain.words import camel_case


class Period(StrEnum):
    """How often a report is made; each looks at more than the one before."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"


LENGTH_BY_PERIOD: Mapping[Period, timedelta] = {
    Period.DAILY: timedelta(days=1),
    Period.WEEKLY: timedelta(days=7),
    Period.MONTHLY: timedelta(days=30),
    Period.QUARTERLY: timedelta(days=90),
}


class SectionName(StrEnum):
    """What a section of a report is about."""

    HEALTH = "health"
    ERRORS = "errors"
    RESOURCES = "resources"
    DATABASE = "database"
    VACUUM = "vacuum"
    SLOW_QUERIES = "slow_queries"
    GROWTH = "growth"
    SECURITY = "security"
    PRUNE = "prune"
    REINDEX = "reindex"
    CERTIFICATES = "certificates"
    BACKUPS = "backups"
    ACCOUNTS = "accounts"
    API_KEYS = "api_keys"
    OPERATORS = "operators"
    PERFORMANCE = "performance"
    CAPACITY = "capacity"
    RESTORE_TEST = "restore_test"


TITLES: Mapping[SectionName, str] = {
    SectionName.HEALTH: "Health",
    SectionName.ERRORS: "Errors",
    SectionName.RESOURCES: "CPU, memory and disk",
    SectionName.DATABASE: "Database",
    SectionName.VACUUM: "Vacuum",
    SectionName.SLOW_QUERIES: "Slow queries against seven days ago",
    SectionName.GROWTH: "Growth of the database",
    SectionName.SECURITY: "Security of the last seven days",
    SectionName.PRUNE: "Archived and pruned",
    SectionName.REINDEX: "Reindex check",
    SectionName.CERTIFICATES: "Certificates",
    SectionName.BACKUPS: "Backups",
    SectionName.ACCOUNTS: "Accounts that nobody uses",
    SectionName.API_KEYS: "API keys",
    SectionName.OPERATORS: "Operators",
    SectionName.PERFORMANCE: "Performance",
    SectionName.CAPACITY: "Capacity",
    SectionName.RESTORE_TEST: "Restores on trial, and drills",
}

_NEW_BY_PERIOD: Mapping[Period, tuple[SectionName, ...]] = {
    Period.DAILY: (
        SectionName.HEALTH,
        SectionName.ERRORS,
        SectionName.RESOURCES,
        SectionName.DATABASE,
        SectionName.BACKUPS,
    ),
    Period.WEEKLY: (SectionName.VACUUM, SectionName.SLOW_QUERIES, SectionName.GROWTH, SectionName.SECURITY),
    Period.MONTHLY: (SectionName.PRUNE, SectionName.REINDEX, SectionName.CERTIFICATES, SectionName.RESTORE_TEST),
    Period.QUARTERLY: (
        SectionName.ACCOUNTS,
        SectionName.API_KEYS,
        SectionName.OPERATORS,
        SectionName.PERFORMANCE,
        SectionName.CAPACITY,
    ),
}


def sections_of(period: Period) -> tuple[SectionName, ...]:
    """What the report of this period looks at, in order."""
    periods = list(Period)
    return tuple(name for one in periods[: periods.index(period) + 1] for name in _NEW_BY_PERIOD[one])


Cell = str | int | float | date | datetime | None
Row = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that all have the same columns; one without rows is left out."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What was found about one thing."""

    name: SectionName
    findings: tuple[Finding, ...]
    tables: tuple[Table, ...] = ()

    @property
    def title(self) -> str:
        """What people call it."""
        return TITLES[self.name]

    @property
    def level(self) -> Level:
        """That of its worst finding."""
        return worst(self.findings)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found about a period; `version` is the server's."""

    period: Period
    since: datetime
    until: datetime
    version: str
    sections: tuple[Section, ...]

    @property
    def level(self) -> Level:
        """That of its worst finding."""
        return worst(self.findings())

    @property
    def subject(self) -> str:
        """What it says, on one line: `Daily report: 1 problem, 2 warnings`."""
        return f"{self.period.capitalize()} report: {', '.join(self._counts()) or 'all good'}"

    @property
    def to_do(self) -> list[Finding]:
        """What somebody should look at, the worst first."""
        found = [one for one in self.findings() if one.level in (Level.BAD, Level.WARNING)]
        return sorted(found, key=lambda one: one.level is not Level.BAD)

    def findings(self) -> Iterator[Finding]:
        """Those of all sections."""
        for section in self.sections:
            yield from section.findings

    def _counts(self) -> Iterator[str]:
        for level, one, many in (
            (Level.BAD, "problem", "problems"),
            (Level.WARNING, "warning", "warnings"),
            (Level.UNAVAILABLE, "unavailable", "unavailable"),
        ):
            count = sum(finding.level is level for finding in self.findings())
            if count:
                yield f"{count} {one if count == 1 else many}"


def as_document(report: Report) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "period": report.period.value,
        "since": _plain(report.since),
        "until": _plain(report.until),
        "version": report.version,
        "level": report.level.value,
        "subject": report.subject,
        "sections": [_section(section) for section in report.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "name": section.name.value,
        "title": section.title,
        "level": section.level.value,
        "findings": [asdict(one) for one in section.findings],
        "tables": [
            {
                "title": table.title,
                "rows": [{camel_case(name): _plain(cell) for name, cell in row.items()} for row in table.rows],
            }
            for table in section.tables
            if table.rows
        ],
    }


def _plain(cell: Cell) -> str | int | float | None:
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return cell.isoformat() if isinstance(cell, date) else cell
