"""Reports of a real database: what is remarkable is found, and an outage is told and never an error."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from app.db.migrations import migrate
from app.db.models.base import new_id
from app.domain.findings import Finding, Level
from app.domain.reports import Period, Report, Section, SectionName, as_document, sections_of
from app.jobs.error_groups import store_errors
from app.ops.overview.rendering import render
from app.ops.overview.reports import compile_report
from app.runtime import Runtime, open_runtime
from app.telemetry.logging import log
from tests.acceptance.test_postgres_versions import installed_servers, make_owned_database, running
from tests.conftest import Clock, make_settings
from tests.db.stoppable import Stoppable
from tests.factories.store import NOW
from tests.web.logs import captured_lines

NEEDS_NO_DATABASE = {
    SectionName.RESOURCES,
    SectionName.CERTIFICATES,
    SectionName.BACKUPS,
    SectionName.RESTORE_TEST,
}


@pytest.fixture
async def runtime(fresh_database: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Runtime]:
    settings = make_settings(fresh_database, tmp_path, database_size_limit="1G", tls_probe_hosts="acme.example")
    async with open_runtime(settings, fresh_database, clock=clock) as opened:
        yield opened


@pytest.fixture
def stoppable() -> Iterator[Stoppable]:
    """A migrated PostgreSQL of the test's own, outside of pytest's folders, which nobody else may enter."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-"))
    server = Stoppable(folder / "data")
    migrate(server.url)
    yield server
    server.stop()
    shutil.rmtree(folder)


async def compiled(runtime: Runtime, period: Period = Period.QUARTERLY) -> Report:
    return await compile_report(runtime.installation(), period, now=runtime.now())


async def section(runtime: Runtime, name: SectionName, period: Period = Period.QUARTERLY) -> Section:
    [found] = [one for one in (await compiled(runtime, period)).sections if one.name is name]
    return found


def execute(runtime: Runtime, statement: str, *values: object) -> None:
    with psycopg.connect(runtime.database_url) as connection:
        connection.execute(statement.encode(), values)


def levels(found: Section) -> dict[str, Level]:
    return {one.check: one.level for one in found.findings}


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
    assert remarkable == {SectionName.VACUUM, SectionName.PRUNE, SectionName.REINDEX}


async def test_backups_and_certificates_that_nobody_looked_at_are_unavailable(runtime: Runtime) -> None:
    found = await compiled(runtime, Period.MONTHLY)
    by_name = {one.name: one.findings for one in found.sections}
    expired = Finding("certificate", Level.BAD, "The certificate of acme.example has expired.")
    with_certificates = await compile_report(
        runtime.installation(), Period.MONTHLY, certificates=[expired], now=runtime.now()
    )

    assert by_name[SectionName.BACKUPS][0].level is Level.UNAVAILABLE
    assert "makes no backups" in by_name[SectionName.BACKUPS][0].sentence
    assert by_name[SectionName.CERTIFICATES][0].sentence == "Nobody has looked at acme.example."
    assert expired in with_certificates.to_do


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


