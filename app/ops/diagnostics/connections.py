"""Who is connected, and how many more can be?"""

from __future__ import annotations

from dataclasses import replace

from app.db.engine import Database
from app.db.queries.diagnostics import connections as queries
from app.db.queries.diagnostics.reading import find_hidden
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS
from app.domain.diagnostics.connections import Connections
from app.ops.diagnostics.asking import ask, shown


async def look(database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS) -> Connections:
    """Sessions of our database, the pool of this process, and what the server has left."""

    async def see(tx: Session) -> Connections:
        reason, remedy = await find_hidden(tx)
        longest = await queries.list_longest(tx, limit=limit)
        return Connections(
            items=await queries.list_groups(tx, limit=limit),
            reason=reason,
            remedy=remedy,
            pool=database.pool(),
            capacity=await queries.get_capacity(tx),
            longest=tuple(replace(one, statement=shown(one.statement)) for one in longest),
        )

    return await ask(database, see, Connections, seconds)
