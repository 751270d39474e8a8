"""The session that a transaction is made of, by the name that the other floors use."""

from __future__ import annotations

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession as Session

__all__ = ["Session", "driver_connection"]


async def driver_connection(tx: Session) -> psycopg.AsyncConnection:
    """The driver's connection under a session: statements on it belong to the session's transaction."""
    raw = await (await tx.connection()).get_raw_connection()
    connection = raw.driver_connection
    assert isinstance(connection, psycopg.AsyncConnection), "the engine speaks psycopg"
    return connection
