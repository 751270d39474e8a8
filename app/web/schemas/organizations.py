"""Organizations in JSON."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field, StrictBool

from app.web.schemas.base import Email, LongText, Out, OutMoment, Text, Wish


class CreateOrganization(Wish):
    """A new customer."""

    name: Text
    domain: Text
    email: Email
    phone: Text | None = None
    address: LongText | None = None
    country: Text | None = None


class ChangeOrganization(Wish):
    """What to change; members that are left out stay as they are."""

    name: Text = Field(default="")
    domain: Text = Field(default="")
    email: Email = Field(default="")
    phone: Text | None = None
    address: LongText | None = None
    country: Text | None = None
    is_suspended: StrictBool = False


class OrganizationOut(Out):
    """A customer; while `suspendedAt` is set none of its licenses is valid."""

    id: UUID
    name: str
    domain: str
    email: str
    phone: str | None
    address: str | None
    country: str | None
    suspended_at: OutMoment | None
    created_at: OutMoment
    updated_at: OutMoment
