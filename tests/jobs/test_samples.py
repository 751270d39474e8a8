"""The job of samples: one a day, whatever the number of servers and restarts, and again after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from app.domain.errors import Unavailable
from app.jobs.catalog import JOBS
from app.jobs.samples import take_samples
from app.runtime import Runtime, open_runtime
from tests.conftest import Clock, make_settings


@pytest.fixture
async def runtime(fresh_database: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Runtime]:
    async with open_runtime(make_settings(fresh_database, tmp_path), fresh_database, clock=clock) as opened:
        yield opened


def days(url: str) -> list[tuple[int, int]]:
    """Each day with the number of samples of the whole database."""
    with psycopg.connect(url) as connection:
        query = "SELECT extract(day FROM day)::integer, count(*) FILTER (WHERE subject = 'database') FROM size_samples"
        return connection.execute(f"{query} GROUP BY 1 ORDER BY 1".encode()).fetchall()


async def test_ten_servers_take_one_sample_a_day(runtime: Runtime, clock: Clock) -> None:
    for _ in range(2):
        await asyncio.gather(*(take_samples(runtime) for _ in range(10)))
        clock.forward(hours=12)
    await take_samples(runtime)

    assert days(runtime.database_url) == [(1, 1), (2, 1)]


async def test_a_sample_that_fails_is_taken_in_the_next_minute(runtime: Runtime) -> None:
    with psycopg.connect(runtime.database_url) as connection:
        connection.execute("LOCK TABLE licenses")
        with pytest.raises(Unavailable):
            await take_samples(runtime)
    assert days(runtime.database_url) == []

    await take_samples(runtime)

    assert days(runtime.database_url) == [(1, 1)]


def test_somebody_looks_every_minute_so_that_the_first_sample_comes_soon_after_the_start() -> None:
    assert {job.name: job.every for job in JOBS}["take_samples"] == timedelta(minutes=1)
