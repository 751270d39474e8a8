"""Samples: how large everything is and what statements have cost, written down once a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from app.db.queries import samples
from app.db.session import Session
from app.domain.diagnostics.statements import without_literals
from app.telemetry.redaction import redact

MAX_STATEMENT_LENGTH = 1_000


async def take(tx: Session, day: date) -> bool:
    """Take the sample of the day; False when it is there already."""
    if await samples.has_sizes(tx, day):
        return False
    await samples.measure_sizes(tx, day)
    statements = await samples.read_statements(tx)
    shown = [replace(one, query=redact(without_literals(one.query))[:MAX_STATEMENT_LENGTH]) for one in statements]
    await samples.put_statements(tx, day, shown)
    return True
