"""Queries over the use of indexes."""

from __future__ import annotations

from datetime import datetime

from psycopg import sql

from app.db.queries.diagnostics.reading import fetch, fetch_rows
from app.db.session import Session
from app.domain.diagnostics.indexes import DuplicateIndex, IndexUse, UnusedIndex


async def list_indexes(tx: Session, *, limit: int) -> tuple[IndexUse, ...]:
    """Indexes, the largest first."""
    return await fetch(tx, IndexUse, "indexes", limit=limit)


async def list_unused(tx: Session, *, limit: int) -> tuple[UnusedIndex, ...]:
    """Indexes that were never read and that nothing else needs."""
    return await fetch(tx, UnusedIndex, "unused_indexes", limit=limit)


async def list_duplicates(tx: Session, *, limit: int) -> tuple[DuplicateIndex, ...]:
    """Indexes that another one makes superfluous."""
    return await fetch(tx, DuplicateIndex, "duplicate_indexes", limit=limit)


async def get_beginning(tx: Session) -> datetime:
    """Since when uses are counted at the latest: the last reset, or the start of a server that was never reset."""
    query = sql.SQL(
        "SELECT coalesce(stats_reset, pg_postmaster_start_time()) AS since"
        " FROM pg_stat_database WHERE datname = current_database()"
    )
    [row] = await fetch_rows(tx, query)
    since: datetime = row["since"]
    return since
