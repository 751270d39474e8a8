"""The server makes the partitions of its validation events by itself, and goes on where it may not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest
from fastapi import FastAPI

from app.db.direct import direct_connection
from app.domain.errors import Unavailable
from app.jobs.catalog import JOBS
from app.jobs.partitions import make_partitions
from app.jobs.scheduler import running_jobs
from app.ops.maintenance.partitions import LOCK_NAME
from app.runtime import Runtime
from tests.ops.maintenance.bench import rows
from tests.web.logs import LogLines

PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'validation_events'::regclass"


async def test_partitions_are_made_at_the_start_not_only_after_the_first_hour(
    app: FastAPI, fresh_database: str, log_lines: LogLines
) -> None:
    [job] = [job for job in JOBS if job.run is make_partitions]
    assert job.every == timedelta(hours=1)

    async with running_jobs(app.state.runtime, [job]):
        while await asyncio.to_thread(rows, fresh_database, PARTITIONS) != [(16,)]:
            """The job has its turn while we look."""

    [line] = [line for line in log_lines.read() if line["event"] == "partitions_made"]
    assert (line["message"], line["rows_moved"]) == ("15 partitions of validation events were made", 0)


async def test_while_one_server_makes_them_another_leaves_it_to_it(app: FastAPI, fresh_database: str) -> None:
    runtime: Runtime = app.state.runtime

    async with direct_connection(fresh_database) as other:
        assert await other.try_hold(LOCK_NAME)
        await make_partitions(runtime)
        assert rows(fresh_database, PARTITIONS) == [(1,)]

    await make_partitions(runtime)
    assert rows(fresh_database, PARTITIONS) == [(16,)]


async def test_a_role_that_does_not_own_the_table_is_an_error_line_and_no_defect(
    app: FastAPI, fresh_database: str, log_lines: LogLines
) -> None:
    runtime: Runtime = app.state.runtime
    with psycopg.connect(fresh_database, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE tenant_of_tables LOGIN")
        superuser.execute("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO tenant_of_tables")
    runtime.database_url = fresh_database.replace("postgres@", "tenant_of_tables@")
    try:
        await make_partitions(runtime)
    finally:
        with psycopg.connect(fresh_database, autocommit=True) as superuser:
            superuser.execute("DROP OWNED BY tenant_of_tables")
            superuser.execute("DROP ROLE tenant_of_tables")

    [line] = [line for line in log_lines.read() if line["event"] == "partitions_refused"]
    assert (line["level"], "DATABASE_DIRECT_URL" in line["reason"]) == ("ERROR", True)


async def test_a_database_that_is_away_is_no_defect(app: FastAPI) -> None:
    runtime: Runtime = app.state.runtime
    runtime.database_url = "postgresql://postgres@/none?host=/nowhere"

    with pytest.raises(Unavailable):
        await make_partitions(runtime)
