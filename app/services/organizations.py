"""Organizations: create, look up, change, suspend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db.models import Organization
from app.db.queries import organizations
from app.db.session import Session
from app.domain.errors import OrganizationNotFound
from app.domain.events import EventName
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal
from app.services import events


@dataclass(frozen=True, slots=True)
class CreateOrganization:
    """The wish for a new organization."""

    name: str
    domain: str
    email: str
    phone: str | None = None
    address: str | None = None
    country: str | None = None


async def create(tx: Session, caller: Principal, wish: CreateOrganization, *, now: datetime) -> Organization:
    """A new organization; raises AlreadyExists when its domain is taken."""
    organization = Organization(
        name=wish.name,
        domain=wish.domain.lower(),
        email=wish.email,
        phone=wish.phone,
        address=wish.address,
        country=wish.country,
        created_at=now,
        updated_at=now,
    )
    tx.add(organization)
    await tx.flush()

    await events.record(
        tx,
        caller,
        EventName.ORGANIZATION_CREATED,
        organization.id,
        organization_id=organization.id,
        now=now,
        data={"name": wish.name, "domain": organization.domain},
    )
    return organization


async def get(tx: Session, caller: Principal, organization_id: UUID) -> Organization:
    """The organization; a tenant finds only its own."""
    _require_own(caller, organization_id)
    return await organizations.get_organization(tx, organization_id)


async def list_page(
    tx: Session, caller: Principal, page: PageRequest, *, domain: str | None = None
) -> Page[Organization]:
    """Organizations, newest first; a tenant finds only its own."""
    found = await organizations.list_organizations(
        tx,
        caller.organization_id,
        domain=domain.lower() if domain else None,
        before=page.position(UUID),
        limit=page.limit + 1,
    )
    return cut_page(found, page.limit, lambda organization: organization.id)


async def change(
    tx: Session, caller: Principal, organization_id: UUID, changes: Mapping[str, Any], *, now: datetime
) -> Organization:
    """Change some fields; `is_suspended` suspends or reinstates all of the organization's licenses at once."""
    _require_own(caller, organization_id)
    organization = await organizations.lock_organization(tx, organization_id)
    fields = dict(changes)
    is_suspended: bool | None = fields.pop("is_suspended", None)

    event = _suspend(organization, is_suspended, now)
    for field, value in fields.items():
        setattr(organization, field, value.lower() if field == "domain" else value)
    organization.updated_at = now

    await events.record(
        tx, caller, event, organization.id, organization_id=organization.id, now=now, data={"changed": sorted(changes)}
    )
    return organization


def _require_own(caller: Principal, organization_id: UUID) -> None:
    if caller.organization_id not in (None, organization_id):
        raise OrganizationNotFound


def _suspend(organization: Organization, is_suspended: bool | None, now: datetime) -> EventName:
    if is_suspended is None or is_suspended == (organization.suspended_at is not None):
        return EventName.ORGANIZATION_CHANGED
    organization.suspended_at = now if is_suspended else None
    return EventName.ORGANIZATION_SUSPENDED if is_suspended else EventName.ORGANIZATION_REINSTATED
