"""API keys over HTTP."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response

from app.db.models import ApiKey
from app.domain.permissions import Principal
from app.services import api_keys
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.deps import Now, Transaction, WantedPage
from app.web.idempotency import Created, Once
from app.web.json_body import JsonRoute
from app.web.schemas.api_keys import ApiKeyOut, CreateApiKey, CreatedApiKeyOut, RotateApiKey
from app.web.schemas.base import PageOut
from app.web.security import CanReadApiKeys, CanWriteApiKeys, RecentlyProven

router = APIRouter(prefix="/api/api-keys", tags=["API keys"], route_class=JsonRoute)


@router.post("", status_code=201, response_model=CreatedApiKeyOut)
async def create_api_key(
    caller: CanWriteApiKeys, proven: RecentlyProven, tx: Transaction, now: Now, once: Once, wish: CreateApiKey
) -> Response:
    """Create an API key; its secret is shown only here, and a person must have proven itself lately."""

    async def create() -> Created:
        new = api_keys.CreateApiKey(wish.name, wish.scopes, wish.organization_id, wish.expires_at)
        return _created(caller, *await api_keys.create(tx, caller, new, now=now))

    return await once(create)


@router.get("")
async def list_api_keys(caller: CanReadApiKeys, tx: Transaction, page: WantedPage) -> PageOut[ApiKeyOut]:
    """List API keys, newest first, without their secrets."""
    found = await api_keys.list_page(tx, caller, page)
    items = [ApiKeyOut.model_validate(api_key) for api_key in found.items]
    return PageOut[ApiKeyOut](items=items, next_cursor=found.next_cursor)


@router.get("/{api_key_id}")
async def show_api_key(caller: CanReadApiKeys, tx: Transaction, api_key_id: UUID) -> ApiKeyOut:
    """Show an API key, without its secret."""
    return ApiKeyOut.model_validate(await api_keys.get(tx, caller, api_key_id))


@router.post("/{api_key_id}/rotate", status_code=201, response_model=CreatedApiKeyOut)
async def rotate_api_key(
    caller: CanWriteApiKeys,
    proven: RecentlyProven,
    tx: Transaction,
    now: Now,
    once: Once,
    api_key_id: UUID,
    wish: RotateApiKey,
) -> Response:
    """Make a key that takes this one's place; this one goes on for `overlapHours`."""

    async def rotate() -> Created:
        overlap = timedelta(hours=wish.overlap_hours)
        return _created(caller, *await api_keys.rotate(tx, caller, api_key_id, overlap, now=now))

    return await once(rotate)


@router.delete("/{api_key_id}", status_code=204)
async def revoke_api_key(caller: CanWriteApiKeys, tx: Transaction, now: Now, api_key_id: UUID) -> None:
    """End an API key at once."""
    if await api_keys.revoke(tx, caller, api_key_id, now=now):
        _tell(SecurityEvent.AUTHN_TOKEN_REVOKED, "API key revoked", caller, api_key_id)


def _created(caller: Principal, api_key: ApiKey, secret: str) -> Created:
    _tell(SecurityEvent.AUTHN_TOKEN_CREATED, "API key created", caller, api_key.id)
    shown = ApiKeyOut.model_validate(api_key).model_dump()
    return Created(CreatedApiKeyOut(**shown, api_key=secret), f"/api/api-keys/{api_key.id}")


def _tell(event: SecurityEvent, message: str, caller: Principal, api_key_id: UUID) -> None:
    security_log.record(
        event, message, ip=caller.ip, caller_kind=caller.kind, caller_id=caller.id, api_key_id=api_key_id
    )
