"""Queries over licenses; `organization_id` None means all organizations (an operator asks)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select

from app.db.models import License
from app.db.session import Session
from app.domain.errors import LicenseNotFound
from app.domain.licenses import LicenseFilter


async def get_license(tx: Session, organization_id: UUID | None, license_id: UUID) -> License:
    """The license, or LicenseNotFound, also when it is a stranger's."""
    return _found(await tx.scalar(_one(organization_id, license_id)))


async def lock_license(tx: Session, organization_id: UUID | None, license_id: UUID) -> License:
    """The license, locked until the transaction ends, or LicenseNotFound."""
    query = _one(organization_id, license_id).with_for_update(key_share=True)
    return _found(await tx.scalar(query.execution_options(populate_existing=True)))


async def lock_license_key(tx: Session, license_key_hash: bytes) -> UUID | None:
    """Lock the license with this key until the transaction ends; the organization it belongs to, None if unknown."""
    query = select(License.organization_id).where(License.license_key_hash == license_key_hash)
    organization_id: UUID | None = await tx.scalar(query.with_for_update(key_share=True))
    return organization_id


async def find_newest_license(tx: Session) -> License | None:
    """The license that was issued last, of any organization."""
    newest: License | None = await tx.scalar(select(License).order_by(License.id.desc()).limit(1))
    return newest


async def list_licenses(
    tx: Session, organization_id: UUID | None, wanted: LicenseFilter, *, before: UUID | None, limit: int
) -> Sequence[License]:
    """Licenses, newest first."""
    query = _visible(organization_id).order_by(License.id.desc()).limit(limit)
    if wanted.organization_id is not None:
        query = query.where(License.organization_id == wanted.organization_id)
    if wanted.status is not None:
        query = query.where(License.status == wanted.status)
    if wanted.tier is not None:
        query = query.where(License.tier == wanted.tier)
    if before is not None:
        query = query.where(License.id < before)
    return (await tx.scalars(query)).all()


def _one(organization_id: UUID | None, license_id: UUID) -> Select[License]:
    return _visible(organization_id).where(License.id == license_id)


def _visible(organization_id: UUID | None) -> Select[License]:
    query = select(License)
    return query if organization_id is None else query.where(License.organization_id == organization_id)


def _found(license: License | None) -> License:
    if license is None:
        raise LicenseNotFound
    return license
