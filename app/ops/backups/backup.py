"""Backup: pg_dump's custom format, compressed and perhaps encrypted, checked, with a manifest, and only then stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app import __version__
from app.db.queries import content
from app.db.workbench import Workbench
from app.domain.backups import Manifest, StoreName, TableContent, backup_file_name
from app.domain.errors import DomainError
from app.domain.maintenance import BackupOptions
from app.domain.runs import Outcome, Progress
from app.ops.backups import catalog
from app.ops.backups.contents import read_contents
from app.ops.backups.copying import copy_out
from app.ops.backups.pipes import DamagedFile, Packed, hash_file, pack
from app.ops.backups.programs import in_thread, require_tool, started
from app.ops.backups.stores import LocalStore
from app.ops.backups.unpacking import list_entries, require_tables

COUNTING_SHARE = 30.0
DUMPING_SHARE = 60.0
STOPPED = "The run was stopped before the backup was whole."


@dataclass(frozen=True, slots=True)
class Subject:
    """What is backed up: the moment, and what the database holds at it."""

    created_at: datetime
    snapshot: str
    schema_head: str
    bytes: int
    database: str
    server_version: int
    tables: tuple[TableContent, ...]


async def backup(bench: Workbench, options: BackupOptions) -> Outcome:
    """Make a backup; it is in the catalog from the beginning, and fails there when the run does."""
    local = LocalStore(bench.settings.backup_dir)
    await asyncio.to_thread(local.prepare)
    backup_id = await catalog.begin(bench, is_pinned=options.pin, note=options.note)
    try:
        manifest = await _make(bench, local, backup_id)
    except BaseException as error:
        await asyncio.to_thread(local.sweep)
        reason = error.message if isinstance(error, DomainError) else STOPPED
        with suppress(DomainError):
            await catalog.fail(bench, backup_id, reason)
        raise
    await catalog.store(bench, manifest, [local.name])
    places, warnings = await copy_out(bench, manifest)
    return Outcome(_result(manifest, places), tuple(warnings))


async def clean_up(bench: Workbench) -> None:
    """Remove what a backup left whose process was killed."""
    await asyncio.to_thread(LocalStore(bench.settings.backup_dir).sweep)


async def _make(bench: Workbench, local: LocalStore, backup_id: UUID) -> Manifest:
    began_at = time.monotonic()
    identity = None
    _, tool_version = require_tool("pg_dump", bench.direct.major)
    async with content.snapshot(bench.direct) as name:
        subject = await _look(bench, name)
        file_name = backup_file_name(backup_id, subject.created_at, is_encrypted=identity is not None)
        packed = await _dump(bench, local, file_name, subject, identity)
    await _check(bench, local, file_name, packed, identity)
    manifest = Manifest(
        id=backup_id,
        created_at=subject.created_at,
        file_name=file_name,
        bytes=packed.bytes,
        raw_bytes=packed.raw_bytes,
        sha256=packed.sha256,
        encrypted_for=None,
        database=subject.database,
        database_bytes=subject.bytes,
        server_version=_version_text(subject.server_version),
        tool_version=tool_version,
        app_version=__version__,
        schema_head=subject.schema_head,
        tables=subject.tables,
        key_fingerprints=bench.vault.fingerprints(),
        duration_seconds=round(time.monotonic() - began_at, 3),
    )
    manifest = replace(manifest, signature=bench.vault.sign(manifest.unsigned_text()))
    await asyncio.to_thread(local.publish, file_name)
    await asyncio.to_thread(local.put_text, manifest.name, manifest.as_text())
    return manifest


async def _look(bench: Workbench, snapshot: str) -> Subject:
    created_at = bench.now()

    def tell(share: float, table: str) -> None:
        bench.tell(Progress(COUNTING_SHARE * share, "counting", table))

    size, database = await content.read_size(bench.direct)
    return Subject(
        created_at=created_at,
        snapshot=snapshot,
        schema_head=await content.read_schema_head(bench.direct),
        bytes=size,
        database=database,
        server_version=bench.direct.connection.info.server_version,
        tables=await read_contents(bench.direct, tell),
    )


async def _dump(bench: Workbench, local: LocalStore, name: str, subject: Subject, identity: str | None) -> Packed:
    program, _ = require_tool("pg_dump", bench.direct.major)
    arguments = ["--format=custom", "--compress=0", f"--snapshot={subject.snapshot}", "--no-password"]

    def tell(raw_bytes: int) -> None:
        share = min(1.0, raw_bytes / max(subject.bytes, 1))
        bench.tell(Progress(COUNTING_SHARE + DUMPING_SHARE * share, "dumping"))

    with started(program, arguments, bench.direct_url) as child:

        def work() -> Packed:
            with local.writing(name) as draft:
                packed = pack(child.stdout, draft, identity, tell)
            child.require_success()
            return packed

        return await in_thread(work, child.kill)


async def _check(bench: Workbench, local: LocalStore, name: str, packed: Packed, identity: str | None) -> None:
    """Read the draft back, and the list of what is in it; raises BackupRefused and ToolFailed."""
    bench.tell(Progress(COUNTING_SHARE + DUMPING_SHARE, "checking"))

    def work() -> None:
        with local.draft(name).open("rb") as file:
            if hash_file(file) != (packed.bytes, packed.sha256):
                raise DamagedFile(f"{name} is not what was written: the disk is not to be trusted.")
        with local.draft(name).open("rb") as file:
            require_tables(list_entries(file, None if identity is None else [identity]))

    await asyncio.to_thread(work)


def _result(manifest: Manifest, stores: Sequence[StoreName]) -> dict[str, Any]:
    return {
        "backup": str(manifest.id),
        "fileName": manifest.file_name,
        "bytes": manifest.bytes,
        "rawBytes": manifest.raw_bytes,
        "sha256": manifest.sha256,
        "rows": manifest.rows,
        "stores": [str(name) for name in stores],
    }


def _version_text(version: int) -> str:
    """18.6 of 180006."""
    return f"{version // 10_000}.{version % 10_000}"
