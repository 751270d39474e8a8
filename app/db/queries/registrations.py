"""Queries over registrations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select

from app.db.models import Registration
from app.db.session import Session


async def find_living_registration(tx: Session, token_hash: bytes, now: datetime) -> Registration | None:
    """The registration that this token belongs to, locked until the transaction ends, if it can be confirmed."""
    is_living = (Registration.confirmed_at.is_(None), Registration.expires_at > now)
    query = select(Registration).where(Registration.token_hash == token_hash, *is_living).with_for_update()
    registration: Registration | None = await tx.scalar(query)
    return registration


async def count_registrations(tx: Session, email: str) -> int:
    """How many registrations of an address there are."""
    query = select(func.count()).select_from(Registration).where(Registration.email == email.lower())
    return await tx.scalar(query) or 0


async def delete_expired_registrations(tx: Session, now: datetime) -> None:
    """Forget the registrations that nobody confirmed in time."""
    await tx.execute(delete(Registration).where(Registration.expires_at <= now))
