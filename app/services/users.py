"""Users: the first operator of an installation; create, look up, change, disable and delete people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import events
from app.db.models import PasswordReset, User
from app.db.postbox import Postbox
from app.db.queries import organizations, password_resets, sessions, users
from app.db.session import Session
from app.domain import mails
from app.domain.errors import AlreadyExists, Denied, LastOperator
from app.domain.events import EventName, describe_changes, describe_creation
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import COMMAND_LINE, PASSWORD_TOKEN_PREFIX, Principal, Role, hash_secret
from app.domain.users import (
    FIRST_PASSWORD_LIFETIME,
    UserFilter,
    require_other_account,
    require_placeable,
    require_power_over,
)
from app.tokens import make_token


@dataclass(frozen=True, slots=True)
class CreateUser:
    """The wish for a user; with the hash of a password from elsewhere nobody needs to choose a new one."""

    email: str
    name: str
    role: Role
    organization_id: UUID | None = None
    password_hash: str | None = None


async def create_first_operator(tx: Session, email: str, password_hash: str, *, now: datetime) -> User | None:
    """The first operator, or None when there is one already; of several servers that start at once, one makes it."""
    if await users.has_operator(tx):
        return None

    user = await users.add_user(tx, None, email, "Operator", Role.OPERATOR, password_hash=password_hash, now=now)

    await _record(tx, COMMAND_LINE, EventName.USER_CREATED, user, now, _described(user))
    return user


async def needs_first_operator(tx: Session) -> bool:
    """Whether the installation has no operator yet."""
    return not await users.has_operator(tx)


async def create(
    tx: Session, caller: Principal, wish: CreateUser, postbox: Postbox | None, *, now: datetime
) -> tuple[User, str | None]:
    """A new user, who is mailed a token to choose a password with; the token itself where there is no postbox.

    Raises Denied, Invalid, OrganizationNotFound and AlreadyExists.
    """
    if caller.organization_id is not None:
        raise Denied("Accounts are made by the installation's operators; invite people with POST /api/invitations.")
    require_placeable(caller, wish.role, wish.organization_id)
    if wish.organization_id is not None:
        await organizations.get_organization(tx, wish.organization_id)
    if await users.find_user_by_email(tx, wish.email) is not None:
        raise AlreadyExists("There is a user with this e-mail address already.")

    user = await users.add_user(
        tx, wish.organization_id, wish.email, wish.name, wish.role, password_hash=wish.password_hash, now=now
    )
    token = None if wish.password_hash else await _let_choose_password(tx, user, postbox, now)

    await _record(tx, caller, EventName.USER_CREATED, user, now, _described(user))
    return user, token


async def get(tx: Session, caller: Principal, user_id: UUID) -> User:
    """The user; a stranger is UserNotFound."""
    return await users.get_user(tx, caller.organization_id, user_id)


async def list_page(tx: Session, caller: Principal, wanted: UserFilter, page: PageRequest) -> Page[User]:
    """Users, newest first; a tenant finds only its own."""
    before = page.position(UUID)
    found = await users.list_users(tx, caller.organization_id, wanted, before=before, limit=page.limit + 1)
    return cut_page(found, page.limit, lambda user: user.id)


async def change(tx: Session, caller: Principal, user_id: UUID, changes: Mapping[str, Any], *, now: datetime) -> User:
    """Change the name, the role with its organization, or whether the user is disabled.

    Another role or place, and being disabled, end all sessions of the user at once. Raises UserNotFound, Denied,
    Invalid, OwnAccount and LastOperator.
    """
    user = await users.lock_user_of(tx, caller.organization_id, user_id)
    require_power_over(caller, Role(user.role))
    changed = _really_changed(user, changes, now)
    if not changed:
        return user
    if changed.keys() != {"name"}:
        require_other_account(caller, user.id)
        await _require_possible(tx, caller, user, changed)

    before = {field: getattr(user, field) for field in changed}
    for field, value in changed.items():
        setattr(user, field, value)
    user.updated_at = now
    if changed.keys() != {"name"}:
        await sessions.revoke_sessions_of(tx, user.id, now)

    await _record(tx, caller, _event(changed), user, now, describe_changes(before, changed))
    return user


async def delete(tx: Session, caller: Principal, user_id: UUID, *, now: datetime) -> User:
    """Delete a user with sessions and all else; the audit trail keeps the id.

    Raises UserNotFound, Denied, OwnAccount and LastOperator.
    """
    user = await users.lock_user_of(tx, caller.organization_id, user_id)
    require_power_over(caller, Role(user.role))
    require_other_account(caller, user.id)
    await _require_another_operator(tx, user)

    await users.delete_user(tx, user.id)

    await _record(tx, caller, EventName.USER_DELETED, user, now, {"role": user.role})
    return user


async def find_by_email(tx: Session, caller: Principal, email: str) -> User:
    """The user with this e-mail address, or UserNotFound."""
    return await users.get_user_by_email(tx, caller.organization_id, email)


async def reset_password(tx: Session, email: str, password_hash: str, *, now: datetime) -> User:
    """Give a user a new password and end all of the user's sessions and mailed tokens; raises UserNotFound."""
    found = await users.get_user_by_email(tx, None, email)
    user = await users.lock_user_of(tx, None, found.id)

    user.password_hash = password_hash
    user.updated_at = now
    await password_resets.use_resets_of(tx, user.id, now)
    await sessions.revoke_sessions_of(tx, user.id, now)

    await _record(tx, COMMAND_LINE, EventName.USER_PASSWORD_RESET, user, now, {})
    return user


