"""What each report looks at, and how it says what it found."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.domain.access_review import LivingApiKey, judge_accounts, judge_api_keys, judge_operators
from app.domain.findings import Finding, Level
from app.domain.reports import TITLES, Period, Report, Row, Section, SectionName, Table, as_document, sections_of
from app.domain.resources import ResourceUse, judge_resources
from app.domain.run_evidence import EndedRun, RunEvidence, judge_runs
from app.domain.runs import RunKind, RunStatus
from app.domain.words import ByteCount
from tests.factories.store import NOW

DAILY = (SectionName.HEALTH, SectionName.ERRORS, SectionName.RESOURCES, SectionName.DATABASE, SectionName.BACKUPS)
GOOD, UNAVAILABLE, WARNING, BAD = (Finding(level, level, f"It is {level}.") for level in Level)


def report(*findings: Finding, table: Table | None = None) -> Report:
    section = Section(SectionName.HEALTH, findings, () if table is None else (table,))
    return Report(Period.DAILY, datetime(2026, 2, 28, 12, tzinfo=UTC), NOW, "1.2.3", (section,))


def test_each_report_looks_at_all_that_the_one_before_looks_at_and_more() -> None:
    assert sections_of(Period.DAILY) == DAILY
    counts = [len(sections_of(period)) for period in Period]
    assert counts == [5, 9, 13, 18]
    for shorter, longer in zip(Period, list(Period)[1:], strict=False):
        assert sections_of(longer)[: len(sections_of(shorter))] == sections_of(shorter)
    assert set(sections_of(Period.QUARTERLY)) == set(SectionName) == set(TITLES)


@pytest.mark.parametrize(
    ("findings", "subject", "level"),
    [
        ((), "Daily report: all good", Level.GOOD),
        ((GOOD, GOOD), "Daily report: all good", Level.GOOD),
        ((GOOD, WARNING), "Daily report: 1 warning", Level.WARNING),
        ((WARNING, WARNING), "Daily report: 2 warnings", Level.WARNING),
        ((WARNING, BAD, UNAVAILABLE), "Daily report: 1 problem, 1 warning, 1 unavailable", Level.BAD),
        ((BAD, BAD, UNAVAILABLE, UNAVAILABLE), "Daily report: 2 problems, 2 unavailable", Level.BAD),
        ((UNAVAILABLE, GOOD), "Daily report: 1 unavailable", Level.UNAVAILABLE),
    ],
)
def test_the_subject_says_how_much_there_is_to_do(findings: tuple[Finding, ...], subject: str, level: Level) -> None:
    found = report(*findings)

    assert (found.subject, found.level) == (subject, level)


def test_what_is_bad_is_to_be_done_first() -> None:
    assert report(WARNING, GOOD, BAD, UNAVAILABLE).to_do == [BAD, WARNING]


def test_a_report_as_json_has_moments_in_utc_sizes_in_bytes_and_no_empty_table() -> None:
    rows: tuple[Row, ...] = ({"last_seen_at": NOW, "day": date(2026, 3, 1), "size": ByteCount(2048), "name": None},)

    document = as_document(report(WARNING, table=Table("Things", rows)))

    assert document == {
        "period": "daily",
        "since": "2026-02-28T12:00:00.000Z",
        "until": "2026-03-01T12:00:00.000Z",
        "version": "1.2.3",
        "level": "warning",
        "subject": "Daily report: 1 warning",
        "sections": [
            {
                "name": "health",
                "title": "Health",
                "level": "warning",
                "findings": [{"check": "warning", "level": "warning", "sentence": "It is warning.", "action": None}],
                "tables": [
                    {
                        "title": "Things",
                        "rows": [
                            {"lastSeenAt": "2026-03-01T12:00:00.000Z", "day": "2026-03-01", "size": 2048, "name": None}
                        ],
                    }
                ],
            }
        ],
    }
    assert as_document(report(GOOD, table=Table("Things", ())))["sections"][0]["tables"] == []


@pytest.mark.parametrize(
    ("load", "memory", "levels"),
    [
        (1.6, 90.0, ["good", "good"]),
        (1.7, 90.1, ["warning", "warning"]),
    ],
)
def test_resources_have_the_thresholds_of_the_guide(load: float, memory: float, levels: list[str]) -> None:
    findings = judge_resources(ResourceUse(load, 2, memory, ByteCount(1 << 30)))

    assert [one.level for one in findings] == levels


def ended(status: RunStatus, days: float, *, failure: str | None = None, warnings: int = 0) -> EndedRun:
    at = datetime.fromtimestamp(NOW.timestamp() - days * 86400, UTC)
    return EndedRun(status, "schedule", at, warnings, failure)


@pytest.mark.parametrize(
    ("kind", "runs", "succeeded", "level", "words"),
    [
        (RunKind.VACUUM, (), None, Level.WARNING, "No vacuum has succeeded yet."),
        (RunKind.VACUUM, (ended(RunStatus.FAILED, 1, failure="no"),), None, Level.WARNING, "No vacuum has"),
        (RunKind.VACUUM, (ended(RunStatus.SUCCEEDED, 9),), 9, Level.GOOD, "succeeded on 2026-02-20 12:00Z."),
        (RunKind.VACUUM, (ended(RunStatus.SUCCEEDED, 9.1),), 9.1, Level.WARNING, "older than 9 days: 2026-02-20"),
        (RunKind.REINDEX, (ended(RunStatus.SUCCEEDED, 35),), 35, Level.GOOD, "succeeded on"),
        (RunKind.PRUNE, (ended(RunStatus.SUCCEEDED, 35.1),), 35.1, Level.WARNING, "older than 35 days"),
        (RunKind.PRUNE, (ended(RunStatus.FAILED, 1, failure="disk full"),), 2, Level.WARNING, "is failed: disk full;"),
        (RunKind.PRUNE, (ended(RunStatus.LOST, 1),), 2, Level.WARNING, "The last prune is lost; one succeeded on"),
        (RunKind.PRUNE, (ended(RunStatus.CANCELLED, 1),), 2, Level.GOOD, "succeeded on"),
        (
            RunKind.VACUUM,
            (ended(RunStatus.SUCCEEDED_WITH_WARNINGS, 2, warnings=3),),
            2,
            Level.WARNING,
            "has 3 warnings.",
        ),
    ],
)
def test_runs_are_judged_by_the_last_success_and_by_what_came_after_it(
    kind: RunKind, runs: tuple[EndedRun, ...], succeeded: float | None, level: Level, words: str
) -> None:
    at = None if succeeded is None else ended(RunStatus.SUCCEEDED, succeeded).finished_at

    finding = judge_runs(RunEvidence(kind, runs, at, ended(RunStatus.SUCCEEDED, 100).finished_at), NOW)

    assert (finding.level, finding.check) == (level, f"last_{kind}")
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("kind", "days", "level"),
    [
        (RunKind.VACUUM, None, Level.GOOD),
        (RunKind.VACUUM, 9, Level.GOOD),
        (RunKind.VACUUM, 9.1, Level.WARNING),
        (RunKind.PRUNE, 35, Level.GOOD),
    ],
)
def test_nothing_is_overdue_in_a_young_installation(kind: RunKind, days: float | None, level: Level) -> None:
    installed_at = None if days is None else ended(RunStatus.SUCCEEDED, days).finished_at

    assert judge_runs(RunEvidence(kind, (), None, installed_at), NOW).level is level


def test_a_failure_counts_in_a_young_installation_too() -> None:
    runs = (ended(RunStatus.FAILED, 1),)

    assert judge_runs(RunEvidence(RunKind.VACUUM, runs, None, NOW), NOW).level is Level.WARNING


def api_key(created: float, used: float | None) -> LivingApiKey:
    def ago(days: float) -> datetime:
        return datetime.fromtimestamp(NOW.timestamp() - days * 86400, UTC)

    return LivingApiKey("ops", "itsk_x", None, ago(created), None, None if used is None else ago(used))


@pytest.mark.parametrize(
    ("created", "used", "is_unused", "is_old"),
    [
        (90, None, False, False),
        (90.1, None, True, False),
        (200, 90, False, False),
        (200, 90.1, True, False),
        (365, 1, False, False),
        (365.1, 1, False, True),
    ],
)
def test_an_api_key_is_unused_after_ninety_days_and_old_after_a_year(
    created: float, used: float | None, is_unused: bool, is_old: bool
) -> None:
    found = api_key(created, used)

    assert (found.is_unused(NOW), found.is_old(NOW)) == (is_unused, is_old)


def test_access_is_good_or_says_how_many_there_are_to_look_at() -> None:
    assert [judge_accounts(0).level, judge_accounts(1).level] == [Level.GOOD, Level.WARNING]
    assert [(one.check, one.level) for one in judge_api_keys(9, 0, 0, 0)] == [("unused_api_keys", Level.GOOD)]
    assert [(one.check, one.level) for one in judge_api_keys(9, 1, 2, 3)] == [
        ("unused_api_keys", Level.WARNING),
        ("endless_api_keys", Level.GOOD),
        ("old_api_keys", Level.WARNING),
    ]
    levels = [judge_operators(bare, total).level for bare, total in ((0, 0), (0, 2), (1, 2))]
    assert levels == [Level.GOOD, Level.GOOD, Level.WARNING]
