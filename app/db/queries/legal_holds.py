"""Queries over legal holds, which operators of the installation place."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from psycopg import sql
from sqlalchemy import select

from app.db.direct import DirectConnection
from app.db.locks import lock_number
from app.db.models import LegalHold
from app.db.session import Session
from app.domain.legal_holds import LOCK_NAME, LegalHoldNotFound
from app.domain.retention import Holding

_HELD = sql.SQL("SELECT DISTINCT organization_id::text FROM legal_holds WHERE released_at IS NULL")
_LOCK = sql.SQL("SELECT pg_advisory_xact_lock(%s)")


async def lock_hold(tx: Session, hold_id: UUID) -> LegalHold:
    """The hold, locked until the transaction ends, or LegalHoldNotFound."""
    hold = await tx.scalar(select(LegalHold).where(LegalHold.id == hold_id).with_for_update())
    if hold is None:
        raise LegalHoldNotFound
    return hold


async def list_holds(tx: Session, *, before: UUID | None, limit: int) -> Sequence[LegalHold]:
    """All holds, newest first, those that were released too."""
    query = select(LegalHold).order_by(LegalHold.id.desc()).limit(limit)
    if before is not None:
        query = query.where(LegalHold.id < before)
    return (await tx.scalars(query)).all()


async def read_holding(direct: DirectConnection) -> Holding:
    """What is held at the moment."""
    ids = [row[0] for row in await direct.execute(_HELD)]
    return Holding(None in ids, [one for one in ids if one is not None])


async def keep_holds_still(direct: DirectConnection) -> None:
    """No hold is placed until the transaction ends: what is removed in it is not held."""
    await direct.execute(_LOCK, [lock_number(LOCK_NAME)])
