"""Queries over the catalog of backups, which is the installation's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import defer

from app.db.locks import lock_name
from app.db.models import Backup
from app.db.session import Session
from app.domain.backups import OWN_TOOL, USABLE, BackupNotFound, BackupStatus, Figures


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


async def map_own_stores(tx: Session) -> Mapping[UUID, Collection[str]]:
    """Where all our own backups are, by their ids, whatever became of them."""
    query = select(Backup.id, Backup.stores).where(Backup.tool == OWN_TOOL)
    return {row.id: row.stores for row in await tx.execute(query)}


async def lock_present(tx: Session) -> Sequence[Backup]:
    """The same without their manifests, as they are now, which nobody else changes until the transaction ends."""
    query = select(Backup).where(Backup.status != BackupStatus.EXPIRED).options(defer(Backup.manifest, raiseload=True))
    query = query.order_by(Backup.id).with_for_update().execution_options(populate_existing=True)
    return (await tx.scalars(query)).all()


async def list_left(tx: Session) -> Sequence[Backup]:
    """Those that were deleted although a store still has their files, as far as we know."""
    query = select(Backup).where(Backup.status == BackupStatus.EXPIRED, func.cardinality(Backup.stores) > 0)
    return (await tx.scalars(query.options(defer(Backup.manifest, raiseload=True)).order_by(Backup.id))).all()


async def lock_report(tx: Session, tool: str, finished_at: datetime, label: str | None) -> Backup | None:
    """What this tool has reported under this name and time; nobody else reports for it until the transaction ends."""
    await lock_name(tx, f"backups of {tool}")
    query = select(Backup).where(
        Backup.tool == tool,
        Backup.finished_at == finished_at,
        Backup.file_name.is_not_distinct_from(label),
        Backup.status != BackupStatus.EXPIRED,
    )
    found: Backup | None = await tx.scalar(query.with_for_update())
    return found


async def read_figures(tx: Session, now: datetime) -> Figures:
    """What monitors are told; what is dated later than now is left out, or no alert would ever fire."""
    usable = select(Backup).where(Backup.status.in_(USABLE), Backup.created_at <= now).subquery()
    tried = usable.c.recovery_seconds.is_not(None)
    sized = usable.c.bytes.is_not(None)
    by_moment = select(usable.c.bytes).where(sized).order_by(usable.c.created_at.desc()).limit(1)
    by_trial = select(usable.c.recovery_seconds).where(tried).order_by(usable.c.verified_at.desc()).limit(1)
    query = select(
        func.max(usable.c.created_at),
        func.max(usable.c.verified_at).filter(usable.c.verified_at <= now),
        by_trial.scalar_subquery(),
        by_moment.scalar_subquery(),
    )
    return Figures(*(await tx.execute(query)).one())


async def list_running(tx: Session) -> Sequence[Backup]:
    """Our own that are being made, or were when their process died, oldest first."""
    query = select(Backup).where(Backup.tool == OWN_TOOL, Backup.status == BackupStatus.RUNNING)
    return (await tx.scalars(query.order_by(Backup.created_at, Backup.id))).all()


async def list_failed_ids(tx: Session, limit: int) -> Sequence[UUID]:
    """The ids of our own that nothing came of, newest first; those that were stored once have a name and files."""
    query = select(Backup.id).where(Backup.tool == OWN_TOOL, Backup.status == BackupStatus.FAILED)
    query = query.where(Backup.file_name.is_(None))
    return (await tx.scalars(query.order_by(Backup.created_at.desc(), Backup.id.desc()).limit(limit))).all()
