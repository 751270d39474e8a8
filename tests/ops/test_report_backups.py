"""Backups in reports and in the doctor, on a real database: told is what catalog, runs and schedules say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from app.db.embedded import EmbeddedPostgres
from app.db.migrations import migrate
from app.db.models.base import new_id
from app.domain.backups import OWN_TOOL
from app.domain.findings import Finding, Level
from app.domain.maintenance import BackupOptions
from app.domain.reports import Period, Section, SectionName, as_document
from app.ops.backups.backup import backup
from app.ops.database_fitness import check_database
from app.ops.overview.backups import check_backups
from app.ops.overview.rendering import render
from app.ops.overview.reports import compile_report
from app.runtime import Runtime, open_runtime
from app.settings import Settings
from app.vault import Vault
from tests.conftest import ENCRYPTION_KEY, Clock, make_settings
from tests.db.roles import Roles, as_role, database_with_roles
from tests.factories.store import NOW
from tests.ops.maintenance.workshop import open_workshop

MEGABYTE = 1024 * 1024


@pytest.fixture
async def runtime(fresh_database: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Runtime]:
    settings = make_settings(fresh_database, tmp_path, backup_s3_url="s3://bucket/licenses")
    async with open_runtime(settings, fresh_database, clock=clock) as opened:
        yield opened


async def section(runtime: Runtime, name: SectionName) -> Section:
    report = await compile_report(runtime.installation(), Period.MONTHLY, now=runtime.now())
    [found] = [one for one in report.sections if one.name is name]
    return found


def by_check(findings: Iterator[Finding] | tuple[Finding, ...] | list[Finding]) -> dict[str, Finding]:
    return {one.check: one for one in findings}


def execute(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def put_backup(url: str, days: float, now: datetime = NOW, **fields: Any) -> None:
    """A row of the catalog; by default one of ours that is stored here, not encrypted."""
    at = now - timedelta(days=days)
    row = {
        "id": uuid4(),
        "tool": OWN_TOOL,
        "status": "stored",
        "created_at": at,
        "finished_at": at,
        "stores": ["local"],
        "bytes": MEGABYTE,
        "sha256": "ab",
        "manifest": json.dumps({"encryptedFor": None, "tables": []}),
        **fields,
    }
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    execute(url, f"INSERT INTO backups ({names}) VALUES ({marks})", *row.values())


def put_run(url: str, kind: str, status: str, days: float, failure: str | None = None, result: str = "{}") -> None:
    at = NOW - timedelta(days=days)
    execute(
        url,
        "INSERT INTO runs (id, kind, mutex_group, status, options, trigger, requested_by_kind, requested_at,"
        " finished_at, failure, result) VALUES (%s, %s, 'backups', %s, '{}', 'schedule', 'schedule', %s, %s, %s, %s)",
        *(new_id(), kind, status, at, at, failure, result),
    )


async def test_a_report_tells_age_size_copies_failures_and_what_is_kept(runtime: Runtime) -> None:
    url = runtime.database_url
    put_backup(url, 40, bytes=MEGABYTE // 2, stores=["local", "s3"], status="verified", verified_at=NOW)
    put_backup(url, 1.25, stores=["local"], is_pinned=True)
    put_backup(url, 0.5, status="failed", sha256=None, bytes=None, stores=[], failure="The disk is full.")
    put_backup(url, 0.01, status="running", bytes=None)
    put_backup(url, 3, status="expired")

    found = await section(runtime, SectionName.BACKUPS)

    said = by_check(found.findings)
    assert said["last_backup"].sentence == "The last backup is of 2026-02-28 06:00Z, 30 h old, and not verified yet."
    assert (said["last_backup"].level, said["last_backup"].action) == (Level.WARNING, "license-server backup")
    assert said["failed_backups"].sentence.endswith("2026-03-01 00:00Z: The disk is full.")
    assert said["backup_size"].sentence == "The last backup has 1.0 MB, 512.0 kB more than the one of 2026-01-20."
    assert said["backup_copies"].sentence == "The last backup is in BACKUP_DIR alone: it was not copied to S3."
    assert said["backup_encryption"].action == (
        "license-server backups generate-key  # for BACKUP_ENCRYPTION_KEY; keep a copy apart from the backups"
    )
    assert said["backup_retention"].sentence == (
        "2 backups of 1.5 MB are kept, the oldest of 2026-01-20; 1 verified, 1 pinned."
    )
    [table] = found.tables
    assert [(row["status"], row["where"]) for row in table.rows] == [
        ("failed", None),
        ("stored, pinned", "BACKUP_DIR"),
        ("verified", "BACKUP_DIR and S3"),
    ]


async def test_backups_that_retention_has_let_go_and_that_are_still_there_are_told(runtime: Runtime) -> None:
    for days in (33, 34, 35, 36):
        put_backup(runtime.database_url, days)
    put_backup(runtime.database_url, 60, is_pinned=True)

    unproven = by_check((await section(runtime, SectionName.BACKUPS)).findings)["backup_retention"]
    put_backup(runtime.database_url, 4, status="verified", verified_at=NOW - timedelta(days=4))
    found = by_check((await section(runtime, SectionName.BACKUPS)).findings)["backup_retention"]

    assert (unproven.level, unproven.action) == (Level.GOOD, None)
    assert (found.level, found.action) == (Level.WARNING, "license-server backups expire --dry-run")
    assert "Retention has let 4 backups go, and the files are still there." in found.sentence


async def test_what_another_tool_has_reported_counts_for_age_and_proof(runtime: Runtime) -> None:
    put_backup(
        runtime.database_url,
        0.5,
        tool="pgbackrest",
        status="verified",
        verified_at=NOW - timedelta(days=1),
        stores=[],
        manifest=None,
    )

    backups = by_check((await section(runtime, SectionName.BACKUPS)).findings)
    trials = by_check((await section(runtime, SectionName.RESTORE_TEST)).findings)

    assert backups["last_backup"].sentence.startswith("The last backup by pgbackrest is of 2026-03-01 00:00Z")
    assert (backups["last_backup"].level, trials["last_verification"].level) == (Level.GOOD, Level.GOOD)
    assert "backup_copies" not in backups
    assert backups["backup_retention"].sentence.startswith("0 backups of 0 B are kept;")


async def test_a_backup_from_the_future_hides_no_outage(runtime: Runtime) -> None:
    put_backup(runtime.database_url, -30)
    put_backup(runtime.database_url, 3)

    found = by_check((await section(runtime, SectionName.BACKUPS)).findings)["last_backup"]

    assert (found.level, "2026-02-26" in found.sentence) == (Level.BAD, True)


async def test_the_restore_test_tells_the_measured_time_and_overdue_drills(runtime: Runtime) -> None:
    url = runtime.database_url
    at = NOW - timedelta(days=10)
    put_backup(url, 11, status="verified", verified_at=at, recovery_seconds=34.42)
    put_backup(url, 2, status="failed", failure="licenses has 9 of 3000 rows.")
    put_run(url, "verify", "failed", 2, "licenses has 9 of 3000 rows.")
    measured = {"recoverySeconds": 61.25, "dataLossSeconds": 3600, "gaps": [{"sentence": "No bundle.", "action": None}]}
    put_run(url, "drill", "failed", 102, "Nobody had the recovery key.")
    put_run(url, "drill", "succeeded", 101, result=json.dumps(measured))

    found = await section(runtime, SectionName.RESTORE_TEST)

    said = by_check(found.findings)
    assert said["last_verification"] == Finding(
        "last_verification",
        Level.WARNING,
        "On 2026-02-19 12:00Z the backup of 2026-02-18 12:00Z was restored on trial, in 34 s.",
        "license-server backups verify",
    )
    assert said["damaged_backups"].level is Level.BAD
    assert said["failed_verification"].sentence.endswith("is failed: licenses has 9 of 3000 rows.")
    assert (said["last_drill"].level, said["last_drill"].action) == (Level.WARNING, "license-server drill")
    trials, drills = found.tables
    assert [row["recovery_seconds"] for row in trials.rows] == [34.4]
    assert [(row["status"], row["recovery_seconds"], row["gaps"]) for row in drills.rows] == [
        ("succeeded", 61.2, 1),
        ("failed", None, 0),
    ]


async def test_the_next_slots_are_those_of_the_schedules_that_are_on(runtime: Runtime) -> None:
    execute(runtime.database_url, "UPDATE schedules SET next_run_at = '2026-03-02T02:00Z' WHERE name = 'daily-backup'")
    execute(runtime.database_url, "UPDATE schedules SET is_enabled = false WHERE name = 'weekly-verify'")

    found = await section(runtime, SectionName.BACKUPS)

    slots = [one for one in found.findings if one.check == "backup_schedules"]
    assert [(one.sentence, one.action) for one in slots] == [
        ("The next backup comes on 2026-03-02 02:00Z.", None),
        ("No schedule that is enabled does a verification.", "license-server schedules enable weekly-verify"),
    ]


async def test_backups_are_in_every_form_of_a_report_once(runtime: Runtime) -> None:
    put_backup(runtime.database_url, 3)

    report = await compile_report(runtime.installation(), Period.DAILY, now=runtime.now())
    rendered = render(report)

    sentence = "The last backup is of 2026-02-26 12:00Z, 3 days old"
    assert (rendered.text.count("of 2026-02-26 12:00Z, 3"), rendered.html.count(sentence)) == (2, 2)  # also what to do
    [told] = [one for one in as_document(report)["sections"] if one["name"] == "backups"]
    assert told["tables"][0]["rows"][0]["size"] == MEGABYTE
    assert [one.check for one in report.findings()].count("last_backup") == 1


async def test_a_real_backup_is_what_the_report_and_the_doctor_tell_of(
    settings: Settings, fresh_database: str, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"backup_dir": tmp_path / "backups"})
    async with open_workshop(own, fresh_database) as workshop:
        outcome = await backup(workshop.bench, BackupOptions())
    assert outcome.failure is None

    said = by_check(await check_backups(own, fresh_database, NOW))

    assert said["last_backup"].sentence.endswith("0 s old, and not verified yet.")
    assert said["backup_copies"].sentence == "The last backup is in BACKUP_DIR."
    assert {one.level for one in said.values()} == {Level.GOOD}
    assert set(said) == {"last_backup", "last_verification", "last_drill", "backup_copies", "backup_room"}


async def test_the_embedded_database_and_its_backups_on_one_disk_are_a_warning(
    fresh_database: str, tmp_path: Path
) -> None:
    put_backup(fresh_database, 0.1, datetime.now(UTC))
    settings = make_settings(fresh_database, tmp_path).model_copy(update={"database_url": None})

    found = by_check(await check_backups(settings, fresh_database, datetime.now(UTC)))["backup_copies"]

    assert (found.level, found.action) == (Level.WARNING, "Set BACKUP_S3_URL, or BACKUP_DIR to another disk.")


async def test_schedules_for_backups_are_missed_only_where_no_other_tool_makes_them(
    fresh_database: str, tmp_path: Path
) -> None:
    execute(fresh_database, "DELETE FROM schedules WHERE kind IN ('backup', 'verify')")
    put_backup(fresh_database, 2, datetime.now(UTC))
    ours = (await examined(fresh_database, tmp_path))["schedules"]
    put_backup(fresh_database, 1, datetime.now(UTC), tool="pgbackrest", stores=[], manifest=None)

    theirs = (await examined(fresh_database, tmp_path))["schedules"]

    assert (ours.level, theirs.level) == (Level.WARNING, Level.GOOD)
    assert ours.action == "license-server schedules set weekly-verify --kind verify --cron '0 7 * * SUN'"


@pytest.fixture(scope="module")
def roles(postgres: EmbeddedPostgres) -> Iterator[Roles]:
    """A migrated database with the roles of the product."""
    with database_with_roles(postgres.database_url("postgres"), "of_the_backups") as made:
        migrate(made.owner)
        yield made


async def examined(url: str, folder: Path, **others: Any) -> dict[str, Finding]:
    settings = make_settings(url, folder, **others)
    return by_check(await check_database(settings, url, Vault((ENCRYPTION_KEY,)), lambda: datetime.now(UTC)))


async def test_a_role_that_may_not_restore_is_told_and_the_action_gives_it_the_rights(
    roles: Roles, tmp_path: Path
) -> None:
    execute(roles.superuser, "CREATE ROLE helpless LOGIN")
    execute(roles.superuser, "GRANT CONNECT ON DATABASE of_the_backups TO helpless")
    with psycopg.connect(roles.superuser) as connection:
        query = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()"
        [owner] = connection.execute(query).fetchone() or [""]
    helpless = as_role(roles.superuser, "helpless")
    try:
        before = (await examined(roles.app, tmp_path, database_direct_url=helpless))["restore_grants"]
        execute(roles.superuser, str(before.action))
        after = (await examined(roles.app, tmp_path, database_direct_url=helpless))["restore_grants"]
    finally:
        execute(roles.superuser, f"ALTER DATABASE of_the_backups OWNER TO {owner}")
        execute(roles.superuser, "DROP OWNED BY helpless")
        execute(roles.superuser, "DROP ROLE helpless")

    lacking = "create databases, rename of_the_backups, end the sessions of license_server"
    assert before.level is Level.WARNING
    assert before.sentence == f"Backups can't be verified or restored as helpless, which may not {lacking}."
    assert (after.level, after.sentence) == (Level.GOOD, "The role helpless may do what a restore needs.")


async def test_the_server_for_restores_on_trial_is_looked_at(roles: Roles, fresh_database: str, tmp_path: Path) -> None:
    usable = (await examined(fresh_database, tmp_path, verify_database_url=roles.superuser))["verify_database"]
    refused = (await examined(fresh_database, tmp_path, verify_database_url=roles.monitor))["verify_database"]
    away = await examined(fresh_database, tmp_path, verify_database_url="postgresql://a:geheim@127.0.0.1:1/x")

    assert usable.level is Level.GOOD
    assert (refused.level, refused.action) == (Level.BAD, "ALTER ROLE license_server_monitor CREATEDB;")
    assert away["verify_database"].level is Level.BAD
    assert "geheim" not in str(away)
