"""Queries over security events counted by the minute; they are the installation's, no tenant reads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select

from app.db.models import SecurityEventCount
from app.db.models.base import new_id
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.security import EventKey

_APPEND = read_sql("append_security_event_counts")


async def append_event_counts(tx: Session, counts: Mapping[EventKey, int]) -> None:
    """Append one row for each of the keys."""
    connection = await driver_connection(tx)
    await connection.execute(
        _APPEND,
        {
            "ids": [new_id() for _ in counts],
            "minutes": [key.minute for key in counts],
            "events": [key.event for key in counts],
            "addresses": [key.address for key in counts],
            "accounts": [key.account for key in counts],
            "license_ids": [key.license_id for key in counts],
            "counts": list(counts.values()),
        },
    )


async def delete_event_counts(tx: Session, before: datetime, *, limit: int) -> int:
    """Delete up to so many of the rows that are older; how many they were."""
    oldest = (
        select(SecurityEventCount.id)
        .where(SecurityEventCount.minute < before)
        .order_by(SecurityEventCount.minute)
        .limit(limit)
    )
    deleted = delete(SecurityEventCount).where(SecurityEventCount.id.in_(oldest)).returning(SecurityEventCount.id)
    return len((await tx.execute(deleted)).all())