def _really_changed(user: User, changes: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The columns that get another value; an operator leaves the organization."""
    wanted = dict(changes)
    if wanted.get("role") is Role.OPERATOR:
        wanted.setdefault("organization_id", None)
    is_disabled: bool | None = wanted.pop("is_disabled", None)
    if is_disabled is not None and is_disabled != (user.disabled_at is not None):
        wanted["disabled_at"] = now if is_disabled else None
    return {field: value for field, value in wanted.items() if getattr(user, field) != value}


async def _require_possible(tx: Session, caller: Principal, user: User, changed: Mapping[str, Any]) -> None:
    role = Role(changed.get("role", user.role))
    organization_id: UUID | None = changed.get("organization_id", user.organization_id)
    is_enabled = "disabled_at" in changed and changed["disabled_at"] is None
    if is_enabled or "role" in changed or "organization_id" in changed:
        require_placeable(caller, role, organization_id)
    if organization_id is not None and organization_id != user.organization_id:
        await organizations.get_organization(tx, organization_id)
    if role is not Role.OPERATOR or changed.get("disabled_at") is not None:
        await _require_another_operator(tx, user)


async def _require_another_operator(tx: Session, user: User) -> None:
    if user.role == Role.OPERATOR and not await users.has_other_operator(tx, user.id):
        raise LastOperator


def _event(changed: Mapping[str, Any]) -> EventName:
    if "disabled_at" not in changed:
        return EventName.USER_CHANGED
    return EventName.USER_DISABLED if changed["disabled_at"] is not None else EventName.USER_ENABLED


async def _let_choose_password(tx: Session, user: User, postbox: Postbox | None, now: datetime) -> str | None:
    token = make_token(PASSWORD_TOKEN_PREFIX)
    expires_at = now + FIRST_PASSWORD_LIFETIME
    tx.add(PasswordReset(user_id=user.id, token_hash=hash_secret(token), created_at=now, expires_at=expires_at))
    await tx.flush()
    if postbox is None:
        return token
    mail = mails.first_password(user.email, token, FIRST_PASSWORD_LIFETIME, postbox.public_url)
    await postbox.put(tx, mail, expires_at=expires_at, now=now)
    return None


def _described(user: User) -> dict[str, Any]:
    return describe_creation({"email": user.email, "role": user.role})


async def _record(
    tx: Session, caller: Principal, event: EventName, user: User, now: datetime, data: dict[str, Any]
) -> None:
    await events.record(tx, caller, event, user.id, organization_id=user.organization_id, now=now, data=data)
