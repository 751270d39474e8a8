"""What tests of maintenance work with: a workbench on a real database, and rows of many days."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from app.db.direct import direct_connection
from app.db.engine import Database
from app.db.models.base import new_id
from app.db.workbench import Workbench
from app.domain.maintenance import PruneOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import Outcome, Progress
from app.ops.maintenance.prune import prune
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
            yield Workbench(direct, database, settings, VAULT, clock, tell, new_id(), COMMAND_LINE)
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


async def run(settings: Settings, clock: Clock, *, dry_run: bool = False) -> Outcome:
    async with workbench(settings, clock) as bench:
        return await prune(bench, PruneOptions(dry_run=dry_run))


def kind(outcome: Outcome, name: str) -> dict[str, Any]:
    [found] = [one for one in outcome.result["kinds"] if one["name"] == name]
    assert isinstance(found, dict)
    return found


def put_people(url: str, clock: Clock, organization_id: UUID | None = None) -> None:
    """An old and a young one of each kind that is deleted row by row."""
    user_id = new_id()
    role = "OPERATOR" if organization_id is None else "VIEWER"
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO users (id, organization_id, email, name, role) VALUES (%s, %s, %s, 'x', %s)",
            [user_id, organization_id, f"{user_id}@acme.example", role],
        )
        for days in (1000, 0):
            at = clock.now - timedelta(days=days)
            values: dict[str, object] = {
                "id": new_id(),
                "user": user_id,
                "org": organization_id,
                "role": role,
                "at": at,
                "day": at.date(),
            }
            values["hash"] = str(values["id"]).encode()
            for statement in STATEMENTS:
                connection.execute(statement.encode(), values)


STATEMENTS = (
    (
        "INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at)"
        " VALUES (%(id)s, %(user)s, %(hash)s, %(at)s, %(at)s)"
    ),
    (
        "INSERT INTO invitations (id, organization_id, email, role, token_hash, expires_at)"
        " VALUES (%(id)s, %(org)s, 'a@b.example', %(role)s, %(hash)s, %(at)s)"
    ),
    (
        "INSERT INTO password_resets (id, user_id, token_hash, created_at, expires_at)"
        " VALUES (%(id)s, %(user)s, %(hash)s, %(at)s, %(at)s)"
    ),
    (
        "INSERT INTO registrations (id, email, name, organization, token_hash, created_at, expires_at)"
        " VALUES (%(id)s, 'a@b.example', 'x', '{}', %(hash)s, %(at)s, %(at)s)"
    ),
    (
        "INSERT INTO idempotency_keys (caller, key, request_hash, created_at, status, body_encrypted)"
        " VALUES ('x', %(id)s, 'x', %(at)s, 200, 'x')"
    ),
    (
        "INSERT INTO outgoing_mails (id, message_encrypted, created_at, expires_at, next_attempt_at, attempts)"
        " VALUES (%(id)s, 'x', %(at)s, %(at)s, %(at)s, 0)"
    ),
    (
        "INSERT INTO runs"
        " (id, kind, mutex_group, status, options, trigger, requested_by_kind, requested_at, finished_at)"
        " VALUES (%(id)s, 'prune', 'tables', 'succeeded', '{}', 'command', 'x', %(at)s, %(at)s)"
    ),
    "INSERT INTO size_samples (day, subject, bytes) VALUES (%(day)s, %(id)s, 1)",
    "INSERT INTO statement_samples (day, query_id, query, calls, total_milliseconds) VALUES (%(day)s, 1, 'x', 1, 1)",
)
