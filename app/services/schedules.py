"""Schedules: look at them, set, switch and delete them, and settle the slots that have come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.db import events
from app.db.models import Run, Schedule
from app.db.queries import runs, schedules
from app.db.session import Session
from app.domain import schedules as rules
from app.domain.events import EventName, describe_changes, describe_creation, describe_deletion
from app.domain.maintenance import Options, read_options, write_options
from app.domain.permissions import Principal
from app.domain.runs import RunKind, RunUnderWay, Slot
from app.domain.schedules import (
    MAX_SCHEDULES,
    PUT_OFF,
    SHOWN_SLOTS,
    MissedPolicy,
    ScheduleBroken,
    ScheduleNotFound,
    TooManySchedules,
)

_TERMS = ("kind", "cron", "options", "is_enabled", "missed")


@dataclass(frozen=True, slots=True)
class PutSchedule:
    """The wish for a schedule; what is None stays as it is, and has its default in a new one or for another kind."""

    name: str
    kind: RunKind
    cron: str
    options: Options | None = None
    is_enabled: bool | None = None
    missed: MissedPolicy | None = None


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """A schedule, its newest run, the slots it waits for, and what is wrong with it where the database was changed."""

    schedule: Schedule
    last_run: Run | None
    next_runs: Sequence[datetime]
    problem: str | None


@dataclass(frozen=True, slots=True)
class Due:
    """A slot that has come; `reason` says why it is skipped, where it was missed."""

    schedule: Schedule
    slot: Slot
    kind: RunKind
    options: Options
    reason: str | None


async def get(tx: Session, name: str, *, now: datetime) -> ScheduleState:
    """The schedule as it stands, or ScheduleNotFound."""
    schedule = await schedules.get_schedule(tx, name)
    return _state(schedule, await schedules.find_last_run(tx, name), now)


async def list_all(tx: Session, *, now: datetime) -> Sequence[ScheduleState]:
    """All schedules as they stand, by name; at most MAX_SCHEDULES."""
    last_runs = {run.schedule: run for run in await schedules.list_last_runs(tx)}
    return [_state(one, last_runs.get(one.name), now) for one in await schedules.list_schedules(tx)]


async def put(tx: Session, caller: Principal, wish: PutSchedule, *, now: datetime) -> bool:
    """Create or change a schedule; whether it is new. Raises InvalidCron, NotSchedulable and TooManySchedules."""
    rules.require_schedulable(wish.kind)
    cron = rules.require_cron(wish.cron)
    await schedules.lock_schedules(tx)
    schedule = await schedules.lock_schedule(tx, wish.name)

    if schedule is None:
        await _create(tx, caller, wish, cron, now)
    else:
        await _change(tx, caller, schedule, _wanted(schedule, wish, cron), now)
    return schedule is None


async def put_all(tx: Session, caller: Principal, wishes: Sequence[PutSchedule], *, now: datetime) -> None:
    """Create or change several schedules, all or none; others stay. Raises InvalidCron and TooManySchedules."""
    for wish in sorted(wishes, key=lambda wish: wish.name):
        await put(tx, caller, wish, now=now)


async def switch(tx: Session, caller: Principal, name: str, *, is_enabled: bool, now: datetime) -> None:
    """Enable or disable a schedule; what it missed while it was disabled stays undone. Raises ScheduleNotFound."""
    await schedules.lock_schedules(tx)
    schedule = await schedules.lock_schedule(tx, name)
    if schedule is None:
        raise ScheduleNotFound

    if is_enabled:
        _read(schedule)
    await _change(tx, caller, schedule, {"is_enabled": is_enabled}, now)


async def delete(tx: Session, caller: Principal, name: str, *, now: datetime) -> None:
    """Delete a schedule; its runs stay. Raises ScheduleNotFound."""
    await schedules.lock_schedules(tx)
    schedule = await schedules.lock_schedule(tx, name)
    if schedule is None:
        raise ScheduleNotFound

    await tx.delete(schedule)
    await events.record(tx, caller, EventName.SCHEDULE_DELETED, name, now=now, data=describe_deletion(_terms(schedule)))


async def find_work(tx: Session, name: str) -> tuple[RunKind, Options]:
    """What a schedule does, enabled or not; raises ScheduleNotFound and ScheduleBroken."""
    return _read(await schedules.get_schedule(tx, name))


async def list_pending(tx: Session, *, now: datetime) -> Sequence[str]:
    """The names of enabled schedules that have to be looked at now."""
    found = await schedules.list_schedules(tx)
    return [one.name for one in found if one.is_enabled and rules.needs_look(one.next_run_at, one.planned_at, now)]


async def take(tx: Session, name: str, *, now: datetime) -> Due | None:
    """The slot that is due, its schedule locked; None when there is none, or somebody else is at it.

    A schedule without a slot, or planned by a clock that was ahead, waits for the next slot, unless that has its run
    already. Raises ScheduleBroken.
    """
    schedule = await schedules.lock_free_schedule(tx, name)
    if schedule is None or not schedule.is_enabled:
        return None
    kind, options = _read(schedule)

    if schedule.next_run_at is None or schedule.next_run_at > now:
        slot = Slot(name, rules.next_slot(schedule.cron, now))
        if schedule.next_run_at is None or await runs.find_of_slot(tx, slot) is None:
            _plan(schedule, slot.at, now)
        return None

    slot = Slot(name, rules.due_slot(schedule.cron, schedule.next_run_at, now))
    if await runs.find_of_slot(tx, slot) is not None:
        settle(schedule, now=now)
        return None
    reason = rules.reason_to_skip(MissedPolicy(schedule.missed), slot.at, schedule.waiting_since, now)
    return Due(schedule, slot, kind, options, reason)


def settle(schedule: Schedule, *, now: datetime) -> None:
    """Wait for the next slot: what the one that has come wanted is done, under way or skipped."""
    _plan(schedule, rules.next_slot(schedule.cron, now), now)


def wait(schedule: Schedule, other: RunUnderWay, *, now: datetime) -> str | None:
    """Wait for the run that excludes the one of the slot; why not, when it has waited long enough."""
    if schedule.waiting_since is None or now < schedule.waiting_since:
        schedule.waiting_since = now
    if not rules.has_waited_enough(schedule.waiting_since, now):
        return None
    return f"{rules.tell_waited()} {other.message}"


async def put_off(tx: Session, name: str, *, now: datetime) -> bool:
    """Look at a broken schedule again at its next slot, or in an hour; False when somebody else has done so."""
    schedule = await schedules.lock_free_schedule(tx, name)
    if schedule is None or not rules.needs_look(schedule.next_run_at, schedule.planned_at, now):
        return False
    try:
        _plan(schedule, rules.next_slot(rules.require_cron(schedule.cron), now), now)
    except rules.InvalidCron:
        _plan(schedule, now + PUT_OFF, now)
    return True


async def _create(tx: Session, caller: Principal, wish: PutSchedule, cron: str, now: datetime) -> None:
    if await schedules.count_schedules(tx) >= MAX_SCHEDULES:
        raise TooManySchedules(f"There are {MAX_SCHEDULES} schedules, which is all there may be; delete one first.")
    is_enabled = wish.is_enabled is not False
    schedule = Schedule(
        name=wish.name,
        kind=wish.kind,
        cron=cron,
        options=write_options(wish.options or read_options(wish.kind, {})),
        is_enabled=is_enabled,
        missed=wish.missed or MissedPolicy.RUN_ONCE,
        created_at=now,
        updated_at=now,
    )
    _plan(schedule, rules.next_slot(cron, now) if is_enabled else None, now)
    tx.add(schedule)
    await tx.flush()

    await events.record(
        tx, caller, EventName.SCHEDULE_CREATED, wish.name, now=now, data=describe_creation(_terms(schedule))
    )


def _wanted(schedule: Schedule, wish: PutSchedule, cron: str) -> dict[str, Any]:
    """The terms that the wish names, and options that go with the kind."""
    wanted: dict[str, Any] = {"kind": wish.kind.value, "cron": cron}
    if wish.options is not None:
        wanted["options"] = write_options(wish.options)
    elif wish.kind != schedule.kind or not rules.has_options(wish.kind, schedule.options):
        wanted["options"] = write_options(read_options(wish.kind, {}))
    if wish.is_enabled is not None:
        wanted["is_enabled"] = wish.is_enabled
    if wish.missed is not None or schedule.missed not in set(MissedPolicy):
        wanted["missed"] = (wish.missed or MissedPolicy.RUN_ONCE).value
    return wanted


async def _change(tx: Session, caller: Principal, schedule: Schedule, wanted: dict[str, Any], now: datetime) -> None:
    changed = {name: value for name, value in wanted.items() if getattr(schedule, name) != value}
    if not changed:
        return
    before = {name: getattr(schedule, name) for name in changed}

    for name, value in changed.items():
        setattr(schedule, name, value)
    if "cron" in changed or "is_enabled" in changed:
        _plan(schedule, rules.next_slot(schedule.cron, now) if schedule.is_enabled else None, now)
    schedule.updated_at = now

    data = describe_changes(before, changed)
    await events.record(tx, caller, EventName.SCHEDULE_CHANGED, schedule.name, now=now, data=data)


def _plan(schedule: Schedule, slot_at: datetime | None, now: datetime) -> None:
    schedule.next_run_at = slot_at
    schedule.planned_at = now
    schedule.waiting_since = None


def _state(schedule: Schedule, last_run: Run | None, now: datetime) -> ScheduleState:
    try:
        _read(schedule)
    except ScheduleBroken as error:
        return ScheduleState(schedule, last_run, (), error.message)
    if not schedule.is_enabled:
        return ScheduleState(schedule, last_run, (), None)
    planned = [] if schedule.next_run_at is None else [schedule.next_run_at]
    later = rules.next_slots(schedule.cron, max([now, *planned]), SHOWN_SLOTS - len(planned))
    return ScheduleState(schedule, last_run, (*planned, *later), None)


def _read(schedule: Schedule) -> tuple[RunKind, Options]:
    return rules.read_terms(schedule.name, schedule.kind, schedule.cron, schedule.options, schedule.missed)


def _terms(schedule: Schedule) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in _TERMS}
