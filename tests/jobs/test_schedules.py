"""Scheduled runs: each slot once, however many servers look; and what becomes of slots, clocks and rows gone wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.db.models import AuditEvent, Run
from app.domain.errors import AlreadyExists
from app.domain.maintenance import TableOptions
from app.domain.pages import MAX_LIMIT, PageRequest
from app.domain.permissions import COMMAND_LINE, SCHEDULES
from app.domain.runs import UNDER_WAY, MutexGroup, Outcome, Progress, RunKind, RunStatus, RunTrigger, RunUnderWay, Slot
from app.domain.schedules import MissedPolicy
from app.jobs.catalog import JOBS
from app.jobs.schedules import start_scheduled_runs
from app.runner import do_queued
from app.runtime import Runtime, open_runtime
from app.scheduling import do_due
from app.services import runs, schedules
from app.services.runs import RequestRun
from app.services.schedules import PutSchedule, ScheduleState
from app.settings import Settings
from tests.conftest import Clock
from tests.factories.schedules import delete_first_schedules
from tests.services.conftest import trail
from tests.web.logs import LogLines


def at(text: str) -> datetime:
    """A moment in UTC: `at("2026-03-08 04:30")`."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


@pytest.fixture
async def runtime(settings: Settings, clock: Clock, fresh_database: str) -> AsyncIterator[Runtime]:
    """A server without any schedule; its jobs are done when the test says so."""
    async with open_runtime(settings, fresh_database, clock=clock) as opened:
        await delete_first_schedules(opened)
        yield opened


async def put(runtime: Runtime, cron: str, name: str = "mine", **terms: Any) -> None:
    async with runtime.database.transaction() as tx:
        wish = PutSchedule(name, RunKind.ANALYZE, cron, **terms)
        await schedules.put(tx, COMMAND_LINE, wish, now=runtime.now())


async def switch(runtime: Runtime, *, is_enabled: bool) -> None:
    async with runtime.database.transaction() as tx:
        await schedules.switch(tx, COMMAND_LINE, "mine", is_enabled=is_enabled, now=runtime.now())


async def state(runtime: Runtime, name: str = "mine") -> ScheduleState:
    async with runtime.database.transaction() as tx:
        return await schedules.get(tx, name, now=runtime.now())


async def all_runs(runtime: Runtime) -> list[Run]:
    """All runs, oldest first."""
    async with runtime.database.transaction() as tx:
        return list(reversed((await runs.list_page(tx, None, None, PageRequest(MAX_LIMIT))).items))


async def slots(runtime: Runtime) -> list[tuple[datetime | None, str]]:
    """The slots that were settled and how their runs stand, oldest first."""
    return [(run.slot_at, run.status) for run in await all_runs(runtime)]


async def end_queued(runtime: Runtime) -> None:
    """Have an end with the run that waits, without doing it."""
    for run in await all_runs(runtime):
        if run.status in UNDER_WAY:
            async with runtime.database.transaction() as tx:
                await runs.cancel(tx, COMMAND_LINE, run.id, now=runtime.now())


async def look(runtime: Runtime, clock: Clock, moment: str) -> None:
    """Let the server look for what is due at this moment."""
    clock.now = at(moment)
    await start_scheduled_runs(runtime)


async def ask_for_another(runtime: Runtime) -> UUID:
    """The id of a run that somebody asked for, and that nobody does."""
    async with runtime.database.transaction() as tx:
        wish = RequestRun(RunKind.ANALYZE, TableOptions(), RunTrigger.COMMAND)
        return (await runs.request(tx, COMMAND_LINE, wish, now=runtime.now())).id


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


async def test_a_slot_that_has_come_is_done_once_and_the_trail_names_its_schedule(
    runtime: Runtime, clock: Clock
) -> None:
    await put(runtime, "30 4 * * *", options=TableOptions(("licenses",)))
    await look(runtime, clock, "2026-03-02 04:29")
    assert await all_runs(runtime) == []

    for moment in ("2026-03-02 04:30", "2026-03-02 04:31"):
        await look(runtime, clock, moment)
    await do_queued(runtime, MutexGroup.TABLES)
    await look(runtime, clock, "2026-03-02 04:32")

    [run] = await all_runs(runtime)
    assert (run.status, run.trigger, run.schedule, run.slot_at, run.options["tables"]) == (
        RunStatus.SUCCEEDED,
        RunTrigger.SCHEDULE,
        "mine",
        at("2026-03-02 04:30"),
        ["licenses"],
    )
    async with runtime.database.transaction() as tx:
        recorded: list[AuditEvent] = await trail(tx, run.id)
    assert [(one.event, one.actor_kind, one.actor_id, one.data["schedule"]) for one in recorded] == [
        ("run.requested", "schedule", None, "mine"),
        ("run.finished", "schedule", None, "mine"),
    ]
    assert list((await state(runtime)).next_runs) == [at(f"2026-03-0{day} 04:30") for day in (3, 4, 5)]


