"""The catalog of backups: look, pin, and what other tools report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.db import events
from app.db.models import Backup
from app.db.queries import backups
from app.db.session import Session
from app.domain.backups import OWN_TOOL, BackupStateConflict, BackupStatus, Figures, ReportRefused
from app.domain.events import EventName
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal

CLOCKS_APART = timedelta(minutes=5)
"""So much later than now a tool on another machine may say that its backup was finished."""
REPORTABLE = (BackupStatus.STORED, BackupStatus.VERIFIED, BackupStatus.FAILED)


@dataclass(frozen=True, slots=True)
class ReportBackup:
    """What another tool did: a backup with the tool's own name for it, its end, and what came of it."""

    tool: str
    finished_at: datetime
    status: BackupStatus
    label: str | None = None
    started_at: datetime | None = None
    bytes: int | None = None
    failure: str | None = None


async def get(tx: Session, backup_id: UUID) -> Backup:
    """The backup, or BackupNotFound."""
    return await backups.get_backup(tx, backup_id)


async def list_page(tx: Session, status: BackupStatus | None, page: PageRequest) -> Page[Backup]:
    """Backups of all tools, newest first, deleted ones too."""
    before = page.position(_read_position)
    found = await backups.list_backups(tx, status=status, before=before, limit=page.limit + 1)
    return cut_page(found, page.limit, lambda backup: f"{backup.created_at.isoformat()} {backup.id}")


async def pin(tx: Session, caller: Principal, backup_id: UUID, note: str | None, *, now: datetime) -> Backup:
    """Keep the backup until it is unpinned; a note replaces the one before. Raises BackupStateConflict."""
    backup = await _lock_ours(tx, backup_id)
    wanted_note = backup.note if note is None else note or None
    if backup.is_pinned and wanted_note == backup.note:
        return backup

    backup.is_pinned = True
    backup.note = wanted_note
    await tx.flush()

    await _tell(tx, caller, EventName.BACKUP_PINNED, backup, now=now, note=backup.note)
    return backup


async def unpin(tx: Session, caller: Principal, backup_id: UUID, *, now: datetime) -> Backup:
    """Let retention judge the backup again; the note stays. Raises BackupStateConflict."""
    backup = await _lock_ours(tx, backup_id)
    if not backup.is_pinned:
        return backup

    backup.is_pinned = False
    await tx.flush()

    await _tell(tx, caller, EventName.BACKUP_UNPINNED, backup, now=now)
    return backup


async def report(tx: Session, caller: Principal, wish: ReportBackup, *, now: datetime) -> Backup:
    """Put another tool's backup on record; the same tool, end and label are the same backup.

    A repeated report changes nothing, unless it says that the backup was verified or has failed since.
    Raises ReportRefused.
    """
    _judge_report(wish, now)
    known = await backups.lock_report(tx, wish.tool, wish.finished_at, wish.label)
    if known is not None and wish.status in (known.status, BackupStatus.STORED):
        return known

    backup = known or Backup(
        tool=wish.tool,
        is_pinned=False,
        created_at=wish.started_at or wish.finished_at,
        finished_at=wish.finished_at,
        file_name=wish.label,
        stores=[],
        bytes=wish.bytes,
    )
    backup.status = wish.status
    backup.failure = wish.failure if wish.status is BackupStatus.FAILED else None
    if wish.status is BackupStatus.VERIFIED:
        backup.verified_at = now
    tx.add(backup)
    await tx.flush()
    await tx.refresh(backup)

    told = {"tool": backup.tool, "status": backup.status, "failure": backup.failure}
    await _tell(tx, caller, EventName.BACKUP_REPORTED, backup, now=now, **told)
    return backup


async def read_figures(tx: Session, *, now: datetime) -> Figures:
    """What monitors are told of the catalog."""
    return await backups.read_figures(tx, now)


async def _lock_ours(tx: Session, backup_id: UUID) -> Backup:
    """Our own backup that is still there: those of other tools are not ours to keep."""
    backup = await backups.lock_backup(tx, backup_id)
    if backup.tool != OWN_TOOL:
        raise BackupStateConflict(f"{backup.tool} keeps this backup; tell it what is to stay.")
    if backup.status == BackupStatus.EXPIRED:
        raise BackupStateConflict("This backup was deleted.")
    return backup


def _judge_report(wish: ReportBackup, now: datetime) -> None:
    if wish.tool == OWN_TOOL:
        raise ReportRefused("tool", f"{OWN_TOOL} is this server, which puts its own backups on record.")
    if wish.status not in REPORTABLE:
        raise ReportRefused("status", "must be stored, verified or failed")
    if wish.finished_at > now + CLOCKS_APART:
        raise ReportRefused("finishedAt", "must not be later than now; look at that machine's clock")
    if wish.started_at is not None and wish.started_at > wish.finished_at:
        raise ReportRefused("startedAt", "must not be later than finishedAt")


async def _tell(
    tx: Session, caller: Principal, event: EventName, backup: Backup, *, now: datetime, **data: str | None
) -> None:
    told = {"fileName": backup.file_name, **data}
    known = {name: value for name, value in told.items() if value is not None}
    await events.record(tx, caller, event, backup.id, now=now, data=known)


def _read_position(text: str) -> tuple[datetime, UUID]:
    moment, _, backup_id = text.partition(" ")
    created_at = datetime.fromisoformat(moment)
    if created_at.tzinfo is None:
        raise ValueError("a position has a time zone")
    return created_at, UUID(backup_id)