async def test_accounts_keys_and_operators_to_look_at_are_listed(runtime: Runtime) -> None:
    def user(email: str, days: int, *, role: str = "OPERATOR", disabled: bool = False, factor: bool = False) -> str:
        user_id = str(uuid4())
        execute(
            runtime,
            "INSERT INTO users (id, email, name, role, password_hash, created_at, disabled_at, totp_confirmed_at)"
            " VALUES (%s, %s, 'x', %s, 'x', %s, %s, %s)",
            *(user_id, email, role, NOW - timedelta(days=days), NOW if disabled else None, NOW if factor else None),
        )
        return user_id

    def seen(user_id: str, days: int) -> None:
        execute(
            runtime,
            "INSERT INTO user_addresses (user_id, address, first_seen_at, last_seen_at) VALUES (%s, %s, %s, %s)",
            *(user_id, str(uuid4()), NOW, NOW - timedelta(days=days)),
        )

    user("never@acme.example", 91)
    user("new@acme.example", 89, factor=True)
    user("gone@acme.example", 400, disabled=True)
    seen(user("long-ago@acme.example", 400), 91)
    active = user("active@acme.example", 400, factor=True)
    seen(active, 200)
    seen(active, 89)
    in_session = user("in-session@acme.example", 400, factor=True)
    execute(
        runtime,
        "INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at, last_used_at)"
        " VALUES (%s, %s, 'x', %s, %s, %s)",
        *(uuid4(), in_session, NOW - timedelta(days=100), NOW, NOW - timedelta(days=3)),
    )
    for name, days, used, expires, revoked in (
        ("old", 366, 1, None, None),
        ("unused", 100, None, 10, None),
        ("fine", 100, 1, 10, None),
        ("ended", 500, None, -1, None),
        ("revoked", 500, None, None, 1),
    ):
        execute(
            runtime,
            "INSERT INTO api_keys (id, name, prefix, secret_hash, scopes, created_at, last_used_at, expires_at,"
            " revoked_at) VALUES (%s, %s, 'itsk_x', %s, '{}', %s, %s, %s, %s)",
            *(uuid4(), name, name.encode(), NOW - timedelta(days=days)),
            None if used is None else NOW - timedelta(days=used),
            None if expires is None else NOW + timedelta(days=expires),
            None if revoked is None else NOW - timedelta(days=revoked),
        )

    accounts = await section(runtime, SectionName.ACCOUNTS)
    keys = await section(runtime, SectionName.API_KEYS)
    operators = await section(runtime, SectionName.OPERATORS)

    assert [row["email"] for row in rows(accounts, "Unused for longest")] == [
        "never@acme.example",
        "long-ago@acme.example",
    ]
    assert accounts.findings[0].sentence.startswith("2 enabled accounts without a sign-in for 90 days")
    assert [(row["name"], row["why"]) for row in rows(keys, "API keys to look at")] == [
        ("old", "no end, old"),
        ("unused", "unused"),
    ]
    assert levels(keys) == {"unused_api_keys": "warning", "endless_api_keys": "good", "old_api_keys": "warning"}
    assert [row["email"] for row in rows(operators, "Without a second factor")] == [
        "long-ago@acme.example",
        "never@acme.example",
    ]


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


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_while_the_database_is_away_or_hangs_the_report_still_comes(
    stoppable: Stoppable, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with open_runtime(make_settings(stoppable.url, tmp_path), stoppable.url, clock=clock) as runtime:
        assert (await section(runtime, SectionName.HEALTH)).level is Level.GOOD

        started_at = time.monotonic()
        if how == "frozen":
            with stoppable.frozen():
                found = await compiled(runtime)
        else:
            stoppable.stop()
            found = await compiled(runtime)
            stoppable.start()
        took = time.monotonic() - started_at

        assert took < 13  # ten seconds, and what starting the database again takes
        unavailable = {one.name for one in found.sections if one.level in (Level.UNAVAILABLE, Level.BAD)}
        assert set(SectionName) - unavailable <= NEEDS_NO_DATABASE
        assert found.sections[0].findings[0] == Finding("database", Level.BAD, "The database does not answer.")
        assert as_document(found)["level"] == "bad"
        assert "[bad] The database does not answer." in render(found).text
        assert (await section(runtime, SectionName.HEALTH)).level is Level.GOOD


async def test_a_defect_in_one_section_is_logged_and_keeps_nobody_from_the_others(runtime: Runtime) -> None:
    execute(runtime, "ALTER TABLE api_keys DROP COLUMN last_used_at")

    with captured_lines("error") as lines:
        found = await compiled(runtime)

    [broken] = [one for one in found.sections if one.name is SectionName.API_KEYS]
    assert "the log has the cause" in broken.findings[0].sentence
    [line] = lines.read()
    assert (line["event"], line["section"]) == ("defect", "api_keys")
    assert [one.level for one in found.sections if one.name is SectionName.ACCOUNTS] == [Level.GOOD]


@pytest.mark.parametrize("bin_dir", [one for one in installed_servers() if "embedded" not in str(one)], ids=str)
async def test_older_versions_have_reports_too(bin_dir: Path, tmp_path: Path) -> None:
    with running(bin_dir) as port:
        url = make_owned_database(port)
        migrate(url)
        async with open_runtime(make_settings(url, tmp_path), url) as runtime:
            found = await compiled(runtime)

    assert [one.name for one in found.sections if "defect" in str(one.findings)] == []
    assert found.level is Level.WARNING
