"""An examination of the database: what is good, what should be looked at, and the command that mends it."""

from __future__ import annotations

from datetime import datetime

from app.db.engine import Database
from app.domain.errors import Unavailable
from app.domain.findings import Finding, Level


async def examine(database: Database, *, now: datetime) -> list[Finding]:
    """All findings, the worst first; what nobody can look at is a finding of its own, and never an error."""
    try:
        async with database.transaction():
            return [Finding("connection", Level.GOOD, "The database answers.")]
    except Unavailable as error:
        return [Finding("connection", Level.BAD, error.message, "license-server doctor")]
