"""Users: the first operator of an installation, and lost passwords."""

from __future__ import annotations

from datetime import datetime

from app.db.models import User
from app.db.queries import users
from app.db.session import Session
from app.domain.errors import UserNotFound
from app.domain.events import EventName, describe_creation
from app.domain.permissions import COMMAND_LINE, Role
from app.services import events


async def create_first_operator(tx: Session, email: str, password_hash: str, *, now: datetime) -> User | None:
    """The first operator, or None when there is one already; of several servers that start at once, one makes it."""
    if await users.has_operator(tx):
        return None

    user = User(
        email=email.lower(),
        name="Operator",
        role=Role.OPERATOR,
        password_hash=password_hash,
        created_at=now,
        updated_at=now,
    )
    tx.add(user)
    await tx.flush()

    data = describe_creation({"email": user.email, "role": Role.OPERATOR})
    await events.record(tx, COMMAND_LINE, EventName.USER_CREATED, user.id, now=now, data=data)
    return user


async def needs_first_operator(tx: Session) -> bool:
    """Whether the installation has no operator yet."""
    return not await users.has_operator(tx)


async def reset_password(tx: Session, email: str, password_hash: str, *, now: datetime) -> User:
    """Give a user a new password and end all of the user's sessions; raises UserNotFound."""
    user = await users.find_user_by_email(tx, email)
    if user is None:
        raise UserNotFound(f"There is no user with the e-mail address {email}.")

    await users.lock_user(tx, user.id)
    user.password_hash = password_hash
    user.updated_at = now
    await users.revoke_sessions_of(tx, user.id, now)

    await events.record(
        tx,
        COMMAND_LINE,
        EventName.USER_PASSWORD_RESET,
        user.id,
        organization_id=user.organization_id,
        now=now,
    )
    return user
