"""What is not valid?"""

from __future__ import annotations

from app.db.engine import Database
from app.db.queries.diagnostics import invalid_objects as queries
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer
from app.domain.diagnostics.invalid_objects import InvalidObject
from app.ops.diagnostics.asking import ask


async def look(
    database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> Answer[InvalidObject]:
    """Invalid indexes, what failed rebuilds left behind, and constraints that were never checked."""

    async def see(tx: Session) -> Answer[InvalidObject]:
        return Answer(items=await queries.list_invalid(tx, limit=limit))

    return await ask(database, see, Answer, seconds)
