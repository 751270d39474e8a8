"""The hall's workshop: does runs, each on a session of its own whose lock tells that their owner lives."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from app.db.deadline import Deadline
from app.db.direct import SESSION_ENDED, DirectConnection, direct_connection
from app.db.models import Run
from app.db.models.base import new_id
from app.db.scratch import beside
from app.db.session import Session
from app.db.workbench import Workbench
from app.domain.errors import DomainError, Unavailable
from app.domain.maintenance import Options, read_options
from app.domain.permissions import Principal
from app.domain.runs import UNDER_WAY, MutexGroup, Outcome, Progress, RunKind, RunStatus, Tell, lock_name_of
from app.ops.audit_chain import find_faults
from app.ops.backups.backup import backup
from app.ops.backups.backup import clean_up as clean_up_backup
from app.ops.backups.drill import clean_up as clean_up_drill
from app.ops.backups.drill import drill
from app.ops.backups.restore import clean_up as clean_up_restore
from app.ops.backups.restore import restore
from app.ops.backups.rollback import rollback
from app.ops.backups.verify import clean_up as clean_up_verify
from app.ops.backups.verify import verify
from app.ops.maintenance.analyze import analyze
from app.ops.maintenance.prune import prune
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
STOP_SECONDS = 1.5
LAST_WORD_SECONDS = 1.0
PRECEDENCE = 10
"""So many times longer a lost run of an unknown kind is left to its own release, which can clean up behind it."""
CLEAN_UP_SECONDS = 60.0
STOPPED = "The process that did it was stopped; start it again."
CANCELLED = "Cancelled as was asked for."
DEFECT = "It failed because of a defect of ours; the log says which."

logger = logging.getLogger(__name__)

Work = Callable[[Workbench, Any], Awaitable[Outcome]]
Works = Mapping[RunKind, Work]
Ending = tuple[Outcome, RunStatus]
Ask = Callable[[Session, UUID], Awaitable[Run | None]]
"""Asks for a run with this id, or puts one on record that is not done at all, or finds that none is wanted."""

WORKS: Works = {
    RunKind.VACUUM: vacuum,
    RunKind.ANALYZE: analyze,
    RunKind.REINDEX: reindex,
    RunKind.PRUNE: prune,
    RunKind.BACKUP: backup,
    RunKind.DRILL: drill,
    RunKind.RESTORE: partial(restore, verify_chain=find_faults),
    RunKind.ROLLBACK: rollback,
    RunKind.VERIFY: partial(verify, verify_chain=find_faults),
}
"""What each kind of run does; it gets the options of its kind."""

CleanUps = Mapping[RunKind, Callable[[Workbench], Awaitable[None]]]

CLEAN_UPS: CleanUps = {
    RunKind.REINDEX: clean_up_reindex,
    RunKind.BACKUP: clean_up_backup,
    RunKind.DRILL: clean_up_drill,
    RunKind.RESTORE: clean_up_restore,
    RunKind.VERIFY: clean_up_verify,
}
"""What is cleaned up behind a run whose owner died."""


async def do_queued(runtime: Runtime, group: MutexGroup, works: Works = WORKS) -> None:
    """Do the run of the group that waits, if there is one, nobody else takes it and this server is to stay."""
    if runtime.is_draining:
        return
    async with runtime.database.transaction() as tx:
        queued = await runs.find_queued(tx, group)
    if queued is None or queued.kind not in works:  # a kind of a newer release is left to its processes
        return
    async with direct_connection(direct_url(runtime)) as direct:
        if not await direct.try_hold(lock_name_of(queued.id)):
            return
        async with runtime.database.transaction() as tx:
            run = await runs.take(tx, queued.id, _ourselves(), now=runtime.now())
        if run is not None:
            await _do_to_its_end(runtime, direct, run, works, _tell_nobody)


async def do_at_once(runtime: Runtime, caller: Principal, wish: RequestRun, tell: Tell, works: Works = WORKS) -> Run:
    """Ask for a run and do it here; raises RunUnderWay."""

    async def ask(tx: Session, run_id: UUID) -> Run:
        return await runs.request(tx, caller, replace(wish, run_id=run_id), now=runtime.now())

    await bury_lost(runtime)
    run = await do_asked(runtime, ask, tell, works)
    assert run is not None, "it was asked for"
    return run


async def do_asked(runtime: Runtime, ask: Ask, tell: Tell, works: Works = WORKS) -> Run | None:
    """Have a run asked for and do it here; None when none was. Its lock is held before others can see it."""
    run_id = new_id()
    async with direct_connection(direct_url(runtime)) as direct:
        await direct.try_hold(lock_name_of(run_id))
        async with runtime.database.transaction() as tx:
            run = await ask(tx, run_id)
            if run is not None and run.status == RunStatus.QUEUED:
                run = await runs.take(tx, run_id, _ourselves(), now=runtime.now())
        if run is None:
            return None
        if run.status == RunStatus.RUNNING:
            await _do_to_its_end(runtime, direct, run, works, tell)
    async with runtime.database.transaction() as tx:
        return await runs.get(tx, run_id)


async def do_off_the_record(
    runtime: Runtime, caller: Principal, kind: RunKind, options: Options, tell: Tell, works: Works = WORKS
) -> Outcome:
    """Do what a run would do, where the live database can hold no run: it is missing, damaged or of another schema."""
    async with beside(direct_url(runtime)) as direct:
        bench = Workbench(
            direct, runtime.database, runtime.settings, runtime.vault, runtime.now, tell, new_id(), caller
        )
        return await works[kind](bench, options)


async def bury_lost(runtime: Runtime, *, patience: float = LAST_WORD_SECONDS, clean_ups: CleanUps = CLEAN_UPS) -> None:
    """Clean up behind the runs whose owner is dead, and only then declare them lost, which lets the next one begin."""
    async with runtime.database.transaction() as tx:
        orphans = await runs.list_ownerless(tx)
    for run in sorted(orphans, key=_is_of_another_release):
        if _is_of_another_release(run):
            await asyncio.sleep(PRECEDENCE * patience)
        await _bury(runtime, run, patience, clean_ups)


async def watch(
    runtime: Runtime, run_id: UUID, *, every: float = LOOK_SECONDS, outage_seconds: float = math.inf
) -> AsyncGenerator[Run | None]:
    """The run as it stands, then after each change until it has ended; None for a look that shows nothing new.

    Each look is a short transaction of its own. Raises RunNotFound, and Unavailable when an outage lasts longer.
    """
    shown: object = None
    answered_at = time.monotonic()
    while True:
        run = None
        try:
            async with runtime.database.transaction() as tx:
                run = await runs.get(tx, run_id)
            answered_at = time.monotonic()
        except Unavailable:
            if time.monotonic() - answered_at > outage_seconds:
                raise
        if run is None or (present := (run.status, run.progress, run.cancel_requested_at)) == shown:
            yield None
        else:
            shown = present
            yield run
            if run.status not in UNDER_WAY:
                return
        await asyncio.sleep(every)


def direct_url(runtime: Runtime) -> str:
    """Where maintenance connects to."""
    return runtime.settings.direct_url(runtime.database_url)


async def _bury(runtime: Runtime, run: Run, patience: float, clean_ups: CleanUps) -> None:
    """Take the dead owner's place, so that of several processes one does it and the next one can if this one dies."""
    async with direct_connection(direct_url(runtime)) as direct:
        if not await direct.try_hold(lock_name_of(run.id)):
            return
        await asyncio.sleep(patience)  # an owner that lives and only lost its session tells by itself what came of it
        async with runtime.database.transaction() as tx:
            present = await runs.get(tx, run.id)
        if present.status != RunStatus.RUNNING:
            return
        await _clean_up(runtime, direct, run, clean_ups)
        async with runtime.database.transaction() as tx:
            lost = await runs.give_up(tx, run.id, now=runtime.now())
        if lost.status == RunStatus.LOST:
            _tell_end(lost)