async def test_two_replicas_do_each_of_many_slots_exactly_once_and_none_leads(
    runtime: Runtime, settings: Settings, clock: Clock, fresh_database: str
) -> None:
    await put(runtime, "*/5 * * * *")
    first = clock.now
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(open_runtime(settings, fresh_database, clock=clock))
        for _ in range(12):
            clock.forward(minutes=5)
            await asyncio.gather(*(start_scheduled_runs(one) for one in (runtime, other, runtime, other)))
            await asyncio.gather(*(do_queued(one, MutexGroup.TABLES) for one in (runtime, other)))

    assert await slots(runtime) == [
        (first + timedelta(minutes=5 * count), RunStatus.SUCCEEDED) for count in range(1, 13)
    ]


async def test_commands_that_a_cron_starts_at_once_do_each_slot_once(runtime: Runtime, clock: Clock) -> None:
    runtime.settings = runtime.settings.model_copy(update={"schedules_enabled": False})
    told: list[Progress] = []
    for name in ("first", "second"):
        await put(runtime, "0 3 * * *", name, options=TableOptions(("plans",), force=True))
    await look(runtime, clock, "2026-03-02 03:01")
    assert await all_runs(runtime) == []

    answers = await asyncio.gather(*(do_due(runtime, told.append) for _ in range(3)))
    answers.append(await do_due(runtime, told.append))

    ended = [(run.schedule, run.status) for done, _ in answers for run in done]
    assert sorted(ended) == [("first", RunStatus.SUCCEEDED), ("second", RunStatus.SUCCEEDED)]
    assert [problems for _, problems in answers] == [[], [], [], []]
    assert told


async def test_after_a_week_without_a_server_the_latest_slot_is_done_late_and_no_other(
    runtime: Runtime, clock: Clock
) -> None:
    await put(runtime, "*/30 * * * *")

    for moment in ("2026-03-08 12:14", "2026-03-08 12:15"):
        await look(runtime, clock, moment)
        await end_queued(runtime)

    assert await slots(runtime) == [(at("2026-03-08 12:00"), RunStatus.CANCELLED)]
    assert (await state(runtime)).next_runs[0] == at("2026-03-08 12:30")


async def test_a_schedule_that_skips_what_it_missed_says_so_and_does_what_is_quarter_of_an_hour_late(
    runtime: Runtime, clock: Clock, log_lines: LogLines
) -> None:
    await put(runtime, "0 3 * * *", missed=MissedPolicy.SKIP)

    await look(runtime, clock, "2026-03-08 03:16")
    await look(runtime, clock, "2026-03-09 03:15")

    assert await slots(runtime) == [
        (at("2026-03-08 03:00"), RunStatus.SKIPPED),
        (at("2026-03-09 03:00"), RunStatus.QUEUED),
    ]
    [skipped, _] = await all_runs(runtime)
    assert skipped.failure is not None
    assert skipped.failure.startswith("Missed: ")
    [line] = [line for line in log_lines.read() if line["event"] == "run_skipped"]
    assert line["message"] == f"A slot of mine was skipped: {skipped.failure}"


async def test_a_clock_that_is_set_back_repeats_no_slot(runtime: Runtime, clock: Clock) -> None:
    await put(runtime, "0 * * * *")
    for moment in ("2026-03-02 05:00", "2026-03-02 04:59", "2026-03-02 05:00", "2026-03-02 06:00", "2026-03-02 05:30"):
        await look(runtime, clock, moment)
        await end_queued(runtime)

    assert [slot for slot, _ in await slots(runtime)] == [at("2026-03-02 05:00"), at("2026-03-02 06:00")]
    await look(runtime, clock, "2026-03-02 07:00")
    assert (await slots(runtime))[-1] == (at("2026-03-02 07:00"), RunStatus.QUEUED)


