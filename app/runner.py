"""The hall's workshop: does runs, each on a session of its own whose lock tells that their owner lives."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from app.db.deadline import Deadline
from app.db.direct import DirectConnection, direct_connection
from app.db.errors import translated
from app.db.models import Run
from app.db.models.base import new_id
from app.db.workbench import Workbench
from app.domain.errors import DomainError, Unavailable
from app.domain.maintenance import read_options
from app.domain.permissions import Principal
from app.domain.runs import MutexGroup, Outcome, Progress, RunKind, RunStatus, Tell, lock_name_of
from app.ops.maintenance.analyze import analyze
from app.ops.maintenance.reindex import clean_up as clean_up_reindex
from app.ops.maintenance.reindex import reindex
from app.ops.maintenance.vacuum import vacuum
from app.runtime import Runtime
from app.services import runs
from app.services.runs import RequestRun
from app.telemetry import metrics
from app.telemetry.logging import log

LOOK_SECONDS = 0.5
FINISH_SECONDS = 30.0
FINISH_PAUSE_SECONDS = 1.0
CANCEL_SECONDS = 5.0
STOP_SECONDS = 2.0
STOPPED = "The process that did it was stopped; start it again."

logger = logging.getLogger(__name__)

Work = Callable[[Workbench, Any], Awaitable[Outcome]]

WORKS: Mapping[RunKind, Work] = {
    RunKind.VACUUM: vacuum,
    RunKind.ANALYZE: analyze,
    RunKind.REINDEX: reindex,
}
"""What each kind of run does; it gets the options of its kind."""

CLEAN_UPS: Mapping[RunKind, Callable[[Workbench], Awaitable[None]]] = {
    RunKind.REINDEX: clean_up_reindex,
}
"""What is cleaned up behind a run whose owner died."""


async def do_queued(runtime: Runtime, group: MutexGroup) -> None:
    """Do the run of the group that waits, if there is one and nobody else takes it."""
    async with runtime.database.transaction() as tx:
        queued = await runs.find_queued(tx, group)
    if queued is None:
        return
    async with direct_connection(direct_url(runtime)) as direct:
        if await direct.try_hold(lock_name_of(queued.id)):
            await _take_and_do(runtime, direct, queued.id)


async def do_at_once(runtime: Runtime, caller: Principal, wish: RequestRun, tell: Tell) -> Run:
    """Ask for a run and do it here; raises RunUnderWay. Its lock is held before it exists, so nobody else takes it."""
    run_id = new_id()
    async with direct_connection(direct_url(runtime)) as direct:
        await direct.try_hold(lock_name_of(run_id))
        async with runtime.database.transaction() as tx:
            await runs.request(tx, caller, replace(wish, run_id=run_id), now=runtime.now())
        await _take_and_do(runtime, direct, run_id, tell)
    async with runtime.database.transaction() as tx:
        return await runs.get(tx, run_id)


async def bury_lost(runtime: Runtime) -> None:
    """Declare runs lost whose owner is dead, and clean up behind them."""
    async with runtime.database.transaction() as tx:
        lost = await runs.declare_lost(tx, now=runtime.now())
    for run in lost:
        log(logger, logging.ERROR, "A run was lost: its owner died", event="run_lost", run_id=run.id, kind=run.kind)
        clean_up = CLEAN_UPS.get(RunKind(run.kind))
        if clean_up is not None:
            async with direct_connection(direct_url(runtime)) as direct:
                await clean_up(_workbench(runtime, direct, lambda progress: None))


def direct_url(runtime: Runtime) -> str:
    """Where maintenance connects to."""
    return runtime.settings.direct_url(runtime.database_url)


async def _take_and_do(runtime: Runtime, direct: DirectConnection, run_id: UUID, tell: Tell | None = None) -> None:
    async with runtime.database.transaction() as tx:
        run = await runs.take(tx, run_id, f"{socket.gethostname()}:{os.getpid()}", now=runtime.now())
    if run is None:
        return
    started_at = time.monotonic()
    try:
        outcome, status = await _do(runtime, direct, run, tell)
    except asyncio.CancelledError:
        async with Deadline(STOP_SECONDS):
            await _finish(runtime, run, Outcome(failure=STOPPED), RunStatus.CANCELLED, time.monotonic() - started_at)
        raise
    await _finish(runtime, run, outcome, status, time.monotonic() - started_at)


async def _do(runtime: Runtime, direct: DirectConnection, run: Run, tell: Tell | None) -> tuple[Outcome, RunStatus]:
    """Let the work be done, telling how far it is, until it ends or its run shall not go on."""
    latest = Progress()

    def remember(progress: Progress) -> None:
        nonlocal latest
        latest = progress
        if tell is not None:
            tell(progress)

    bench = _workbench(runtime, direct, remember)
    kind = RunKind(run.kind)
    work = asyncio.create_task(_work(bench, kind, run.options))
    is_cancelled = False
    try:
        while not work.done():
            await asyncio.wait({work}, timeout=LOOK_SECONDS)
            if not work.done() and not await _shall_go_on(runtime, run.id, latest):
                is_cancelled = True
                work.cancel()
    finally:
        await _end(work)
    return _outcome(work, run, is_cancelled=is_cancelled)


async def _work(bench: Workbench, kind: RunKind, options: Mapping[str, Any]) -> Outcome:
    with translated():
        return await WORKS[kind](bench, read_options(kind, options))


async def _end(work: asyncio.Task[Outcome]) -> None:
    """Have the statement under way cancelled at the server; the second time its session is dropped."""
    while not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=CANCEL_SECONDS)


async def _shall_go_on(runtime: Runtime, run_id: UUID, progress: Progress) -> bool:
    try:
        async with runtime.database.transaction() as tx:
            run = await runs.tell_progress(tx, run_id, progress)
    except Unavailable:
        return True  # the work notices by itself when its session is gone
    return run.status == RunStatus.RUNNING and run.cancel_requested_at is None


def _outcome(work: asyncio.Task[Outcome], run: Run, *, is_cancelled: bool) -> tuple[Outcome, RunStatus]:
    if work.cancelled():
        return Outcome(failure="Cancelled as was asked for."), RunStatus.CANCELLED
    error = work.exception()
    if error is None:
        outcome = work.result()
        return outcome, outcome.status
    if is_cancelled:
        return Outcome(failure="Cancelled as was asked for."), RunStatus.CANCELLED
    if isinstance(error, DomainError):
        return Outcome(failure=error.message), RunStatus.FAILED
    log(logger, logging.ERROR, "A run failed because of a defect", event="defect", kind=run.kind, exc_info=error)
    return Outcome(failure="It failed because of a defect of ours; the log says which."), RunStatus.FAILED


async def _finish(runtime: Runtime, run: Run, outcome: Outcome, status: RunStatus, seconds: float) -> None:
    """Write what came of it; while the database is away, try for half a minute: after that the run counts as lost."""
    deadline = time.monotonic() + FINISH_SECONDS
    while True:
        try:
            async with runtime.database.transaction() as tx:
                await runs.finish(tx, run.id, outcome, status, now=runtime.now())
            break
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(FINISH_PAUSE_SECONDS)
    metrics.run_duration.labels(run.kind, status).observe(seconds)
    level = logging.INFO if status in (RunStatus.SUCCEEDED, RunStatus.CANCELLED) else logging.WARNING
    log(
        logger,
        level,
        f"Run of {run.kind} ended: {status}",
        event="run_finished",
        run_id=run.id,
        kind=run.kind,
        outcome=status,
        seconds=round(seconds, 3),
    )


def _workbench(runtime: Runtime, direct: DirectConnection, tell: Tell) -> Workbench:
    return Workbench(direct, runtime.database, runtime.settings, runtime.vault, runtime.now, tell)
