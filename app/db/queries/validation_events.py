"""Queries over validation events; the license was looked up for the caller before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_

from app.db.models import ValidationEvent
from app.db.session import Session


async def list_validation_events(
    tx: Session, license_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[ValidationEvent]:
    """The answers that were given for a license, newest first."""
    query = select(ValidationEvent).where(ValidationEvent.license_id == license_id)
    position = tuple_(ValidationEvent.occurred_at, ValidationEvent.id)
    if before is not None:
        query = query.where(position < before)
    query = query.order_by(ValidationEvent.occurred_at.desc(), ValidationEvent.id.desc()).limit(limit)
    return (await tx.scalars(query)).all()
