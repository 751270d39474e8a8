"""Signing in, in JSON."""

from __future__ import annotations

from uuid import UUID

from app.domain.permissions import Role
from app.web.schemas.base import Email, Out, OutMoment, ShownPassword, Wish


class SignIn(Wish):
    """An account and its password."""

    email: Email
    password: ShownPassword


class UserOut(Out):
    """A person."""

    id: UUID
    email: str
    name: str
    role: Role
    organization_id: UUID | None


class SignedInOut(Out):
    """A session: send the token as `Authorization: Bearer ...`."""

    token: str
    expires_at: OutMoment
    user: UserOut
    organization: UUID | None
