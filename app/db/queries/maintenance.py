"""Statements of maintenance, on a session of their own."""

from __future__ import annotations

from psycopg import sql

from app.db.direct import DirectConnection


async def analyze_database(direct: DirectConnection) -> None:
    """ANALYZE of everything."""
    await direct.execute(sql.SQL("ANALYZE"))
