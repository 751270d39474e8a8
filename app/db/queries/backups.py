"""Queries over the catalog of backups, which is the installation's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_

from app.db.models import Backup
from app.db.session import Session
from app.domain.backups import OWN_TOOL, USABLE, BackupNotFound, BackupStatus


async def get_backup(tx: Session, backup_id: UUID) -> Backup:
    """The backup, or BackupNotFound."""
    backup = await tx.get(Backup, backup_id)
    if backup is None:
        raise BackupNotFound
    return backup


async def lock_backup(tx: Session, backup_id: UUID) -> Backup:
    """The same, which nobody else changes until the transaction ends."""
    query = select(Backup).where(Backup.id == backup_id).with_for_update().execution_options(populate_existing=True)
    backup = await tx.scalar(query)
    if backup is None:
        raise BackupNotFound
    return backup


async def list_backups(
    tx: Session, *, status: BackupStatus | None, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Backup]:
    """Backups, newest first."""
    query = select(Backup).order_by(Backup.created_at.desc(), Backup.id.desc()).limit(limit)
    if status is not None:
        query = query.where(Backup.status == status)
    if before is not None:
        query = query.where(tuple_(Backup.created_at, Backup.id) < before)
    return (await tx.scalars(query)).all()


async def list_present(tx: Session) -> Sequence[Backup]:
    """Those that were not deleted, of all tools, newest first."""
    query = select(Backup).where(Backup.status != BackupStatus.EXPIRED)
    return (await tx.scalars(query.order_by(Backup.created_at.desc(), Backup.id.desc()))).all()


async def find_newest_usable(tx: Session, *, is_verified: bool = False) -> Backup | None:
    """Our own newest backup that can be restored, or that has been on trial; None without any."""
    wanted = {BackupStatus.VERIFIED} if is_verified else USABLE
    query = select(Backup).where(Backup.tool == OWN_TOOL, Backup.status.in_(wanted))
    found: Backup | None = await tx.scalar(query.order_by(Backup.created_at.desc(), Backup.id.desc()).limit(1))
    return found


async def list_running(tx: Session) -> Sequence[Backup]:
    """Our own that are being made, or were when their process died, oldest first."""
    query = select(Backup).where(Backup.tool == OWN_TOOL, Backup.status == BackupStatus.RUNNING)
    return (await tx.scalars(query.order_by(Backup.created_at, Backup.id))).all()


async def list_failed_ids(tx: Session, limit: int) -> Sequence[UUID]:
    """The ids of our own that nothing came of, newest first."""
    query = select(Backup.id).where(Backup.tool == OWN_TOOL, Backup.status == BackupStatus.FAILED)
    return (await tx.scalars(query.order_by(Backup.created_at.desc(), Backup.id.desc()).limit(limit))).all()
