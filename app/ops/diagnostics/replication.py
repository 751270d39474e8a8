"""Who follows this server, and does the log pile up?"""

from __future__ import annotations

from app.db.engine import Database
from app.db.queries.diagnostics import replication as queries
from app.db.queries.diagnostics.reading import role_of
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS
from app.domain.diagnostics.replication import Replication
from app.ops.diagnostics.asking import ask


async def look(database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS) -> Replication:
    """Standbys, slots, archiving, and the size of the log; without any replication there are no items."""

    async def see(tx: Session) -> Replication:
        wal_bytes = await queries.find_wal_bytes(tx)
        is_hidden = wal_bytes is None
        return Replication(
            items=await queries.list_replicas(tx, limit=limit),
            reason="The size of the log and the lag of standbys are hidden from this role." if is_hidden else None,
            remedy=f"GRANT pg_monitor TO {await role_of(tx)};" if is_hidden else None,
            is_standby=await queries.is_standby(tx),
            archiver=await queries.get_archiver(tx),
            wal_bytes=wal_bytes,
        )

    return await ask(database, see, Replication, seconds)
