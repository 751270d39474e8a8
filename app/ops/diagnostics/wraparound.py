"""How near is the end of transaction ids?"""

from __future__ import annotations

from app.db.engine import Database
from app.db.queries.diagnostics import wraparound as queries
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer
from app.domain.diagnostics.wraparound import WraparoundAge
from app.ops.diagnostics.asking import ask


async def look(
    database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> Answer[WraparoundAge]:
    """The age of every database, and of the worst tables of ours."""

    async def see(tx: Session) -> Answer[WraparoundAge]:
        return Answer(items=await queries.list_ages(tx, limit=limit))

    return await ask(database, see, Answer, seconds)
