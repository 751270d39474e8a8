"""Queries over users and their sessions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from app.db.locks import lock_name
from app.db.models import LoginSession, User, UserAddress
from app.db.session import Session
from app.domain.permissions import Role


async def find_user_by_email(tx: Session, email: str) -> User | None:
    """The user with this e-mail address, in any case of letters."""
    user: User | None = await tx.scalar(select(User).where(User.email == email.lower()))
    return user


async def lock_user(tx: Session, user_id: UUID) -> User | None:
    """The user, locked until the transaction ends."""
    return await tx.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)


async def is_known_address(tx: Session, user_id: UUID, address: str) -> bool:
    """Whether the user has signed in from this neighbourhood before."""
    seen = select(UserAddress.user_id).where(UserAddress.user_id == user_id, UserAddress.address == address)
    return await tx.scalar(seen) is not None


async def find_session(tx: Session, token_hash: bytes, now: datetime) -> tuple[LoginSession, User] | None:
    """The living session of a token, with its user, unless the user is disabled."""
    query = (
        select(LoginSession, User)
        .join(User, User.id == LoginSession.user_id)
        .where(LoginSession.token_hash == token_hash, LoginSession.revoked_at.is_(None), LoginSession.expires_at > now)
        .where(User.disabled_at.is_(None))
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else (row[0], row[1])


async def revoke_session(tx: Session, session_id: UUID, now: datetime) -> None:
    """End a session at once."""
    await tx.execute(update(LoginSession).where(LoginSession.id == session_id).values(revoked_at=now))


async def revoke_sessions_of(tx: Session, user_id: UUID, now: datetime) -> None:
    """End all sessions of a user at once."""
    living = update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.revoked_at.is_(None))
    await tx.execute(living.values(revoked_at=now))


async def has_operator(tx: Session) -> bool:
    """Whether any operator exists, enabled or not; concurrent askers wait for each other until they commit."""
    await lock_name(tx, "first operator")
    return await tx.scalar(select(User.id).where(User.role == Role.OPERATOR).limit(1)) is not None
