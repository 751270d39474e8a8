"""Queries over idempotency keys."""

from __future__ import annotations

import hashlib

from sqlalchemy import select, text

from app.db.models import IdempotencyKey
from app.db.session import Session


async def lock_idempotency_key(tx: Session, caller: str, key: str) -> IdempotencyKey | None:
    """The answer that was given for a key; whoever asks for the same key meanwhile waits until we commit."""
    digest = hashlib.sha256(f"{caller}\n{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    await tx.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
    query = select(IdempotencyKey).where(IdempotencyKey.caller == caller, IdempotencyKey.key == key)
    found: IdempotencyKey | None = await tx.scalar(query)
    return found
