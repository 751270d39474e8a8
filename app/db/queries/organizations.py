"""Queries over organizations."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from app.db.models import Organization
from app.db.session import Session
from app.domain.errors import OrganizationNotFound


async def get_organization(tx: Session, organization_id: UUID) -> Organization:
    """The organization, or OrganizationNotFound."""
    organization = await tx.get(Organization, organization_id)
    if organization is None:
        raise OrganizationNotFound
    return organization


async def lock_organization(tx: Session, organization_id: UUID) -> Organization:
    """The organization, locked until the transaction ends, or OrganizationNotFound."""
    organization = await tx.get(Organization, organization_id, with_for_update={"key_share": True})
    if organization is None:
        raise OrganizationNotFound
    return organization


async def list_organizations(
    tx: Session, only: UUID | None, *, domain: str | None, before: UUID | None, limit: int
) -> Sequence[Organization]:
    """Organizations, newest first; `only` is the one that a tenant may see."""
    query = select(Organization).order_by(Organization.id.desc()).limit(limit)
    if only is not None:
        query = query.where(Organization.id == only)
    if domain is not None:
        query = query.where(Organization.domain == domain)
    if before is not None:
        query = query.where(Organization.id < before)
    return (await tx.scalars(query)).all()
