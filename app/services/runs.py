"""Runs: ask for them, take them, tell how far they are, cancel, finish, and give up those whose owner is dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import events
from app.db.models import Run
from app.db.models.base import new_id
from app.db.queries import maintenance, runs
from app.db.session import Session
from app.domain.events import EventName
from app.domain.maintenance import Options, ReindexOptions, TableOptions, write_options
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal, PrincipalKind
from app.domain.relations import RelationKind, UnknownIndexes, UnknownTables, read_name
from app.domain.runs import (
    GROUP_BY_KIND,
    UNDER_WAY,
    MutexGroup,
    Outcome,
    Progress,
    RunKind,
    RunStateConflict,
    RunStatus,
    RunTrigger,
    RunUnderWay,
    Slot,
)
from app.domain.words import camel_case

OWNER_DIED = "The process that did it has ended without a word; what it had begun is cleaned up, so start it again."


@dataclass(frozen=True, slots=True)
class RequestRun:
    """The wish for a run; `run_id` is given by who holds its lock already and will do it.

    `schedule` names the one whose kind of run is wanted now, without using up a slot of it.
    """

    kind: RunKind
    options: Options
    trigger: RunTrigger
    slot: Slot | None = None
    run_id: UUID | None = None
    schedule: str | None = None


async def request(tx: Session, caller: Principal, wish: RequestRun, *, now: datetime) -> Run:
    """A queued run; raises RunUnderWay while one of its mutex group is under way, UnknownTables and UnknownIndexes.

    A slot of a schedule comes also when a table it names is gone by then: the run does the others, and tells.
    """
    if wish.slot is None:
        await _require_known_names(tx, wish.options)
    group = GROUP_BY_KIND[wish.kind]
    await runs.lock_group(tx, group)
    other = await runs.find_under_way(tx, group)

    if other is not None:
        raise RunUnderWay(other.id, other.kind)

    run = _new_run(caller, wish, group, RunStatus.QUEUED, now)
    tx.add(run)
    await tx.flush()

    await _tell(tx, caller, EventName.RUN_REQUESTED, run, now=now, options=run.options, trigger=run.trigger)
    return run


async def skip(tx: Session, caller: Principal, wish: RequestRun, reason: str, *, now: datetime) -> Run:
    """A run that was not done, for the record: its slot came while another run was under way, or too long ago."""
    run = _new_run(caller, wish, GROUP_BY_KIND[wish.kind], RunStatus.SKIPPED, now)
    run.finished_at = now
    run.failure = reason
    tx.add(run)
    await tx.flush()

    await _tell(tx, caller, EventName.RUN_FINISHED, run, now=now, status=run.status)
    return run


async def get(tx: Session, run_id: UUID) -> Run:
    """The run, or RunNotFound."""
    return await runs.get_run(tx, run_id)


async def list_page(tx: Session, kind: RunKind | None, status: RunStatus | None, page: PageRequest) -> Page[Run]:
    """Runs, newest first."""
    before = page.position(UUID)
    found = await runs.list_runs(tx, kind=kind, status=status, before=before, limit=page.limit + 1)
    return cut_page(found, page.limit, lambda run: run.id)


async def find_queued(tx: Session, group: MutexGroup) -> Run | None:
    """The run of the group that waits for somebody who does it."""
    return await runs.find_queued(tx, group)


async def take(tx: Session, run_id: UUID, owner: str, *, now: datetime) -> Run | None:
    """The run, running from now on; None when it waits no longer. Whoever takes it holds its lock."""
    run = await runs.lock_run(tx, run_id)
    if run.status != RunStatus.QUEUED:
        return None
    run.status = RunStatus.RUNNING
    run.owner = owner
    run.started_at = now
    run.progress = as_document(Progress())
    return run


async def tell_progress(tx: Session, run_id: UUID, progress: Progress) -> Run:
    """Write how far a run is; the run as it stands, which says whether it goes on and shall be cancelled."""
    run = await runs.lock_run(tx, run_id)
    if run.status == RunStatus.RUNNING:
        run.progress = as_document(progress)
    return run


async def cancel(tx: Session, caller: Principal, run_id: UUID, *, now: datetime) -> Run:
    """Have a run cancelled: a queued one at once, a running one by its owner; RunStateConflict when it has ended."""
    run = await runs.lock_run(tx, run_id)
    if run.status not in UNDER_WAY:
        raise RunStateConflict
    if run.cancel_requested_at is not None:
        return run

    run.cancel_requested_at = now
    await _tell(tx, caller, EventName.RUN_CANCEL_REQUESTED, run, now=now)
    if run.status == RunStatus.QUEUED:
        await _end(tx, run, RunStatus.CANCELLED, now=now)
    return run


async def finish(tx: Session, run_id: UUID, outcome: Outcome, status: RunStatus, *, now: datetime) -> Run:
    """Write what came of a run; one that was declared lost meanwhile stays so."""
    run = await runs.lock_run(tx, run_id)
    if run.status != RunStatus.RUNNING:
        return run
    run.result = dict(outcome.result)
    run.warnings = list(outcome.warnings)
    run.failure = outcome.failure
    if status in (RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_WARNINGS):
        run.progress = {**run.progress, "percent": 100.0, "phase": "done"}
    await _end(tx, run, status, now=now)
    return run


async def list_ownerless(tx: Session) -> Sequence[Run]:
    """The running runs whose owner is dead, or has at least lost its session."""
    return [run for run in await runs.list_running(tx) if not await runs.has_owner(tx, run)]


async def give_up(tx: Session, run_id: UUID, *, now: datetime) -> Run:
    """Declare a run lost, unless it has ended meanwhile. Whoever gives it up holds its lock in the owner's stead."""
    run = await runs.lock_run(tx, run_id)
    if run.status != RunStatus.RUNNING:
        return run
    run.failure = OWNER_DIED
    await _end(tx, run, RunStatus.LOST, now=now)
    return run


