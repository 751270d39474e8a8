"""Reports of a real database: what is remarkable is found, and an outage is told and never an error."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from app.db.models.base import new_id
from app.domain.findings import Finding, Level
from app.domain.reports import Period, Report, Section, SectionName, sections_of
from app.jobs.error_groups import store_errors
from app.ops.overview.rendering import render
from app.ops.overview.reports import compile_report
from app.runtime import Runtime, open_runtime
from app.telemetry.logging import log
from tests.conftest import Clock, make_settings
from tests.factories.store import NOW
from tests.tls_host import Authority, tls_host
from tests.web.logs import captured_lines


@pytest.fixture
async def runtime(fresh_database: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Runtime]:
    settings = make_settings(fresh_database, tmp_path, database_size_limit="1G")
    async with open_runtime(settings, fresh_database, clock=clock) as opened:
        yield opened


async def compiled(runtime: Runtime, period: Period = Period.QUARTERLY) -> Report:
    return await compile_report(runtime.installation(), period, now=runtime.now())


async def section(runtime: Runtime, name: SectionName, period: Period = Period.QUARTERLY) -> Section:
    [found] = [one for one in (await compiled(runtime, period)).sections if one.name is name]
    return found


def execute(runtime: Runtime, statement: str, *values: object) -> None:
    with psycopg.connect(runtime.database_url) as connection:
        connection.execute(statement.encode(), values)


def rows(found: Section, title: str) -> tuple[Mapping[str, Any], ...]:
    [its] = [table.rows for table in found.tables if table.title == title]
    return its


async def test_a_new_installation_has_a_report_of_every_period(runtime: Runtime) -> None:
    for period in Period:
        found = await compiled(runtime, period)

        assert tuple(one.name for one in found.sections) == sections_of(period)
        assert found.level is not Level.BAD
        assert render(found).subject.startswith(f"{period.capitalize()} report: ")
    remarkable = {one.name for one in found.sections if one.level is Level.WARNING} - {SectionName.RESOURCES}
    assert remarkable == set()


async def test_the_certificates_of_hosts_that_are_watched_are_looked_at(runtime: Runtime, tmp_path: Path) -> None:
    begin = datetime.now(UTC) - timedelta(days=100)
    certificate = Authority(tmp_path).issue(begin, timedelta(days=90))
    none = await section(runtime, SectionName.CERTIFICATES, Period.MONTHLY)
    with tls_host(certificate) as host:
        watching = replace(
            runtime.installation(), settings=runtime.settings.model_copy(update={"tls_probe_hosts": (host,)})
        )
        report = await compile_report(watching, Period.MONTHLY, now=datetime.now(UTC))
    [found] = [one for one in report.sections if one.name is SectionName.CERTIFICATES]

    assert none.findings[0].level is Level.UNAVAILABLE
    assert none.findings[0].sentence == "TLS_PROBE_HOSTS names no host to look at."
    assert (found.level, "expired" in found.findings[0].sentence) == (Level.BAD, True)


async def test_errors_of_the_period_are_shown_with_the_command_that_shows_them(runtime: Runtime, clock: Clock) -> None:
    with captured_lines("error"):
        log(logging.getLogger("app.somewhere"), logging.ERROR, "It failed", event="database_down")
    await store_errors(runtime)
    clock.forward(minutes=1)

    found = await section(runtime, SectionName.ERRORS, Period.DAILY)
    clock.forward(days=2)
    later = await section(runtime, SectionName.ERRORS, Period.DAILY)
    in_the_week = await section(runtime, SectionName.ERRORS, Period.WEEKLY)

    assert found.findings == (
        Finding(
            "errors",
            Level.WARNING,
            "1 error line in 1 group were logged.",
            "license-server errors --since 2026-02-28T12:01:00Z",
        ),
    )
    assert rows(found, "Largest groups")[0]["event"] == "database_down"
    assert (later.level, in_the_week.level) == (Level.GOOD, Level.WARNING)


async def test_growth_has_a_date_and_the_tables_that_grew_most(runtime: Runtime) -> None:
    for back in range(30):
        day = NOW.date() - timedelta(days=back)
        execute(
            runtime,
            "INSERT INTO size_samples (day, subject, bytes) VALUES (%s, 'database', %s), (%s, 'public.a', %s)",
            *(day, 500_000_000 - back * 10_000_000, day, 400_000_000 - back * 10_000_000),
        )
    execute(runtime, "INSERT INTO size_samples (day, subject, bytes) VALUES (%s, 'public.new', 5)", NOW.date())

    weekly = await section(runtime, SectionName.GROWTH, Period.WEEKLY)

    [finding] = weekly.findings
    assert (finding.level, finding.sentence) == (
        Level.GOOD,
        "The database has 476.8 MB and changes by 9.5 MB a day; it reaches its limit of 1.0 GB on 2026-04-27.",
    )
    assert [(row["table"], row["growth"]) for row in rows(weekly, "Tables that grew most")] == [
        ("public.a", 70_000_000),
        ("public.new", 5),
    ]


async def test_a_database_of_others_without_a_limit_has_no_date_and_an_embedded_one_has_its_disk(
    fresh_database: str, tmp_path: Path, clock: Clock
) -> None:
    sentences = []
    for settings in (
        make_settings(fresh_database, tmp_path),
        make_settings(fresh_database, tmp_path).model_copy(update={"database_url": None}),
    ):
        async with open_runtime(settings, fresh_database, clock=clock) as runtime:
            execute(runtime, "INSERT INTO size_samples VALUES (%s, 'database', 5) ON CONFLICT DO NOTHING", NOW.date())
            sentences.append((await section(runtime, SectionName.GROWTH, Period.WEEKLY)).findings[0].sentence)

    assert sentences[0] == "The database has 5 B; no limit is known, DATABASE_SIZE_LIMIT is not set."
    assert sentences[1].startswith("The database has 5 B; there is no date on which it reaches its limit of ")


async def test_statements_are_compared_with_seven_days_ago(runtime: Runtime) -> None:
    assert (await section(runtime, SectionName.SLOW_QUERIES)).level is Level.UNAVAILABLE
    for days, calls, total in ((80, 10, 100.0), (7, 1000, 10_000.0), (0, 2000, 110_000.0)):
        execute(
            runtime,
            "INSERT INTO statement_samples (day, query_id, query, calls, total_milliseconds)"
            " VALUES (%s, 1, 'SELECT $1', %s, %s)",
            *(NOW.date() - timedelta(days=days), calls, total),
        )

    found = await section(runtime, SectionName.SLOW_QUERIES)
    performance = await section(runtime, SectionName.PERFORMANCE)

    assert found.findings[0] == Finding(
        "slow_queries",
        Level.WARNING,
        "1 statement at least twice as slow as before 2026-02-22.",
        "license-server database slow-queries",
    )
    assert rows(found, "Slower than before") == (
        {"calls": 1000, "total_ms": 100_000.0, "ms_a_call": 100.0, "before": 10.0, "statement": "SELECT $1"},
    )
    assert rows(performance, "Statements")[0]["calls"] == 1990


def make_user(runtime: Runtime, email: str, days: int, *, disabled: bool = False, factor: bool = False) -> str:
    """The id of an operator who was made so many days ago."""
    user_id = str(uuid4())
    execute(
        runtime,
        "INSERT INTO users (id, email, name, role, password_hash, created_at, disabled_at, totp_confirmed_at)"
        " VALUES (%s, %s, 'x', 'OPERATOR', 'x', %s, %s, %s)",
        *(user_id, email, NOW - timedelta(days=days), NOW if disabled else None, NOW if factor else None),
    )
    return user_id


def sign_in(runtime: Runtime, user_id: str, days: int) -> None:
    execute(
        runtime,
        "INSERT INTO user_addresses (user_id, address, first_seen_at, last_seen_at) VALUES (%s, %s, %s, %s)",
        *(user_id, str(uuid4()), NOW, NOW - timedelta(days=days)),
    )


def make_api_key(runtime: Runtime, name: str, days: int, **moments: int) -> None:
    """An API key that was made so many days ago; `used=1` is yesterday, `expires=-1` tomorrow."""
    given = [NOW - timedelta(days=moments[one]) if one in moments else None for one in ("used", "expires", "revoked")]
    execute(
        runtime,
        "INSERT INTO api_keys (id, name, prefix, secret_hash, scopes, created_at, last_used_at, expires_at, revoked_at)"
        " VALUES (%s, %s, 'itsk_x', %s, '{}', %s, %s, %s, %s)",
        *(uuid4(), name, name.encode(), NOW - timedelta(days=days), *given),
    )


async def test_accounts_without_a_sign_in_for_ninety_days_are_listed(runtime: Runtime) -> None:
    make_user(runtime, "never@acme.example", 91)
    make_user(runtime, "new@acme.example", 89)
    make_user(runtime, "gone@acme.example", 400, disabled=True)
    sign_in(runtime, make_user(runtime, "long-ago@acme.example", 400), 91)
    active = make_user(runtime, "active@acme.example", 400)
    sign_in(runtime, active, 200)
    sign_in(runtime, active, 89)
    execute(
        runtime,
        "INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at, last_used_at)"
        " VALUES (%s, %s, 'x', %s, %s, %s)",
        *(uuid4(), make_user(runtime, "here@acme.example", 400), NOW - timedelta(days=100), NOW, NOW),
    )

    found = await section(runtime, SectionName.ACCOUNTS)

    emails = [row["email"] for row in rows(found, "Unused for longest")]
    assert emails == ["never@acme.example", "long-ago@acme.example"]
    assert found.findings[0].sentence.startswith("2 enabled accounts without a sign-in for 90 days")


async def test_api_keys_that_are_unused_endless_or_old_are_listed_while_they_work(runtime: Runtime) -> None:
    make_api_key(runtime, "old", 366, used=1)
    make_api_key(runtime, "unused", 100, expires=-10)
    make_api_key(runtime, "fine", 100, used=1, expires=-10)
    make_api_key(runtime, "ended", 500, expires=1)
    make_api_key(runtime, "revoked", 500, revoked=1)

    found = await section(runtime, SectionName.API_KEYS)

    assert [(row["name"], row["why"]) for row in rows(found, "API keys to look at")] == [
        ("old", "no end, old"),
        ("unused", "unused"),
    ]
    assert {one.check: one.level for one in found.findings} == {
        "unused_api_keys": "warning",
        "endless_api_keys": "good",
        "old_api_keys": "warning",
    }


async def test_operators_with_a_password_alone_are_listed(runtime: Runtime) -> None:
    make_user(runtime, "bare@acme.example", 1)
    make_user(runtime, "careful@acme.example", 1, factor=True)
    make_user(runtime, "gone@acme.example", 1, disabled=True)

    found = await section(runtime, SectionName.OPERATORS)

    assert [row["email"] for row in rows(found, "Without a second factor")] == ["bare@acme.example"]
    assert found.findings[0].sentence == "1 operator of 2 with a password and without a second factor."


async def test_runs_and_validations_are_evidence(runtime: Runtime) -> None:
    for kind, status, days in (("vacuum", "succeeded", 3), ("vacuum", "failed", 1), ("vacuum", "running", 0)):
        execute(
            runtime,
            "INSERT INTO runs (id, kind, mutex_group, status, options, trigger, requested_by_kind, requested_at,"
            " finished_at, failure) VALUES (%s, %s, 'tables', %s, '{}', 'schedule', 'schedule', %s, %s, 'no')",
            *(new_id(), kind, status, NOW, None if status == "running" else NOW - timedelta(days=days)),
        )
    for code, hours in (("VALID", 1), ("EXPIRED", 2), ("VALID", 30), ("VALID", 24 * 8)):
        execute(
            runtime,
            "INSERT INTO validation_events (id, occurred_at, code) VALUES (%s, %s, %s)",
            *(uuid4(), NOW - timedelta(hours=hours), code),
        )

    vacuum = await section(runtime, SectionName.VACUUM)
    performance = await section(runtime, SectionName.PERFORMANCE)
    capacity = await section(runtime, SectionName.CAPACITY)

    assert [row["status"] for row in rows(vacuum, "Last runs")] == ["failed", "succeeded"]
    assert vacuum.findings[0].sentence == "The last vacuum is failed: no; one succeeded on 2026-02-26 12:00Z."
    assert rows(performance, "Validations by day") == (
        {"day": (NOW - timedelta(days=1)).date(), "validations": 1, "refused": 0},
        {"day": NOW.date(), "validations": 2, "refused": 1},
    )
    assert capacity.findings[0].check == "connections"
    assert rows(capacity, "What there is")[0]["licenses"] == 0


async def test_the_prune_section_shows_what_the_last_run_did_that_was_not_dry(
    runtime: Runtime,
) -> None:
    insert = (
        "INSERT INTO runs (id, kind, mutex_group, status, options, trigger, requested_by_kind, requested_at,"
        " finished_at, result) VALUES (%s, 'prune', 'tables', 'succeeded', %s, 'schedule', 'schedule', %s, %s, %s)"
    )
    gone = {"name": "sessions", "kept": "30 days", "rows": 7, "partitions": 0, "bytes": 2048, "archives": []}
    kinds = [
        {**gone, "skipped": []},
        {**gone, "name": "validation_events", "rows": 0, "skipped": ["a: held", "b: held", "c: held"]},
        {**gone, "name": "runs", "rows": 0, "skipped": []},
    ]
    dry = '{"dryRun": true}'
    execute(runtime, insert, new_id(), dry, NOW, NOW, "{}")
    none_yet = await section(runtime, SectionName.PRUNE)
    execute(runtime, insert, new_id(), '{"dryRun": false}', NOW, NOW, json.dumps({"dryRun": False, "kinds": kinds}))
    execute(runtime, insert, new_id(), dry, NOW, NOW, "{}")

    found = await section(runtime, SectionName.PRUNE)

    assert none_yet.findings[0].sentence == "No prune has run yet, and none is due."
    assert len(rows(found, "Last runs")) == 1
    went, stayed = rows(found, "What the last one did")
    assert (went["name"], went["rows"], str(went["size"]), went["skipped"]) == ("sessions", 7, "2.0 kB", None)
    assert (stayed["name"], stayed["skipped"]) == ("validation_events", "a: held, and 2 more")


async def test_names_with_markup_stay_text_on_every_way(runtime: Runtime) -> None:
    evil = "<script>alert(1)</script>\x1b[31m"
    execute(
        runtime,
        "INSERT INTO api_keys (id, name, prefix, secret_hash, scopes, created_at) VALUES (%s, %s, 'x', 'x', '{}', %s)",
        *(uuid4(), evil, NOW),
    )

    rendered = render(await compiled(runtime))

    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m" in rendered.html
    assert "<script" not in rendered.html
    assert "\x1b" not in rendered.html + rendered.text
    assert "<script>" in rendered.text
