"""Legal holds: operators say what must stay as evidence, and when it need not any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.db import events
from app.db.locks import lock_name
from app.db.models import LegalHold
from app.db.queries import legal_holds, organizations
from app.db.session import Session
from app.domain.events import EventName, describe_creation
from app.domain.legal_holds import LOCK_NAME
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal


@dataclass(frozen=True, slots=True)
class PlaceLegalHold:
    """The wish to keep the evidence of an organization, or of all of the installation."""

    reason: str
    organization_id: UUID | None = None


async def place(tx: Session, caller: Principal, wish: PlaceLegalHold, *, now: datetime) -> LegalHold:
    """A new hold, in force when it is committed: nothing that it keeps is removed from then on.

    Raises OrganizationNotFound.
    """
    await lock_name(tx, LOCK_NAME)
    if wish.organization_id is not None:
        await organizations.get_organization(tx, wish.organization_id)

    hold = LegalHold(
        organization_id=wish.organization_id,
        reason=wish.reason,
        placed_at=now,
        placed_by_kind=caller.kind,
        placed_by_id=caller.id,
    )
    tx.add(hold)
    await tx.flush()

    data = describe_creation({"organization_id": hold.organization_id, "reason": hold.reason})
    await events.record(tx, caller, EventName.LEGAL_HOLD_PLACED, hold.id, now=now, data=data)
    return hold


async def list_page(tx: Session, page: PageRequest) -> Page[LegalHold]:
    """All holds, newest first, those that were released too."""
    found = await legal_holds.list_holds(tx, before=page.position(UUID), limit=page.limit + 1)
    return cut_page(found, page.limit, lambda hold: hold.id)


async def release(tx: Session, caller: Principal, hold_id: UUID, *, now: datetime) -> None:
    """End a hold; ending it twice changes nothing. Raises LegalHoldNotFound."""
    hold = await legal_holds.lock_hold(tx, hold_id)
    if hold.released_at is not None:
        return

    hold.released_at = now

    data = {"organizationId": None if hold.organization_id is None else str(hold.organization_id)}
    await events.record(tx, caller, EventName.LEGAL_HOLD_RELEASED, hold.id, now=now, data=data)
