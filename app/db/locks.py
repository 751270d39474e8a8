"""Locks by name, for what has no row to lock yet."""

from __future__ import annotations

import hashlib

from sqlalchemy import text

from app.db.session import Session


async def lock_name(tx: Session, name: str) -> None:
    """Wait until nobody else holds this name, and hold it until the transaction ends."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    await tx.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
