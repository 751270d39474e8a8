"""Queries over invitations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update

from app.db.models import Invitation
from app.db.session import Session
from app.domain.errors import InvitationNotFound


async def get_invitation(tx: Session, organization_id: UUID | None, invitation_id: UUID) -> Invitation:
    """The invitation, or InvitationNotFound, also when it is a stranger's."""
    return await _get(tx, organization_id, invitation_id, is_locked=False)


async def lock_invitation(tx: Session, organization_id: UUID | None, invitation_id: UUID) -> Invitation:
    """The invitation, locked until the transaction ends, or InvitationNotFound, also when it is a stranger's."""
    return await _get(tx, organization_id, invitation_id, is_locked=True)


async def list_invitations(
    tx: Session, organization_id: UUID | None, *, wanted: UUID | None, before: UUID | None, limit: int
) -> Sequence[Invitation]:
    """Invitations, newest first, those that were accepted, revoked or have expired too."""
    query = select(Invitation).order_by(Invitation.id.desc()).limit(limit)
    for scope in (organization_id, wanted):
        if scope is not None:
            query = query.where(Invitation.organization_id == scope)
    if before is not None:
        query = query.where(Invitation.id < before)
    return (await tx.scalars(query)).all()


async def count_invitations(tx: Session, organization_id: UUID, *, email: str | None = None, since: datetime) -> int:
    """How many invitations to an organization were made since then, all or those of one address."""
    query = select(func.count()).where(Invitation.organization_id == organization_id, Invitation.created_at > since)
    if email is not None:
        query = query.where(Invitation.email == email.lower())
    return await tx.scalar(query) or 0


async def find_living_invitation(tx: Session, token_hash: bytes, now: datetime) -> Invitation | None:
    """The invitation that this token belongs to, locked until the transaction ends, if it can be accepted."""
    query = select(Invitation).where(Invitation.token_hash == token_hash, *_is_living(now)).with_for_update()
    invitation: Invitation | None = await tx.scalar(query)
    return invitation


async def revoke_invitations_to(tx: Session, organization_id: UUID | None, email: str, now: datetime) -> None:
    """End the living invitations of one address to the same place."""
    same_place = (
        Invitation.organization_id.is_(None)
        if organization_id is None
        else Invitation.organization_id == organization_id
    )
    living = update(Invitation).where(same_place, Invitation.email == email.lower(), *_is_living(now))
    await tx.execute(living.values(revoked_at=now, updated_at=now))


async def _get(tx: Session, organization_id: UUID | None, invitation_id: UUID, *, is_locked: bool) -> Invitation:
    query = select(Invitation).where(Invitation.id == invitation_id)
    if organization_id is not None:
        query = query.where(Invitation.organization_id == organization_id)
    invitation: Invitation | None = await tx.scalar(query.with_for_update() if is_locked else query)
    if invitation is None:
        raise InvitationNotFound
    return invitation


def _is_living(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None), Invitation.expires_at > now
