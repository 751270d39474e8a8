"""Queries over samples of sizes; they are the installation's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select

from app.db.models import SizeSample
from app.db.session import Session

WHOLE_DATABASE = "database"


async def list_sizes(tx: Session, *, since: date, subject: str | None = None) -> Sequence[SizeSample]:
    """Samples from this day on, oldest first; of one subject or of all."""
    query = select(SizeSample).where(SizeSample.day >= since).order_by(SizeSample.day, SizeSample.subject)
    if subject is not None:
        query = query.where(SizeSample.subject == subject)
    return (await tx.scalars(query)).all()
