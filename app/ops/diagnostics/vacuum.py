"""Does autovacuum keep up?"""

from __future__ import annotations

from app.db.engine import Database
from app.db.queries.diagnostics import vacuum as queries
from app.db.queries.diagnostics.reading import find_setting
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS
from app.domain.diagnostics.vacuum import VacuumHealth
from app.ops.diagnostics.asking import ask


async def look(database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS) -> VacuumHealth:
    """Dead rows against each table's threshold, and the vacuums that are under way."""

    async def see(tx: Session) -> VacuumHealth:
        switches = [await find_setting(tx, name) for name in ("autovacuum", "track_counts")]
        return VacuumHealth(
            items=await queries.list_tables(tx, limit=limit),
            is_autovacuum_on=switches == ["on", "on"],
            running=await queries.list_running(tx),
        )

    return await ask(database, see, VacuumHealth, seconds)
