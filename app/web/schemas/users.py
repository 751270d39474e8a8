"""People in JSON."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field, StrictBool

from app.domain.permissions import Role
from app.web.schemas.authentication import UserOut
from app.web.schemas.base import Email, OutMoment, Text, Wish


class CreateUser(Wish):
    """A new account, whose owner chooses the password; operators belong to no organization."""

    email: Email
    name: Text
    role: Role
    organization_id: UUID | None = None


class ChangeUser(Wish):
    """What to change; members that are left out stay as they are."""

    name: Text = Field(default="")
    role: Role = Field(default=Role.VIEWER)
    organization_id: UUID | None = None
    is_disabled: StrictBool = False


class AccountOut(UserOut):
    """A person's account; while `disabledAt` is set nobody can sign in to it."""

    disabled_at: OutMoment | None
    created_at: OutMoment
    updated_at: OutMoment


class CreatedUserOut(AccountOut):
    """A new account; without a mail server `token` is what its owner chooses a password with, shown only here."""

    is_mailed: bool
    token: str | None
