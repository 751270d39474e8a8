"""What is there of each kind that is kept for a time, and deleting what is old, some rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from sqlalchemy import text

from app.db.direct import DirectConnection
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.retention import Holding, Kind, Stock

COUNTED_BYTES = 256 * 1024 * 1024
"""Larger tables are not counted row by row."""

_NOBODY = "false"
_OF_USERS = "user_id IN (SELECT id FROM users WHERE organization_id = ANY (%(held)s::uuid[]))"
_OF_ORGANIZATIONS = "organization_id = ANY (%(held)s::uuid[])"
_OLD = "SELECT ctid FROM {table} WHERE {moment} < %(before)s AND NOT coalesce({held}, false)"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table, from which moment on its rows are kept so long, and which of them an organization's hold keeps."""

    name: LiteralString
    moment: LiteralString
    held: LiteralString = _NOBODY


_TABLES: Mapping[Kind, _Table] = {
    Kind.VALIDATION_EVENTS: _Table("validation_events", "occurred_at"),
    Kind.AUDIT_EVENTS: _Table("audit_events", "occurred_at"),
    Kind.SESSIONS: _Table("sessions", "least(expires_at, revoked_at)", _OF_USERS),
    Kind.INVITATIONS: _Table("invitations", "least(expires_at, accepted_at, revoked_at)", _OF_ORGANIZATIONS),
    Kind.PASSWORD_RESETS: _Table("password_resets", "least(expires_at, used_at)"),
    Kind.REGISTRATIONS: _Table("registrations", "least(expires_at, confirmed_at)"),
    Kind.IDEMPOTENCY_KEYS: _Table("idempotency_keys", "created_at"),
    Kind.OUTGOING_MAILS: _Table("outgoing_mails", "expires_at"),
    Kind.RUNS: _Table("runs", "finished_at"),
    Kind.SIZE_SAMPLES: _Table("size_samples", "day::timestamptz"),
    Kind.STATEMENT_SAMPLES: _Table("statement_samples", "day::timestamptz"),
    Kind.SECURITY_EVENT_COUNTS: _Table("security_event_counts", "minute"),
    Kind.ERROR_GROUPS: _Table("error_groups", "hour"),
    Kind.ARCHIVES: _Table("archives", "created_at"),
}
_READ_ARCHIVES = sql.SQL("SELECT count(*), min(created_at), coalesce(sum(bytes), 0)::bigint FROM archives")
"""Of archives the files count, not their record."""
_READ_STOCK = text(read_sql("read_stock"))


async def read_stock(tx: Session, kind: Kind) -> Stock:
    """How much there is now; of a very large table the planner's number of rows, and the oldest day that it has."""
    table = _TABLES[kind]
    size, about_rows, oldest_day = (await tx.execute(_READ_STOCK, {"table": table.name})).one()
    if kind is Kind.VALIDATION_EVENTS and size > COUNTED_BYTES:
        return Stock(about_rows, True, size, oldest_day)
    connection = await driver_connection(tx)
    if kind is Kind.ARCHIVES:
        cursor = await connection.execute(_READ_ARCHIVES)
        rows, oldest_at, size = await cursor.fetchone() or (0, None, 0)
        return Stock(rows, False, size, oldest_at)
    is_estimate = size > COUNTED_BYTES
    counted = sql.SQL("NULL") if is_estimate else sql.SQL("count(*)")
    query = sql.SQL("SELECT {count}, min({moment}) FROM {table}").format(count=counted, **_names(table))
    rows, oldest_at = await (await connection.execute(query)).fetchone() or (0, None)
    return Stock(about_rows if rows is None else rows, is_estimate, size, oldest_at)


async def count_old(direct: DirectConnection, kind: Kind, before: datetime, holding: Holding) -> tuple[int, int]:
    """How many rows are old, and about how many bytes they take."""
    count = sql.SQL("SELECT count(*), coalesce(sum(pg_column_size({table}.*)), 0) FROM {table} WHERE ctid IN ({old})")
    return await _count(direct, count, kind, before, holding)


async def count_held(direct: DirectConnection, kind: Kind, before: datetime, holding: Holding) -> int:
    """How many old rows stay because of the holds of some organizations."""
    count = sql.SQL("SELECT count(*), 0 FROM {table} WHERE {moment} < %(before)s AND {held}")
    rows, _ = await _count(direct, count, kind, before, holding)
    return rows


async def delete_old(
    direct: DirectConnection, kind: Kind, before: datetime, holding: Holding, *, limit: int
) -> tuple[int, int]:
    """Delete up to so many old rows, those that nobody uses at the moment; how many, and about how many bytes."""
    delete = sql.SQL(
        "WITH old AS ({old} LIMIT {limit} FOR UPDATE SKIP LOCKED),"
        " gone AS (DELETE FROM {table} USING old WHERE {table}.ctid = old.ctid"
        " RETURNING pg_column_size({table}.*) AS size)"
        " SELECT count(*), coalesce(sum(size), 0) FROM gone"
    )
    return await _count(direct, delete, kind, before, holding, limit=limit)


async def _count(
    direct: DirectConnection, query: sql.SQL, kind: Kind, before: datetime, holding: Holding, *, limit: int = 0
) -> tuple[int, int]:
    names = _names(_TABLES[kind])
    old = sql.SQL(_OLD).format(**names)
    parameters = {"before": before, "held": list(holding.organization_ids)}
    [[rows, size]] = await direct.execute(query.format(old=old, limit=sql.Literal(limit), **names), parameters)
    return int(rows), int(size)


def _names(table: _Table) -> dict[str, sql.Composable]:
    return {"table": sql.Identifier(table.name), "moment": sql.SQL(table.moment), "held": sql.SQL(table.held)}
