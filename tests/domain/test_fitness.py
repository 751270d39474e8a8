"""When a database is what the server needs, and what to do when it is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.findings import Finding, Level, worst
from app.domain.fitness import (
    ScheduleFacts,
    ServerFacts,
    judge_clock,
    judge_extensions,
    judge_grants,
    judge_schedules,
    judge_server,
    judge_session,
    judge_upkeep,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIT = ServerFacts(
    version=180000,
    encoding="UTF8",
    has_fsync=True,
    has_full_page_writes=True,
    has_checksums=True,
    is_standby=False,
    is_superuser=False,
    role="app",
    has_statement_timeout=True,
    has_lock_timeout=True,
    has_idle_timeout=True,
    time_zone="UTC",
    has_statements=True,
    preloads_statements=True,
    has_tuples=True,
    may_have_tuples=True,
    now=NOW,
)


def bad_ones(facts: ServerFacts) -> list[tuple[str, str]]:
    return [(one.check, one.level) for one in judge_server(facts) if one.level is not Level.GOOD]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (FIT, []),
        (replace(FIT, version=150018), []),
        (replace(FIT, version=140001), [("database_version", "bad")]),
        (replace(FIT, version=190000), [("database_version", "warning")]),
        (replace(FIT, encoding="SQL_ASCII"), [("database_encoding", "bad")]),
        (replace(FIT, is_standby=True), [("database_standby", "bad")]),
        (replace(FIT, has_fsync=False), [("database_durability", "bad")]),
        (replace(FIT, has_full_page_writes=False), [("database_durability", "bad")]),
        (replace(FIT, has_checksums=False), [("database_checksums", "warning")]),
    ],
)
def test_what_endangers_the_data_is_bad(facts: ServerFacts, expected: list[tuple[str, str]]) -> None:
    assert bad_ones(facts) == expected


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0, "good"), (-1.9, "good"), (2.1, "warning"), (-29, "warning"), (31, "bad"), (-86400, "bad")],
)
def test_a_clock_that_is_off_by_half_a_minute_is_bad_in_either_direction(seconds: float, level: str) -> None:
    assert judge_clock(timedelta(seconds=seconds)).level == level


def test_only_the_limits_that_are_missing_are_to_be_set() -> None:
    assert judge_session(FIT).level is Level.GOOD
    assert judge_session(replace(FIT, has_lock_timeout=False, time_zone="CET")) == Finding(
        "session_limits",
        Level.WARNING,
        "Sessions lack lock_timeout, timezone; behind a pooler they must come with the role.",
        "ALTER ROLE app SET lock_timeout = '3s'; ALTER ROLE app SET timezone = 'UTC';",
    )


def test_an_extension_must_be_preloaded_and_created() -> None:
    def said(**others: Any) -> tuple[Level, list[str]]:
        findings = list(judge_extensions(replace(FIT, **others)))
        return worst(findings), [one.action for one in findings if one.action]

    assert said() == (Level.GOOD, [])
    assert said(has_statements=False) == (Level.WARNING, ["CREATE EXTENSION pg_stat_statements;"])
    assert "shared_preload_libraries" in said(preloads_statements=False)[1][0]
    assert said(has_tuples=False) == (Level.UNAVAILABLE, ["CREATE EXTENSION pgstattuple;"])
    assert said(has_tuples=False, may_have_tuples=False)[1] == ["Install PostgreSQL's contrib package."]


def test_a_superuser_is_a_warning_except_in_a_database_of_the_servers_own() -> None:
    facts = replace(FIT, is_superuser=True)

    assert [one.level for one in judge_grants(facts, [], is_own=False)] == [Level.WARNING]
    assert [one.level for one in judge_grants(facts, [], is_own=True)] == [Level.GOOD]


def test_maintenance_that_would_skip_tables_says_which_grant_mends_it() -> None:
    old = judge_upkeep(["a", "b"], "owner", "app", has_privilege=False)
    new = judge_upkeep(["a", "b"], "owner", "app", has_privilege=True)

    assert (old.level, new.level) == (Level.WARNING, Level.WARNING)
    assert str(old.action).endswith("GRANT owner TO app;")
    assert str(new.action).endswith("GRANT MAINTAIN ON ALL TABLES IN SCHEMA public TO app;")


USUAL = [
    ScheduleFacts("daily-backup", "backup", "0 2 * * *", {}, "run_once", NOW + timedelta(hours=14)),
    ScheduleFacts("monthly-prune", "prune", "30 3 1 * *", {}, "run_once", NOW + timedelta(days=28)),
    ScheduleFacts("monthly-reindex", "reindex", "30 5 * * SUN#1", {}, "run_once", NOW + timedelta(days=32)),
    ScheduleFacts("weekly-verify", "verify", "0 7 * * SUN", {}, "run_once", NOW + timedelta(days=4)),
    ScheduleFacts("weekly-vacuum", "vacuum", "30 4 * * SUN", {}, "run_once", NOW + timedelta(days=4)),
]


def said_of_schedules(schedules: list[ScheduleFacts], *, is_ours: bool = True) -> list[tuple[str, str | None]]:
    findings = list(judge_schedules(schedules, NOW, is_ours=is_ours))
    assert {one.check for one in findings} == {"schedules"}
    assert all((one.level is Level.GOOD) == (one.action is None) for one in findings)
    return [(one.sentence, one.action) for one in findings]


def test_schedules_that_wait_for_their_slots_are_good_whoever_looks_at_them() -> None:
    assert said_of_schedules(USUAL) == [("5 schedules are enabled, and none is late.", None)]
    assert said_of_schedules(USUAL, is_ours=False) == [
        ("5 schedules are left to a cron outside (SCHEDULES_ENABLED=false), and none is late.", None)
    ]


@pytest.mark.parametrize(
    ("is_ours", "sentence", "action"),
    [
        (True, "a running server does", "license-server schedules run-due"),
        (False, "leaves them to a cron outside", "*/5 * * * *"),
    ],
)
def test_a_slot_that_nobody_looked_at_is_late_and_the_action_says_who_should(
    is_ours: bool, sentence: str, action: str
) -> None:
    late = [*USUAL[:4], replace(USUAL[4], waits_since=NOW - timedelta(hours=2))]

    [(said, wanted)] = said_of_schedules(late, is_ours=is_ours)

    assert "since 2026-03-01 10:00Z nobody has looked at weekly-vacuum" in said
    assert sentence in said
    assert action in str(wanted)


def test_a_slot_that_waits_for_another_run_is_not_late() -> None:
    [(sentence, _)] = said_of_schedules([*USUAL[:4], replace(USUAL[4], waits_since=NOW - timedelta(minutes=74))])

    assert sentence == "5 schedules are enabled, and none is late."


def test_a_schedule_that_cannot_be_read_is_named() -> None:
    [(sentence, action)] = said_of_schedules([*USUAL, replace(USUAL[0], name="odd", cron="x")])

    assert sentence.startswith("The schedule odd can't be read: its cron expression is wrong")
    assert action == "license-server schedules set odd --kind KIND --cron 'CRON'"
    assert said_of_schedules([USUAL[0], replace(USUAL[1], cron="x"), *USUAL[2:]])[0][1] == (
        "license-server schedules set monthly-prune --kind prune --cron '30 3 1 * *'"
    )


def test_what_an_installation_needs_and_no_schedule_does_is_told_with_the_command_that_mends_it() -> None:
    disabled = replace(USUAL[4], waits_since=None)

    assert said_of_schedules([*USUAL[:4], disabled]) == [
        ("No schedule that is enabled does vacuum.", "license-server schedules enable weekly-vacuum")
    ]
    assert said_of_schedules([USUAL[0], *USUAL[2:]]) == [
        (
            "No schedule that is enabled does prune.",
            "license-server schedules set monthly-prune --kind prune --cron '30 3 1 * *'",
        )
    ]
    assert "5 schedules" in said_of_schedules([*USUAL[:4], replace(USUAL[4], name="own")])[0][0]
