"""Which statements cost most?"""

from __future__ import annotations

from dataclasses import replace

from app.db.engine import Database
from app.db.queries.diagnostics import statements as queries
from app.db.queries.diagnostics.reading import find_hidden
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer
from app.domain.diagnostics.statements import SlowStatement
from app.ops.diagnostics.asking import ask, shown


async def look(
    database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> Answer[SlowStatement]:
    """Statements of our database by what they cost altogether, since when they are counted."""

    async def see(tx: Session) -> Answer[SlowStatement]:
        view = await queries.get_view(tx)
        found = await queries.list_costliest(tx, view, limit=limit)
        reason, remedy = await find_hidden(tx)
        return Answer(
            items=tuple(replace(one, statement=shown(one.statement) or "") for one in found),
            reason=reason,
            remedy=remedy,
            since=await queries.find_beginning(tx, view),
        )

    return await ask(database, see, Answer, seconds)
