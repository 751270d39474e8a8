"""Queries over samples of sizes and statements; they are the installation's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from psycopg import errors as pg
from psycopg import sql
from sqlalchemy import func, select, text

from app.db.models import SizeSample, StatementSample
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.samples import StatementCost

WHOLE_DATABASE = "database"
MOST_STATEMENTS = 200

_MEASURE_SIZES = read_sql("measure_sizes")
_PUT_STATEMENTS = read_sql("put_statement_samples")
_FIND_VIEW = text("""
    SELECT space.nspname, array(
        SELECT attname::text FROM pg_attribute WHERE attrelid = view.oid AND attnum > 0 AND NOT attisdropped
    )
    FROM pg_extension AS extension
    JOIN pg_namespace AS space ON space.oid = extension.extnamespace
    JOIN pg_class AS view ON view.relnamespace = space.oid AND view.relname = extension.extname
    WHERE extension.extname = 'pg_stat_statements'
""")
_READ_STATEMENTS = sql.SQL("""
    SELECT queryid, min(query), sum(calls)::bigint, sum({total})
    FROM {view}
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NOT NULL
    GROUP BY queryid ORDER BY 4 DESC LIMIT {most}
""")


async def list_sizes(tx: Session, *, since: date, subject: str | None = None) -> Sequence[SizeSample]:
    """Samples from this day on, oldest first; of one subject or of all."""
    query = select(SizeSample).where(SizeSample.day >= since).order_by(SizeSample.day, SizeSample.subject)
    if subject is not None:
        query = query.where(SizeSample.subject == subject)
    return (await tx.scalars(query)).all()


async def has_sizes(tx: Session, day: date) -> bool:
    """Whether the sample of the day was taken."""
    return await tx.get(SizeSample, (day, WHOLE_DATABASE)) is not None


async def measure_sizes(tx: Session, day: date) -> None:
    """Write down how large everything is now, as the sample of the day."""
    connection = await driver_connection(tx)
    await connection.execute(_MEASURE_SIZES, {"day": day, "whole": WHOLE_DATABASE})


async def read_statements(tx: Session) -> list[StatementCost]:
    """What the costliest statements of this database have cost; none where pg_stat_statements is not in use.

    The extension may live in any schema, be older than the server, and be there without being preloaded.
    """
    found = (await tx.execute(_FIND_VIEW)).one_or_none()
    if found is None:
        return []
    schema, columns = found
    query = _READ_STATEMENTS.format(
        total=sql.Identifier("total_exec_time" if "total_exec_time" in columns else "total_time"),
        view=sql.Identifier(schema, "pg_stat_statements"),
        most=sql.Literal(MOST_STATEMENTS),
    )
    try:
        async with tx.begin_nested():
            cursor = await (await driver_connection(tx)).execute(query)
            return [StatementCost(*row) for row in await cursor.fetchall()]
    except (pg.ObjectNotInPrerequisiteState, pg.InsufficientPrivilege):
        return []


async def put_statements(tx: Session, day: date, statements: Sequence[StatementCost]) -> None:
    """Write them down as the sample of the day."""
    connection = await driver_connection(tx)
    await connection.execute(
        _PUT_STATEMENTS,
        {
            "day": day,
            "query_ids": [one.query_id for one in statements],
            "queries": [one.query for one in statements],
            "calls": [one.calls for one in statements],
            "milliseconds": [one.total_milliseconds for one in statements],
        },
    )


async def find_statement_day(tx: Session, until: date) -> date | None:
    """The last day with a sample of statements, at the latest this one."""
    day: date | None = await tx.scalar(select(func.max(StatementSample.day)).where(StatementSample.day <= until))
    return day


async def find_first_statement_day(tx: Session, since: date) -> date | None:
    """The first day with a sample of statements, at the earliest this one."""
    day: date | None = await tx.scalar(select(func.min(StatementSample.day)).where(StatementSample.day >= since))
    return day


async def list_statements(tx: Session, day: date) -> list[StatementCost]:
    """The statements of a day's sample."""
    rows = await tx.scalars(select(StatementSample).where(StatementSample.day == day))
    return [StatementCost(row.query_id, row.query, row.calls, row.total_milliseconds) for row in rows]
