"""Queries over sessions."""

from __future__ import annotations

from app.db.queries.diagnostics.reading import APPLICATION_NAME, fetch
from app.db.session import Session
from app.domain.diagnostics.connections import Capacity, OneSession, SessionGroup


async def list_groups(tx: Session, *, limit: int) -> tuple[SessionGroup, ...]:
    """Sessions of our database by application and state, but for those of diagnostics."""
    return await fetch(tx, SessionGroup, "sessions_by_state", diagnostics=APPLICATION_NAME, limit=limit)


async def list_longest(tx: Session, *, limit: int) -> tuple[OneSession, ...]:
    """The sessions that are in their state for longest, those that work first."""
    return await fetch(tx, OneSession, "longest_sessions", diagnostics=APPLICATION_NAME, limit=limit)


async def get_capacity(tx: Session) -> Capacity:
    """How many connections the server has and may have."""
    [capacity] = await fetch(tx, Capacity, "capacity")
    return capacity
