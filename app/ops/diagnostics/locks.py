"""Who waits for whom?"""

from __future__ import annotations

from dataclasses import replace

from app.db.engine import Database
from app.db.queries.diagnostics import locks as queries
from app.db.queries.diagnostics.reading import find_hidden
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer
from app.domain.diagnostics.locks import LockedSession, arrange
from app.ops.diagnostics.asking import ask, shown


async def look(
    database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> Answer[LockedSession]:
    """Blockers, each followed by whom it blocks."""

    async def see(tx: Session) -> Answer[LockedSession]:
        found = await queries.list_involved(tx, limit=limit)
        reason, remedy = await find_hidden(tx)
        items = arrange(replace(one, statement=shown(one.statement)) for one in found)
        return Answer(items=items, reason=reason, remedy=remedy)

    return await ask(database, see, Answer, seconds)
