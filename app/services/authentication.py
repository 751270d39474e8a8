"""Authentication: signing in and out, proving it again, and telling who is calling."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.db import events
from app.db.encrypted import decrypted
from app.db.models import ApiKey, LoginSession, User
from app.db.queries import api_keys, second_factors, sessions, users
from app.db.session import Session
from app.domain.addresses import neighbourhood
from app.domain.errors import (
    InvalidCredentials,
    InvalidSecondFactor,
    NoAccountForIdentity,
    Overloaded,
    SecondFactorRequired,
    SessionRequired,
)
from app.domain.events import EventName
from app.domain.permissions import (
    API_KEY_PREFIX,
    ROLE_PERMISSIONS,
    SESSION_LIFETIME,
    SESSION_TOKEN_PREFIX,
    MissingFactor,
    Permission,
    Principal,
    PrincipalKind,
    Role,
    hash_secret,
)
from app.domain.second_factors import bare_code, matching_step
from app.identity_provider import ProvenIdentity
from app.passwords import Passwords, TooManyWaiting
from app.tokens import make_token
from app.vault import Vault

USE_IS_NOTED_EVERY = timedelta(minutes=1)
"""A session that is used all the time is written to once a minute, not with every request."""
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from; the user agent is what the client calls itself, printable and short."""

    ip: str | None = None
    request_id: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What somebody who signed in gets; the token is shown this once.

    `is_new_address`: the user has signed in before, and never from there.
    """

    token: str
    expires_at: datetime
    user: User
    is_new_address: bool


class RefusalReason(StrEnum):
    """Why a credential is not taken."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a credential is not taken; `id` is that of the API key, or of the session's user, unless it is unknown."""

    reason: RefusalReason
    kind: PrincipalKind | None = None
    id: UUID | None = None


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


async def sign_in(
    tx: Session, user: User, origin: Origin, vault: Vault, *, code: str | None = None, now: datetime
) -> SignedIn:
    """A new session for a user whose password was checked, and who shows the second factor if there is one.

    Raises InvalidCredentials when the account has changed meanwhile, SecondFactorRequired and InvalidSecondFactor.
    """
    present = await _lock_unchanged(tx, user)
    second_factor_at = None
    if present.totp_confirmed_at is not None:
        if code is None:
            raise SecondFactorRequired
        await _take_code(tx, present, vault, code, origin, now=now)
        second_factor_at = now

    return await _open_session(tx, present, origin, second_factor_at=second_factor_at, now=now)


async def sign_in_with_identity(tx: Session, identity: ProvenIdentity, origin: Origin, *, now: datetime) -> SignedIn:
    """A new session for the user who is this at the identity provider; NoAccountForIdentity when nobody here is.

    The first time, the user is found by the e-mail address that the provider has verified, and linked for good. A
    second factor counts as shown when the provider says that it asked for one; otherwise ours is still to be shown.
    """
    user = await users.find_user_by_identity(tx, identity.issuer, identity.subject)
    if user is None:
        user = await _link(tx, identity, origin, now=now)
    present = await users.lock_user(tx, user.id)
    if present is None or present.disabled_at is not None:
        raise NoAccountForIdentity

    return await _open_session(
        tx, present, origin, second_factor_at=now if identity.has_second_factor else None, now=now
    )


async def get_account(tx: Session, caller: Principal) -> User:
    """The person whose session the caller shows; raises SessionRequired."""
    if caller.session_id is None or caller.id is None:
        raise SessionRequired
    return await users.get_user(tx, caller.organization_id, caller.id)


async def step_up_with_password(tx: Session, caller: Principal, user: User, *, now: datetime) -> datetime:
    """Note that the caller, whose password was checked, has just proven to be it; until when that counts is the door's.

    Raises InvalidCredentials when the account has changed meanwhile.
    """
    await _lock_unchanged(tx, user)
    return await _note_proof(tx, caller, with_second_factor=False, now=now)


