"""The lane of the hot path meets a real PostgreSQL that breaks, stops and hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from app.coalescer import Outage
from app.db.lane import Lane
from tests.db.stoppable import Stoppable


class Tally:
    """Statements on a table of their own, with how often they were begun."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.begun = 0
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE tally (number serial)")

    async def read(self, connection: psycopg.AsyncConnection) -> int:
        self.begun += 1
        row = await (await connection.execute("SELECT count(*) FROM tally")).fetchone()
        assert row is not None
        return int(row[0])

    async def write(self, connection: psycopg.AsyncConnection) -> None:
        self.begun += 1
        await connection.execute("INSERT INTO tally DEFAULT VALUES")

    async def write_then_break(self, connection: psycopg.AsyncConnection) -> None:
        """The row is committed, and the connection breaks before anybody is told."""
        await self.write(connection)
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    def rows(self) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT count(*) FROM tally").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def tally(stoppable: Stoppable) -> Tally:
    return Tally(stoppable.url)


@pytest.fixture
async def lane(stoppable: Stoppable) -> AsyncIterator[Lane]:
    lane = Lane(stoppable.url)
    yield lane
    await lane.close()


async def test_statements_share_one_connection_and_commit_at_once(lane: Lane, tally: Tally) -> None:
    first = await lane.read(backend_pid)
    await lane.write(tally.write)
    second = await lane.read(backend_pid)

    assert first == second
    assert tally.rows() == 1


async def test_a_read_after_the_connection_broke_while_idle_is_run_again(
    lane: Lane, tally: Tally, stoppable: Stoppable
) -> None:
    await lane.read(tally.read)
    assert stoppable.end_connections() == 1

    assert await lane.read(tally.read) == 0
    assert tally.begun == 3


async def test_a_read_that_breaks_every_connection_is_run_twice_and_no_more(lane: Lane, tally: Tally) -> None:
    await lane.read(backend_pid)

    with pytest.raises(Outage):
        await lane.read(tally.write_then_break)

    assert tally.begun == 2


async def test_a_write_is_never_run_twice(lane: Lane, tally: Tally) -> None:
    await lane.read(backend_pid)

    with pytest.raises(Outage):
        await lane.write(tally.write_then_break)

    assert (tally.begun, tally.rows()) == (1, 1)


async def test_a_write_after_the_connection_broke_while_idle_is_an_outage_and_the_next_one_works(
    lane: Lane, tally: Tally, stoppable: Stoppable
) -> None:
    await lane.read(backend_pid)
    assert stoppable.end_connections() == 1

    with pytest.raises(Outage):
        await lane.write(tally.write)
    await lane.write(tally.write)

    assert tally.rows() == 1


async def test_a_stopped_server_is_an_outage_at_once_and_a_started_one_answers_again(
    lane: Lane, tally: Tally, stoppable: Stoppable
) -> None:
    await lane.read(tally.read)
    await asyncio.to_thread(stoppable.stop)

    began_at = time.monotonic()
    for _ in range(3):
        with pytest.raises(Outage):
            await lane.read(tally.read)
    assert time.monotonic() - began_at < 1

    await asyncio.to_thread(stoppable.start)
    assert await lane.read(tally.read) == 0


async def test_a_frozen_server_is_an_outage_in_time_and_answers_again_when_it_thaws(
    lane: Lane, tally: Tally, stoppable: Stoppable
) -> None:
    await lane.read(tally.read)

    with stoppable.frozen():
        for _ in range(2):
            began_at = time.monotonic()
            with pytest.raises(Outage):
                await lane.read(tally.read)
            assert time.monotonic() - began_at < 5

    assert await lane.read(tally.read) == 0


async def test_a_lane_may_be_given_less_patience(stoppable: Stoppable) -> None:
    lane = Lane(stoppable.url, trip_seconds=0.2)
    await lane.read(backend_pid)

    with stoppable.frozen():
        began_at = time.monotonic()
        with pytest.raises(Outage):
            await lane.read(backend_pid)
        took = time.monotonic() - began_at

    assert took < 1.4
    await lane.close()


async def test_a_mistake_of_ours_is_no_outage_and_the_connection_lives(lane: Lane) -> None:
    before = await lane.read(backend_pid)

    with pytest.raises(psycopg.errors.UndefinedTable):
        await lane.read(lambda connection: connection.execute("SELECT * FROM nowhere"))

    assert await lane.read(backend_pid) == before


async def test_a_database_that_takes_no_writes_is_an_outage_for_writes_alone(
    tally: Tally, stoppable: Stoppable
) -> None:
    stoppable.set("default_transaction_read_only", "on")
    lane = Lane(stoppable.url)

    with pytest.raises(Outage):
        await lane.write(tally.write)
    assert await lane.read(tally.read) == 0

    stoppable.set("default_transaction_read_only", "off")
    await lane.close()


async def test_a_cancelled_statement_leaves_a_lane_that_works(lane: Lane, tally: Tally) -> None:
    is_running = asyncio.Event()

    async def sleep(connection: psycopg.AsyncConnection) -> None:
        is_running.set()
        await connection.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(lane.read(sleep))
    await is_running.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await lane.read(tally.read) == 0


async def test_closing_an_unused_lane_is_harmless(stoppable: Stoppable) -> None:
    await Lane(stoppable.url).close()


async def backend_pid(connection: psycopg.AsyncConnection) -> int:
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])
