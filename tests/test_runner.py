"""Runs are done once, end with the truth on record whatever happens, and never keep the next one from its turn."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from app.db.direct import direct_connection
from app.db.migrations import migrate
from app.db.models import Run
from app.db.workbench import Workbench
from app.domain.maintenance import TableOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import MutexGroup, Outcome, Progress, RunKind, RunStatus, RunTrigger, RunUnderWay
from app.jobs.catalog import Job
from app.jobs.scheduler import running_jobs
from app.runner import Work, bury_lost, direct_url, do_at_once, do_queued, watch
from app.runtime import Runtime, open_runtime
from app.services import runs
from app.services.runs import RequestRun
from app.telemetry.metrics import REGISTRY
from tests.conftest import Clock, make_settings
from tests.db.stoppable import Stoppable
from tests.live import wait_until
from tests.web.logs import LogLines, captured_lines

WISH = RequestRun(RunKind.ANALYZE, TableOptions(), RunTrigger.REQUEST)


@pytest.fixture
async def runtime(fresh_database: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Runtime]:
    async with open_runtime(make_settings(fresh_database, tmp_path), fresh_database, clock=clock) as opened:
        yield opened


@pytest.fixture
def lines() -> Iterator[LogLines]:
    with captured_lines("info") as captured:
        yield captured


class Sleeper:
    """Work that waits at the database until it is stopped there."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.pid = 0

    async def __call__(self, bench: Workbench, options: TableOptions) -> Outcome:
        self.pid = bench.direct.pid
        bench.tell(Progress(40.0, "sleeping"))
        self.has_begun.set()
        await bench.direct.execute(sql.SQL("SELECT pg_sleep(60)"))
        return Outcome()


class Idler(Sleeper):
    """Work that leaves its own session alone."""

    async def __call__(self, bench: Workbench, options: TableOptions) -> Outcome:
        self.pid = bench.direct.pid
        self.has_begun.set()
        await asyncio.Event().wait()
        return Outcome()


async def make_run(runtime: Runtime) -> UUID:
    async with runtime.database.transaction() as tx:
        return (await runs.request(tx, COMMAND_LINE, WISH, now=runtime.now())).id


async def make_lost_run(runtime: Runtime) -> UUID:
    """A run that somebody took who holds no lock, as if it had died since."""
    run_id = await make_run(runtime)
    async with runtime.database.transaction() as tx:
        await runs.take(tx, run_id, "elsewhere:1", now=runtime.now())
    return run_id


async def get(runtime: Runtime, run_id: UUID) -> Run:
    async with runtime.database.transaction() as tx:
        return await runs.get(tx, run_id)


async def do(runtime: Runtime, work: Work) -> None:
    await do_queued(runtime, MutexGroup.TABLES, {RunKind.ANALYZE: work})


@asynccontextmanager
async def doing(runtime: Runtime, work: Sleeper) -> AsyncIterator[UUID]:
    """A run that is being done meanwhile; what became of it is awaited at the end."""
    run_id = await make_run(runtime)
    async with asyncio.timeout(20):
        task = asyncio.create_task(do(runtime, work))
        await work.has_begun.wait()
        yield run_id
        await task


def ask(runtime: Runtime, question: str, *values: Any) -> Any:
    with psycopg.connect(runtime.database_url, autocommit=True) as connection:
        cursor = connection.execute(question.encode(), values)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def finished(lines: LogLines) -> list[tuple[str, str]]:
    return [(line["level"], line["outcome"]) for line in lines.read() if line["event"] == "run_finished"]


def counted(status: RunStatus) -> float:
    labels = {"kind": "analyze", "outcome": status}
    return REGISTRY.get_sample_value("license_server_run_duration_seconds_count", labels) or 0.0


def told(runtime: Runtime, run_id: UUID) -> Any:
    """The status in the audit event of the run's end."""
    return ask(
        runtime, "SELECT data->>'status' FROM audit_events WHERE event='run.finished' AND subject_id=%s", str(run_id)
    )


@pytest.mark.parametrize("work", [Sleeper, Idler])
async def test_a_run_whose_session_is_terminated_fails_and_says_so(
    runtime: Runtime, lines: LogLines, work: Callable[[], Sleeper]
) -> None:
    before = counted(RunStatus.FAILED)
    sleeper = work()

    async with doing(runtime, sleeper) as run_id:
        ask(runtime, "SELECT pg_terminate_backend(%s)", sleeper.pid)

    run = await get(runtime, run_id)
    assert (run.status, run.failure) == (
        "failed",
        "The database ended the session that did it: it was restarted, or somebody terminated it; start it again.",
    )
    assert told(runtime, run_id) == "failed"
    assert finished(lines) == [("WARN", "failed")]
    assert counted(RunStatus.FAILED) == before + 1
    assert "Traceback" not in lines.text()
    assert "defect" not in lines.text()


