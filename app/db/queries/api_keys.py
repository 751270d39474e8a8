"""Queries over API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, or_, select, update

from app.db.models import ApiKey
from app.db.session import Session
from app.domain.errors import ApiKeyNotFound

USE_IS_NEWS_AFTER = timedelta(minutes=1)


async def find_usable_api_key(tx: Session, secret_hash: bytes, now: datetime) -> ApiKey | None:
    """The API key with this secret, unless it is revoked or expired."""
    query = select(ApiKey).where(
        ApiKey.secret_hash == secret_hash,
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
    )
    api_key: ApiKey | None = await tx.scalar(query)
    return api_key


async def find_ended_api_key(tx: Session, secret_hash: bytes) -> ApiKey | None:
    """The API key with this secret, revoked and expired ones too."""
    api_key: ApiKey | None = await tx.scalar(select(ApiKey).where(ApiKey.secret_hash == secret_hash))
    return api_key


async def remember_use(tx: Session, api_key: ApiKey, ip: str | None, now: datetime) -> None:
    """Note that the key was used, at most once a minute; whoever holds the row at the moment is not waited for."""
    if api_key.last_used_at is not None and api_key.last_used_at > now - USE_IS_NEWS_AFTER:
        return
    is_news = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= now - USE_IS_NEWS_AFTER)
    free = select(ApiKey.id).where(ApiKey.id == api_key.id, is_news).with_for_update(skip_locked=True, key_share=True)
    noted = update(ApiKey).where(ApiKey.id == free.scalar_subquery()).values(last_used_at=now, last_used_ip=ip)
    await tx.execute(noted.execution_options(synchronize_session=False))


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
