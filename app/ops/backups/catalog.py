"""The catalog as runs keep it: what becomes of a backup, each change with its line in the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.db import events
from app.db.models import Backup
from app.db.queries import backups
from app.db.session import Session
from app.db.workbench import Workbench
from app.domain.backups import OWN_TOOL, BackupStateConflict, BackupStatus, Manifest, StoreName, read_manifest
from app.domain.events import EventName

REMEMBERED = 1000
"""Behind so many failed backups it is looked whether anything is left of them."""


async def begin(bench: Workbench, *, is_pinned: bool, note: str) -> UUID:
    """Put a backup that begins on record; its id."""
    async with bench.database.transaction() as tx:
        backup = Backup(
            tool=OWN_TOOL,
            status=BackupStatus.RUNNING,
            is_pinned=is_pinned,
            note=note or None,
            run_id=bench.run_id,
            created_at=bench.now(),
        )
        tx.add(backup)
        await tx.flush()
        return backup.id


async def store(bench: Workbench, manifest: Manifest, stores: Sequence[StoreName]) -> None:
    """The backup's file and manifest are in their places; raises BackupStateConflict where it was settled meanwhile."""
    async with bench.database.transaction() as tx:
        backup = await backups.lock_backup(tx, manifest.id)
        if backup.status != BackupStatus.RUNNING:
            raise BackupStateConflict(f"The backup is {backup.status} already.")
        backup.status = BackupStatus.STORED
        backup.created_at = manifest.created_at
        backup.finished_at = bench.now()
        backup.file_name = manifest.file_name
        backup.stores = [str(name) for name in stores]
        backup.bytes = manifest.bytes
        backup.sha256 = manifest.sha256
        backup.manifest = manifest.as_document()
        await _tell(tx, bench, EventName.BACKUP_STORED, backup, bytes=manifest.bytes, sha256=manifest.sha256)


async def fail(bench: Workbench, backup_id: UUID, reason: str) -> None:
    """Nothing came of the backup."""
    async with bench.database.transaction() as tx:
        backup = await backups.lock_backup(tx, backup_id)
        if backup.status != BackupStatus.RUNNING:
            return
        backup.status = BackupStatus.FAILED
        backup.finished_at = bench.now()
        backup.failure = reason
        await _tell(tx, bench, EventName.BACKUP_FAILED, backup, reason=reason)


async def prove(bench: Workbench, backup_id: UUID, recovery_seconds: float, damage: str | None) -> None:
    """The backup was restored on trial and found whole; `damage` is what is wrong with others of its copies."""
    async with bench.database.transaction() as tx:
        backup = await backups.lock_backup(tx, backup_id)
        if backup.status == BackupStatus.EXPIRED:
            return
        backup.status = BackupStatus.VERIFIED
        backup.verified_at = bench.now()
        backup.recovery_seconds = recovery_seconds
        backup.failure = damage
        await _tell(tx, bench, EventName.BACKUP_VERIFIED, backup, recoverySeconds=recovery_seconds)
        if damage is not None:
            await _tell(tx, bench, EventName.BACKUP_DAMAGED, backup, reason=damage)


async def condemn(bench: Workbench, backup_id: UUID, reason: str) -> None:
    """The backup was found damaged: nothing can be restored from it."""
    async with bench.database.transaction() as tx:
        backup = await backups.lock_backup(tx, backup_id)
        if backup.status == BackupStatus.EXPIRED:
            return
        backup.status = BackupStatus.FAILED
        backup.failure = reason
        await _tell(tx, bench, EventName.BACKUP_DAMAGED, backup, reason=reason)


async def list_unsettled(bench: Workbench) -> Sequence[UUID]:
    """The ids of our own backups that are being made, or were when their process died."""
    async with bench.database.transaction() as tx:
        return [backup.id for backup in await backups.list_running(tx)]


async def list_failed(bench: Workbench) -> Sequence[UUID]:
    """The ids of our own backups that nothing came of, the latest ones."""
    async with bench.database.transaction() as tx:
        return await backups.list_failed_ids(tx, REMEMBERED)


async def find_last(bench: Workbench) -> Manifest | None:
    """The manifest of our own newest backup that can be used; None without any."""
    async with bench.database.transaction() as tx:
        last = await backups.find_newest_usable(tx)
    return None if last is None or last.manifest is None else read_manifest(last.manifest)


async def _tell(tx: Session, bench: Workbench, event: EventName, backup: Backup, **data: Any) -> None:
    told = {"fileName": backup.file_name, "runId": str(bench.run_id), **data}
    known = {name: value for name, value in told.items() if value is not None}
    await events.record(tx, bench.asker, event, backup.id, now=bench.now(), data=known)