async def test_a_clock_that_was_a_year_ahead_for_a_moment_silences_no_schedule(runtime: Runtime, clock: Clock) -> None:
    await put(runtime, "0 3 * * *")
    for moment in ("2027-03-01 12:00", "2026-03-01 12:01", "2026-03-02 03:00"):
        await look(runtime, clock, moment)
        await end_queued(runtime)

    assert [slot for slot, _ in await slots(runtime)] == [at("2027-03-01 03:00"), at("2026-03-02 03:00")]


async def test_a_schedule_that_is_moved_while_due_waits_for_its_new_moment(runtime: Runtime, clock: Clock) -> None:
    await put(runtime, "0 3 * * *")
    clock.now = at("2026-03-02 03:00")
    await put(runtime, "0 4 * * *")
    await look(runtime, clock, "2026-03-02 03:01")
    assert await all_runs(runtime) == []

    await look(runtime, clock, "2026-03-02 04:00")

    assert await slots(runtime) == [(at("2026-03-02 04:00"), RunStatus.QUEUED)]


async def test_a_schedule_that_gets_other_options_while_due_is_done_with_those(runtime: Runtime, clock: Clock) -> None:
    await put(runtime, "0 3 * * *")
    clock.now = at("2026-03-02 03:00")
    await put(runtime, "0 3 * * *", options=TableOptions(force=True))

    await look(runtime, clock, "2026-03-02 03:00")

    [run] = await all_runs(runtime)
    assert (run.slot_at, run.options["force"]) == (at("2026-03-02 03:00"), True)


async def test_what_came_while_a_schedule_was_disabled_is_not_made_up_for(runtime: Runtime, clock: Clock) -> None:
    await put(runtime, "0 * * * *")
    await switch(runtime, is_enabled=False)
    await look(runtime, clock, "2026-03-08 12:30")
    assert (await state(runtime)).next_runs == ()

    await switch(runtime, is_enabled=True)
    await look(runtime, clock, "2026-03-08 12:31")
    assert await all_runs(runtime) == []
    await look(runtime, clock, "2026-03-08 13:00")

    assert await slots(runtime) == [(at("2026-03-08 13:00"), RunStatus.QUEUED)]


async def test_two_schedules_of_one_moment_have_their_turns(runtime: Runtime, clock: Clock) -> None:
    await put(runtime, "0 3 * * *", "first")
    await put(runtime, "0 3 * * *", "second")

    for moment in ("2026-03-02 03:00", "2026-03-02 03:40"):
        await look(runtime, clock, moment)
        await do_queued(runtime, MutexGroup.TABLES)

    assert await slots(runtime) == [(at("2026-03-02 03:00"), RunStatus.SUCCEEDED)] * 2
    assert [run.schedule for run in await all_runs(runtime)] == ["first", "second"]


@pytest.mark.parametrize("policy", MissedPolicy)
async def test_a_slot_waits_an_hour_for_its_turn_and_is_skipped_then(
    runtime: Runtime, clock: Clock, policy: MissedPolicy
) -> None:
    await put(runtime, "0 3 * * *", missed=policy)
    other = await ask_for_another(runtime)

    for moment in ("2026-03-02 03:00", "2026-03-02 03:59"):
        await look(runtime, clock, moment)
        assert (await state(runtime)).schedule.waiting_since == at("2026-03-02 03:00")
    await look(runtime, clock, "2026-03-02 04:00")

    [under_way, skipped] = await all_runs(runtime)
    assert (under_way.id, skipped.slot_at, skipped.status) == (other, at("2026-03-02 03:00"), RunStatus.SKIPPED)
    assert skipped.failure is not None
    assert skipped.failure.startswith("Its turn did not come within 60 minutes")
    assert (await state(runtime)).schedule.waiting_since is None


async def test_a_slot_that_waited_is_done_when_its_turn_comes_and_was_not_missed(
    runtime: Runtime, clock: Clock
) -> None:
    await put(runtime, "0 3 * * *", missed=MissedPolicy.SKIP)
    await ask_for_another(runtime)
    await look(runtime, clock, "2026-03-02 03:00")
    await end_queued(runtime)

    await look(runtime, clock, "2026-03-02 03:50")

    assert (await slots(runtime))[-1] == (at("2026-03-02 03:00"), RunStatus.QUEUED)


async def test_a_slot_that_still_waited_when_the_server_stopped_is_done_after_the_restart(
    runtime: Runtime, clock: Clock
) -> None:
    await put(runtime, "0 3 * * *")
    await ask_for_another(runtime)
    await look(runtime, clock, "2026-03-02 03:00")
    await end_queued(runtime)

    await look(runtime, clock, "2026-03-09 12:00")

    assert (await slots(runtime))[-1] == (at("2026-03-09 03:00"), RunStatus.QUEUED)


