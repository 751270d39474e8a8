"""Organizations: create, look up, change, suspend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import events
from app.db.models import Organization
from app.db.queries import organizations
from app.db.session import Session
from app.domain.errors import OrganizationNotFound
from app.domain.events import EventName, describe_changes, describe_creation
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal


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
        data=describe_creation({**asdict(wish), "domain": organization.domain}),
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
    before = {field: _value(organization, field) for field in changes}
    wanted = {field: value.lower() if field == "domain" else value for field, value in changes.items()}
    changed = {field: value for field, value in wanted.items() if before[field] != value}
    if not changed:
        return organization

    for field, value in changed.items():
        if field == "is_suspended":
            organization.suspended_at = now if value else None
        else:
            setattr(organization, field, value)
    organization.updated_at = now

    event, data = _event(changed.get("is_suspended")), describe_changes(before, changed)
    await events.record(tx, caller, event, organization.id, organization_id=organization.id, now=now, data=data)
    return organization


def _require_own(caller: Principal, organization_id: UUID) -> None:
    if caller.organization_id not in (None, organization_id):
        raise OrganizationNotFound


def _value(organization: Organization, field: str) -> Any:
    return organization.suspended_at is not None if field == "is_suspended" else getattr(organization, field)


def _event(is_suspended: bool | None) -> EventName:
    if is_suspended is None:
        return EventName.ORGANIZATION_CHANGED
    return EventName.ORGANIZATION_SUSPENDED if is_suspended else EventName.ORGANIZATION_REINSTATED