async def test_a_run_whose_statement_is_cancelled_at_the_database_fails_and_says_so(
    runtime: Runtime, lines: LogLines
) -> None:
    sleeper = Sleeper()

    async with doing(runtime, sleeper) as run_id:
        ask(runtime, "SELECT pg_cancel_backend(%s)", sleeper.pid)

    run = await get(runtime, run_id)
    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.startswith("The database ended its statement: somebody cancelled it there")
    assert "database_outage" not in lines.text()


@pytest.mark.parametrize("work", [Sleeper, Idler])
async def test_a_cancelled_run_ends_at_once_with_its_statement(
    runtime: Runtime, lines: LogLines, work: Callable[[], Sleeper]
) -> None:
    sleeper = work()
    began_at = time.monotonic()

    async with doing(runtime, sleeper) as run_id, runtime.database.transaction() as tx:
        await runs.cancel(tx, COMMAND_LINE, run_id, now=runtime.now())

    assert time.monotonic() - began_at < 3
    run = await get(runtime, run_id)
    assert (run.status, run.failure) == ("cancelled", "Cancelled as was asked for.")
    assert ask(runtime, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", sleeper.pid) == 0
    assert finished(lines) == [("INFO", "cancelled")]


async def test_a_run_of_a_process_that_stops_is_cancelled_and_says_why(runtime: Runtime, lines: LogLines) -> None:
    sleeper = Sleeper()
    run_id = await make_run(runtime)

    async def work(runtime: Runtime) -> None:
        await do(runtime, sleeper)

    async with running_jobs(runtime, [Job("do_runs", timedelta(), work)]):
        await sleeper.has_begun.wait()

    run = await get(runtime, run_id)
    assert (run.status, run.failure) == ("cancelled", "The process that did it was stopped; start it again.")
    assert (told(runtime, run_id), finished(lines)) == ("cancelled", [("INFO", "cancelled")])
    assert await make_run(runtime) != run_id


async def test_a_defect_fails_the_run_and_the_next_one_is_done(runtime: Runtime, lines: LogLines) -> None:
    async def broken(bench: Workbench, options: TableOptions) -> Outcome:
        raise ZeroDivisionError

    async def good(bench: Workbench, options: TableOptions) -> Outcome:
        return Outcome({"done": True}, ("look here",))

    first = await make_run(runtime)
    await do(runtime, broken)
    second = await make_run(runtime)
    await do(runtime, good)

    assert [(await get(runtime, one)).status for one in (first, second)] == ["failed", "succeeded_with_warnings"]
    assert (await get(runtime, first)).failure == "It failed because of a defect of ours; the log says which."
    [defect] = [line for line in lines.read() if line["event"] == "defect"]
    assert "ZeroDivisionError" in str(defect["exception"])


async def test_a_server_that_is_to_stop_takes_no_run(runtime: Runtime) -> None:
    run_id = await make_run(runtime)
    runtime.is_draining = True

    await do(runtime, Sleeper())

    assert (await get(runtime, run_id)).status == "queued"


async def test_a_kind_that_a_process_does_not_know_is_left_to_those_that_do(runtime: Runtime) -> None:
    run_id = await make_run(runtime)

    await do_queued(runtime, MutexGroup.TABLES, {})

    assert (await get(runtime, run_id)).status == "queued"


async def test_what_a_lost_run_had_begun_is_cleaned_up_before_the_next_one_may_begin(
    runtime: Runtime, lines: LogLines
) -> None:
    before = counted(RunStatus.LOST)
    run_id = await make_lost_run(runtime)
    seen: list[str] = []

    async def clean_up(bench: Workbench) -> None:
        with pytest.raises(RunUnderWay):
            await make_run(runtime)
        seen.append((await get(runtime, run_id)).status)

    burials = [bury_lost(runtime, patience=0.2, clean_ups={RunKind.ANALYZE: clean_up}) for _ in range(3)]
    await asyncio.gather(*burials)

    assert seen == ["running"]
    assert ((await get(runtime, run_id)).status, told(runtime, run_id)) == ("lost", "lost")
    assert finished(lines) == [("ERROR", "lost")]
    assert counted(RunStatus.LOST) == before + 1


async def broken_statement(bench: Workbench) -> None:
    await bench.direct.execute(sql.SQL("DROP TABLE nowhere"))


async def statement_without_end(bench: Workbench) -> None:
    async with bench.direct.limits(statement_seconds=0.1):
        await bench.direct.execute(sql.SQL("SELECT pg_sleep(60)"))


@pytest.mark.parametrize("clean_up", [broken_statement, statement_without_end])
async def test_a_clean_up_that_fails_is_told_and_holds_nobody_up(
    runtime: Runtime, lines: LogLines, clean_up: Callable[[Workbench], Awaitable[None]]
) -> None:
    run_id = await make_lost_run(runtime)

    await bury_lost(runtime, patience=0, clean_ups={RunKind.ANALYZE: clean_up})

    assert (await get(runtime, run_id)).status == "lost"
    assert {line["event"] for line in lines.read()} & {"run_clean_up_failed", "defect"}
    await make_run(runtime)


async def test_an_owner_that_only_lost_its_session_tells_by_itself_what_came_of_its_run(runtime: Runtime) -> None:
    run_id = await make_lost_run(runtime)
    burial = asyncio.create_task(bury_lost(runtime, patience=0.3))

    async with runtime.database.transaction() as tx:
        await runs.finish(tx, run_id, Outcome(failure="Its session ended."), RunStatus.FAILED, now=runtime.now())
    await burial

    assert (await get(runtime, run_id)).status == "failed"


async def test_a_command_buries_what_was_lost_before_it_begins(runtime: Runtime) -> None:
    async def good(bench: Workbench, options: TableOptions) -> Outcome:
        return Outcome()

    lost = await make_lost_run(runtime)

    done = await do_at_once(runtime, COMMAND_LINE, WISH, lambda progress: None, {RunKind.ANALYZE: good})

    assert (done.status, (await get(runtime, lost)).status) == ("succeeded", "lost")


async def test_of_a_command_and_the_servers_one_does_the_run(runtime: Runtime) -> None:
    sleeper = Sleeper()
    command = asyncio.create_task(
        do_at_once(runtime, COMMAND_LINE, WISH, lambda progress: None, {RunKind.ANALYZE: sleeper})
    )
    await sleeper.has_begun.wait()

    with pytest.raises(RunUnderWay) as refusal:
        await do_at_once(runtime, COMMAND_LINE, WISH, lambda progress: None)
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command

    run_id = UUID(refusal.value.members["runId"])
    assert (await get(runtime, run_id)).status == "cancelled"


async def test_limits_meant_for_requests_do_not_end_a_run(runtime: Runtime) -> None:
    name = psycopg.conninfo.conninfo_to_dict(runtime.database_url)["dbname"]
    ask(runtime, f"ALTER DATABASE {name} SET statement_timeout = '20ms'")
    ask(runtime, f"ALTER DATABASE {name} SET transaction_timeout = '20ms'")

    async with direct_connection(direct_url(runtime)) as direct:
        assert await direct.execute(sql.SQL("SELECT 1 FROM pg_sleep(0.2)")) == [(1,)]


async def test_a_watcher_sees_each_change_up_to_the_end_and_outlives_an_outage(runtime: Runtime) -> None:
    run_id = await make_run(runtime)
    seen: list[str] = []
    looks = watch(runtime, run_id, every=0.05)

    async for run in looks:
        if run is None:
            continue
        seen.append(run.status)
        if run.status == "queued":
            name = psycopg.conninfo.conninfo_to_dict(runtime.database_url)["dbname"]
            other = runtime.database_url.replace(f"/{name}", "/postgres")
            with psycopg.connect(other, autocommit=True) as connection:
                end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
                connection.execute(end_all.encode(), [name])
                assert await anext(looks) is None
                connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
            async with runtime.database.transaction() as tx:
                await runs.cancel(tx, COMMAND_LINE, run_id, now=runtime.now())

    assert seen == ["queued", "cancelled"]


async def test_a_stop_while_the_database_hangs_is_bounded_and_the_run_is_lost_later(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    database = Stoppable(tmp_path)
    try:
        migrate(database.url)
        async with open_runtime(make_settings(database.url, tmp_path), database.url, clock=clock) as runtime:
            sleeper = Sleeper()
            run_id = await make_run(runtime)

            async def work(runtime: Runtime) -> None:
                await do(runtime, sleeper)

            caplog.set_level(logging.CRITICAL, "psycopg")
            async with running_jobs(runtime, [Job("do_runs", timedelta(), work)]):
                await sleeper.has_begun.wait()
                freeze = database.frozen()
                freeze.__enter__()
                began_at = time.monotonic()
            stopped_after = time.monotonic() - began_at
            freeze.__exit__(None, None, None)

            assert stopped_after < 15
            backends = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
            await asyncio.to_thread(
                wait_until, lambda: ask(runtime, backends, sleeper.pid) == 0, "the session of the run is gone"
            )
            await bury_lost(runtime, patience=0)
            assert (await get(runtime, run_id)).status in ("lost", "cancelled")
            await make_run(runtime)
    finally:
        database.stop()
