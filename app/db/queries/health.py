"""Whether the database answers, and which revision its schema is at."""

from __future__ import annotations

import psycopg


async def ping(connection: psycopg.AsyncConnection) -> None:
    """One trip to the database and back."""
    await connection.execute("SELECT 1")


async def schema_revision(connection: psycopg.AsyncConnection) -> str | None:
    """The revision the schema is at; None when nothing was migrated yet."""
    found = await (await connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL")).fetchone()
    if found is None or not found[0]:
        return None
    row = await (await connection.execute("SELECT version_num FROM alembic_version")).fetchone()
    return None if row is None else str(row[0])
