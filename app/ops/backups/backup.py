"""Backup: pg_dump's custom format, compressed and perhaps encrypted, checked, with a manifest, and only then stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID

from app import __version__
from app.db.queries import content
from app.db.workbench import Workbench
from app.domain.backups import BackupRefused, Manifest, StoreName, TableContent, backup_file_name
from app.domain.errors import DomainError
from app.domain.maintenance import BackupOptions
from app.domain.runs import Outcome, Progress
from app.ops.backups import catalog
from app.ops.backups.configuration import keep_configuration
from app.ops.backups.contents import TableGone, hold_tables, read_contents
from app.ops.backups.copying import copy_out
from app.ops.backups.dumping import LOCK_SECONDS, dump
from app.ops.backups.expiry import expire_after_backup
from app.ops.backups.leftovers import settle, tidy
from app.ops.backups.patience import Patience
from app.ops.backups.pipes import Counted, DamagedFile, Pace, Packed, hash_file, recipient_of
from app.ops.backups.programs import in_thread, require_tool
from app.ops.backups.room import expected_bytes, require_room, told_of_the_disk
from app.ops.backups.stores import LocalStore
from app.ops.backups.unpacking import list_entries, require_tables

COUNTING_SHARE = 30.0
DUMPING_SHARE = 60.0
CHECKING_SHARE = 8.0
ATTEMPTS = 3
STOPPED = "The run was stopped before the backup was whole."
DEFECT = "It failed because of a defect of ours; the log says which."


@dataclass(frozen=True, slots=True)
class Plan:
    """How a backup is made: by whom, where to, and how much it is likely to be."""

    id: UUID
    local: LocalStore
    program: Path
    tool_version: str
    identity: str | None
    raw_bytes: int
    patience: Patience


@dataclass(frozen=True, slots=True)
class Subject:
    """What is backed up: the moment, and what the database holds at it."""

    created_at: datetime
    schema_head: str
    bytes: int
    database: str
    tables: tuple[TableContent, ...]


async def backup(bench: Workbench, options: BackupOptions) -> Outcome:
    """Make a backup; it is in the catalog from the beginning, and fails there when the run does."""
    local = LocalStore(bench.settings.backup_dir)
    await asyncio.to_thread(local.prepare)
    await settle(bench, local)
    await tidy(bench, local)
    backup_id = await catalog.begin(bench, is_pinned=options.pin, note=options.note)
    try:
        with bench.direct.translated():
            manifest = await _make(bench, await _plan(bench, local, backup_id))
        await catalog.store(bench, manifest, [local.name])
    except BaseException as error:
        with suppress(DomainError):  # the next backup settles what can't be settled now
            await settle(bench, local, _reason(error))
        raise
    places, warnings = await copy_out(bench, manifest)
    warnings += await keep_configuration(bench)
    return Outcome(_result(manifest, places) | await expire_after_backup(bench), tuple(warnings))


async def clean_up(bench: Workbench) -> None:
    """Settle what a backup left whose process was killed."""
    await settle(bench, LocalStore(bench.settings.backup_dir))


async def _plan(bench: Workbench, local: LocalStore, backup_id: UUID) -> Plan:
    """Look whether there is a program and room for it; raises ToolMissing and BackupDiskFull."""
    program, tool_version = await asyncio.to_thread(require_tool, "pg_dump", bench.direct.major)
    size, _ = await content.read_size(bench.direct)
    last = await catalog.find_last(bench)
    expected = expected_bytes(size, (last.bytes, last.database_bytes) if last else None)
    await asyncio.to_thread(require_room, local.folder, expected)
    raw_bytes = expected_bytes(size, (last.raw_bytes, last.database_bytes) if last else None)
    identity = next(iter(bench.settings.backup_keys()), None)
    return Plan(backup_id, local, program, tool_version, identity, max(raw_bytes, 1), Patience())


async def _make(bench: Workbench, plan: Plan) -> Manifest:
    """Dump, check and publish it; nothing has its name before all of it is checked."""
    began_at = time.monotonic()
    patience = plan.patience
    async with _snapshot(bench) as (snapshot, created_at):
        subject = await patience.watch(_look(bench, plan, created_at), "the tables were read")
        file_name = backup_file_name(plan.id, created_at, is_encrypted=plan.identity is not None)
        packed = await patience.watch(_dump(bench, plan, snapshot, file_name), "pg_dump was at work")
    await patience.watch(_check(bench, plan, file_name, packed, subject), "the file was checked")
    manifest = Manifest(
        id=plan.id,
        created_at=created_at,
        file_name=file_name,
        bytes=packed.bytes,
        raw_bytes=packed.raw_bytes,
        sha256=packed.sha256,
        encrypted_for=plan.identity and recipient_of(plan.identity),
        database=subject.database,
        database_bytes=subject.bytes,
        server_version=_version_text(bench.direct.connection.info.server_version),
        tool_version=plan.tool_version,
        app_version=__version__,
        schema_head=subject.schema_head,
        tables=subject.tables,
        key_fingerprints=bench.vault.fingerprints(),
        duration_seconds=round(time.monotonic() - began_at, 3),
    )
    manifest = replace(manifest, signature=bench.vault.sign(manifest.unsigned_text()))
    await _publish(bench, plan.local, manifest)
    return manifest


@asynccontextmanager
async def _snapshot(bench: Workbench) -> AsyncIterator[tuple[str, datetime]]:
    """A snapshot by its name, and a moment before it, with all its tables held; begun anew when one was dropped."""
    async with AsyncExitStack() as stack:
        for attempt in range(1, ATTEMPTS + 1):
            created_at = bench.now()
            try:
                name = await stack.enter_async_context(_held_snapshot(bench))
                break
            except TableGone:
                if attempt == ATTEMPTS:
                    raise
        yield name, created_at


@asynccontextmanager
async def _held_snapshot(bench: Workbench) -> AsyncIterator[str]:
    async with bench.direct.limits(lock_seconds=LOCK_SECONDS), content.snapshot(bench.direct) as name:
        await hold_tables(bench.direct)
        yield name


async def _look(bench: Workbench, plan: Plan, created_at: datetime) -> Subject:
    def tell(share: float, table: str) -> None:
        plan.patience.renew()
        bench.tell(Progress(COUNTING_SHARE * share, "counting", table))

    size, database = await content.read_size(bench.direct)
    return Subject(
        created_at=created_at,
        schema_head=await content.read_schema_head(bench.direct),
        bytes=size,
        database=database,
        tables=await read_contents(bench.direct, tell),
    )


async def _dump(bench: Workbench, plan: Plan, snapshot: str, name: str) -> Packed:
    def tell(raw_bytes: int) -> None:
        plan.patience.renew()
        share = min(1.0, raw_bytes / plan.raw_bytes)
        bench.tell(Progress(COUNTING_SHARE + DUMPING_SHARE * share, "dumping", name))

    return await dump(
        bench.direct_url,
        plan.program,
        snapshot,
        plan.local,
        name,
        identity=plan.identity,
        rate=bench.settings.backup_rate,
        tell=tell,
    )


async def _check(bench: Workbench, plan: Plan, name: str, packed: Packed, subject: Subject) -> None:
    """Read the draft back, and the list of what is in it; raises BackupRefused and ToolFailed."""
    pace = Pace(bench.settings.backup_rate)
    draft = plan.local.draft(name)

    def tell(passed: int) -> None:
        plan.patience.renew()
        share = passed / max(packed.bytes, 1)
        bench.tell(Progress(COUNTING_SHARE + DUMPING_SHARE + CHECKING_SHARE * share, "checking", name))
        pace.wait(passed)

    def work() -> None:
        with told_of_the_disk(plan.local.folder), draft.open("rb") as file:
            if hash_file(cast(BinaryIO, Counted(file, tell))) != (packed.bytes, packed.sha256):
                raise DamagedFile(f"{name} is not what was written: the disk is not to be trusted.")
        with told_of_the_disk(plan.local.folder), draft.open("rb") as file:
            entries = list_entries(file, None if plan.identity is None else [plan.identity])
        require_tables(entries)
        _require_all(entries, subject.tables)

    await in_thread(work, pace.stop)


def _require_all(entries: Sequence[str], tables: Sequence[TableContent]) -> None:
    there = sum(" TABLE DATA " in entry for entry in entries)
    if there < len(tables):
        raise BackupRefused(f"The dump holds the rows of {there} tables, and the database has {len(tables)}.")


async def _publish(bench: Workbench, local: LocalStore, manifest: Manifest) -> None:
    """Give both files their names, the manifest last: it says that the backup is whole."""
    percent = COUNTING_SHARE + DUMPING_SHARE + CHECKING_SHARE
    for name in (manifest.file_name, manifest.name):
        bench.tell(Progress(percent, "storing", name))
        if name == manifest.file_name:
            await asyncio.to_thread(local.publish, name)
        else:
            await asyncio.to_thread(local.put_text, name, manifest.as_text())
    bench.tell(Progress(percent, "recording"))


def _reason(error: BaseException) -> str:
    if isinstance(error, DomainError):
        return error.message
    return STOPPED if isinstance(error, asyncio.CancelledError) else DEFECT


def _result(manifest: Manifest, stores: Sequence[StoreName]) -> dict[str, Any]:
    return {
        "backup": str(manifest.id),
        "fileName": manifest.file_name,
        "bytes": manifest.bytes,
        "rawBytes": manifest.raw_bytes,
        "sha256": manifest.sha256,
        "encryptedFor": manifest.encrypted_for,
        "rows": manifest.rows,
        "stores": [str(name) for name in stores],
        "seconds": manifest.duration_seconds,
    }


def _version_text(version: int) -> str:
    """18.6 of 180006."""
    return f"{version // 10_000}.{version % 10_000}"
