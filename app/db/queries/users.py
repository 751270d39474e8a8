"""Queries over users and their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, select, update

from app.db.locks import lock_name
from app.db.models import Identity, LoginSession, User
from app.db.session import Session
from app.domain.errors import UserNotFound
from app.domain.permissions import Role
from app.domain.users import UserFilter


async def find_user_by_email(tx: Session, email: str) -> User | None:
    """The user with this e-mail address, in any case of letters."""
    user: User | None = await tx.scalar(select(User).where(User.email == email.lower()))
    return user


async def lock_user(tx: Session, user_id: UUID) -> User | None:
    """The user, locked until the transaction ends."""
    return await tx.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)


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


async def revoke_other_sessions(tx: Session, user_id: UUID, kept: UUID, now: datetime) -> None:
    """End all sessions of a user but one at once."""
    living = update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.revoked_at.is_(None))
    await tx.execute(living.where(LoginSession.id != kept).values(revoked_at=now))


async def prove_session(tx: Session, session_id: UUID, now: datetime) -> None:
    """Remember that the person has just proven to be it."""
    await tx.execute(update(LoginSession).where(LoginSession.id == session_id).values(proven_at=now))


async def get_user(tx: Session, organization_id: UUID | None, user_id: UUID) -> User:
    """The user, or UserNotFound, also when it is a stranger."""
    query = select(User).where(User.id == user_id)
    if organization_id is not None:
        query = query.where(User.organization_id == organization_id)
    user: User | None = await tx.scalar(query)
    if user is None:
        raise UserNotFound
    return user


async def list_users(
    tx: Session, organization_id: UUID | None, wanted: UserFilter, *, before: UUID | None, limit: int
) -> Sequence[User]:
    """Users, newest first, disabled ones too."""
    query = select(User).order_by(User.id.desc()).limit(limit)
    for scope in (organization_id, wanted.organization_id):
        if scope is not None:
            query = query.where(User.organization_id == scope)
    if wanted.role is not None:
        query = query.where(User.role == wanted.role)
    if wanted.email is not None:
        query = query.where(User.email == wanted.email.lower())
    if before is not None:
        query = query.where(User.id < before)
    return (await tx.scalars(query)).all()


async def delete_user(tx: Session, user_id: UUID) -> None:
    """Delete a user with all that is the user's own."""
    await tx.execute(delete(LoginSession).where(LoginSession.user_id == user_id))
    await tx.execute(delete(User).where(User.id == user_id))


async def has_identity(tx: Session, user_id: UUID) -> bool:
    """Whether the user signs in through an identity provider."""
    return await tx.scalar(select(Identity.id).where(Identity.user_id == user_id).limit(1)) is not None


async def has_other_operator(tx: Session, user_id: UUID) -> bool:
    """Whether an operator other than this user can sign in; concurrent askers wait for each other until they commit."""
    await lock_name(tx, "operators")
    can_sign_in = or_(User.password_hash.is_not(None), User.id.in_(select(Identity.user_id)))
    operators = select(User.id).where(User.role == Role.OPERATOR, User.disabled_at.is_(None), can_sign_in)
    return await tx.scalar(operators.where(User.id != user_id).limit(1)) is not None


async def has_operator(tx: Session) -> bool:
    """Whether any operator exists, enabled or not; concurrent askers wait for each other until they commit."""
    await lock_name(tx, "first operator")
    return await tx.scalar(select(User.id).where(User.role == Role.OPERATOR).limit(1)) is not None
