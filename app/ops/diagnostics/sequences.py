"""Which sequences run out of numbers?"""

from __future__ import annotations

from app.db.engine import Database
from app.db.queries.diagnostics import sequences as queries
from app.db.queries.diagnostics.reading import role_of
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer
from app.domain.diagnostics.sequences import SequenceUse
from app.ops.diagnostics.asking import ask


async def look(
    database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> Answer[SequenceUse]:
    """Sequences, those that are used up most first."""

    async def see(tx: Session) -> Answer[SequenceUse]:
        items = await queries.list_sequences(tx, limit=limit)
        unreadable = await queries.count_unreadable(tx)
        if not unreadable:
            return Answer(items=items)
        reason = f"This role may not read the last value of {unreadable} sequences."
        return Answer(items=items, reason=reason, remedy=f"GRANT pg_read_all_data TO {await role_of(tx)};")

    return await ask(database, see, Answer, seconds)
