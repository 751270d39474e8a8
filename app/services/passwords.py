"""Passwords of people: lost and chosen anew by mail, changed, renewed when the way of hashing has."""

from __future__ import annotations

from datetime import datetime

from app.db import events
from app.db.models import PasswordReset, User
from app.db.postbox import Postbox
from app.db.queries import password_resets, sessions, users
from app.db.session import Session
from app.domain import mails
from app.domain.errors import InvalidToken, Overloaded, WrongPassword
from app.domain.events import EventName
from app.domain.passwords import require_strong_password
from app.domain.permissions import PASSWORD_TOKEN_PREFIX, Principal, hash_secret
from app.domain.users import MAX_LIVING_RESETS, RESET_LIFETIME
from app.passwords import Passwords, TooManyWaiting
from app.tokens import make_token


async def hash_chosen(passwords: Passwords, password: str, email: str) -> str:
    """The hash of a password that somebody with this address has chosen; raises WeakPassword and Overloaded."""
    require_strong_password(password, email)
    try:
        return await passwords.hash(password)
    except TooManyWaiting as error:
        raise Overloaded("Too many passwords at once; try again in a moment.") from error


async def request_reset(tx: Session, caller: Principal, postbox: Postbox, email: str, *, now: datetime) -> None:
    """Mail a token to choose a new password with, if there is such an account; a few at a time, and no word of it."""
    found = await users.find_user_by_email(tx, email)
    user = None if found is None else await users.lock_user(tx, found.id)
    if user is None or not await _may_choose(tx, user):
        return
    await password_resets.delete_dead_resets(tx, user.id, now)
    if await password_resets.count_living_resets(tx, user.id, now) >= MAX_LIVING_RESETS:
        return

    token = make_token(PASSWORD_TOKEN_PREFIX)
    expires_at = now + RESET_LIFETIME
    tx.add(PasswordReset(user_id=user.id, token_hash=hash_secret(token), created_at=now, expires_at=expires_at))
    mail = mails.password_reset(user.email, token, RESET_LIFETIME, postbox.public_url)
    await postbox.put(tx, mail, expires_at=expires_at, now=now)

    await _record(tx, caller, EventName.USER_PASSWORD_RESET_REQUESTED, user, now)


async def find_reset(tx: Session, token: str, *, now: datetime) -> User:
    """The user who may choose a new password with this token; raises InvalidToken."""
    found = await password_resets.find_reset(tx, hash_secret(token), now)
    if found is None:
        raise InvalidToken
    return found[1]


async def reset(tx: Session, caller: Principal, token: str, password_hash: str, *, now: datetime) -> User:
    """A new password for a token, which is used up with all others of the user; all sessions end.

    Of several at once exactly one succeeds; raises InvalidToken.
    """
    found = await find_reset(tx, token, now=now)
    await users.lock_user(tx, found.id)
    user = await find_reset(tx, token, now=now)  # whoever held the lock before us may have used it

    user.password_hash = password_hash
    user.updated_at = now
    await password_resets.use_resets_of(tx, user.id, now)
    await sessions.revoke_sessions_of(tx, user.id, now)

    await _record(tx, caller.of_user(user.id, user.organization_id), EventName.USER_PASSWORD_RESET, user, now)
    return user


async def change(tx: Session, caller: Principal, proven: User, password_hash: str, *, now: datetime) -> None:
    """Another password for whoever has just shown the present one; all other sessions of the user end.

    Raises WrongPassword when the present one was changed meanwhile.
    """
    user = await users.lock_user(tx, proven.id)
    if user is None or user.password_hash != proven.password_hash or caller.session_id is None:
        raise WrongPassword("Your password was changed meanwhile; sign in again.")

    user.password_hash = password_hash
    user.updated_at = now
    await password_resets.use_resets_of(tx, user.id, now)
    await sessions.revoke_sessions_of(tx, user.id, now, kept_id=caller.session_id)
    await sessions.prove_session(tx, user.id, caller.session_id, now)

    await _record(tx, caller, EventName.USER_PASSWORD_CHANGED, user, now)


async def hash_again(passwords: Passwords, proven: User, password: str) -> str | None:
    """The hash of a password that has just fitted, where the stored one was made in another way than today's.

    Of imported accounts it is bcrypt. None too when many wait already: the next time is early enough.
    """
    if proven.password_hash is None or not passwords.is_renewable(proven.password_hash):
        return None
    try:
        return await passwords.hash(password)
    except TooManyWaiting:
        return None


async def renew_hash(tx: Session, proven: User, password_hash: str) -> None:
    """The same password in the present way of hashing, unless the password was changed meanwhile."""
    user = await users.lock_user(tx, proven.id)
    if user is not None and user.password_hash == proven.password_hash:
        user.password_hash = password_hash


async def _may_choose(tx: Session, user: User) -> bool:
    """Whoever signs in through an identity provider alone gets no password by the way of a mailbox."""
    if user.disabled_at is not None:
        return False
    return user.password_hash is not None or not await users.has_identity(tx, user.id)


async def _record(tx: Session, caller: Principal, event: EventName, user: User, now: datetime) -> None:
    await events.record(tx, caller, event, user.id, organization_id=user.organization_id, now=now)
