"""Organizations over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.services import organizations
from app.web.deps import Now, Transaction, WantedPage
from app.web.idempotency import Created, Once
from app.web.json_body import JsonRoute
from app.web.schemas.base import PageOut, Text
from app.web.schemas.organizations import ChangeOrganization, CreateOrganization, OrganizationOut
from app.web.security import CanReadOrganizations, CanWriteOrganizations

router = APIRouter(prefix="/api/organizations", tags=["organizations"], route_class=JsonRoute)


@router.post("", status_code=201, response_model=OrganizationOut)
async def create_organization(
    caller: CanWriteOrganizations, tx: Transaction, now: Now, once: Once, wish: CreateOrganization
) -> Response:
    """Create an organization; its domain must be new."""

    async def create() -> Created:
        new = organizations.CreateOrganization(**wish.model_dump())
        organization = await organizations.create(tx, caller, new, now=now)
        return Created(OrganizationOut.model_validate(organization), f"/api/organizations/{organization.id}")

    return await once(create)


@router.get("")
async def list_organizations(
    caller: CanReadOrganizations,
    tx: Transaction,
    page: WantedPage,
    domain: Annotated[Text | None, Query(description="Only the organization with this domain.")] = None,
) -> PageOut[OrganizationOut]:
    """List organizations, newest first."""
    found = await organizations.list_page(tx, caller, page, domain=domain)
    items = [OrganizationOut.model_validate(organization) for organization in found.items]
    return PageOut[OrganizationOut](items=items, next_cursor=found.next_cursor)


@router.get("/{organization_id}")
async def show_organization(caller: CanReadOrganizations, tx: Transaction, organization_id: UUID) -> OrganizationOut:
    """Show an organization."""
    return OrganizationOut.model_validate(await organizations.get(tx, caller, organization_id))


@router.patch("/{organization_id}")
async def change_organization(
    caller: CanWriteOrganizations, tx: Transaction, now: Now, organization_id: UUID, wish: ChangeOrganization
) -> OrganizationOut:
    """Change an organization; `isSuspended` suspends or reinstates all of its licenses at once."""
    changes = wish.model_dump(exclude_unset=True)
    return OrganizationOut.model_validate(await organizations.change(tx, caller, organization_id, changes, now=now))
