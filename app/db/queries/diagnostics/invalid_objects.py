"""Queries over what is not valid."""

from __future__ import annotations

from app.db.queries.diagnostics.reading import fetch
from app.db.session import Session
from app.domain.diagnostics.invalid_objects import InvalidObject


async def list_invalid(tx: Session, *, limit: int) -> tuple[InvalidObject, ...]:
    """Invalid indexes, and constraints that were never checked."""
    return await fetch(tx, InvalidObject, "invalid_objects", limit=limit)
