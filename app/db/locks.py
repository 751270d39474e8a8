"""Locks by name, for what has no row to lock yet."""

from __future__ import annotations

import hashlib

from sqlalchemy import text

from app.db.session import Session


async def lock_name(tx: Session, name: str) -> None:
    """Wait until nobody else holds this name, and hold it until the transaction ends."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": lock_number(name)})


async def try_lock_name(tx: Session, name: str) -> bool:
    """Hold this name until the transaction ends, unless somebody else holds it: then False, at once."""
    got = await tx.scalar(text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": lock_number(name)})
    return bool(got)


def lock_number(name: str) -> int:
    """The number that PostgreSQL knows the name by."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
