"""Queries over users, who they are at identity providers, and where they sign in from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from app.db.locks import lock_name
from app.db.models import Identity, LoginSession, User, UserAddress
from app.db.session import Session
from app.domain.errors import UserNotFound
from app.domain.permissions import Role
from app.domain.users import UserFilter


async def find_user_by_email(tx: Session, email: str) -> User | None:
    """The user with this e-mail address, in any case of letters."""
    user: User | None = await tx.scalar(select(User).where(User.email == email.lower()))
    return user


async def add_user(
    tx: Session,
    organization_id: UUID | None,
    email: str,
    name: str,
    role: Role,
    *,
    password_hash: str | None,
    now: datetime,
) -> User:
    """A new user."""
    user = User(
        email=email.lower(),
        name=name,
        role=role,
        organization_id=organization_id,
        password_hash=password_hash,
        created_at=now,
        updated_at=now,
    )
    tx.add(user)
    await tx.flush()
    return user


async def lock_user(tx: Session, user_id: UUID) -> User | None:
    """The user, locked until the transaction ends."""
    return await tx.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)


async def get_user(tx: Session, organization_id: UUID | None, user_id: UUID) -> User:
    """The user, or UserNotFound, also when it is a stranger's."""
    query = select(User).where(User.id == user_id)
    if organization_id is not None:
        query = query.where(User.organization_id == organization_id)
    user: User | None = await tx.scalar(query)
    if user is None:
        raise UserNotFound
    return user


async def lock_user_of(tx: Session, organization_id: UUID | None, user_id: UUID) -> User:
    """The user, locked until the transaction ends, or UserNotFound, also when it is a stranger's."""
    await get_user(tx, organization_id, user_id)
    user = await lock_user(tx, user_id)
    if user is None or organization_id not in (None, user.organization_id):
        raise UserNotFound
    return user


async def get_user_by_email(tx: Session, organization_id: UUID | None, email: str) -> User:
    """The user with this e-mail address, or UserNotFound, also when it is a stranger's."""
    user = await find_user_by_email(tx, email)
    if user is None or organization_id not in (None, user.organization_id):
        raise UserNotFound(f"There is no user with the e-mail address {email}.")
    return user


async def find_user_by_identity(tx: Session, issuer: str, subject: str) -> User | None:
    """The user who is this subject at this identity provider."""
    query = select(User).join(Identity, Identity.user_id == User.id)
    user: User | None = await tx.scalar(query.where(Identity.issuer == issuer, Identity.subject == subject))
    return user


async def add_identity(tx: Session, user_id: UUID, issuer: str, subject: str, now: datetime) -> None:
    """The user is this subject at this identity provider from now on."""
    tx.add(Identity(user_id=user_id, issuer=issuer, subject=subject, created_at=now))
    await tx.flush()


async def has_identity_at(tx: Session, user_id: UUID, issuer: str) -> bool:
    """Whether the user is somebody at this identity provider already."""
    query = select(Identity.id).where(Identity.user_id == user_id, Identity.issuer == issuer).limit(1)
    return await tx.scalar(query) is not None


async def is_known_address(tx: Session, user_id: UUID, neighbourhood: str) -> bool:
    """Whether the user has signed in from this neighbourhood before."""
    return await tx.get(UserAddress, (user_id, neighbourhood)) is not None


async def has_known_addresses(tx: Session, user_id: UUID) -> bool:
    """Whether the user has signed in from anywhere before."""
    return await tx.scalar(select(UserAddress.address).where(UserAddress.user_id == user_id).limit(1)) is not None


async def remember_address(tx: Session, user_id: UUID, neighbourhood: str, now: datetime) -> None:
    """The user signs in from this neighbourhood."""
    new = insert(UserAddress).values(user_id=user_id, address=neighbourhood, first_seen_at=now, last_seen_at=now)
    await tx.execute(
        new.on_conflict_do_update(index_elements=[UserAddress.user_id, UserAddress.address], set_={"last_seen_at": now})
    )


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
