"""A direct connection keeps its promises also when what it does is broken off."""

from __future__ import annotations

import asyncio

import pytest
from psycopg import sql

from app.db.direct import direct_connection


async def test_limits_end_with_their_block(fresh_database: str) -> None:
    async with direct_connection(fresh_database) as direct:
        async with direct.limits(lock_seconds=1, statement_seconds=2):
            within = await direct.execute(sql.SQL("SHOW statement_timeout"))
        after = await direct.execute(sql.SQL("SHOW statement_timeout"))

    assert (within, after) == ([("2s",)], [("0",)])


async def test_a_statement_that_a_cancellation_left_under_way_does_not_hide_the_cancellation(
    fresh_database: str,
) -> None:
    async with direct_connection(fresh_database) as direct:
        with pytest.raises(asyncio.CancelledError):
            async with direct.limits(statement_seconds=2):
                direct.connection.pgconn.send_query(b"SELECT pg_sleep(1)")
                raise asyncio.CancelledError
