"""Registrations: an organization and its first admin, once the e-mail address is confirmed; never a license."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.db import events
from app.db.models import Organization, Registration, User
from app.db.postbox import Postbox
from app.db.queries import registrations, users
from app.db.session import Session
from app.domain import mails
from app.domain.errors import AlreadyExists, Invalid, InvalidToken
from app.domain.events import EventName, describe_creation
from app.domain.permissions import REGISTRATION_TOKEN_PREFIX, Principal, Role, hash_secret
from app.domain.users import MAX_LIVING_REGISTRATIONS, REGISTRATION_LIFETIME
from app.tokens import make_token


@dataclass(frozen=True, slots=True)
class Register:
    """The wish for an organization, given as its columns, and for its first admin."""

    organization: Mapping[str, str | None]
    email: str
    name: str


async def register(tx: Session, caller: Principal, wish: Register, postbox: Postbox, *, now: datetime) -> None:
    """Mail a token to confirm with; nothing is made yet, and the caller learns nothing of who is here already.

    Raises Invalid when the address is not one of the organization's domain.
    """
    domain = (wish.organization["domain"] or "").lower()
    if wish.email.lower().rpartition("@")[2] != domain:
        raise Invalid("`user.email` must be an address of the organization's domain: it shows that you belong there.")
    await registrations.delete_expired_registrations(tx, now)
    if await registrations.count_registrations(tx, wish.email) >= MAX_LIVING_REGISTRATIONS:
        return
    is_known = await users.find_user_by_email(tx, wish.email) is not None

    token = make_token(REGISTRATION_TOKEN_PREFIX)
    registration = Registration(
        email=wish.email.lower(),
        name=wish.name,
        organization={**wish.organization, "domain": domain},
        token_hash=hash_secret(token),
        created_at=now,
        expires_at=now + REGISTRATION_LIFETIME,
    )
    tx.add(registration)
    mail = (
        mails.registration_of_known(registration.email)
        if is_known
        else mails.registration(registration.email, token, REGISTRATION_LIFETIME, postbox.public_url)
    )
    await postbox.put(tx, mail, expires_at=registration.expires_at, now=now)

    data = {"domain": domain}
    await events.record(tx, caller, EventName.REGISTRATION_REQUESTED, registration.id, now=now, data=data)


async def find_living(tx: Session, token: str, *, now: datetime) -> Registration:
    """The registration of a token, if it can be confirmed; raises InvalidToken."""
    registration = await registrations.find_living_registration(tx, hash_secret(token), now)
    if registration is None:
        raise InvalidToken
    return registration


async def confirm(tx: Session, caller: Principal, token: str, password_hash: str, *, now: datetime) -> User:
    """The first admin of the new organization; of several at once exactly one succeeds.

    Raises InvalidToken, and AlreadyExists when the address has an account or the domain its organization by now.
    """
    registration = await find_living(tx, token, now=now)
    if await users.find_user_by_email(tx, registration.email) is not None:
        raise AlreadyExists("This e-mail address has an account already; sign in with it.")

    organization = Organization(**registration.organization, created_at=now, updated_at=now)
    tx.add(organization)
    await tx.flush()
    admin = await users.add_user(
        tx,
        organization.id,
        registration.email,
        registration.name,
        Role.ADMIN,
        password_hash=password_hash,
        now=now,
    )
    registration.confirmed_at = now

    await _record(tx, caller.of_user(admin.id, organization.id), registration, organization, admin, now)
    return admin


async def _record(
    tx: Session, caller: Principal, registration: Registration, organization: Organization, admin: User, now: datetime
) -> None:
    data = describe_creation(registration.organization)
    await events.record(
        tx, caller, EventName.ORGANIZATION_CREATED, organization.id, organization_id=organization.id, now=now, data=data
    )
    data = describe_creation({"email": admin.email, "role": admin.role})
    await events.record(
        tx, caller, EventName.USER_CREATED, admin.id, organization_id=organization.id, now=now, data=data
    )
