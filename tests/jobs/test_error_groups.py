"""The jobs of errors: stored soon and at the stop, kept while the database is away, forgotten in time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from app.domain.errors import Unavailable
from app.jobs.catalog import JOBS
from app.jobs.error_groups import forget_old_errors, store_errors
from app.jobs.scheduler import running_jobs
from app.runtime import Runtime, open_runtime
from app.telemetry.logging import log
from tests.conftest import Clock, make_settings
from tests.web.logs import LogLines

LOGGER = logging.getLogger("app.somewhere")


@pytest.fixture
async def runtime(fresh_database: str, tmp_path: Path, clock: Clock, log_lines: LogLines) -> AsyncIterator[Runtime]:
    async with open_runtime(make_settings(fresh_database, tmp_path), fresh_database, clock=clock) as opened:
        yield opened


def fail() -> None:
    log(LOGGER, logging.ERROR, "Something failed", event="defect")


def stored(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT coalesce(sum(count), 0) FROM error_groups WHERE event = 'defect'").fetchone()
    assert row is not None
    return int(row[0])


async def test_errors_are_stored_once_and_at_the_stop(runtime: Runtime) -> None:
    fail()
    await store_errors(runtime)
    await store_errors(runtime)
    assert stored(runtime.database_url) == 1

    async with running_jobs(runtime, [job for job in JOBS if job.is_done_at_stop]):
        fail()

    assert stored(runtime.database_url) == 2


async def test_what_cannot_be_stored_is_kept_for_later(runtime: Runtime) -> None:
    fail()
    with psycopg.connect(runtime.database_url) as connection:
        connection.execute("LOCK TABLE error_groups")
        with pytest.raises(Unavailable):
            await store_errors(runtime)

    await store_errors(runtime)

    assert stored(runtime.database_url) == 1


async def test_errors_are_forgotten_after_ninety_days(runtime: Runtime, clock: Clock) -> None:
    fail()
    await store_errors(runtime)
    clock.forward(days=90)
    await forget_old_errors(runtime)
    assert stored(runtime.database_url) == 1

    clock.forward(hours=1)
    await forget_old_errors(runtime)

    assert stored(runtime.database_url) == 0
