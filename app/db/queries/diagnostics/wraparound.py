"""Queries over the age of transaction ids."""

from __future__ import annotations

from app.db.queries.diagnostics.reading import fetch
from app.db.session import Session
from app.domain.diagnostics.wraparound import WraparoundAge


async def list_ages(tx: Session, *, limit: int) -> tuple[WraparoundAge, ...]:
    """Every database, and the tables of ours that are worst."""
    return await fetch(tx, WraparoundAge, "wraparound", limit=limit)
