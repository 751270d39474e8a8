"""Queries over the sessions of users."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, update

from app.db.models import LoginSession, User
from app.db.session import Session
from app.domain.permissions import SESSION_IDLE_END


async def find_session(tx: Session, token_hash: bytes, now: datetime) -> tuple[LoginSession, User] | None:
    """The living session of a token, with its user, unless the user is disabled."""
    query = (
        select(LoginSession, User)
        .join(User, User.id == LoginSession.user_id)
        .where(LoginSession.token_hash == token_hash, _goes_on(now))
        .where(User.disabled_at.is_(None))
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else (row[0], row[1])


async def find_ended_session(tx: Session, token_hash: bytes) -> tuple[LoginSession, User] | None:
    """The session of a token, with its user, whatever became of them."""
    query = select(LoginSession, User).join(User, User.id == LoginSession.user_id)
    row = (await tx.execute(query.where(LoginSession.token_hash == token_hash))).one_or_none()
    return None if row is None else (row[0], row[1])


async def lock_session_of(tx: Session, user_id: UUID, session_id: UUID) -> LoginSession | None:
    """The user's session, locked until the transaction ends; None when it is a stranger's."""
    query = select(LoginSession).where(LoginSession.id == session_id, LoginSession.user_id == user_id)
    session: LoginSession | None = await tx.scalar(query.with_for_update())
    return session


async def list_sessions(
    tx: Session, user_id: UUID, now: datetime, *, before: UUID | None, limit: int
) -> Sequence[LoginSession]:
    """The user's sessions that go on, newest first."""
    query = select(LoginSession).where(LoginSession.user_id == user_id, _goes_on(now))
    if before is not None:
        query = query.where(LoginSession.id < before)
    return (await tx.scalars(query.order_by(LoginSession.id.desc()).limit(limit))).all()


async def revoke_session(tx: Session, session_id: UUID, now: datetime) -> None:
    """End a session at once."""
    await tx.execute(update(LoginSession).where(LoginSession.id == session_id).values(revoked_at=now))


async def revoke_sessions_of(tx: Session, user_id: UUID, now: datetime, *, kept_id: UUID | None = None) -> None:
    """End all sessions of a user at once, or all but one."""
    living = update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.revoked_at.is_(None))
    if kept_id is not None:
        living = living.where(LoginSession.id != kept_id)
    await tx.execute(living.values(revoked_at=now))


async def prove_session(
    tx: Session, user_id: UUID, session_id: UUID, now: datetime, *, with_second_factor: bool = False
) -> bool:
    """Remember that the person has just proven to be it; False when the session was ended meanwhile."""
    living = update(LoginSession).where(
        LoginSession.id == session_id, LoginSession.user_id == user_id, LoginSession.revoked_at.is_(None)
    )
    shown = {"second_factor_at": now} if with_second_factor else {}
    return await tx.scalar(living.values(proven_at=now, **shown).returning(LoginSession.id)) is not None


def _goes_on(now: datetime) -> ColumnElement[bool]:
    last_used_at = func.coalesce(LoginSession.last_used_at, LoginSession.created_at)
    return and_(
        LoginSession.revoked_at.is_(None),
        LoginSession.expires_at > now,
        last_used_at > now - SESSION_IDLE_END,
    )
