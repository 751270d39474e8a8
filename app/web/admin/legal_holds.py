"""Legal holds over HTTP."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from app.services import legal_holds
from app.web.deps import Now, Transaction, WantedPage
from app.web.idempotency import Created, Once
from app.web.json_body import JsonRoute
from app.web.schemas.base import PageOut
from app.web.schemas.legal_holds import LegalHoldOut, PlaceLegalHold
from app.web.security import Administration, CanMaintain, CanReadOperations, RecentlyProven

router = APIRouter(
    prefix="/admin/legal-holds", tags=["administration"], dependencies=[Administration], route_class=JsonRoute
)


@router.post("", status_code=201, response_model=LegalHoldOut)
async def place_legal_hold(
    caller: CanMaintain, tx: Transaction, now: Now, once: Once, wish: PlaceLegalHold
) -> Response:
    """Keep the evidence of an organization, or of the whole installation, until the hold is released."""

    async def place() -> Created:
        wanted = legal_holds.PlaceLegalHold(wish.reason, wish.organization_id)
        hold = await legal_holds.place(tx, caller, wanted, now=now)
        return Created(LegalHoldOut.model_validate(hold), f"/admin/legal-holds/{hold.id}")

    return await once(place)


@router.get("")
async def list_legal_holds(caller: CanReadOperations, tx: Transaction, page: WantedPage) -> PageOut[LegalHoldOut]:
    """List legal holds, newest first, those that were released too."""
    found = await legal_holds.list_page(tx, page)
    items = [LegalHoldOut.model_validate(hold) for hold in found.items]
    return PageOut[LegalHoldOut](items=items, next_cursor=found.next_cursor)


@router.delete("/{hold_id}", status_code=204)
async def release_legal_hold(
    caller: CanMaintain, proven: RecentlyProven, tx: Transaction, now: Now, hold_id: UUID
) -> None:
    """Release a legal hold: from now on what is old may go."""
    await legal_holds.release(tx, caller, hold_id, now=now)
