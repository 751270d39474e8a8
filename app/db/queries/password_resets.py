"""Queries over the tokens with which people choose a new password."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from app.db.models import PasswordReset, User
from app.db.session import Session


async def find_reset(tx: Session, token_hash: bytes, now: datetime) -> tuple[PasswordReset, User] | None:
    """The living wish for a new password that this token belongs to, with its user, unless the user is disabled."""
    query = (
        select(PasswordReset, User)
        .join(User, User.id == PasswordReset.user_id)
        .where(PasswordReset.token_hash == token_hash, *_is_living(now), User.disabled_at.is_(None))
        .execution_options(populate_existing=True)
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else (row[0], row[1])


async def count_living_resets(tx: Session, user_id: UUID, now: datetime) -> int:
    """How many tokens of the user could be used now."""
    query = select(func.count()).select_from(PasswordReset).where(PasswordReset.user_id == user_id, *_is_living(now))
    return await tx.scalar(query) or 0


async def delete_dead_resets(tx: Session, user_id: UUID, now: datetime) -> None:
    """Forget the tokens of the user that were used or have expired."""
    is_dead = or_(PasswordReset.used_at.is_not(None), PasswordReset.expires_at <= now)
    await tx.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id, is_dead))


async def use_resets_of(tx: Session, user_id: UUID, now: datetime) -> None:
    """End all tokens of the user at once."""
    living = update(PasswordReset).where(PasswordReset.user_id == user_id, PasswordReset.used_at.is_(None))
    await tx.execute(living.values(used_at=now))


def _is_living(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return PasswordReset.used_at.is_(None), PasswordReset.expires_at > now
