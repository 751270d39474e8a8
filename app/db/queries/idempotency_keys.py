"""Queries over idempotency keys."""

from __future__ import annotations

from sqlalchemy import select

from app.db.locks import lock_name
from app.db.models import IdempotencyKey
from app.db.session import Session


async def lock_idempotency_key(tx: Session, caller: str, key: str) -> IdempotencyKey | None:
    """The answer that was given for a key; whoever asks for the same key meanwhile waits until we commit."""
    await lock_name(tx, f"idempotency key\n{caller}\n{key}")
    query = select(IdempotencyKey).where(IdempotencyKey.caller == caller, IdempotencyKey.key == key)
    found: IdempotencyKey | None = await tx.scalar(query)
    return found
