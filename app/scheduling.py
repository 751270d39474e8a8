"""The hall's clock: settles the slots that have come, by runs that are queued, done here, or skipped."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from app.db.models import Run
from app.db.models.base import new_id
from app.db.session import Session
from app.domain.permissions import SCHEDULES
from app.domain.runs import RunStatus, RunTrigger, RunUnderWay, Tell
from app.domain.schedules import ScheduleBroken
from app.runner import bury_lost, do_asked
from app.runtime import Runtime
from app.services import runs, schedules
from app.services.runs import RequestRun
from app.telemetry.logging import log

logger = logging.getLogger(__name__)


async def start_due(runtime: Runtime) -> None:
    """Have done what schedules want by now: each slot is started, skipped or left to wait, whoever else looks."""
    for name in await _pending(runtime):
        try:
            async with runtime.database.transaction() as tx:
                run = await _settle(tx, runtime, name, new_id())
        except ScheduleBroken as error:
            await _put_off(runtime, name, error)
        else:
            _tell_skipped(run)


async def do_due(runtime: Runtime, tell: Tell) -> tuple[list[Run], list[str]]:
    """Do here, one after another, what schedules want by now; the runs as they ended, and what is broken."""
    await bury_lost(runtime)
    ended, problems = [], []
    for name in await _pending(runtime):
        try:
            run = await _do(runtime, name, tell)
        except ScheduleBroken as error:
            await _put_off(runtime, name, error)
            problems.append(error.message)
        else:
            _tell_skipped(run)
            ended += [run] if run is not None else []
    return ended, problems


async def _pending(runtime: Runtime) -> Sequence[str]:
    async with runtime.database.transaction() as tx:
        return await schedules.list_pending(tx, now=runtime.now())


async def _do(runtime: Runtime, name: str, tell: Tell) -> Run | None:
    async def ask(tx: Session, run_id: UUID) -> Run | None:
        return await _settle(tx, runtime, name, run_id)

    return await do_asked(runtime, ask, tell)


async def _settle(tx: Session, runtime: Runtime, name: str, run_id: UUID) -> Run | None:
    """The run of the slot that is due, queued or skipped; None when none is due, or another run has to end first."""
    now = runtime.now()
    due = await schedules.take(tx, name, now=now)
    if due is None:
        return None
    wish = RequestRun(due.kind, due.options, RunTrigger.SCHEDULE, due.slot, run_id)
    reason = due.reason
    if reason is None:
        try:
            run = await runs.request(tx, SCHEDULES, wish, now=now)
        except RunUnderWay as other:
            reason = schedules.wait(due.schedule, other, now=now)
            if reason is None:
                return None
    if reason is not None:
        run = await runs.skip(tx, SCHEDULES, wish, reason, now=now)
    schedules.settle(due.schedule, now=now)
    return run


def _tell_skipped(run: Run | None) -> None:
    if run is not None and run.status == RunStatus.SKIPPED:
        message = f"A slot of {run.schedule} was skipped: {run.failure}"
        log(logger, logging.WARNING, message, event="run_skipped", run_id=run.id, kind=run.kind)


async def _put_off(runtime: Runtime, name: str, error: ScheduleBroken) -> None:
    async with runtime.database.transaction() as tx:
        is_ours = await schedules.put_off(tx, name, now=runtime.now())
    if is_ours:
        log(logger, logging.ERROR, error.message, event="schedule_broken")
