"""Transactions of the pool: commit, rollback, and what happens when the database is busy, hangs or is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import psycopg
import pytest
import sqlalchemy.exc
from sqlalchemy import text

from app.db.engine import Database
from app.db.models import Product
from app.domain.errors import AlreadyExists, Conflict, DatabaseUnavailable, LicenseKeyTaken
from app.telemetry import metrics
from tests.db.stoppable import Stoppable
from tests.factories.store import make_license, make_organization, make_product


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Database]:
    database = Database(fresh_database, pool_size=2)
    yield database
    await database.close()


@pytest.fixture
async def fragile(stoppable: Stoppable) -> AsyncIterator[Database]:
    """A database whose server the test may freeze and stop."""
    database = Database(stoppable.url, pool_size=2)
    async with database.transaction() as tx:
        await tx.execute(text("SELECT 1"))
    yield database
    await database.close()


def products_in(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM products ORDER BY id").fetchall()]


async def test_a_transaction_is_committed_at_the_end_of_its_block(database: Database, fresh_database: str) -> None:
    async with database.transaction() as tx:
        await make_product(tx, "ninja")
        assert products_in(fresh_database) == []

    assert products_in(fresh_database) == ["ninja"]


async def test_a_transaction_whose_block_raises_leaves_nothing(database: Database, fresh_database: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await make_product(tx, "ninja")
            raise ZeroDivisionError

    assert products_in(fresh_database) == []


async def test_a_cancelled_transaction_leaves_nothing_and_gives_its_connection_back(
    database: Database, fresh_database: str
) -> None:
    is_inside = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as tx:
            await make_product(tx, "ninja")
            is_inside.set()
            await asyncio.Event().wait()

    for _ in range(4):
        is_inside.clear()
        task = asyncio.create_task(work())
        await is_inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert products_in(fresh_database) == []
    database.observe_pool()
    assert metrics.db_pool_connections.labels("in_use")._value.get() == 0


async def test_a_taken_name_says_what_is_taken(database: Database) -> None:
    async with database.transaction() as tx:
        await make_organization(tx, domain="acme.example")

    with pytest.raises(AlreadyExists, match="There is one among the organizations with the same domain already"):
        async with database.transaction() as tx:
            await make_organization(tx, domain="acme.example")


async def test_a_taken_primary_key_says_where(database: Database) -> None:
    with pytest.raises(AlreadyExists, match="products"):
        async with database.transaction() as tx:
            await make_product(tx, "ninja")
            tx.expunge_all()
            await make_product(tx, "ninja")


async def test_a_taken_license_key_has_an_error_of_its_own(database: Database) -> None:
    with pytest.raises(LicenseKeyTaken):
        async with database.transaction() as tx:
            await make_license(tx, license_key="LEGACY-1")
            await make_license(tx, license_key="LEGACY-1")


async def test_a_constraint_that_breaks_at_commit_is_told_too(database: Database) -> None:
    with pytest.raises(AlreadyExists):
        async with database.transaction() as tx:
            tx.add(Product(id="ninja", name="Ninja"))
            await tx.flush()
            tx.expunge_all()
            tx.add(Product(id="ninja", name="Ninja"))


async def test_a_reference_to_what_is_gone_is_a_conflict(database: Database) -> None:
    with pytest.raises(Conflict, match="was removed meanwhile"):
        async with database.transaction() as tx:
            license, _ = await make_license(tx)
            license.plan_id = UUID(int=0)


async def test_a_lock_that_somebody_holds_is_unavailable_in_time(database: Database, fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as holder:
        holder.execute("LOCK TABLE products")
        with pytest.raises(DatabaseUnavailable, match="Somebody else is changing the same thing"):
            async with database.transaction() as tx:
                await tx.execute(text("SET LOCAL lock_timeout = '50ms'"))
                await make_product(tx)


async def test_a_full_pool_is_unavailable_in_time_and_counted(database: Database) -> None:
    before = metrics.db_pool_timeouts._value.get()
    async with AsyncExitStack() as busy:
        for _ in range(2):
            await busy.enter_async_context(database.transaction())

        began_at = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="All database connections are in use"):
            async with database.transaction():
                pass
        took = time.monotonic() - began_at

    assert took < 6
    assert metrics.db_pool_timeouts._value.get() == before + 1
    async with database.transaction() as tx:
        assert await tx.scalar(text("SELECT 1")) == 1


async def test_the_state_of_the_pool_is_observed(database: Database) -> None:
    async with database.transaction(), database.transaction():
        database.observe_pool()
        busy = [metrics.db_pool_connections.labels(state)._value.get() for state in ("in_use", "idle")]
    database.observe_pool()
    quiet = [metrics.db_pool_connections.labels(state)._value.get() for state in ("in_use", "idle")]

    assert (busy, quiet) == ([2, 0], [0, 2])


async def test_sessions_work_in_utc_and_have_limits(database: Database) -> None:
    async with database.transaction() as tx:
        names = ("TimeZone", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        found = [await tx.scalar(text(f"SHOW {name}")) for name in names]

    assert found == ["UTC", "8s", "3s", "15s"]


async def test_a_database_that_went_away_and_came_back_is_noticed_by_nobody_who_comes_later(
    fragile: Database, stoppable: Stoppable
) -> None:
    assert stoppable.end_connections() == 1

    async with fragile.transaction() as tx:
        assert await tx.scalar(text("SELECT 1")) == 1


async def test_a_stopped_database_is_unavailable_at_once(fragile: Database, stoppable: Stoppable) -> None:
    await asyncio.to_thread(stoppable.stop)

    began_at = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        async with fragile.transaction():
            pass
    took = time.monotonic() - began_at

    assert took < 1.4
    await asyncio.to_thread(stoppable.start)
    async with fragile.transaction() as tx:
        assert await tx.scalar(text("SELECT 1")) == 1


async def test_a_frozen_database_is_unavailable_in_time_and_recovers(fragile: Database, stoppable: Stoppable) -> None:
    with stoppable.frozen():
        for _ in range(3):
            began_at = time.monotonic()
            with pytest.raises(DatabaseUnavailable):
                async with fragile.transaction():
                    pass
            assert time.monotonic() - began_at < 6

    async with fragile.transaction() as tx:
        assert await tx.scalar(text("SELECT 1")) == 1


async def test_a_connection_that_breaks_in_a_transaction_is_unavailable(fragile: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with fragile.transaction() as tx:
            await tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    async with fragile.transaction() as tx:
        assert await tx.scalar(text("SELECT 1")) == 1


async def test_no_error_shows_the_parameters_of_a_statement(database: Database) -> None:
    with pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
        async with database.transaction() as tx:
            await tx.execute(text("SELECT 1 / 0, CAST(:secret AS text)"), {"secret": "itsk_secret"})

    assert "itsk_secret" not in str(caught.value)
