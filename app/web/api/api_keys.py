"""API keys over HTTP."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from app.services import api_keys
from app.web.deps import Now, Transaction, WantedPage
from app.web.idempotency import Created, Once
from app.web.json_body import JsonRoute
from app.web.schemas.api_keys import ApiKeyOut, CreateApiKey, CreatedApiKeyOut
from app.web.schemas.base import PageOut
from app.web.security import CanReadApiKeys, CanWriteApiKeys

router = APIRouter(prefix="/api/api-keys", tags=["API keys"], route_class=JsonRoute)


@router.post("", status_code=201, response_model=CreatedApiKeyOut)
async def create_api_key(
    caller: CanWriteApiKeys, tx: Transaction, now: Now, once: Once, wish: CreateApiKey
) -> Response:
    """Create an API key; its secret is shown only here."""

    async def create() -> Created:
        new = api_keys.CreateApiKey(wish.name, wish.scopes, wish.organization_id, wish.expires_at)
        api_key, secret = await api_keys.create(tx, caller, new, now=now)
        shown = ApiKeyOut.model_validate(api_key).model_dump()
        return Created(CreatedApiKeyOut(**shown, api_key=secret), f"/api/api-keys/{api_key.id}")

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


@router.delete("/{api_key_id}", status_code=204)
async def revoke_api_key(caller: CanWriteApiKeys, tx: Transaction, now: Now, api_key_id: UUID) -> None:
    """End an API key at once."""
    await api_keys.revoke(tx, caller, api_key_id, now=now)
