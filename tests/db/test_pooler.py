"""A transaction-mode pooler between server and database: nothing is prepared, nothing is asked that it refuses."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from app.db.engine import SESSION_SETTINGS, connect, connect_perhaps_pooled, connector, is_pooled
from app.settings import Settings
from tests.pgbouncer import needs_pgbouncer, pgbouncer


def settings_with(**given: str) -> Settings:
    return Settings.model_validate({"database_url": "postgresql://a@b/c", **given})


def test_only_with_a_direct_address_a_pooler_is_expected() -> None:
    assert connector(settings_with()) is connect
    assert connector(settings_with(database_direct_url="postgresql://a@b/c")) is connect_perhaps_pooled


async def test_without_a_pooler_the_session_is_like_any_other(fresh_database: str) -> None:
    connection = await connect_perhaps_pooled(fresh_database)
    async with connection:
        cursor = await connection.execute(
            "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [list(SESSION_SETTINGS)]
        )
        found: dict[str, str] = dict(await cursor.fetchall())
        assert not await is_pooled(connection)

        assert (found, connection.autocommit, connection.prepare_threshold) == (dict(SESSION_SETTINGS), False, 5)


@needs_pgbouncer
async def test_a_pooler_refuses_what_a_session_without_one_asks_for(fresh_database: str) -> None:
    with pgbouncer(fresh_database) as pooled, pytest.raises(psycopg.OperationalError, match="unsupported startup"):
        await connect(pooled)


@needs_pgbouncer
@pytest.mark.parametrize("ignores_options", [True, False])
async def test_behind_a_pooler_connections_share_sessions_and_prepare_nothing(
    fresh_database: str, ignores_options: bool
) -> None:
    with pgbouncer(fresh_database, ignores_options=ignores_options) as pooled:
        connections = [await connect_perhaps_pooled(pooled, autocommit=True) for _ in range(8)]
        try:
            for _ in range(10):
                await asyncio.gather(*(ask(connection) for connection in connections))

            assert [await is_pooled(connection) for connection in connections] == [True] * 8
        finally:
            for connection in connections:
                await connection.close()


async def ask(connection: psycopg.AsyncConnection) -> None:
    cursor = await connection.execute("SELECT %s::int", [1], prepare=True)
    assert await cursor.fetchone() == (1,)
