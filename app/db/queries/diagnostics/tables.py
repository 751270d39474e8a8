"""Queries over the sizes of tables."""

from __future__ import annotations

from app.db.queries.diagnostics.reading import fetch
from app.db.session import Session
from app.domain.diagnostics.tables import Table


async def list_tables(tx: Session, *, limit: int) -> tuple[Table, ...]:
    """Tables with their partitions one by one, the largest first."""
    return await fetch(tx, Table, "tables", limit=limit)
