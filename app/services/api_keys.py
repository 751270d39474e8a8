"""API keys: credentials for programs, shown once and stored as SHA-256."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.db import events
from app.db.models import ApiKey
from app.db.queries import api_keys, organizations
from app.db.session import Session
from app.domain.errors import ApiKeyStateConflict, Denied, Invalid
from app.domain.events import EventName, describe_changes, describe_creation
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import API_KEY_PREFIX, ORGANIZATION_SCOPES, Permission, Principal, hash_secret
from app.tokens import make_token

SHOWN_LENGTH = 12


@dataclass(frozen=True, slots=True)
class CreateApiKey:
    """The wish for an API key; without `organization_id` it is of the caller's own organization, or installation."""

    name: str
    scopes: frozenset[Permission]
    organization_id: UUID | None = None
    expires_at: datetime | None = None


async def create(tx: Session, caller: Principal, wish: CreateApiKey, *, now: datetime) -> tuple[ApiKey, str]:
    """A new API key and its secret; nobody can give scopes away that they do not have."""
    if wish.organization_id is None:
        wish = replace(wish, organization_id=caller.organization_id)
    _require_grantable(caller, wish)
    if wish.expires_at is not None and wish.expires_at <= now:
        raise Invalid("`expiresAt` lies in the past.")
    if wish.organization_id is not None:
        await organizations.get_organization(tx, wish.organization_id)

    api_key, secret = await _make(tx, wish.name, sorted(wish.scopes), wish.organization_id, wish.expires_at, now)

    await _record(tx, caller, EventName.API_KEY_CREATED, api_key, _described(api_key), now)
    return api_key, secret


async def rotate(
    tx: Session, caller: Principal, api_key_id: UUID, overlap: timedelta, *, now: datetime
) -> tuple[ApiKey, str]:
    """The key that takes this one's place, for as long as this one was made for, and its secret.

    The old one goes on for the overlap, unless it ends before.
    """
    old = await api_keys.lock_api_key(tx, caller.organization_id, api_key_id)
    _require_rotatable(caller, old, now)

    expires_at = None if old.expires_at is None else now + (old.expires_at - old.created_at)
    new, secret = await _make(tx, old.name, old.scopes, old.organization_id, expires_at, now)
    before = {"expires_at": old.expires_at, "replaced_by_id": None}
    old.replaced_by_id = new.id
    old.expires_at = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
    old.updated_at = now

    after = {"expires_at": old.expires_at, "replaced_by_id": new.id}
    await _record(tx, caller, EventName.API_KEY_CREATED, new, _described(new), now)
    await _record(tx, caller, EventName.API_KEY_ROTATED, old, describe_changes(before, after), now)
    return new, secret


async def get(tx: Session, caller: Principal, api_key_id: UUID) -> ApiKey:
    """The API key; a stranger's is ApiKeyNotFound."""
    return await api_keys.get_api_key(tx, caller.organization_id, api_key_id)


async def list_page(tx: Session, caller: Principal, page: PageRequest) -> Page[ApiKey]:
    """API keys, newest first, revoked and expired ones too."""
    before = page.position(UUID)
    found = await api_keys.list_api_keys(tx, caller.organization_id, before=before, limit=page.limit + 1)
    return cut_page(found, page.limit, lambda api_key: api_key.id)


async def revoke(tx: Session, caller: Principal, api_key_id: UUID, *, now: datetime) -> bool:
    """End an API key at once, and whether it had not ended so before: revoking twice is harmless."""
    api_key = await api_keys.lock_api_key(tx, caller.organization_id, api_key_id)
    if api_key.revoked_at is not None:
        return False

    api_key.revoked_at = now
    api_key.updated_at = now

    await _record(tx, caller, EventName.API_KEY_REVOKED, api_key, {"name": api_key.name}, now)
    return True


async def _make(
    tx: Session,
    name: str,
    scopes: list[str],
    organization_id: UUID | None,
    expires_at: datetime | None,
    now: datetime,
) -> tuple[ApiKey, str]:
    secret = make_token(API_KEY_PREFIX)
    api_key = ApiKey(
        organization_id=organization_id,
        name=name,
        prefix=secret[:SHOWN_LENGTH],
        secret_hash=hash_secret(secret),
        scopes=list(scopes),
        expires_at=expires_at,
        created_at=now,
        updated_at=now,
    )
    tx.add(api_key)
    await tx.flush()
    return api_key, secret


def _described(api_key: ApiKey) -> dict[str, Any]:
    return describe_creation({"name": api_key.name, "scopes": api_key.scopes, "expires_at": api_key.expires_at})


async def _record(
    tx: Session, caller: Principal, event: EventName, api_key: ApiKey, data: dict[str, Any], now: datetime
) -> None:
    await events.record(tx, caller, event, api_key.id, organization_id=api_key.organization_id, now=now, data=data)


def _require_grantable(caller: Principal, wish: CreateApiKey) -> None:
    if caller.organization_id is not None and caller.organization_id != wish.organization_id:
        raise Denied("API keys can only be made for your own organization.")
    _require_own_scopes(caller, wish.scopes)
    if wish.organization_id is not None and wish.scopes - ORGANIZATION_SCOPES:
        names = ", ".join(sorted(wish.scopes - ORGANIZATION_SCOPES))
        raise Invalid(f"A key of an organization can't have these scopes: {names}.")


def _require_own_scopes(caller: Principal, scopes: Iterable[str]) -> None:
    foreign = set(scopes) - caller.permissions
    if foreign:
        raise Denied(f"Nobody can give away scopes that they do not have: {', '.join(sorted(foreign))}.")


def _require_rotatable(caller: Principal, api_key: ApiKey, now: datetime) -> None:
    if api_key.revoked_at is not None:
        raise ApiKeyStateConflict("The API key is revoked; create a new one.")
    if api_key.expires_at is not None and api_key.expires_at <= now:
        raise ApiKeyStateConflict("The API key has expired; create a new one.")
    if api_key.replaced_by_id is not None:
        raise ApiKeyStateConflict("The API key was replaced already; rotate the one that took its place.")
    _require_own_scopes(caller, api_key.scopes)