async def step_up_with_code(tx: Session, caller: Principal, vault: Vault, code: str, *, now: datetime) -> datetime:
    """Note that the caller has just shown the second factor; raises InvalidSecondFactor."""
    account = await get_account(tx, caller)
    user = await users.lock_user(tx, account.id)
    if user is None or user.totp_confirmed_at is None:
        raise InvalidSecondFactor("There is no second factor; send the password.")
    await _take_code(tx, user, vault, code, Origin(caller.ip, caller.request_id), now=now)
    return await _note_proof(tx, caller, with_second_factor=True, now=now)


async def sign_out(tx: Session, caller: Principal, *, now: datetime) -> None:
    """End the caller's session at once; a caller with an API key has none, and nothing happens."""
    if caller.session_id is None or caller.id is None:
        return

    await sessions.revoke_session(tx, caller.session_id, now)

    await events.record(
        tx, caller, EventName.USER_SIGNED_OUT, caller.id, organization_id=caller.organization_id, now=now
    )


async def identify(
    tx: Session, credential: str, origin: Origin, *, must_have_second_factor: bool = False, now: datetime
) -> Principal | None:
    """Who shows this session token or API key; None when it is unknown, expired or revoked.

    An operator who must have a second factor and has none is let in without any permission, and so is everybody whose
    second factor was not shown for the session.
    """
    secret_hash = hash_secret(credential)
    if credential.startswith(API_KEY_PREFIX):
        api_key = await api_keys.find_usable_api_key(tx, secret_hash, now)
        if api_key is None:
            return None
        await api_keys.remember_use(tx, api_key, origin.ip, now)
        return _api_key_principal(api_key, origin)
    found = await sessions.find_session(tx, secret_hash, now)
    if found is None:
        return None
    session, user = found
    if session.last_used_at is None or now - session.last_used_at >= USE_IS_NOTED_EVERY:
        session.last_used_at = now
    is_operator = user.role == Role.OPERATOR
    return _user_principal(user, session, origin, must_have_second_factor=must_have_second_factor and is_operator)


async def explain_refusal(tx: Session, credential: str) -> Refusal:
    """Why nobody was identified by this credential; for the log alone, whoever shows it learns nothing."""
    secret_hash = hash_secret(credential)
    if credential.startswith(API_KEY_PREFIX):
        api_key = await api_keys.find_ended_api_key(tx, secret_hash)
        if api_key is None:
            return Refusal(RefusalReason.UNKNOWN)
        reason = RefusalReason.EXPIRED if api_key.revoked_at is None else RefusalReason.REVOKED
        return Refusal(reason, PrincipalKind.API_KEY, api_key.id)
    found = await sessions.find_ended_session(tx, secret_hash)
    if found is None:
        return Refusal(RefusalReason.UNKNOWN)
    session, user = found
    reason = RefusalReason.EXPIRED if session.revoked_at is None else RefusalReason.REVOKED
    return Refusal(RefusalReason.DISABLED if user.disabled_at else reason, PrincipalKind.USER, user.id)


async def _lock_unchanged(tx: Session, user: User) -> User:
    """The user, locked, if nobody has changed the password or disabled the account since `user` was read."""
    proven = user.password_hash
    present = await users.lock_user(tx, user.id)
    if present is None or present.disabled_at is not None or present.password_hash != proven:
        raise InvalidCredentials
    return present


async def _link(tx: Session, identity: ProvenIdentity, origin: Origin, *, now: datetime) -> User:
    """The user with the verified e-mail address, linked; never one who is somebody else at this provider already."""
    found = None if identity.email is None else await users.find_user_by_email(tx, identity.email)
    user = None if found is None else await users.lock_user(tx, found.id)
    if user is None or user.disabled_at is not None or await users.has_identity_at(tx, user.id, identity.issuer):
        raise NoAccountForIdentity

    await users.add_identity(tx, user.id, identity.issuer, identity.subject, now)

    data = {"issuer": identity.issuer, "subject": identity.subject}
    await _record_own(tx, user, EventName.IDENTITY_LINKED, origin, now=now, data=data)
    return user


