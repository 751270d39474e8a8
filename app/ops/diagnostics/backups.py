"""Could the database be brought back?"""

from __future__ import annotations

from datetime import datetime

from app.db.engine import Database
from app.db.queries.backup_evidence import find_backup_evidence
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS
from app.domain.diagnostics.backups import BackupHealth
from app.ops.diagnostics.asking import ask


async def look(
    database: Database, *, now: datetime, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS
) -> BackupHealth:
    """The newest backups, and what catalog and runs tell of them."""

    async def see(tx: Session) -> BackupHealth:
        evidence = await find_backup_evidence(tx, policy=None, now=now)
        return BackupHealth(items=evidence.recent[:limit], evidence=evidence)

    return await ask(database, see, BackupHealth, seconds)
