"""Poolers: whether one is between us and PostgreSQL, and whether it shares sessions between transactions."""

from __future__ import annotations

from enum import StrEnum

import psycopg

from app.db.engine import connect_perhaps_pooled, is_pooled
from app.db.errors import translated


class Pooling(StrEnum):
    """What is in between; `unknown` may be a pooler in session mode, or a busy one."""

    NONE = "none"
    TRANSACTION = "transaction"
    UNKNOWN = "unknown"


async def is_behind_pooler(url: str) -> bool:
    """Whether this address leads through a pooler; raises DatabaseUnavailable."""
    with translated():
        async with await connect_perhaps_pooled(url, autocommit=True) as connection:
            return await is_pooled(connection)


async def find_pooling(url: str) -> Pooling:
    """What this address leads through; raises DatabaseUnavailable.

    Two of our connections that are open at the same time, and have one session, are proof of transaction mode.
    """
    with translated():
        async with (
            await connect_perhaps_pooled(url, autocommit=True) as first,
            await connect_perhaps_pooled(url, autocommit=True) as second,
        ):
            if not await is_pooled(first):
                return Pooling.NONE
            is_shared = await _session(first) == await _session(second)
            return Pooling.TRANSACTION if is_shared else Pooling.UNKNOWN


async def _session(connection: psycopg.AsyncConnection) -> int:
    cursor = await connection.execute("SELECT pg_backend_pid()", prepare=False)
    row = await cursor.fetchone()
    assert row is not None, "a SELECT without FROM has a row"
    return int(row[0])
