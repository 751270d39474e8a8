"""Queries over sequences."""

from __future__ import annotations

from app.db.queries.diagnostics.reading import fetch, fetch_rows, statement
from app.db.session import Session
from app.domain.diagnostics.sequences import SequenceUse


async def list_sequences(tx: Session, *, limit: int) -> tuple[SequenceUse, ...]:
    """Sequences, those that are used up most first."""
    return await fetch(tx, SequenceUse, "sequences", limit=limit)


async def count_unreadable(tx: Session) -> int:
    """Sequences whose last value this role may not read."""
    [row] = await fetch_rows(tx, statement("unreadable_sequences"))
    return int(row["count"])
