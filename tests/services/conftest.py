"""What tests of services share: a database for real parallel transactions, and the trail that changes leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import select

from app.db.engine import Database
from app.db.models import AuditEvent
from app.db.session import Session
from app.domain.permissions import Permission, Principal, PrincipalKind


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Database]:
    """A pool on a database of the test's own."""
    database = Database(fresh_database, pool_size=20)
    yield database
    await database.close()


@pytest.fixture
def caller() -> Principal:
    """An operator who calls from somewhere."""
    return Principal(
        PrincipalKind.USER,
        UUID("019a0000-0000-7000-8000-0000000000aa"),
        None,
        frozenset(Permission),
        ip="192.0.2.7",
        request_id="request-1",
    )


async def trail(tx: Session, subject_id: object) -> list[AuditEvent]:
    """What was recorded about a thing, oldest first."""
    await tx.flush()
    query = select(AuditEvent).where(AuditEvent.subject_id == str(subject_id)).order_by(AuditEvent.id)
    return list((await tx.scalars(query)).all())
