"""Queries over foreign keys."""

from __future__ import annotations

from app.db.queries.diagnostics.reading import fetch
from app.db.session import Session
from app.domain.diagnostics.foreign_keys import UnindexedForeignKey


async def list_unindexed(tx: Session, *, limit: int) -> tuple[UnindexedForeignKey, ...]:
    """Foreign keys without an index, those of the largest tables first."""
    return await fetch(tx, UnindexedForeignKey, "foreign_keys", limit=limit)
