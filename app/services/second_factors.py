"""Second factors: setting one up, replacing and removing it, and the recovery codes in its place."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import pyotp

from app.db import events
from app.db.encrypted import decrypted
from app.db.models import User
from app.db.queries import second_factors, sessions, users
from app.db.session import Session
from app.domain.errors import (
    NoSecondFactor,
    SecondFactorMandatory,
    SessionNotFound,
    WrongSecondFactorCode,
)
from app.domain.events import EventName
from app.domain.permissions import Principal, Role, hash_secret
from app.domain.second_factors import RECOVERY_CODES, bare_code, make_recovery_code, matching_step, setup_uri
from app.domain.users import require_other_account, require_power_over
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What a device needs to show codes; the same as text and as an address for a QR code."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True)
class SecondFactorState:
    """Whether a person's second factor is in force, since when, and how many recovery codes are left."""

    confirmed_at: datetime | None
    recovery_codes_left: int


async def describe(tx: Session, user: User) -> SecondFactorState:
    """The state of a user's second factor."""
    return SecondFactorState(user.totp_confirmed_at, await second_factors.count_recovery_codes(tx, user.id))


async def begin(tx: Session, caller: Principal, vault: Vault, user_id: UUID, *, now: datetime) -> NewSecret:
    """A new secret, which counts (and replaces the one before) when a code of it is confirmed."""
    user = await users.lock_user_of(tx, caller.organization_id, user_id)
    secret = pyotp.random_base32()

    user.totp_pending_encrypted = vault.encrypt(secret)
    user.updated_at = now
    await tx.flush()
    return NewSecret(secret, setup_uri(secret, user.email))


async def confirm(
    tx: Session, caller: Principal, vault: Vault, user_id: UUID, code: str, *, now: datetime
) -> tuple[str, ...]:
    """Put the pending secret in force and end the user's other sessions; the recovery codes are told this once.

    Raises NoSecondFactor when none is pending, and WrongSecondFactorCode.
    """
    user = await users.lock_user_of(tx, caller.organization_id, user_id)
    if user.totp_pending_encrypted is None:
        raise NoSecondFactor
    step = matching_step(decrypted(vault, user.totp_pending_encrypted), code, last_step=None, now=now)
    if step is None:
        raise WrongSecondFactorCode

    user.totp_secret_encrypted = user.totp_pending_encrypted
    user.totp_pending_encrypted = None
    user.totp_confirmed_at = now
    user.totp_last_step = step
    user.updated_at = now
    await _go_on_alone(tx, caller, user, now=now)
    codes = await _replace_recovery_codes(tx, user, now=now)

    await _record(tx, caller, EventName.SECOND_FACTOR_SET_UP, user, now)
    return codes


async def renew_recovery_codes(tx: Session, caller: Principal, user_id: UUID, *, now: datetime) -> tuple[str, ...]:
    """New recovery codes, told this once; the ones before are worthless from now on."""
    user = await users.lock_user_of(tx, caller.organization_id, user_id)
    if user.totp_confirmed_at is None:
        raise NoSecondFactor

    codes = await _replace_recovery_codes(tx, user, now=now)

    await _record(tx, caller, EventName.RECOVERY_CODES_MADE, user, now)
    return codes


async def remove_own(
    tx: Session, caller: Principal, user_id: UUID, *, operators_must_have_one: bool, now: datetime
) -> None:
    """Go on without a second factor; SecondFactorMandatory for operators who must have one."""
    user = await users.lock_user_of(tx, caller.organization_id, user_id)
    if operators_must_have_one and user.role == Role.OPERATOR:
        raise SecondFactorMandatory
    if user.totp_confirmed_at is None and user.totp_pending_encrypted is None:
        return

    await _forget(tx, user, now=now)

    await _record(tx, caller, EventName.SECOND_FACTOR_REMOVED, user, now)


async def remove(tx: Session, caller: Principal, user_id: UUID, *, now: datetime) -> None:
    """Take the second factor from a user who has lost it, and end all of the user's sessions.

    Raises UserNotFound, Denied and OwnAccount: the own one is given up where it may be missing, with `remove_own`.
    """
    user = await users.lock_user_of(tx, caller.organization_id, user_id)
    require_other_account(caller, user.id)
    require_power_over(caller, Role(user.role))

    await _forget(tx, user, now=now)
    await sessions.revoke_sessions_of(tx, user.id, now)

    await _record(tx, caller, EventName.SECOND_FACTOR_REMOVED, user, now)


async def remove_by_email(tx: Session, caller: Principal, email: str, *, now: datetime) -> None:
    """Take the second factor from the user with this e-mail address; raises UserNotFound."""
    user = await users.get_user_by_email(tx, caller.organization_id, email)
    await remove(tx, caller, user.id, now=now)


async def _go_on_alone(tx: Session, caller: Principal, user: User, *, now: datetime) -> None:
    """The session in which the factor was confirmed has shown it; the others have not, and end."""
    assert caller.session_id is not None, "only a person in a session confirms a second factor"
    if not await sessions.prove_session(tx, user.id, caller.session_id, now, with_second_factor=True):
        raise SessionNotFound
    await sessions.revoke_sessions_of(tx, user.id, now, kept_id=caller.session_id)


async def _forget(tx: Session, user: User, *, now: datetime) -> None:
    user.totp_secret_encrypted = None
    user.totp_pending_encrypted = None
    user.totp_confirmed_at = None
    user.totp_last_step = None
    user.updated_at = now
    await second_factors.replace_recovery_codes(tx, user.id, (), now)


async def _replace_recovery_codes(tx: Session, user: User, *, now: datetime) -> tuple[str, ...]:
    codes = tuple(make_recovery_code(secrets.choice) for _ in range(RECOVERY_CODES))
    await second_factors.replace_recovery_codes(tx, user.id, [hash_secret(bare_code(code)) for code in codes], now)
    return codes


async def _record(tx: Session, caller: Principal, event: EventName, user: User, now: datetime) -> None:
    await events.record(tx, caller, event, user.id, organization_id=user.organization_id, now=now)