async def _clean_up(runtime: Runtime, direct: DirectConnection, run: Run, clean_ups: CleanUps) -> None:
    """What can't be cleaned up is told, and never keeps the next run from its turn."""
    if _is_of_another_release(run):
        _tell_left(run, "this release does not know its kind")
        return
    clean_up = clean_ups.get(RunKind(run.kind))
    if clean_up is None:
        return
    try:
        with direct.translated():
            async with Deadline(CLEAN_UP_SECONDS):
                await clean_up(_workbench(runtime, direct, run, _tell_nobody))
    except DomainError as error:
        _tell_left(run, error.message)
    except TimeoutError:
        _tell_left(run, f"it took longer than {CLEAN_UP_SECONDS:.0f} s")
    except Exception:
        sentence = "Cleaning up failed because of a defect"
        log(logger, logging.ERROR, sentence, event="defect", run_id=run.id, kind=run.kind, exc_info=True)


def _is_of_another_release(run: Run) -> bool:
    """While releases change, or after a step back, there are runs of kinds that nobody here can do."""
    return run.kind not in set(RunKind)


def _tell_left(run: Run, reason: str) -> None:
    sentence = "What a lost run had begun could not be cleaned up"
    log(logger, logging.WARNING, sentence, event="run_clean_up_failed", run_id=run.id, reason=reason)


async def _do_to_its_end(runtime: Runtime, direct: DirectConnection, run: Run, works: Works, tell: Tell) -> None:
    """Do it and write what came of it, also when this process is told to stop meanwhile."""
    latest = Progress()

    def remember(progress: Progress) -> None:
        nonlocal latest
        latest = progress
        tell(progress)

    work = asyncio.create_task(_work(_workbench(runtime, direct, run, remember), run, works))
    ending: Ending | None = None
    try:
        ending = await _attend(runtime, direct, run, work, lambda: latest)
        await _finish(runtime, run, ending)
    except asyncio.CancelledError:
        with suppress(TimeoutError, Unavailable):  # then it counts as lost
            async with Deadline(STOP_SECONDS):
                await _finish(runtime, run, ending or _ending_when_stopped(work))
        raise


