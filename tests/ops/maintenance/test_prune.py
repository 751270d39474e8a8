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

import psycopg
import pytest

from app.db.engine import Database
from app.domain.maintenance import PruneOptions
from app.domain.runs import Progress, RunStatus
from app.ops.maintenance import archives
from app.ops.maintenance.prune import prune
from app.settings import Settings
from tests.conftest import Clock, make_settings
from tests.ops.maintenance.bench import counts_by_partition, kind, put_people, put_validations, rows, run, workbench

EVERYTHING = """
    SELECT (SELECT count(*) FROM validation_events), (SELECT count(*) FROM sessions),
    (SELECT count(*) FROM invitations),
    (SELECT count(*) FROM runs), (SELECT count(*) FROM archives), (SELECT count(*) FROM pg_class)"""


def read_archive(settings: Settings, name: str) -> list[dict[str, Any]]:
    with gzip.open(settings.archive_dir / name, "rt") as file:
        return [json.loads(line) for line in file]


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


async def test_a_role_that_may_do_nothing_at_all_makes_the_run_fail_and_is_no_defect(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_people(fresh_database, clock)
    with psycopg.connect(fresh_database, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE poorest")
    try:
        async with workbench(settings, clock) as bench:
            await bench.direct.connection.execute("SET ROLE poorest")
            outcome = await prune(bench, PruneOptions())
            dry = await prune(bench, PruneOptions(dry_run=True))
            await bench.direct.connection.execute("RESET ROLE")
    finally:
        with psycopg.connect(fresh_database, autocommit=True) as superuser:
            superuser.execute("DROP ROLE poorest")

    assert (outcome.status, dry.status) == (RunStatus.FAILED, RunStatus.FAILED)
    assert outcome.failure is not None
    assert "permission denied" in outcome.failure
    assert "DATABASE_DIRECT_URL" in outcome.failure


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
