"""The jobs of security events: stored soon and at the stop, kept while the database is away, forgotten in time."""

from __future__ import annotations

from datetime import timedelta

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.domain.errors import Unavailable
from app.jobs.catalog import JOBS
from app.jobs.scheduler import running_jobs
from app.jobs.security_events import forget_old_security_events, store_security_events
from app.runtime import Runtime
from tests.conftest import Clock


def _stored(url: str, event: str) -> int:
    with psycopg.connect(url) as connection:
        query = "SELECT coalesce(sum(count), 0) FROM security_event_counts WHERE event = %s"
        row = connection.execute(query, [event]).fetchone()
    assert row is not None
    return int(row[0])


async def _fail(client: httpx.AsyncClient, times: int) -> None:
    for _ in range(times):
        assert (await client.get("/api/products", headers={"X-API-Key": "itsk_wrong"})).status_code == 401


async def test_what_was_counted_is_stored_once(app: FastAPI, client: httpx.AsyncClient, fresh_database: str) -> None:
    runtime: Runtime = app.state.runtime
    await _fail(client, 3)

    await store_security_events(runtime)
    await store_security_events(runtime)

    assert _stored(fresh_database, "authn_token_fail") == 3


async def test_what_was_counted_is_stored_when_the_server_stops(
    app: FastAPI, client: httpx.AsyncClient, fresh_database: str
) -> None:
    async with running_jobs(app.state.runtime, [job for job in JOBS if job.is_done_at_stop]):
        await _fail(client, 2)

    assert _stored(fresh_database, "authn_token_fail") == 2


async def test_what_cannot_be_stored_is_kept_for_later(
    app: FastAPI, client: httpx.AsyncClient, fresh_database: str
) -> None:
    runtime: Runtime = app.state.runtime
    await _fail(client, 2)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("SET lock_timeout = 0")
        with connection.transaction():
            connection.execute("LOCK TABLE security_event_counts")
            with pytest.raises(Unavailable):
                await store_security_events(runtime)

    await store_security_events(runtime)

    assert _stored(fresh_database, "authn_token_fail") == 2


async def test_counts_older_than_ninety_days_are_forgotten(
    app: FastAPI, client: httpx.AsyncClient, clock: Clock, fresh_database: str
) -> None:
    runtime: Runtime = app.state.runtime
    for _ in range(2):
        await _fail(client, 1)
        await store_security_events(runtime)
        clock.forward(days=1)
    clock.now += timedelta(days=88, hours=12)

    await forget_old_security_events(runtime)

    assert _stored(fresh_database, "authn_token_fail") == 1
