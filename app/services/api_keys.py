"""API keys: credentials for programs, shown once and stored as SHA-256."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db.models import ApiKey
from app.db.queries import api_keys, organizations
from app.db.session import Session
from app.domain.errors import Denied, Invalid
from app.domain.events import EventName, describe_creation
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import API_KEY_PREFIX, ORGANIZATION_SCOPES, Permission, Principal, hash_secret
from app.services import events

SHOWN_LENGTH = 12


@dataclass(frozen=True, slots=True)
class CreateApiKey:
    """The wish for an API key; of the installation when `organization_id` is None."""

    name: str
    scopes: frozenset[Permission]
    organization_id: UUID | None = None
    expires_at: datetime | None = None


async def create(tx: Session, caller: Principal, wish: CreateApiKey, *, now: datetime) -> tuple[ApiKey, str]:
    """A new API key and its secret; nobody can give scopes away that they do not have."""
    _require_grantable(caller, wish)
    if wish.expires_at is not None and wish.expires_at <= now:
        raise Invalid("`expiresAt` lies in the past.")
    if wish.organization_id is not None:
        await organizations.get_organization(tx, wish.organization_id)
    secret = API_KEY_PREFIX + secrets.token_urlsafe(32)

    api_key = ApiKey(
        organization_id=wish.organization_id,
        name=wish.name,
        prefix=secret[:SHOWN_LENGTH],
        secret_hash=hash_secret(secret),
        scopes=sorted(wish.scopes),
        expires_at=wish.expires_at,
        created_at=now,
        updated_at=now,
    )
    tx.add(api_key)
    await tx.flush()

    made = describe_creation({"name": api_key.name, "scopes": api_key.scopes, "expires_at": api_key.expires_at})
    await _record(tx, caller, EventName.API_KEY_CREATED, api_key, made, now)
    return api_key, secret


async def get(tx: Session, caller: Principal, api_key_id: UUID) -> ApiKey:
    """The API key; a stranger's is ApiKeyNotFound."""
    return await api_keys.get_api_key(tx, caller.organization_id, api_key_id)


async def list_page(tx: Session, caller: Principal, page: PageRequest) -> Page[ApiKey]:
    """API keys, newest first, revoked and expired ones too."""
    before = page.position(UUID)
    found = await api_keys.list_api_keys(tx, caller.organization_id, before=before, limit=page.limit + 1)
    return cut_page(found, page.limit, lambda api_key: api_key.id)


async def revoke(tx: Session, caller: Principal, api_key_id: UUID, *, now: datetime) -> None:
    """End an API key at once; revoking twice is harmless."""
    api_key = await api_keys.lock_api_key(tx, caller.organization_id, api_key_id)
    if api_key.revoked_at is not None:
        return

    api_key.revoked_at = now
    api_key.updated_at = now

    await _record(tx, caller, EventName.API_KEY_REVOKED, api_key, {"name": api_key.name}, now)


async def _record(
    tx: Session, caller: Principal, event: EventName, api_key: ApiKey, data: dict[str, Any], now: datetime
) -> None:
    await events.record(tx, caller, event, api_key.id, organization_id=api_key.organization_id, now=now, data=data)


def _require_grantable(caller: Principal, wish: CreateApiKey) -> None:
    if caller.organization_id is not None and caller.organization_id != wish.organization_id:
        raise Denied("API keys can only be made for your own organization.")
    if wish.scopes - caller.permissions:
        names = ", ".join(sorted(wish.scopes - caller.permissions))
        raise Denied(f"Nobody can give away scopes that they do not have: {names}.")
    if wish.organization_id is not None and wish.scopes - ORGANIZATION_SCOPES:
        names = ", ".join(sorted(wish.scopes - ORGANIZATION_SCOPES))
        raise Invalid(f"A key of an organization can't have these scopes: {names}.")
