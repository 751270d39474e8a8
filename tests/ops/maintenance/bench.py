"""What tests of maintenance work with: a workbench on a real database, and rows of many days."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from app.db.direct import direct_connection
from app.db.engine import Database
from app.db.models.base import new_id
from app.db.workbench import Workbench
from app.domain.runs import Progress
from app.settings import Settings
from tests.conftest import Clock
from tests.factories.store import VAULT


@asynccontextmanager
async def workbench(settings: Settings, clock: Clock, told: list[Progress] | None = None) -> AsyncIterator[Workbench]:
    """A workbench on the settings' database."""
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    database = Database(url, pool_size=3)
    try:
        async with direct_connection(settings.direct_url(url)) as direct:
            tell = (lambda progress: None) if told is None else told.append
            yield Workbench(direct, database, settings, VAULT, clock, tell)
    finally:
        await database.close()


def put_validations(url: str, at: datetime, count: int = 1, license_id: UUID | str | None = None) -> None:
    """Rows as validations write them."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.cursor().executemany(
            "INSERT INTO validation_events (id, occurred_at, license_id, code, fingerprint_hash, ip, request_id)"
            r" VALUES (%s, %s, %s, 'VALID', '\x00ff5c', '192.0.2.7', %s)",
            [(new_id(), at, license_id, f'a "quoted\\" line\n of {number}') for number in range(count)],
        )


def rows(url: str, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What a query finds."""
    with psycopg.connect(url, options="-c TimeZone=UTC") as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def counts_by_partition(url: str) -> dict[str, int]:
    """How many validation events are in each partition that has any."""
    found = rows(url, "SELECT tableoid::regclass::text, count(*) FROM validation_events GROUP BY 1 ORDER BY 1")
    return dict(found)
