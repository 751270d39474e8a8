"""Which foreign keys make a deletion read a whole table?"""

from __future__ import annotations

from app.db.engine import Database
from app.db.queries.diagnostics import foreign_keys as queries
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer
from app.domain.diagnostics.foreign_keys import UnindexedForeignKey
from app.ops.diagnostics.asking import ask


async def look(
    database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> Answer[UnindexedForeignKey]:
    """Foreign keys without an index on their side, those of the largest tables first."""

    async def see(tx: Session) -> Answer[UnindexedForeignKey]:
        return Answer(items=await queries.list_unindexed(tx, limit=limit))

    return await ask(database, see, Answer, seconds)
