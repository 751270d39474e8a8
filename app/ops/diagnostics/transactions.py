"""Which transactions are open, and for how long?"""

from __future__ import annotations

from dataclasses import replace

from app.db.engine import Database
from app.db.queries.diagnostics import transactions as queries
from app.db.queries.diagnostics.reading import find_hidden
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer
from app.domain.diagnostics.transactions import OpenTransaction
from app.ops.diagnostics.asking import ask, shown


async def look(
    database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> Answer[OpenTransaction]:
    """Open transactions, prepared ones too, the oldest first."""

    async def see(tx: Session) -> Answer[OpenTransaction]:
        found = await queries.list_open(tx, limit=limit)
        reason, remedy = await find_hidden(tx)
        items = tuple(replace(one, statement=shown(one.statement)) for one in found)
        return Answer(items=items, reason=reason, remedy=remedy)

    return await ask(database, see, Answer, seconds)
