"""Signing in, in JSON."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from app.domain.permissions import Role
from app.web.schemas.base import Email, Out, OutMoment, Wish


class SignIn(Wish):
    """An account and its password."""

    email: Email
    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


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
