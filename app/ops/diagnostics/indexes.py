"""How are indexes used, and which are superfluous?"""

from __future__ import annotations

from datetime import datetime

from app.db.engine import Database
from app.db.queries.diagnostics import indexes as queries
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer
from app.domain.diagnostics.indexes import DuplicateIndex, IndexUse, UnusedIndexes, weigh
from app.ops.diagnostics.asking import ask


async def look(
    database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> Answer[IndexUse]:
    """Indexes, the largest first, and since when their uses are counted."""

    async def see(tx: Session) -> Answer[IndexUse]:
        return Answer(items=await queries.list_indexes(tx, limit=limit), since=await queries.get_beginning(tx))

    return await ask(database, see, Answer, seconds)


async def look_for_unused(
    database: Database, *, now: datetime, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> UnusedIndexes:
    """Indexes that nobody reads, and whether they were watched for long enough to say so."""

    async def see(tx: Session) -> UnusedIndexes:
        return weigh(await queries.list_unused(tx, limit=limit), await queries.get_beginning(tx), now)

    return await ask(database, see, UnusedIndexes, seconds)


async def look_for_duplicates(
    database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> Answer[DuplicateIndex]:
    """Indexes whose work another one does as well."""

    async def see(tx: Session) -> Answer[DuplicateIndex]:
        return Answer(items=await queries.list_duplicates(tx, limit=limit), since=await queries.get_beginning(tx))

    return await ask(database, see, Answer, seconds)