@pytest.mark.parametrize(
    "damage",
    [
        "SET kind = 'defrag'",
        "SET options = '{\"tables\": 5}'",
        "SET options = '[]'",
        "SET cron = 'soon'",
        "SET cron = '0 0 31 2 *'",
        "SET missed = 'run_twice'",
    ],
)
async def test_a_schedule_that_is_broken_in_the_table_is_told_once_and_stops_no_other(
    runtime: Runtime, clock: Clock, fresh_database: str, log_lines: LogLines, damage: str
) -> None:
    await put(runtime, "0 3 * * *", "broken")
    await put(runtime, "0 3 * * *", "whole")
    execute(
        fresh_database,
        "ALTER TABLE schedules DROP CONSTRAINT ck_schedules_kind, DROP CONSTRAINT ck_schedules_missed;"
        f"UPDATE schedules {damage} WHERE name = 'broken'",
    )

    for moment in ("2026-03-02 03:00", "2026-03-02 03:01"):
        await look(runtime, clock, moment)
    clock.now = at("2026-03-03 03:00")
    _, problems = await do_due(runtime, lambda progress: None)

    assert [(run.schedule, run.slot_at) for run in await all_runs(runtime)] == [("whole", at("2026-03-02 03:00"))]
    lines = [line for line in log_lines.read() if line["event"] == "schedule_broken"]
    assert [(line["level"], line["message"]) for line in lines] == [("ERROR", problems[0])] * 2
    broken = await state(runtime, "broken")
    assert (broken.problem, broken.next_runs) == (problems[0], ())
    await put(runtime, "0 3 * * *", "broken")
    assert (await state(runtime, "broken")).problem is None


async def test_a_schedule_that_is_deleted_and_made_again_does_no_slot_twice(runtime: Runtime, clock: Clock) -> None:
    await put(runtime, "0 3 * * *")
    await look(runtime, clock, "2026-03-02 03:00")
    await end_queued(runtime)
    async with runtime.database.transaction() as tx:
        await schedules.delete(tx, COMMAND_LINE, "mine", now=clock())
    clock.now = at("2026-03-02 02:59")
    await put(runtime, "0 3 * * *")

    await look(runtime, clock, "2026-03-02 03:00")

    assert [slot for slot, _ in await slots(runtime)] == [at("2026-03-02 03:00")]
    assert (await state(runtime)).next_runs[0] == at("2026-03-03 03:00")


async def test_two_runs_of_a_slot_are_impossible_in_the_database_too(runtime: Runtime) -> None:
    wish = RequestRun(RunKind.ANALYZE, TableOptions(), RunTrigger.SCHEDULE, Slot("mine", at("2026-03-02 03:00")))
    async with runtime.database.transaction() as tx:
        first = await runs.request(tx, SCHEDULES, wish, now=runtime.now())
    with pytest.raises(RunUnderWay):
        async with runtime.database.transaction() as tx:
            await runs.request(tx, SCHEDULES, wish, now=runtime.now())
    async with runtime.database.transaction() as tx:
        await runs.take(tx, first.id, "me", now=runtime.now())
        await runs.finish(tx, first.id, Outcome(), RunStatus.SUCCEEDED, now=runtime.now())

    with pytest.raises(AlreadyExists):
        async with runtime.database.transaction() as tx:
            await runs.request(tx, SCHEDULES, wish, now=runtime.now())


async def test_a_new_installation_has_the_schedules_of_the_guide(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    async with open_runtime(settings, fresh_database, clock=clock) as runtime:
        await start_scheduled_runs(runtime)
        async with runtime.database.transaction() as tx:
            found = await schedules.list_all(tx, now=clock())

    assert [(one.schedule.name, one.schedule.next_run_at, one.schedule.missed, one.problem) for one in found] == [
        ("daily-backup", at("2026-03-02 02:00"), "run_once", None),
        ("monthly-prune", at("2026-04-01 03:30"), "run_once", None),
        ("monthly-reindex", at("2026-04-05 05:30"), "run_once", None),
        ("weekly-vacuum", at("2026-03-08 04:30"), "run_once", None),
        ("weekly-verify", at("2026-03-08 07:00"), "run_once", None),
    ]


def test_servers_look_every_five_seconds() -> None:
    assert {job.name: job.every for job in JOBS}["start_scheduled_runs"] == timedelta(seconds=5)
