"""Queries for what is known of backups, which are the installation's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select

from app.db.models import Backup, Schedule
from app.db.queries.run_evidence import find_run_evidence
from app.db.session import Session
from app.domain.backup_evidence import RETENTION_PATIENCE, BackupEvidence, BackupFacts, Kept, Slot
from app.domain.backup_retention import RetentionPolicy, plan_retention
from app.domain.backups import OWN_TOOL, USABLE, BackupStatus, StoreName
from app.domain.runs import RunKind

RECENT = 40
"""A month of daily ones, and those that failed."""
RUNS = 5
FUTURE = timedelta(hours=1)
"""What claims to be newer was dated by a clock that is wrong, and must hide no outage."""

_ENCRYPTED_FOR = Backup.manifest["encryptedFor"].astext
_COLUMNS = (
    *(Backup.id, Backup.tool, Backup.status, Backup.is_pinned, Backup.created_at, Backup.finished_at, Backup.bytes),
    *(Backup.stores, _ENCRYPTED_FOR.label("encrypted_for"), Backup.sha256),
    *(Backup.verified_at, Backup.recovery_seconds, Backup.failure),
)


async def find_backup_evidence(tx: Session, *, policy: RetentionPolicy | None, now: datetime) -> BackupEvidence:
    """What the catalog, the runs and the schedules tell; without a policy nothing counts as overdue."""
    is_believable = Backup.created_at <= now + FUTURE
    recent = await _list(tx, Backup.status.not_in((BackupStatus.RUNNING, BackupStatus.EXPIRED)), limit=RECENT)
    newest = await _list(tx, Backup.status.in_(USABLE) & is_believable, limit=1)
    proven = await _list(
        tx, (Backup.status == BackupStatus.VERIFIED) & (Backup.verified_at <= now + FUTURE), Backup.verified_at, limit=1
    )
    return BackupEvidence(
        recent=recent,
        newest=next(iter(newest), None),
        proven=next(iter(proven), None),
        kept=await _sum_kept(tx, 0 if policy is None else await _count_overdue(tx, policy, now)),
        slots=await _list_slots(tx),
        backups=await find_run_evidence(tx, RunKind.BACKUP, limit=RUNS),
        verifications=await find_run_evidence(tx, RunKind.VERIFY, limit=RUNS),
        drills=await find_run_evidence(tx, RunKind.DRILL, limit=RUNS),
    )


async def is_backed_up_elsewhere(tx: Session, *, now: datetime) -> bool:
    """Whether the newest backup that can be restored is another tool's."""
    query = select(Backup.tool).where(Backup.status.in_(USABLE), Backup.created_at <= now + FUTURE)
    tool = await tx.scalar(query.order_by(Backup.created_at.desc(), Backup.id.desc()).limit(1))
    return tool not in (None, OWN_TOOL)


async def _list(
    tx: Session, condition: ColumnElement[bool], order: Any = Backup.created_at, *, limit: int
) -> tuple[BackupFacts, ...]:
    """Backups that fit, those first of which this moment is the latest; the manifests stay where they are."""
    query = select(*_COLUMNS).where(condition).order_by(order.desc(), Backup.id.desc()).limit(limit)
    return tuple(_facts(row) for row in await tx.execute(query))


def _facts(row: Row[Any]) -> BackupFacts:
    return BackupFacts(
        id=row.id,
        tool=row.tool,
        status=row.status,
        is_pinned=row.is_pinned,
        created_at=row.created_at,
        finished_at=row.finished_at,
        bytes=row.bytes,
        stores=tuple(row.stores),
        is_encrypted=row.encrypted_for is not None,
        verified_at=row.verified_at,
        recovery_seconds=row.recovery_seconds,
        failure=row.failure,
        is_damaged=row.status == BackupStatus.FAILED and row.sha256 is not None,
    )


async def _count_overdue(tx: Session, policy: RetentionPolicy, now: datetime) -> int:
    """How many retention lets go since RETENTION_PATIENCE, and are there nevertheless."""
    columns = (Backup.id, Backup.tool, Backup.status, Backup.is_pinned, Backup.created_at, Backup.stores)
    rows: Any = (await tx.execute(select(*columns).where(Backup.status != BackupStatus.EXPIRED))).all()
    return len(plan_retention(rows, policy, now - RETENTION_PATIENCE).goes)


async def _sum_kept(tx: Session, overdue: int) -> Kept:
    is_verified = Backup.status == BackupStatus.VERIFIED
    is_in_clear = Backup.stores.contains([str(StoreName.S3)]) & _ENCRYPTED_FOR.is_(None)
    query = select(
        func.count().label("count"),
        func.count().filter(is_verified).label("verified"),
        func.count().filter(Backup.is_pinned).label("pinned"),
        func.coalesce(func.sum(Backup.bytes), 0).label("bytes"),
        func.min(Backup.created_at).label("oldest_at"),
        func.count().filter(is_in_clear).label("in_clear"),
    ).where(Backup.tool == OWN_TOOL, Backup.status.in_(USABLE))
    row: Any = (await tx.execute(query)).one()
    # `count` is a method of every row, too
    return Kept(row[0], row.verified, row.pinned, int(row.bytes), row.oldest_at, row.in_clear, overdue)


async def _list_slots(tx: Session) -> tuple[Slot, ...]:
    query = select(Schedule.name, Schedule.kind, Schedule.next_run_at).where(
        Schedule.is_enabled, Schedule.kind.in_((RunKind.BACKUP, RunKind.VERIFY))
    )
    return tuple(Slot(*row) for row in await tx.execute(query.order_by(Schedule.name)))
