"""Queries over runs; they are the installation's."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import defer

from app.db.locks import lock_name, try_lock_name
from app.db.models import Run
from app.db.session import Session
from app.domain.runs import UNDER_WAY, MutexGroup, RunKind, RunNotFound, RunStatus, Slot, lock_name_of


async def get_run(tx: Session, run_id: UUID) -> Run:
    """The run, or RunNotFound."""
    run = await tx.get(Run, run_id)
    if run is None:
        raise RunNotFound
    return run


async def lock_run(tx: Session, run_id: UUID) -> Run:
    """The run, locked until the transaction ends, or RunNotFound."""
    run = await tx.get(Run, run_id, with_for_update=True, populate_existing=True)
    if run is None:
        raise RunNotFound
    return run


async def list_runs(
    tx: Session, *, kind: RunKind | None, status: RunStatus | None, before: UUID | None, limit: int
) -> Sequence[Run]:
    """Runs, newest first, without their results: a page of those would be megabytes."""
    query = select(Run).options(defer(Run.result, raiseload=True)).order_by(Run.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(Run.kind == kind)
    if status is not None:
        query = query.where(Run.status == status)
    if before is not None:
        query = query.where(Run.id < before)
    return (await tx.scalars(query)).all()


async def lock_group(tx: Session, group: MutexGroup) -> None:
    """Let nobody else start a run of this group until the transaction ends."""
    await lock_name(tx, f"runs {group}")


async def find_under_way(tx: Session, group: MutexGroup) -> Run | None:
    """The run of the group that is queued or running."""
    query = select(Run).where(Run.mutex_group == group, Run.status.in_(UNDER_WAY))
    run: Run | None = await tx.scalar(query.with_for_update())
    return run


async def find_queued(tx: Session, group: MutexGroup) -> Run | None:
    """The run of the group that waits for somebody who does it."""
    run: Run | None = await tx.scalar(select(Run).where(Run.mutex_group == group, Run.status == RunStatus.QUEUED))
    return run


async def find_of_slot(tx: Session, slot: Slot) -> Run | None:
    """The run that a schedule has started at this moment."""
    run: Run | None = await tx.scalar(select(Run).where(Run.schedule == slot.schedule, Run.slot_at == slot.at))
    return run


async def list_running(tx: Session) -> Sequence[Run]:
    """The runs that somebody does."""
    return (await tx.scalars(select(Run).where(Run.status == RunStatus.RUNNING).order_by(Run.id))).all()


async def has_owner(tx: Session, run: Run) -> bool:
    """Whether somebody holds the lock of the run: its owner lives."""
    return not await try_lock_name(tx, lock_name_of(run.id))
