"""What is old goes, evidence into archives first; what is held, young or not archived stays."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.db.engine import Database
from app.db.models.base import new_id
from app.domain.maintenance import PruneOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import Outcome, Progress, RunStatus
from app.ops.maintenance import archives
from app.ops.maintenance.prune import prune
from app.services import legal_holds
from app.services.legal_holds import PlaceLegalHold
from app.settings import Settings
from tests.conftest import Clock, make_settings
from tests.factories.store import make_license, make_organization
from tests.ops.maintenance.bench import counts_by_partition, put_validations, rows, workbench

EVERYTHING = """
    SELECT (SELECT count(*) FROM validation_events), (SELECT count(*) FROM sessions),
    (SELECT count(*) FROM invitations),
    (SELECT count(*) FROM runs), (SELECT count(*) FROM archives), (SELECT count(*) FROM pg_class)"""


async def run(settings: Settings, clock: Clock, *, dry_run: bool = False) -> Outcome:
    async with workbench(settings, clock) as bench:
        return await prune(bench, PruneOptions(dry_run=dry_run))


def kind(outcome: Outcome, name: str) -> dict[str, Any]:
    [found] = [one for one in outcome.result["kinds"] if one["name"] == name]
    assert isinstance(found, dict)
    return found


def read_archive(settings: Settings, name: str) -> list[dict[str, Any]]:
    with gzip.open(settings.archive_dir / name, "rt") as file:
        return [json.loads(line) for line in file]


async def hold(url: str, clock: Clock, organization_id: UUID | None = None) -> UUID:
    database = Database(url, pool_size=1)
    async with database.transaction() as tx:
        placed = await legal_holds.place(tx, COMMAND_LINE, PlaceLegalHold("case 7", organization_id), now=clock.now)
    await database.close()
    return placed.id


async def release(url: str, clock: Clock, hold_id: UUID) -> None:
    database = Database(url, pool_size=1)
    async with database.transaction() as tx:
        await legal_holds.release(tx, COMMAND_LINE, hold_id, now=clock.now)
    await database.close()


async def put_license(url: str) -> tuple[UUID, UUID]:
    """The ids of an organization and of its license."""
    database = Database(url, pool_size=1)
    async with database.transaction() as tx:
        organization = await make_organization(tx, name="Held Corp")
        license, _ = await make_license(tx, organization=organization)
    await database.close()
    return organization.id, license.id


async def test_an_old_day_is_archived_row_by_row_and_then_gone(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    old, edge, young = (clock.now - timedelta(days=days) for days in (92, 90, 89))
    put_validations(fresh_database, old, 50)
    put_validations(fresh_database, edge, 3)
    put_validations(fresh_database, young, 4)
    query = "SELECT row_to_json(event)::text FROM validation_events AS event WHERE occurred_at = %s"
    expected = [json.loads(text) for (text,) in rows(fresh_database, query, [old])]

    outcome = await run(settings, clock)

    found = kind(outcome, "validation_events")
    assert (outcome.status, found["rows"], found["partitions"]) == (RunStatus.SUCCEEDED, 50, 1)
    assert found["kept"] == "90 days"
    [name] = found["archives"]
    assert sorted(read_archive(settings, name), key=lambda row: row["id"]) == sorted(
        expected, key=lambda row: row["id"]
    )
    assert set(counts_by_partition(fresh_database).values()) == {3, 4}
    path = settings.archive_dir / name
    [record] = rows(fresh_database, "SELECT kind, subject, rows, bytes, sha256, since::text FROM archives")
    assert record == (
        *("validation_events", "validation_events_20251129", 50, path.stat().st_size),
        *(hashlib.sha256(path.read_bytes()).hexdigest(), "2025-11-29 00:00:00+00"),
    )
    manifest = json.loads((path.parent / name.replace(".jsonl.gz", ".manifest.json")).read_text())
    assert (manifest["rows"], manifest["sha256"]) == (record[2], record[4])
    assert [oct(one.stat().st_mode)[-3:] for one in (path.parent, *sorted(path.parent.iterdir()))] == [
        *("700", "600", "600")
    ]


async def test_a_dry_run_tells_the_same_and_touches_nothing(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=100), 7)
    put_people(fresh_database, clock)
    before = rows(fresh_database, EVERYTHING)

    dry = await run(settings, clock, dry_run=True)

    assert rows(fresh_database, EVERYTHING) == before
    assert not settings.archive_dir.exists()
    real = await run(settings, clock)
    for name in ("validation_events", "sessions", "invitations", "runs", "idempotency_keys", "size_samples"):
        assert kind(dry, name)["rows"] == kind(real, name)["rows"] > 0
        assert set(kind(dry, name)) == set(kind(real, name))
    assert (dry.result["dryRun"], real.result["dryRun"]) == (True, False)
    again = await run(settings, clock)
    assert sum(one["rows"] for one in again.result["kinds"]) == 0


def put_people(url: str, clock: Clock, organization_id: UUID | None = None) -> None:
    """An old and a young one of each kind that is deleted row by row."""
    user_id = new_id()
    role = "OPERATOR" if organization_id is None else "VIEWER"
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO users (id, organization_id, email, name, role) VALUES (%s, %s, %s, 'x', %s)",
            [user_id, organization_id, f"{user_id}@acme.example", role],
        )
        for days in (1000, 0):
            at = clock.now - timedelta(days=days)
            values: dict[str, object] = {
                "id": new_id(),
                "user": user_id,
                "org": organization_id,
                "role": role,
                "at": at,
                "day": at.date(),
            }
            values["hash"] = str(values["id"]).encode()
            for statement in STATEMENTS:
                connection.execute(statement.encode(), values)


STATEMENTS = (
    (
        "INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at)"
        " VALUES (%(id)s, %(user)s, %(hash)s, %(at)s, %(at)s)"
    ),
    (
        "INSERT INTO invitations (id, organization_id, email, role, token_hash, expires_at)"
        " VALUES (%(id)s, %(org)s, 'a@b.example', %(role)s, %(hash)s, %(at)s)"
    ),
    (
        "INSERT INTO password_resets (id, user_id, token_hash, created_at, expires_at)"
        " VALUES (%(id)s, %(user)s, %(hash)s, %(at)s, %(at)s)"
    ),
    (
        "INSERT INTO registrations (id, email, name, organization, token_hash, created_at, expires_at)"
        " VALUES (%(id)s, 'a@b.example', 'x', '{}', %(hash)s, %(at)s, %(at)s)"
    ),
    (
        "INSERT INTO idempotency_keys (caller, key, request_hash, created_at, status, body_encrypted)"
        " VALUES ('x', %(id)s, 'x', %(at)s, 200, 'x')"
    ),
    (
        "INSERT INTO outgoing_mails (id, message_encrypted, created_at, expires_at, next_attempt_at, attempts)"
        " VALUES (%(id)s, 'x', %(at)s, %(at)s, %(at)s, 0)"
    ),
    (
        "INSERT INTO runs"
        " (id, kind, mutex_group, status, options, trigger, requested_by_kind, requested_at, finished_at)"
        " VALUES (%(id)s, 'prune', 'tables', 'succeeded', '{}', 'command', 'x', %(at)s, %(at)s)"
    ),
    "INSERT INTO size_samples (day, subject, bytes) VALUES (%(day)s, %(id)s, 1)",
    "INSERT INTO statement_samples (day, query_id, query, calls, total_milliseconds) VALUES (%(day)s, 1, 'x', 1, 1)",
)


async def test_what_has_ended_long_ago_is_deleted_and_the_rest_stays(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_people(fresh_database, clock)
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "INSERT INTO runs (id, kind, mutex_group, status, options, trigger, requested_by_kind, requested_at)"
            " VALUES (gen_random_uuid(), 'prune', 'tables', 'running', '{}', 'command', 'x', '2020-01-01')"
        )

    outcome = await run(settings, clock)

    for table in ("sessions", "invitations", "password_resets", "registrations", "idempotency_keys", "outgoing_mails"):
        assert (kind(outcome, table)["rows"], rows(fresh_database, f"SELECT count(*) FROM {table}")) == (1, [(1,)])
    assert rows(fresh_database, "SELECT count(*) FROM size_samples") == [(1,)]
    assert rows(fresh_database, "SELECT count(*) FROM statement_samples") == [(1,)]
    assert rows(fresh_database, "SELECT status FROM runs ORDER BY status") == [("running",), ("succeeded",)]


async def test_while_the_whole_installation_is_held_no_evidence_goes_and_the_run_says_so(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=100), 7)
    put_people(fresh_database, clock)
    hold_id = await hold(fresh_database, clock)

    held = await run(settings, clock)

    assert held.status is RunStatus.SUCCEEDED
    for name in ("validation_events", "sessions", "invitations"):
        assert (kind(held, name)["rows"], kind(held, name)["skipped"]) == (
            0,
            ["a legal hold keeps everything of the whole installation"],
        )
    assert kind(held, "idempotency_keys")["rows"] == 1
    await release(fresh_database, clock, hold_id)
    assert kind(await run(settings, clock), "validation_events")["rows"] == 7


async def test_a_hold_on_an_organization_keeps_whole_days_with_its_rows_and_no_other(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    organization_id, license_id = await put_license(fresh_database)
    put_people(fresh_database, clock, organization_id)
    put_validations(fresh_database, clock.now - timedelta(days=100), 3)
    put_validations(fresh_database, clock.now - timedelta(days=101), 5)
    put_validations(fresh_database, clock.now - timedelta(days=101), 1, license_id)
    await hold(fresh_database, clock, organization_id)

    outcome = await run(settings, clock)

    found = kind(outcome, "validation_events")
    assert (found["rows"], found["skipped"]) == (
        3,
        ["validation_events_20251120: a legal hold on Held Corp, of which it has rows, keeps it"],
    )
    assert counts_by_partition(fresh_database) == {"validation_events_20251120": 6}
    assert kind(outcome, "sessions")["skipped"] == ["legal holds on organizations keep 1"]
    assert rows(fresh_database, "SELECT count(*) FROM invitations") == [(2,)]
    assert outcome.warnings == ()


async def test_a_hold_that_is_placed_while_a_day_is_archived_keeps_it(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=100), 3)
    database = Database(fresh_database, pool_size=1)
    async with workbench(settings, clock) as bench:
        async with database.transaction() as placing:
            await legal_holds.place(placing, COMMAND_LINE, PlaceLegalHold("case 7"), now=clock.now)
            pruning = asyncio.create_task(prune(bench, PruneOptions()))
            while not list(settings.archive_dir.glob("*.manifest.json")):
                await asyncio.wait([pruning], timeout=0.02)
        outcome = await pruning
    await database.close()

    assert kind(outcome, "validation_events")["rows"] == 0
    assert counts_by_partition(fresh_database) == {"validation_events_20251121": 3}
    assert list(settings.archive_dir.iterdir()) == []


async def test_without_a_folder_for_archives_nothing_is_dropped_and_the_run_tells_so(
    clock: Clock, fresh_database: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    settings = make_settings(fresh_database, tmp_path, archive_dir=tmp_path / "file")
    put_validations(fresh_database, clock.now - timedelta(days=100), 3)
    put_people(fresh_database, clock)

    outcome = await run(settings, clock)

    assert outcome.status is RunStatus.SUCCEEDED_WITH_WARNINGS
    [warning] = outcome.warnings
    assert "validation_events_20251121: The archive can't be written: " in warning
    assert counts_by_partition(fresh_database) == {"validation_events_20251121": 3}
    assert kind(outcome, "sessions")["rows"] == 1


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full after so many bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_when_the_disk_is_full_nothing_is_dropped_and_no_half_of_a_file_is_left(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=100), 3000)

    with files_of_at_most(20_000):
        outcome = await run(settings, clock)

    assert "The archive can't be written: File too large" in outcome.warnings[0]
    assert counts_by_partition(fresh_database) == {"validation_events_20251121": 3000}
    assert list(settings.archive_dir.iterdir()) == []


async def test_a_run_that_is_cancelled_leaves_whole_days(settings: Settings, clock: Clock, fresh_database: str) -> None:
    for day in range(10):
        put_validations(fresh_database, clock.now - timedelta(days=100 + day), 20)
    told: list[Progress] = []
    async with workbench(settings, clock, told) as bench:
        pruning = asyncio.create_task(prune(bench, PruneOptions()))
        while not any((progress.object_percent or 0) >= 40 for progress in told):
            await asyncio.wait([pruning], timeout=0.01)
        pruning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pruning

    archived = dict(rows(fresh_database, "SELECT subject, rows FROM archives"))
    left = counts_by_partition(fresh_database)
    assert (set(archived) & set(left), {*archived.values(), *left.values()}) == (set(), {20})
    assert len(archived) + len(left) == 10
    assert len(archived) >= 4
    assert not list(settings.archive_dir.glob("*.partial"))
    assert kind(await run(settings, clock), "validation_events")["rows"] == 20 * len(left)


async def test_the_draft_of_somebody_who_was_killed_is_swept_away(settings: Settings, clock: Clock) -> None:
    settings.archive_dir.mkdir()
    (settings.archive_dir / "validation_events_20250101-00.jsonl.gz.partial").write_text("half")

    await run(settings, clock)

    assert list(settings.archive_dir.iterdir()) == []


async def test_an_empty_day_goes_without_an_archive(settings: Settings, clock: Clock, fresh_database: str) -> None:
    await run(settings, clock)
    clock.forward(days=120)

    outcome = await run(settings, clock)

    found = kind(outcome, "validation_events")
    assert (found["partitions"], found["rows"], found["archives"]) == (15, 0, [])
    assert list(settings.archive_dir.iterdir()) == []


async def test_a_role_that_owns_nothing_is_told_so_and_deletes_what_it_may(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=100), 3)
    put_people(fresh_database, clock)
    with psycopg.connect(fresh_database, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE poor")
        superuser.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO poor")
        superuser.execute("REVOKE DELETE ON sessions FROM poor")
    try:
        async with workbench(settings, clock) as bench:
            await bench.direct.connection.execute("SET ROLE poor")
            outcome = await prune(bench, PruneOptions())
            await bench.direct.connection.execute("RESET ROLE")
    finally:
        with psycopg.connect(fresh_database, autocommit=True) as superuser:
            superuser.execute("DROP OWNED BY poor")
            superuser.execute("DROP ROLE poor")

    assert outcome.status is RunStatus.SUCCEEDED_WITH_WARNINGS
    assert sum("DATABASE_DIRECT_URL" in warning for warning in outcome.warnings) == 2
    assert counts_by_partition(fresh_database) == {"validation_events_default": 3}
    assert (kind(outcome, "sessions")["rows"], kind(outcome, "invitations")["rows"]) == (0, 1)


async def test_archives_that_are_missing_or_damaged_are_found(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    for day in range(4):
        put_validations(fresh_database, clock.now - timedelta(days=100 + day), 2)
    await run(settings, clock)
    paths = sorted(settings.archive_dir.glob("*.jsonl.gz"))
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:-1] + b"x")
    with psycopg.connect(fresh_database) as connection:
        connection.execute("UPDATE archives SET rows = 7 WHERE file_name = %s", [paths[2].name])

    database = Database(fresh_database, pool_size=1)
    found = {one.file_name: wrong async for one, wrong in archives.verify_all(database, settings.archive_dir)}
    await database.close()

    assert found == {
        paths[0].name: f"{paths[0].name} is missing.",
        paths[1].name: f"{paths[1].name} is damaged: its SHA-256 is not the one on record.",
        paths[2].name: f"{paths[2].name} has 2 lines instead of 7.",
        paths[3].name: None,
    }
