"""The catalog of backups over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.domain.backups import BackupStatus
from app.ops.backups import expiry
from app.ops.backups.expiry import Place
from app.services import backups
from app.web.deps import Now, Runtime, Transaction, WantedPage
from app.web.json_body import JsonRoute
from app.web.schemas.backups import (
    BackupOut,
    ExpireBackups,
    ExpiredBackupOut,
    ExpiryOut,
    PinBackup,
    ReportBackup,
    ShownBackupOut,
)
from app.web.schemas.base import PageOut
from app.web.security import Administration, CanBackUp, CanReadOperations, CanRestore, RecentlyProven

router = APIRouter(prefix="/admin/backups", tags=["backups"], route_class=JsonRoute, dependencies=[Administration])

WITHOUT_NOTE = PinBackup()
FOR_REAL = ExpireBackups()


@router.get("")
async def list_backups(
    caller: CanReadOperations,
    tx: Transaction,
    page: WantedPage,
    status: Annotated[BackupStatus | None, Query(description="Only in this status.")] = None,
) -> PageOut[BackupOut]:
    """List backups of all tools, newest first, deleted ones too."""
    found = await backups.list_page(tx, status, page)
    items = [BackupOut.of(backup) for backup in found.items]
    return PageOut[BackupOut](items=items, next_cursor=found.next_cursor)


@router.post("/reports")
async def report_backup(caller: CanBackUp, tx: Transaction, now: Now, wish: ReportBackup) -> BackupOut:
    """Put a backup that another tool made on record; repeating a report is harmless."""
    return BackupOut.of(await backups.report(tx, caller, backups.ReportBackup(**wish.model_dump()), now=now))


@router.post("/expire")
async def expire_backups(
    caller: CanRestore, proven: RecentlyProven, runtime: Runtime, now: Now, wish: ExpireBackups = FOR_REAL
) -> ExpiryOut:
    """Delete what retention lets go now, or tell what would go, and why everything else stays."""
    place = Place(runtime.database, runtime.settings, caller, now)
    found = await (expiry.preview(place) if wish.dry_run else expiry.expire(place))
    return ExpiryOut(
        dry_run=wish.dry_run,
        gone=[ExpiredBackupOut.model_validate(one) for one in found.gone],
        kept=[ExpiredBackupOut.model_validate(one) for one in found.kept],
    )


@router.get("/{backup_id}")
async def show_backup(caller: CanReadOperations, tx: Transaction, backup_id: UUID) -> ShownBackupOut:
    """Show a backup with its manifest."""
    return ShownBackupOut.of(await backups.get(tx, backup_id))


@router.post("/{backup_id}/pin")
async def pin_backup(
    caller: CanBackUp, tx: Transaction, now: Now, backup_id: UUID, wish: PinBackup = WITHOUT_NOTE
) -> BackupOut:
    """Keep a backup until it is unpinned."""
    return BackupOut.of(await backups.pin(tx, caller, backup_id, wish.note, now=now))


@router.post("/{backup_id}/unpin")
async def unpin_backup(caller: CanBackUp, tx: Transaction, now: Now, backup_id: UUID) -> BackupOut:
    """Let retention judge a backup again."""
    return BackupOut.of(await backups.unpin(tx, caller, backup_id, now=now))


@router.delete("/{backup_id}")
async def delete_backup(
    caller: CanRestore, proven: RecentlyProven, runtime: Runtime, now: Now, backup_id: UUID
) -> ExpiredBackupOut:
    """Delete a backup, never a pinned one nor the last good one; `leftIn` tells where its files could not be reached.

    Deleting it again tries those again.
    """
    deleted = await expiry.delete(Place(runtime.database, runtime.settings, caller, now), backup_id)
    return ExpiredBackupOut.model_validate(deleted)
