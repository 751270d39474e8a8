"""Queries over error lines counted by the hour; they are the installation's, no tenant reads them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import delete, select, tuple_

from app.db.models import ErrorGroupCount
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.error_groups import TOP, DayCount, ErrorCounts, ErrorGroup, ErrorSummary, Occurrences
from app.domain.security import Window

_ADD = read_sql("add_error_counts")
_SUM = read_sql("sum_error_groups")


async def list_known(tx: Session, hours: Collection[datetime]) -> set[tuple[datetime, str]]:
    """Hour and fingerprint of what is counted in these hours already."""
    query = select(ErrorGroupCount.hour, ErrorGroupCount.fingerprint).where(ErrorGroupCount.hour.in_(hours))
    return {(hour, fingerprint) for hour, fingerprint in await tx.execute(query)}


async def add_counts(tx: Session, counts: ErrorCounts) -> None:
    """Add these to what is counted already."""
    connection = await driver_connection(tx)
    await connection.execute(
        _ADD,
        {
            "hours": [key.hour for key in counts],
            "fingerprints": [key.fingerprint for key in counts],
            "events": [key.event for key in counts],
            "exceptions": [key.exception for key in counts],
            "places": [key.place for key in counts],
            "counts": [seen.count for seen in counts.values()],
            "first": [seen.first_seen_at for seen in counts.values()],
            "last": [seen.last_seen_at for seen in counts.values()],
        },
    )


async def sum_groups(tx: Session, window: Window) -> ErrorSummary:
    """What was counted in the hours that begin in the window, with the hundred largest groups."""
    connection = await driver_connection(tx)
    cursor = await connection.execute(_SUM, {"since": window.since, "until": window.until, "top": TOP})
    rows = await cursor.fetchall()
    groups = tuple(_group(list(its)) for _, its in groupby(rows, itemgetter(2)))
    count, group_count = rows[0][:2] if rows else (0, 0)
    return ErrorSummary(window, count, group_count, groups)


async def delete_groups(tx: Session, before: datetime, *, limit: int) -> int:
    """Delete up to so many of the rows that are older; how many they were."""
    row = tuple_(ErrorGroupCount.hour, ErrorGroupCount.fingerprint)
    oldest = select(ErrorGroupCount.hour, ErrorGroupCount.fingerprint).where(ErrorGroupCount.hour < before)
    chosen = oldest.order_by(ErrorGroupCount.hour).limit(limit)
    return len((await tx.execute(delete(ErrorGroupCount).where(row.in_(chosen)).returning(ErrorGroupCount.hour))).all())


def _group(rows: Sequence[tuple[Any, ...]]) -> ErrorGroup:
    """The rows of one group, one for each day."""
    _, _, fingerprint, event, exception, place, *_ = rows[0]
    seen = Occurrences(
        sum(row[7] for row in rows),
        min(row[8] for row in rows),
        max(row[9] for row in rows),
    )
    days = tuple(DayCount(day, count) for *_, day, count, _, _ in rows)
    return ErrorGroup(fingerprint, event, exception, place, seen, days)
