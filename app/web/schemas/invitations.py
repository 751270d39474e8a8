"""Invitations in JSON."""

from __future__ import annotations

from uuid import UUID

from app.domain.permissions import Role
from app.web.schemas.base import Email, NewPassword, Out, OutMoment, Text, Wish


class CreateInvitation(Wish):
    """Somebody to become a user; an admin that leaves `organizationId` out means the own one."""

    email: Email
    role: Role
    organization_id: UUID | None = None


class AcceptInvitation(Wish):
    """What whoever was invited answers."""

    token: Text
    name: Text
    password: NewPassword


class InvitationOut(Out):
    """An invitation without its token."""

    id: UUID
    organization_id: UUID | None
    email: str
    role: Role
    expires_at: OutMoment
    accepted_at: OutMoment | None
    revoked_at: OutMoment | None
    created_at: OutMoment


class CreatedInvitationOut(InvitationOut):
    """A new invitation; without a mail server `token` is what to hand to whoever is invited, shown only here."""

    is_mailed: bool
    token: str | None
