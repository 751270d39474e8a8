"""Queries over schedules; they are the installation's."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import aliased, defer

from app.db.locks import lock_name
from app.db.models import Run, Schedule
from app.db.session import Session
from app.domain.schedules import ScheduleNotFound


async def list_schedules(tx: Session) -> Sequence[Schedule]:
    """All schedules by name; there are at most MAX_SCHEDULES."""
    return (await tx.scalars(select(Schedule).order_by(Schedule.name))).all()


async def get_schedule(tx: Session, name: str) -> Schedule:
    """The schedule, or ScheduleNotFound."""
    schedule = await tx.get(Schedule, name)
    if schedule is None:
        raise ScheduleNotFound
    return schedule


async def lock_schedules(tx: Session) -> None:
    """Let nobody else change schedules until the transaction ends; slots go on being taken."""
    await lock_name(tx, "schedules")


async def lock_schedule(tx: Session, name: str) -> Schedule | None:
    """The schedule, locked until the transaction ends, or None."""
    return await tx.get(Schedule, name, with_for_update=True, populate_existing=True)


async def lock_free_schedule(tx: Session, name: str) -> Schedule | None:
    """The schedule, locked until the transaction ends; None when there is none, or somebody else has locked it."""
    query = select(Schedule).where(Schedule.name == name).with_for_update(skip_locked=True)
    schedule: Schedule | None = await tx.scalar(query.execution_options(populate_existing=True))
    return schedule


async def count_schedules(tx: Session) -> int:
    """How many schedules there are."""
    return await tx.scalar(select(func.count()).select_from(Schedule)) or 0


async def list_last_runs(tx: Session) -> Sequence[Run]:
    """The newest run of each schedule, whatever it was started by; without its result."""
    run = aliased(Run)
    newest = select(run.id).where(run.schedule == Schedule.name).order_by(run.id.desc()).limit(1).correlate(Schedule)
    return (
        await tx.scalars(
            select(Run).options(defer(Run.result, raiseload=True)).join(Schedule, Run.id == newest.scalar_subquery())
        )
    ).all()


async def find_last_run(tx: Session, name: str) -> Run | None:
    """The newest run of a schedule, whatever it was started by."""
    run: Run | None = await tx.scalar(select(Run).where(Run.schedule == name).order_by(Run.id.desc()).limit(1))
    return run