async def _record_own(
    tx: Session, user: User, event: EventName, origin: Origin, *, now: datetime, data: dict[str, str] | None = None
) -> None:
    """Record what a user does who has no session yet."""
    caller = Principal(
        PrincipalKind.USER, user.id, user.organization_id, frozenset(), None, origin.ip, origin.request_id
    )
    await events.record(tx, caller, event, user.id, organization_id=user.organization_id, now=now, data=data)


async def _take_code(tx: Session, user: User, vault: Vault, code: str, origin: Origin, *, now: datetime) -> None:
    """Use up a code of the locked user's device or a recovery code; raises InvalidSecondFactor."""
    assert user.totp_secret_encrypted is not None, "a confirmed second factor has a secret"
    secret = decrypted(vault, user.totp_secret_encrypted)
    step = matching_step(secret, code, last_step=user.totp_last_step, now=now)
    if step is not None:
        user.totp_last_step = step
        return
    if not await second_factors.take_recovery_code(tx, user.id, hash_secret(bare_code(code)), now):
        raise InvalidSecondFactor
    await _record_own(tx, user, EventName.RECOVERY_CODE_USED, origin, now=now)


async def _open_session(
    tx: Session, user: User, origin: Origin, *, second_factor_at: datetime | None, now: datetime
) -> SignedIn:
    token = make_token(SESSION_TOKEN_PREFIX)
    session = LoginSession(
        user_id=user.id,
        token_hash=hash_secret(token),
        created_at=now,
        expires_at=now + SESSION_LIFETIME,
        proven_at=now,
        second_factor_at=second_factor_at,
        ip=origin.ip,
        user_agent=origin.user_agent,
    )
    tx.add(session)
    await tx.flush()
    is_new_address = await _remember_address(tx, user, origin, now=now)

    caller = _user_principal(user, session, origin)
    await events.record(tx, caller, EventName.USER_SIGNED_IN, user.id, organization_id=user.organization_id, now=now)
    return SignedIn(token, session.expires_at, user, is_new_address)


async def _remember_address(tx: Session, user: User, origin: Origin, *, now: datetime) -> bool:
    """Whether the user, who has signed in before, never did so from there."""
    if origin.ip is None:
        return False
    address = neighbourhood(origin.ip)
    is_known = await users.is_known_address(tx, user.id, address)
    is_new = not is_known and await users.has_known_addresses(tx, user.id)
    await users.remember_address(tx, user.id, address, now)
    return is_new


async def _note_proof(tx: Session, caller: Principal, *, with_second_factor: bool, now: datetime) -> datetime:
    if caller.session_id is None or caller.id is None:
        raise SessionRequired
    if not await sessions.prove_session(tx, caller.id, caller.session_id, now, with_second_factor=with_second_factor):
        raise InvalidCredentials

    await events.record(
        tx, caller, EventName.USER_STEPPED_UP, caller.id, organization_id=caller.organization_id, now=now
    )
    return now


def _user_principal(
    user: User, session: LoginSession, origin: Origin, *, must_have_second_factor: bool = False
) -> Principal:
    missing = None
    if session.second_factor_at is None:
        if user.totp_confirmed_at is not None:
            missing = MissingFactor.PROOF
        elif must_have_second_factor:
            missing = MissingFactor.SETUP
    return Principal(
        PrincipalKind.USER,
        user.id,
        user.organization_id,
        frozenset() if missing else ROLE_PERMISSIONS[Role(user.role)],
        session.id,
        origin.ip,
        origin.request_id,
        session.proven_at,
        missing,
    )


def _api_key_principal(api_key: ApiKey, origin: Origin) -> Principal:
    known = set(Permission)
    permissions = frozenset(Permission(scope) for scope in api_key.scopes if scope in known)
    return Principal(
        PrincipalKind.API_KEY, api_key.id, api_key.organization_id, permissions, None, origin.ip, origin.request_id
    )
