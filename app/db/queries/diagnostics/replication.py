"""Queries over replication and the write-ahead log."""

from __future__ import annotations

from psycopg import sql

from app.db.queries.diagnostics.reading import fetch, fetch_rows
from app.db.session import Session
from app.domain.diagnostics.replication import Archiver, Replica


async def list_replicas(tx: Session, *, limit: int) -> tuple[Replica, ...]:
    """Standbys that are connected, and slots."""
    return await fetch(tx, Replica, "replicas", limit=limit)


async def get_archiver(tx: Session) -> Archiver:
    """What archiving did."""
    [archiver] = await fetch(tx, Archiver, "archiver")
    return archiver


async def is_standby(tx: Session) -> bool:
    """Whether this server follows another one."""
    [row] = await fetch_rows(tx, sql.SQL("SELECT pg_is_in_recovery() AS is_standby"))
    return bool(row["is_standby"])


async def find_wal_bytes(tx: Session) -> int | None:
    """The size of the log on disk; None when this role may not look."""
    allowed = sql.SQL("SELECT has_function_privilege('pg_ls_waldir()', 'EXECUTE') AS allowed")
    if not (await fetch_rows(tx, allowed))[0]["allowed"]:
        return None
    [row] = await fetch_rows(tx, sql.SQL("SELECT coalesce(sum(size), 0)::bigint AS bytes FROM pg_ls_waldir()"))
    return int(row["bytes"])
