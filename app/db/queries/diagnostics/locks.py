"""Queries over locks."""

from __future__ import annotations

from app.db.queries.diagnostics.reading import fetch
from app.db.session import Session
from app.domain.diagnostics.locks import LockedSession


async def list_involved(tx: Session, *, limit: int) -> tuple[LockedSession, ...]:
    """Whoever waits for a lock, and whoever is waited for."""
    return await fetch(tx, LockedSession, "locks", limit=limit)
