"""Queries over the work of the vacuum."""

from __future__ import annotations

from app.db.queries.diagnostics.reading import fetch
from app.db.session import Session
from app.domain.diagnostics.vacuum import RunningVacuum, TableVacuum


async def list_tables(tx: Session, *, limit: int) -> tuple[TableVacuum, ...]:
    """Tables by how far they are past their threshold, those without autovacuum first."""
    return await fetch(tx, TableVacuum, "vacuum_health", limit=limit)


async def list_running(tx: Session) -> tuple[RunningVacuum, ...]:
    """Vacuums that are under way."""
    return await fetch(tx, RunningVacuum, "running_vacuums")
