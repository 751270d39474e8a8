"""Queries over samples of sizes and statements; they are the installation's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from psycopg import errors as pg
from sqlalchemy import func, select

from app.db.models import SizeSample, StatementSample
from app.db.queries.diagnostics.statements import get_view, list_costliest
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.diagnostics.answers import Unanswered
from app.domain.samples import StatementCost

WHOLE_DATABASE = "database"
MOST_STATEMENTS = 200

_MEASURE_SIZES = read_sql("measure_sizes")
_PUT_STATEMENTS = read_sql("put_statement_samples")


async def list_sizes(tx: Session, *, since: date) -> Sequence[SizeSample]:
    """Samples of everything from this day on, oldest first."""
    query = select(SizeSample).where(SizeSample.day >= since).order_by(SizeSample.day, SizeSample.subject)
    return (await tx.scalars(query)).all()


async def has_sizes(tx: Session, day: date) -> bool:
    """Whether the sample of the day was taken."""
    return await tx.get(SizeSample, (day, WHOLE_DATABASE)) is not None


async def measure_sizes(tx: Session, day: date) -> None:
    """Write down how large everything is now, as the sample of the day."""
    connection = await driver_connection(tx)
    await connection.execute(_MEASURE_SIZES, {"day": day, "whole": WHOLE_DATABASE})


async def read_statements(tx: Session) -> list[StatementCost]:
    """What the costliest statements of this database have cost; none where pg_stat_statements is not in use."""
    try:
        async with tx.begin_nested():
            found = await list_costliest(tx, await get_view(tx), limit=MOST_STATEMENTS)
    except (Unanswered, pg.InsufficientPrivilege):
        return []
    return [StatementCost(int(one.query_id), one.statement, one.calls, one.total_milliseconds) for one in found]


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
