"""Queries over API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, or_, select

from app.db.models import ApiKey
from app.db.session import Session
from app.domain.errors import ApiKeyNotFound


async def find_usable_api_key(tx: Session, secret_hash: bytes, now: datetime) -> ApiKey | None:
    """The API key with this secret, unless it is revoked or expired."""
    query = select(ApiKey).where(
        ApiKey.secret_hash == secret_hash,
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
    )
    api_key: ApiKey | None = await tx.scalar(query)
    return api_key


async def get_api_key(tx: Session, organization_id: UUID | None, api_key_id: UUID) -> ApiKey:
    """The API key, or ApiKeyNotFound, also when it is a stranger's."""
    return _found(await tx.scalar(_one(organization_id, api_key_id)))


async def lock_api_key(tx: Session, organization_id: UUID | None, api_key_id: UUID) -> ApiKey:
    """The API key, locked until the transaction ends, or ApiKeyNotFound, also when it is a stranger's."""
    query = _one(organization_id, api_key_id).with_for_update(key_share=True)
    return _found(await tx.scalar(query.execution_options(populate_existing=True)))


async def list_api_keys(
    tx: Session, organization_id: UUID | None, *, before: UUID | None, limit: int
) -> Sequence[ApiKey]:
    """API keys, newest first."""
    query = select(ApiKey).order_by(ApiKey.id.desc()).limit(limit)
    if organization_id is not None:
        query = query.where(ApiKey.organization_id == organization_id)
    if before is not None:
        query = query.where(ApiKey.id < before)
    return (await tx.scalars(query)).all()


def _one(organization_id: UUID | None, api_key_id: UUID) -> Select[ApiKey]:
    query = select(ApiKey).where(ApiKey.id == api_key_id)
    return query if organization_id is None else query.where(ApiKey.organization_id == organization_id)


def _found(api_key: ApiKey | None) -> ApiKey:
    if api_key is None:
        raise ApiKeyNotFound
    return api_key
