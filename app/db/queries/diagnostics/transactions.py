"""Queries over open transactions."""

from __future__ import annotations

from app.db.queries.diagnostics.reading import APPLICATION_NAME, fetch
from app.db.session import Session
from app.domain.diagnostics.transactions import OpenTransaction


async def list_open(tx: Session, *, limit: int) -> tuple[OpenTransaction, ...]:
    """Open transactions of our database but for those of diagnostics, the oldest first."""
    return await fetch(tx, OpenTransaction, "transactions", diagnostics=APPLICATION_NAME, limit=limit)
