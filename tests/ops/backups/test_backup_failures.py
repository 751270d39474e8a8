"""What goes wrong with a backup is told, leaves nothing behind, and takes no older backup with it."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pyrage
import pytest
from psycopg import sql
from pydantic import SecretStr

from app.domain.errors import DomainError
from app.domain.maintenance import BackupOptions, PruneOptions, TableOptions
from app.domain.runs import Progress
from app.ops.backups.backup import backup
from app.ops.backups.contents import TableBusy, UnreadableTables
from app.ops.backups.patience import BackupStalled, Patience
from app.ops.backups.pipes import Pace, PipeStopped
from app.ops.backups.programs import ToolFailed, ToolMissing, require_tool
from app.ops.backups.room import BackupDiskFull
from app.ops.maintenance.prune import prune
from app.ops.maintenance.vacuum import vacuum
from app.runner import bury_lost
from app.runtime import Runtime, open_runtime
from tests.conftest import ENCRYPTION_KEY, make_settings
from tests.live import wait_until
from tests.ops.maintenance.workshop import Workshop, open_workshop

NOISE = "CREATE TABLE noise AS SELECT n, md5(n::text) || md5((n * 7)::text) AS text FROM generate_series(1, 100000) n"


def names(workshop: Workshop) -> list[str]:
    return sorted(os.listdir(workshop.bench.settings.backup_dir))


def rows(workshop: Workshop) -> list[tuple[Any, ...]]:
    return workshop.sql("SELECT status, failure FROM backups ORDER BY created_at, id")


class Pause:
    """Holds a backup at a phase until it is let go."""

    def __init__(self, phase: str) -> None:
        self._phase = phase
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, progress: Progress) -> None:
        if progress.phase == self._phase:
            self.reached.set()
            self.go_on.wait(30)


def paced(workshop: Workshop, rate: int | None) -> Any:
    """The workbench with this pace."""
    return _with(workshop, settings=workshop.bench.settings.model_copy(update={"backup_rate": rate}))


def _with(workshop: Workshop, **changes: Any) -> Any:
    return replace(workshop.bench, **changes)


async def test_too_little_room_is_told_before_anything_is_written(workshop: Workshop) -> None:
    await backup(workshop.bench, BackupOptions())
    before = names(workshop)
    workshop.sql("UPDATE backups SET manifest = jsonb_set(manifest, '{bytes}', '1000000000000000')")

    with pytest.raises(BackupDiskFull, match="may need"):
        await backup(workshop.bench, BackupOptions())

    assert names(workshop) == before
    assert [status for status, _ in rows(workshop)] == ["stored", "failed"]


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_a_disk_that_fills_up_leaves_no_draft_and_no_older_backup_is_lost(
    workshop: Workshop, is_encrypted: bool
) -> None:
    bench = workshop.bench
    if is_encrypted:
        key = SecretStr(str(pyrage.x25519.Identity.generate()))
        bench = _with(workshop, settings=bench.settings.model_copy(update={"backup_encryption_key": key}))
    await backup(bench, BackupOptions())
    before = names(workshop)
    workshop.sql(NOISE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(BackupDiskFull, match="is full"):
            await backup(bench, BackupOptions())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert names(workshop) == before
    [(_, _), (status, failure)] = rows(workshop)
    assert status == "failed"
    assert "make room" in failure


async def test_a_pg_dump_that_is_killed_is_a_failed_backup_without_a_file(workshop: Workshop) -> None:
    workshop.sql(NOISE)
    task = asyncio.create_task(backup(paced(workshop, 1_000_000), BackupOptions()))
    child = await _pg_dump()

    child.kill()

    with pytest.raises(ToolFailed, match="pg_dump failed"):
        await task
    assert names(workshop) == []
    assert [status for status, _ in rows(workshop)] == ["failed"]


async def test_cancelling_ends_it_at_once_and_nothing_is_left(workshop: Workshop) -> None:
    workshop.sql(NOISE)
    task = asyncio.create_task(backup(paced(workshop, 1_000), BackupOptions()))
    child = await _pg_dump()
    await asyncio.to_thread(wait_until, lambda: names(workshop) != [], "it writes")
    began_at = asyncio.get_running_loop().time()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert asyncio.get_running_loop().time() - began_at < 3
    assert not child.is_running()
    assert names(workshop) == []
    assert rows(workshop) == [("failed", "The run was stopped before the backup was whole.")]


async def test_nobody_sees_the_password_and_the_files_are_ours_alone(workshop: Workshop) -> None:
    workshop.sql(NOISE)
    task = asyncio.create_task(backup(paced(workshop, 2_000_000), BackupOptions()))
    child = await _pg_dump()

    words = " ".join(child.cmdline())
    await task

    assert "://" not in words
    assert "password=" not in words
    folder = workshop.bench.settings.backup_dir
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {(folder / name).stat().st_mode & 0o777 for name in names(workshop)} == {0o600}


async def test_a_locked_table_ends_it_in_time_and_is_named(workshop: Workshop) -> None:
    lock = workshop.holding("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
    with lock, pytest.raises(TableBusy, match=r"public\.products"):
        await backup(workshop.bench, BackupOptions())

    assert names(workshop) == []
    await backup(workshop.bench, BackupOptions())


async def test_a_role_that_may_not_read_all_is_told_what_and_which_grant_mends_it(workshop: Workshop) -> None:
    workshop.sql("CREATE ROLE half_blind LOGIN", "GRANT SELECT ON alembic_version TO half_blind")
    try:
        url = workshop.url.replace("://postgres", "://half_blind", 1)
        async with open_workshop(workshop.bench.settings, workshop.url, direct_url=url) as restricted:
            with pytest.raises(UnreadableTables, match="GRANT pg_read_all_data TO half_blind") as raised:
                await backup(restricted.bench, BackupOptions())
        assert "public." in raised.value.message
    finally:
        workshop.sql("DROP OWNED BY half_blind", "DROP ROLE half_blind")


async def test_maintenance_beside_a_backup_neither_hangs_nor_breaks_it(workshop: Workshop) -> None:
    pause = Pause("dumping")
    task = asyncio.create_task(backup(_with(workshop, tell=pause), BackupOptions()))
    await asyncio.to_thread(pause.reached.wait, 20)

    async with asyncio.timeout(90), open_workshop(workshop.bench.settings, workshop.url) as other:
        vacuumed = await vacuum(other.bench, TableOptions(("licenses",), force=True))
        pruned = await prune(other.bench, PruneOptions())
    pause.go_on.set()
    outcome = await task

    assert vacuumed.result["tables"][0]["action"] == "vacuumed"
    assert pruned.failure is None
    assert outcome.failure is None


async def test_a_table_dropped_or_made_meanwhile_does_no_harm(workshop: Workshop) -> None:
    workshop.sql("CREATE TABLE kept AS SELECT 1 AS n")
    pause = Pause("dumping")
    task = asyncio.create_task(backup(_with(workshop, tell=pause), BackupOptions()))
    await asyncio.to_thread(pause.reached.wait, 20)

    with psycopg.connect(workshop.url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("DROP TABLE kept")
        connection.execute("CREATE TABLE made_later AS SELECT 1 AS n")
    pause.go_on.set()

    await task
    [(tables,)] = workshop.sql("SELECT manifest->>'tables' FROM backups")
    assert "public.kept" in tables
    assert "made_later" not in tables


PHASES = ["counting", "dumping", "checking", "storing*.dump.zst", "storing*.manifest.json", "recording"]


@pytest.fixture
async def runtime(fresh_database: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    async with open_runtime(make_settings(fresh_database, tmp_path), fresh_database) as opened:
        yield opened


@pytest.mark.parametrize("phase", PHASES)
async def test_kill_9_leaves_a_whole_backup_or_nothing(
    runtime: Runtime, workshop: Workshop, tmp_path: Path, phase: str
) -> None:
    command = [sys.executable, "-m", "tests.ops.backups.killed", workshop.url, str(tmp_path), ENCRYPTION_KEY, phase]
    died = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=60)
    assert died.returncode == -9, died.stderr

    async with asyncio.timeout(20):
        while workshop.sql("SELECT status FROM runs") == [("running",)]:
            await bury_lost(runtime)

    if phase == "recording":
        assert rows(workshop) == [("stored", None)]
        assert len(names(workshop)) == 2
    else:
        [(status, failure)] = rows(workshop)
        assert (status, failure[:27]) == ("failed", "The process that made it wa")
        assert names(workshop) == []
    await backup(workshop.bench, BackupOptions())


async def test_pieces_that_another_machine_could_not_see_are_deleted_by_the_next_backup(workshop: Workshop) -> None:
    await backup(workshop.bench, BackupOptions())
    folder = workshop.bench.settings.backup_dir
    [dump_name, manifest_name] = names(workshop)
    workshop.sql("UPDATE backups SET status = 'failed', file_name = NULL")
    (folder / manifest_name).unlink()
    (folder / "backup-of-somebody-else.dump.zst").touch()

    await backup(workshop.bench, BackupOptions())

    assert dump_name not in names(workshop)
    assert "backup-of-somebody-else.dump.zst" in names(workshop)
    assert len(names(workshop)) == 3


async def test_a_file_that_is_just_being_put_back_is_not_taken_for_a_leftover(workshop: Workshop) -> None:
    await backup(workshop.bench, BackupOptions())
    dump = workshop.bench.settings.backup_dir / names(workshop)[0]
    dump.write_bytes(dump.read_bytes()[:1000])
    workshop.sql("UPDATE backups SET status = 'failed', failure = 'Its file is in no store any more.', stores = '{}'")

    await backup(workshop.bench, BackupOptions())

    assert dump.stat().st_size == 1000
    assert len(names(workshop)) == 4


def test_a_server_that_is_newer_than_the_programs_is_told_apart() -> None:
    with pytest.raises(ToolMissing, match=r"pg_dump here is of PostgreSQL .* 99 or later is needed"):
        require_tool("pg_dump", 99)


async def test_silence_ends_the_work() -> None:
    with pytest.raises(BackupStalled, match="nothing was heard"):
        await Patience(0.1).watch(asyncio.Event().wait(), "it slept")


def test_a_pace_is_kept_and_a_stop_ends_the_wait_at_once() -> None:
    pace = Pace(1)
    threading.Timer(0.2, pace.stop).start()

    with pytest.raises(PipeStopped):
        pace.wait(3600)


async def test_a_session_that_is_ended_fails_and_the_next_backup_settles_what_is_left(workshop: Workshop) -> None:
    workshop.sql(NOISE)
    task = asyncio.create_task(backup(paced(workshop, 1_000_000), BackupOptions()))
    await _pg_dump()

    workshop.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'")

    with pytest.raises(DomainError):
        await task
    assert (names(workshop), rows(workshop)[0][0]) == ([], "failed")
    await workshop.bench.direct.execute(sql.SQL("SELECT 1"))


def _is_dumping(process: psutil.Process) -> bool:
    try:
        return process.name() == "pg_dump" and "--snapshot" in str(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return False


async def _pg_dump() -> psutil.Process:
    """The child that dumps."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        children = psutil.Process().children()
        found[:] = [one for one in children if _is_dumping(one)]
        return bool(found)

    await asyncio.to_thread(wait_until, is_there, "pg_dump runs")
    return found[0]
