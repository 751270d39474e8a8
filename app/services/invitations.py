"""Invitations: whoever holds the token of one becomes a user, with a name and a password of their own choice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.db import events
from app.db.models import Invitation, User
from app.db.postbox import Postbox
from app.db.queries import invitations, organizations, users
from app.db.session import Session
from app.domain import mails
from app.domain.errors import AlreadyExists, InvalidToken, RateLimited
from app.domain.events import EventName, describe_creation
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import INVITATION_TOKEN_PREFIX, Principal, Role, hash_secret
from app.domain.users import (
    INVITATION_LIFETIME,
    MAX_INVITATIONS_A_DAY,
    MAX_INVITATIONS_OF_ONE_A_DAY,
    require_placeable,
)
from app.tokens import make_token

RETRY_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class CreateInvitation:
    """The wish to have somebody as a user; a tenant that names no organization means its own."""

    email: str
    role: Role
    organization_id: UUID | None = None


async def create(
    tx: Session, caller: Principal, wish: CreateInvitation, postbox: Postbox | None, *, now: datetime
) -> tuple[Invitation, str | None]:
    """A new invitation, which is mailed; its token where there is no postbox. An earlier one to the same place ends.

    Raises Denied, Invalid, OrganizationNotFound, RateLimited, and AlreadyExists when the user is one that the caller
    may see.
    """
    organization_id = wish.organization_id or caller.organization_id
    require_placeable(caller, wish.role, organization_id)
    organization = await organizations.get_organization(tx, organization_id) if organization_id else None
    known = await users.find_user_by_email(tx, wish.email)
    if known is not None and caller.organization_id in (None, known.organization_id):
        raise AlreadyExists("There is a user with this e-mail address already.")
    await _require_few(tx, caller, wish.email, now)
    await invitations.revoke_invitations_to(tx, organization_id, wish.email, now)

    token = make_token(INVITATION_TOKEN_PREFIX)
    invitation = Invitation(
        organization_id=organization_id,
        email=wish.email.lower(),
        role=wish.role,
        token_hash=hash_secret(token),
        expires_at=now + INVITATION_LIFETIME,
        created_at=now,
        updated_at=now,
    )
    tx.add(invitation)
    await tx.flush()
    name = organization.name if organization else None
    if postbox is not None:
        await _mail(tx, postbox, invitation, token, name, is_known=known is not None, now=now)

    data = describe_creation({"email": invitation.email, "role": invitation.role, "expires_at": invitation.expires_at})
    await _record(tx, caller, EventName.INVITATION_CREATED, invitation, now, data)
    return invitation, token if postbox is None else None


async def get(tx: Session, caller: Principal, invitation_id: UUID) -> Invitation:
    """The invitation; a stranger's is InvitationNotFound."""
    return await invitations.get_invitation(tx, caller.organization_id, invitation_id)


async def list_page(
    tx: Session, caller: Principal, page: PageRequest, *, organization_id: UUID | None = None
) -> Page[Invitation]:
    """Invitations, newest first; a tenant finds only its own."""
    before = page.position(UUID)
    found = await invitations.list_invitations(
        tx, caller.organization_id, wanted=organization_id, before=before, limit=page.limit + 1
    )
    return cut_page(found, page.limit, lambda invitation: invitation.id)


async def revoke(tx: Session, caller: Principal, invitation_id: UUID, *, now: datetime) -> None:
    """End an invitation at once; revoking twice, or one that was accepted, changes nothing."""
    invitation = await invitations.lock_invitation(tx, caller.organization_id, invitation_id)
    if invitation.revoked_at is not None or invitation.accepted_at is not None:
        return

    invitation.revoked_at = now
    invitation.updated_at = now

    await _record(tx, caller, EventName.INVITATION_REVOKED, invitation, now, {"email": invitation.email})


async def find_living(tx: Session, token: str, *, now: datetime) -> Invitation:
    """The invitation of a token, if it can be accepted; raises InvalidToken."""
    invitation = await invitations.find_living_invitation(tx, hash_secret(token), now)
    if invitation is None:
        raise InvalidToken
    return invitation


async def accept(tx: Session, caller: Principal, token: str, name: str, password_hash: str, *, now: datetime) -> User:
    """The user that an invitation was for; of several at once exactly one succeeds.

    Raises InvalidToken, and AlreadyExists when the address has an account by now.
    """
    invitation = await find_living(tx, token, now=now)
    if await users.find_user_by_email(tx, invitation.email) is not None:
        raise AlreadyExists("This e-mail address has an account already; ask to be invited at another one.")

    user = await users.add_user(
        tx,
        invitation.organization_id,
        invitation.email,
        name,
        Role(invitation.role),
        password_hash=password_hash,
        now=now,
    )
    invitation.accepted_at = now
    invitation.updated_at = now

    oneself = caller.of_user(user.id, user.organization_id)
    await _record(tx, oneself, EventName.INVITATION_ACCEPTED, invitation, now, {"email": invitation.email})
    data = describe_creation({"email": user.email, "role": user.role})
    place = user.organization_id
    await events.record(tx, oneself, EventName.USER_CREATED, user.id, organization_id=place, now=now, data=data)
    return user


async def _require_few(tx: Session, caller: Principal, email: str, now: datetime) -> None:
    """Raise RateLimited when a tenant has invited this address, or anybody, too often within a day."""
    if caller.organization_id is None:
        return
    since = now - timedelta(days=1)
    to_one = await invitations.count_invitations(tx, caller.organization_id, email=email, since=since)
    to_all = await invitations.count_invitations(tx, caller.organization_id, since=since)
    if to_one >= MAX_INVITATIONS_OF_ONE_A_DAY or to_all >= MAX_INVITATIONS_A_DAY:
        raise RateLimited(
            f"A day has {MAX_INVITATIONS_OF_ONE_A_DAY} invitations of one address and {MAX_INVITATIONS_A_DAY} in all.",
            retry_after_seconds=RETRY_SECONDS,
        )


async def _mail(
    tx: Session,
    postbox: Postbox,
    invitation: Invitation,
    token: str,
    organization: str | None,
    *,
    is_known: bool,
    now: datetime,
) -> None:
    """Who has an account elsewhere learns it from the mail; who invites does not."""
    if is_known:
        mail = mails.invitation_of_known(invitation.email, organization)
    else:
        mail = mails.invitation(invitation.email, token, organization, INVITATION_LIFETIME, postbox.public_url)
    await postbox.put(tx, mail, expires_at=invitation.expires_at, now=now)


async def _record(
    tx: Session, caller: Principal, event: EventName, invitation: Invitation, now: datetime, data: dict[str, Any]
) -> None:
    place = invitation.organization_id
    await events.record(tx, caller, event, invitation.id, organization_id=place, now=now, data=data)