async def _attend(
    runtime: Runtime, direct: DirectConnection, run: Run, work: asyncio.Task[Outcome], latest: Callable[[], Progress]
) -> Ending:
    """Let the work be done, telling how far it is, until it ends or its run shall not go on."""
    patience = CANCEL_SECONDS
    is_cancelled = False
    try:
        while not work.done() and direct.is_open and not is_cancelled:
            await asyncio.wait({work}, timeout=LOOK_SECONDS)
            is_cancelled = not work.done() and not await _shall_go_on(runtime, run.id, latest())
    except asyncio.CancelledError:
        patience = STOP_SECONDS
        raise
    except Exception as error:
        return _defective(run.kind, error)
    finally:
        await _end(work, patience)
    return _ending(work, run, is_cancelled=is_cancelled)


def _ending_when_stopped(work: asyncio.Task[Outcome]) -> Ending:
    """What came of work that was to stop with this process, and may have been past the point of no return."""
    if work.done() and not work.cancelled() and work.exception() is None:
        outcome = work.result()
        return outcome, outcome.status
    return Outcome(failure=STOPPED), RunStatus.CANCELLED


async def _work(bench: Workbench, run: Run, works: Works) -> Outcome:
    kind = RunKind(run.kind)
    with bench.direct.translated():
        return await works[kind](bench, read_options(kind, run.options))


async def _end(work: asyncio.Task[Outcome], patience: float) -> None:
    """Have the statement under way cancelled at the server; the second time its session is dropped."""
    while not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=patience)


async def _shall_go_on(runtime: Runtime, run_id: UUID, progress: Progress) -> bool:
    try:
        async with runtime.database.transaction() as tx:
            run = await runs.tell_progress(tx, run_id, progress)
    except Unavailable:
        return True  # the work notices by itself when its session is gone
    return run.status == RunStatus.RUNNING and run.cancel_requested_at is None


def _ending(work: asyncio.Task[Outcome], run: Run, *, is_cancelled: bool) -> Ending:
    error = None if work.cancelled() else work.exception()
    if not work.cancelled() and error is None:
        outcome = work.result()
        return outcome, outcome.status
    if is_cancelled:
        return Outcome(failure=CANCELLED), RunStatus.CANCELLED
    if work.cancelled():  # nobody asked for it: the session was found to be gone
        return Outcome(failure=SESSION_ENDED), RunStatus.FAILED
    if isinstance(error, DomainError):
        return Outcome(failure=error.message), RunStatus.FAILED
    return _defective(run.kind, error)


def _defective(kind: str, error: BaseException | None) -> Ending:
    log(logger, logging.ERROR, "A run failed because of a defect", event="defect", kind=kind, exc_info=error)
    return Outcome(failure=DEFECT), RunStatus.FAILED


async def _finish(runtime: Runtime, run: Run, ending: Ending) -> None:
    """Write what came of it; an outcome that no row can hold is a defect, and told as one.

    While the database is away, try for half a minute: after that the run counts as lost.
    """
    try:
        await _write_end(runtime, run.id, ending)
    except DomainError:
        raise
    except Exception as error:
        await _write_end(runtime, run.id, _defective(run.kind, error))


async def _write_end(runtime: Runtime, run_id: UUID, ending: Ending) -> None:
    deadline = time.monotonic() + FINISH_SECONDS
    while True:
        try:
            async with runtime.database.transaction() as tx:
                run = await runs.finish(tx, run_id, *ending, now=runtime.now())
            break
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(FINISH_PAUSE_SECONDS)
    if run.status != RunStatus.LOST:  # whoever declared it lost has told of it
        _tell_end(run)


def _tell_end(run: Run) -> None:
    """The metric and the log line of a run, as its row says."""
    assert run.started_at is not None, "it has begun"
    assert run.finished_at is not None, "it has ended"
    seconds = max(0.0, (run.finished_at - run.started_at).total_seconds())
    metrics.run_duration.labels(run.kind, run.status).observe(seconds)
    log(
        logger,
        _LEVELS.get(RunStatus(run.status), logging.WARNING),
        f"Run of {run.kind} ended: {run.status}",
        event="run_finished",
        run_id=run.id,
        kind=run.kind,
        outcome=run.status,
        seconds=round(seconds, 3),
    )


def _workbench(runtime: Runtime, direct: DirectConnection, run: Run, tell: Tell) -> Workbench:
    asker = runs.asker_of(run)
    return Workbench(direct, runtime.database, runtime.settings, runtime.vault, runtime.now, tell, run.id, asker)


def _ourselves() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _tell_nobody(progress: Progress) -> None:
    """For who is watched by its row alone."""


_LEVELS: Mapping[RunStatus, int] = {
    RunStatus.SUCCEEDED: logging.INFO,
    RunStatus.CANCELLED: logging.INFO,
    RunStatus.LOST: logging.ERROR,
}