def asker_of(run: Run) -> Principal:
    """Who wanted the run, with no permission to want more."""
    return Principal(PrincipalKind(run.requested_by_kind), run.requested_by_id, None, frozenset())


def as_document(progress: Progress) -> dict[str, Any]:
    """How far a run is, with the names that answers use."""
    return {camel_case(name): value for name, value in asdict(progress).items()}


def from_document(document: Mapping[str, Any]) -> Progress:
    """What `as_document` wrote."""
    return Progress(**{one.name: document[camel_case(one.name)] for one in fields(Progress)})


async def _require_known_names(tx: Session, options: Options) -> None:
    if isinstance(options, TableOptions | ReindexOptions):
        unknown = await _unknown(tx, options.tables, RelationKind.TABLE)
        if unknown:
            raise UnknownTables.at(unknown)
    if isinstance(options, ReindexOptions):
        unknown = await _unknown(tx, options.indexes, RelationKind.INDEX)
        if unknown:
            raise UnknownIndexes.at(unknown)


async def _unknown(tx: Session, names: Sequence[str], kind: RelationKind) -> list[tuple[int, str]]:
    """The names that stand for nothing, each with its place."""
    found = await maintenance.find_relations(tx, [read_name(name) for name in names], kind) if names else []
    return [(place, name) for place, (name, oid) in enumerate(zip(names, found, strict=True)) if oid is None]


def _new_run(caller: Principal, wish: RequestRun, group: MutexGroup, status: RunStatus, now: datetime) -> Run:
    return Run(
        id=wish.run_id or new_id(),
        kind=wish.kind,
        mutex_group=group,
        status=status,
        options=write_options(wish.options),
        trigger=wish.trigger,
        schedule=wish.slot.schedule if wish.slot else wish.schedule,
        slot_at=wish.slot.at if wish.slot else None,
        requested_by_kind=caller.kind,
        requested_by_id=caller.id,
        requested_at=now,
        progress=as_document(Progress(phase="queued")),
        warnings=[],
    )


async def _end(tx: Session, run: Run, status: RunStatus, *, now: datetime) -> None:
    run.status = status
    run.finished_at = now
    await tx.flush()
    await _tell(tx, asker_of(run), EventName.RUN_FINISHED, run, now=now, status=status, failure=run.failure)


async def _tell(tx: Session, caller: Principal, event: EventName, run: Run, *, now: datetime, **data: object) -> None:
    known = {name: value for name, value in {"schedule": run.schedule, **data}.items() if value is not None}
    await events.record(tx, caller, event, run.id, now=now, data={"kind": run.kind, **known})
