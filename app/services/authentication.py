"""Authentication: signing in and out, and telling who is calling."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.db.models import ApiKey, LoginSession, User
from app.db.queries import api_keys, users
from app.db.session import Session
from app.domain.addresses import neighbourhood
from app.domain.errors import InvalidCredentials, Overloaded
from app.domain.events import EventName
from app.domain.permissions import (
    API_KEY_PREFIX,
    ROLE_PERMISSIONS,
    SESSION_TOKEN_PREFIX,
    Permission,
    Principal,
    PrincipalKind,
    Role,
    hash_secret,
)
from app.passwords import Passwords, TooManyWaiting
from app.services import events

SESSION_LIFETIME = timedelta(hours=12)
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from."""

    ip: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What somebody who signed in gets; the token is shown this once."""

    token: str
    expires_at: datetime
    user: User


async def find_account(tx: Session, email: str) -> User | None:
    """The account that somebody wants to sign in to, unless it is disabled."""
    user = await users.find_user_by_email(tx, email)
    return user if user is not None and user.disabled_at is None else None


async def is_known_address(tx: Session, user: User | None, origin: Origin) -> bool:
    """Whether the user has signed in from this neighbourhood before; takes as long for nobody."""
    return await users.is_known_address(tx, user.id if user else NOBODY, neighbourhood(origin.ip))


async def check_password(passwords: Passwords, user: User | None, password: str) -> User:
    """The user whose password this is; InvalidCredentials after the same time whether the account exists or not."""
    try:
        fits = await passwords.verify(user.password_hash if user else None, password)
    except TooManyWaiting as error:
        raise Overloaded("Too many sign-ins at once; try again in a moment.") from error
    if not fits or user is None:
        raise InvalidCredentials
    return user


async def sign_in(tx: Session, user: User, origin: Origin, *, now: datetime) -> SignedIn:
    """A new session for a user who has proven to be it; InvalidCredentials when the account has changed meanwhile."""
    proven = user.password_hash
    present = await users.lock_user(tx, user.id)
    if present is None or present.disabled_at is not None or present.password_hash != proven:
        raise InvalidCredentials
    token = SESSION_TOKEN_PREFIX + secrets.token_urlsafe(32)
    expires_at = now + SESSION_LIFETIME

    session = LoginSession(
        user_id=user.id, token_hash=hash_secret(token), created_at=now, expires_at=expires_at, proven_at=now
    )
    tx.add(session)
    await tx.flush()

    caller = _user_principal(user, session, origin)
    await events.record(tx, caller, EventName.USER_SIGNED_IN, user.id, organization_id=user.organization_id, now=now)
    return SignedIn(token, expires_at, user)


async def sign_out(tx: Session, caller: Principal, *, now: datetime) -> None:
    """End the caller's session at once; a caller with an API key has none, and nothing happens."""
    if caller.session_id is None or caller.id is None:
        return

    await users.revoke_session(tx, caller.session_id, now)

    await events.record(
        tx, caller, EventName.USER_SIGNED_OUT, caller.id, organization_id=caller.organization_id, now=now
    )


async def identify(tx: Session, credential: str, origin: Origin, *, now: datetime) -> Principal | None:
    """Who shows this session token or API key; None when it is unknown, expired or revoked."""
    secret_hash = hash_secret(credential)
    if credential.startswith(API_KEY_PREFIX):
        api_key = await api_keys.find_usable_api_key(tx, secret_hash, now)
        return None if api_key is None else _api_key_principal(api_key, origin)
    found = await users.find_session(tx, secret_hash, now)
    return None if found is None else _user_principal(found[1], found[0], origin)


def _user_principal(user: User, session: LoginSession, origin: Origin) -> Principal:
    permissions = ROLE_PERMISSIONS[Role(user.role)]
    return Principal(
        PrincipalKind.USER,
        user.id,
        user.organization_id,
        permissions,
        session.id,
        origin.ip,
        origin.request_id,
        session.proven_at,
    )


def _api_key_principal(api_key: ApiKey, origin: Origin) -> Principal:
    known = set(Permission)
    permissions = frozenset(Permission(scope) for scope in api_key.scopes if scope in known)
    return Principal(
        PrincipalKind.API_KEY, api_key.id, api_key.organization_id, permissions, None, origin.ip, origin.request_id
    )
