"""The server seals its audit trail by itself, and tells where the chain ends."""

from __future__ import annotations

from datetime import timedelta

from fastapi import FastAPI

from app.db import events
from app.domain.events import EventName
from app.domain.permissions import COMMAND_LINE
from app.jobs import audit_chain as jobs
from app.jobs.catalog import JOBS, Job
from app.jobs.scheduler import running_jobs
from app.ops import audit_chain
from app.runtime import Runtime
from app.vault import Vault, make_key
from tests.factories.store import NOW
from tests.web.logs import LogLines


async def record(runtime: Runtime) -> None:
    async with runtime.database.transaction() as tx:
        await events.record(tx, COMMAND_LINE, EventName.LICENSE_CHANGED, "license", now=NOW)


async def test_when_the_server_stops_the_rest_is_sealed_and_the_head_is_told(app: FastAPI, log_lines: LogLines) -> None:
    runtime: Runtime = app.state.runtime
    await record(runtime)

    async with running_jobs(runtime):
        """It stops before any job had its turn."""

    head = await audit_chain.read_head(runtime.database)
    [line] = [line for line in log_lines.read() if line["event"] == "audit_head"]
    assert (head.position, line["message"], line["head"], line["level"]) == (
        1,
        "Audit trail sealed up to position 1",
        f"1:{head.hash.hex()}",
        "INFO",
    )


def test_the_chain_is_sealed_every_second_and_told_every_hour() -> None:
    rhythm = {job.name: job.every for job in JOBS}

    assert rhythm["seal_audit_events"] == timedelta(seconds=1)
    assert rhythm["tell_audit_head"] == timedelta(hours=1)


async def test_without_the_key_the_server_goes_on_and_says_so_once(app: FastAPI, log_lines: LogLines) -> None:
    runtime: Runtime = app.state.runtime
    await record(runtime)
    await jobs.seal_audit_events(runtime)
    await record(runtime)
    runtime.vault = Vault((make_key(),))

    for _ in range(3):
        await jobs.seal_audit_events(runtime)
        await record(runtime)

    lines = [line for line in log_lines.read() if line["event"] == "audit_unsealed"]
    assert [(line["level"], line["message"]) for line in lines] == [("ERROR", "The audit trail can't be sealed")]
    assert "ENCRYPTION_KEY" in lines[0]["reason"]
    assert (await audit_chain.read_head(runtime.database)).position == 1


async def test_a_job_at_the_end_that_fails_keeps_nobody_from_the_end(app: FastAPI, log_lines: LogLines) -> None:
    async def fail(runtime: Runtime) -> None:
        raise ZeroDivisionError

    async with running_jobs(app.state.runtime, [Job("fail", timedelta(hours=1), fail, is_done_at_stop=True)]):
        """It stops at once."""

    assert [line["event"] for line in log_lines.read() if line["level"] == "ERROR"] == ["defect"]
